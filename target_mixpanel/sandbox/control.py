"""What may be asked and scripted under /sandbox/, which no Mixpanel has?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from target_mixpanel.sandbox.fault_spec import FaultSpec
from target_mixpanel.sandbox.faults import ChaosSpec
from target_mixpanel.sandbox.summary import summarise

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from target_mixpanel.sandbox.project import Project

DEFAULT_LIMIT: Final = 100
"""Rows in an answer that asked for no number."""

MAX_CONTROL_BYTES: Final = 1024 * 1024
"""A script of faults, not an upload."""


def control_routes(project: Project) -> list[Route]:
    """Everything is JSON; a GET changes nothing."""
    control = _Control(project)
    reads: dict[str, Callable[[Request], Any]] = {
        "/sandbox/summary": lambda _: summarise(project),
        "/sandbox/events": control.events,
        "/sandbox/insert_ids": lambda _: project.events.insert_ids(),
        "/sandbox/requests": lambda request: project.requests.newest(_limit(request)),
        "/sandbox/rejections": lambda request: project.events.rejected()[-_limit(request) :],
        "/sandbox/users": lambda _: {key[0]: known for key, known in project.users.all().items()},
        "/sandbox/groups": control.groups,
        "/sandbox/lookup_tables": lambda _: project.tables.all(),
    }
    return [
        *(Route(path, _reading(answer), methods=["GET"]) for path, answer in reads.items()),
        Route("/sandbox/faults", control.faults, methods=["GET", "POST", "DELETE"]),
        Route("/sandbox/chaos", control.chaos, methods=["POST"]),
        Route("/sandbox/reset", control.reset, methods=["POST"]),
    ]


class _Control:
    """The requests that change the script, and those that need more than a line."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def events(self, request: Request) -> list[msgspec.Raw]:
        """The newest rows of the report or the raw view, oldest first."""
        event = request.query_params.get("event")
        store = self._project.events
        match request.query_params.get("view", "report"):
            case "report":
                lines = store.report(event)
            case "raw":
                lines = store.raw(event)
            case _:
                raise ValueError("view must be report or raw")
        return [msgspec.Raw(line) for line in lines[-_limit(request) :]]

    def groups(self, _: Request) -> dict[str, dict[str, Any]]:
        by_key: dict[str, dict[str, Any]] = {}
        for (group_key, group_id), known in self._project.groups.all().items():
            by_key.setdefault(group_key, {})[group_id] = known
        return by_key

    async def faults(self, request: Request) -> Response:
        match request.method:
            case "POST":
                try:
                    body = await _body(request)
                    self._project.faults.add(msgspec.json.decode(body, type=list[FaultSpec]))
                except ValueError as error:
                    return _json({"error": str(error)}, 400)
            case "DELETE":
                self._project.faults.clear()
            case _:
                pass
        return _json({"pending": self._project.faults.pending()})

    async def chaos(self, request: Request) -> Response:
        try:
            body = await _body(request)
            self._project.faults.unleash(msgspec.json.decode(body, type=ChaosSpec))
        except ValueError as error:
            return _json({"error": str(error)}, 400)
        return _json({})

    async def reset(self, _: Request) -> Response:
        self._project.reset()
        return _json({})


def _reading(answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
    async def read(request: Request) -> Response:
        try:
            return _json(answer(request))
        except ValueError as error:
            return _json({"error": str(error)}, 400)

    return read


def _limit(request: Request) -> int:
    limit = int(request.query_params.get("limit", DEFAULT_LIMIT))
    if limit < 1:
        raise ValueError("limit must be positive")
    return limit


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_CONTROL_BYTES:
            raise ValueError(f"a script may have {MAX_CONTROL_BYTES} bytes")
    return body


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
