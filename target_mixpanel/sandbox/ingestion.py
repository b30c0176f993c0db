"""How does one ingestion request pass: read, met by a fault, answered, logged?"""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING, Final, TypeAlias

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from target_mixpanel.sandbox.answers import Answer, Incoming, RequestRefusedError, refusal
from target_mixpanel.sandbox.fault_spec import Reset, Scripted, Whole
from target_mixpanel.sandbox.replies import altered, respond, scripted_answer
from target_mixpanel.sandbox.request_log import LoggedRequest
from target_mixpanel.sandbox.settings import MAX_TABLE_BYTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from target_mixpanel.sandbox.fault_spec import Fault
    from target_mixpanel.sandbox.project import Project

Endpoint: TypeAlias = "Callable[[Project, Incoming], Answer]"

MAX_DRAINED_BYTES: Final = 4 * MAX_TABLE_BYTES
"""
Bytes read of a body that is too long to keep, so that its sender can hear the
413: closing while it still sends would look like a broken connection to it.
"""

NO_ANSWER: Final = Answer(500, b"")
"""What a connection that is reset would have carried."""

HOLD_CHECK_S: Final = 0.005
"""How often a held reply looks whether its time has come."""


def ingestion(
    project: Project, endpoint: Endpoint, *, max_wire_bytes: int
) -> Callable[[Request], Awaitable[Response]]:
    """Make an ASGI endpoint of a function from request to answer."""

    async def ingest(request: Request) -> Response:
        project.requests.in_flight += 1
        try:
            return await _exchange(project, endpoint, request, max_wire_bytes)
        except ClientDisconnect:
            return Response()
        finally:
            project.requests.in_flight -= 1

    return ingest


def query(project: Project, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """Make an ASGI endpoint that meets no fault and leaves no trace."""

    async def ask(request: Request) -> Response:
        answer = _true_answer(project, endpoint, _incoming(request, b"", 0))
        return respond(answer, Whole())

    return ask


async def _exchange(
    project: Project, endpoint: Endpoint, request: Request, max_wire_bytes: int
) -> Response:
    arrival = _Arrival(project)
    fault = project.faults.take(request.url.path)
    if fault.sending == Reset("before_reading"):
        arrival.log(_incoming(request, None, 0), fault, NO_ANSWER)
        return respond(NO_ANSWER, fault.sending)
    incoming = await _read(request, max_wire_bytes)
    project.requests.received += 1
    answer = _answer(project, endpoint, incoming, fault)
    await _wait(project, fault)
    arrival.log(incoming, fault, answer)
    return respond(answer, fault.sending)


def _answer(project: Project, endpoint: Endpoint, incoming: Incoming, fault: Fault) -> Answer:
    if not fault.does_ingest:
        match fault.reply:
            case Scripted() as scripted:
                return scripted_answer(scripted)
            case _:
                return NO_ANSWER
    return altered(_true_answer(project, endpoint, incoming), fault.reply)


def _true_answer(project: Project, endpoint: Endpoint, incoming: Incoming) -> Answer:
    try:
        return endpoint(project, incoming)
    except RequestRefusedError as refused:
        return refusal(refused.status, refused.error, is_verbose=incoming.is_verbose)


async def _wait(project: Project, fault: Fault) -> None:
    epoch = project.requests.epoch
    # A reset comes from another thread, which an asyncio.Event would not hear.
    while project.requests.received < fault.hold_until_requests and project.requests.epoch == epoch:  # noqa: ASYNC110
        await asyncio.sleep(HOLD_CHECK_S)
    await asyncio.sleep(fault.delay_s)


async def _read(request: Request, max_bytes: int) -> Incoming:
    """Read the body, but keep it only if it is not longer than *max_bytes*."""
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > MAX_DRAINED_BYTES:
            break
        if size <= max_bytes:
            pieces.append(piece)
        else:
            pieces.clear()
    return _incoming(request, b"".join(pieces) if size <= max_bytes else None, size)


def _incoming(request: Request, body: bytes | None, wire_bytes: int) -> Incoming:
    return Incoming(
        method=request.method,
        path=request.url.path,
        query=dict(request.query_params),
        headers=request.headers,
        body=body,
        wire_bytes=wire_bytes,
    )


class _Arrival:
    """A request's number and time, until it can be logged."""

    def __init__(self, project: Project) -> None:
        project.requests.arrived += 1
        self._requests = project.requests
        self._number = project.requests.arrived
        self._in_flight = project.requests.in_flight
        self._at = time.time()
        self._started = time.perf_counter()

    def log(self, incoming: Incoming, fault: Fault, answer: Answer) -> None:
        is_reset = isinstance(fault.sending, Reset)
        self._requests.add(
            LoggedRequest(
                number=self._number,
                at=self._at,
                method=incoming.method,
                path=incoming.path,
                query=incoming.query,
                status=None if is_reset else answer.status,
                fault=fault.name,
                rows=incoming.rows,
                wire_bytes=incoming.wire_bytes,
                plain_bytes=incoming.plain_bytes,
                content_type=incoming.content_type,
                content_encoding=incoming.headers.get("content-encoding", ""),
                user_agent=incoming.headers.get("user-agent", ""),
                digest=hashlib.blake2b(incoming.body or b"", digest_size=16).hexdigest(),
                in_flight=self._in_flight,
                ms=round((time.perf_counter() - self._started) * 1000, 3),
            )
        )
