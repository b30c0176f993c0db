"""How do the bytes of a reply leave, if they do?"""

from __future__ import annotations

import asyncio
import socket
import struct
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.responses import Response

from target_mixpanel.sandbox.answers import Answer
from target_mixpanel.sandbox.fault_spec import (
    Closed,
    Dripped,
    Genuine,
    Reset,
    Scripted,
    Truncated,
    Whole,
)

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from target_mixpanel.sandbox.fault_spec import Reply, Sending, SlowPart

RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, for no time: the kernel drops what is unsent and sends a RST. socket(7)"""

DRIP_S: Final = 0.05
"""Pause between two drips, short enough to look like one slow stream."""


def scripted_answer(reply: Scripted) -> Answer:
    """Label the body as what it looks like; the script's own Content-Type wins."""
    is_json = reply.body.lstrip()[:1] in {b"{", b"["}
    media_type = "application/json" if is_json else "text/html; charset=utf-8"
    return Answer(reply.status, reply.body, media_type, reply.headers)


def altered(answer: Answer, reply: Reply) -> Answer:
    """Return the answer that is sent in place of the true one."""
    match reply:
        case Scripted():
            return scripted_answer(reply)
        case Genuine(count_off_by=0, headers=headers) if not headers:
            return answer
        case Genuine(count_off_by=off_by, headers=headers):
            return Answer(
                answer.status,
                _miscounted(answer.body, off_by) if off_by else answer.body,
                answer.media_type,
                {**answer.headers, **headers},
            )


def respond(answer: Answer, sending: Sending) -> Response:
    """Choose what carries the answer to the socket."""
    match sending:
        case Whole():
            return Response(answer.body, answer.status, _headers(answer))
        case Reset():
            return ResetResponse()
        case Truncated(missing_bytes=missing_bytes):
            raw = _head(answer, announced=len(answer.body) + missing_bytes) + answer.body
            return RawResponse(raw)
        case Dripped(bytes_per_s=bytes_per_s, part=part):
            return _dripped(answer, bytes_per_s, part)
        case Closed():
            return RawResponse(_head(answer, announced=len(answer.body)) + answer.body)


class ResetResponse(Response):
    """No reply: the connection is reset."""

    async def __call__(self, scope: Scope, receive: Receive, _: Send) -> None:
        transport = _transport(scope)
        connection: socket.socket = transport.get_extra_info("socket")
        if connection.fileno() != -1:  # a client that was killed has closed it already
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            transport.abort()
        await _until_closed(receive)


class RawResponse(Response):
    """Bytes that go past the server's HTTP, for it would not send them so; then the end."""

    def __init__(self, prompt: bytes, slow: bytes = b"", bytes_per_s: float = 0.0) -> None:
        super().__init__()
        self._prompt = prompt
        self._slow = slow
        self._bytes_per_s = bytes_per_s

    async def __call__(self, scope: Scope, receive: Receive, _: Send) -> None:
        transport = _transport(scope)
        transport.write(self._prompt)
        size = max(1, int(self._bytes_per_s * DRIP_S))
        pause_s = size / self._bytes_per_s if self._slow else 0.0
        for start in range(0, len(self._slow), size):
            if transport.is_closing():
                break
            transport.write(self._slow[start : start + size])
            await asyncio.sleep(pause_s)
        transport.close()
        await _until_closed(receive)


def _dripped(answer: Answer, bytes_per_s: float, part: SlowPart) -> RawResponse:
    head = _head(answer, announced=len(answer.body))
    match part:
        case "headers":
            return RawResponse(b"", head + answer.body, bytes_per_s)
        case "body":
            return RawResponse(head, answer.body, bytes_per_s)


def _transport(scope: Scope) -> asyncio.Transport:
    transport: asyncio.Transport = scope["state"]["transport"]
    return transport


async def _until_closed(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _head(answer: Answer, *, announced: int) -> bytes:
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = ""
    headers = {**_headers(answer), "Content-Length": str(announced)}
    lines = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _headers(answer: Answer) -> dict[str, str]:
    # The server's own Date could not be replaced: a script may pretend that clocks differ.
    date = formatdate(usegmt=True)
    return {"Date": date, "Content-Type": answer.media_type, **answer.headers}


def _miscounted(body: bytes, off_by: int) -> bytes:
    content = msgspec.json.decode(body)
    content["num_records_imported"] += off_by
    return msgspec.json.encode(content)
