"""Who answers under /sandbox/, which no Mixpanel has, and what may be scripted there?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from target_mixpanel.sandbox.fault_spec import FaultSpec
from target_mixpanel.sandbox.faults import ChaosSpec
from target_mixpanel.sandbox.questions import questions

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from target_mixpanel.sandbox.project import Project

MAX_CONTROL_BYTES: Final = 1024 * 1024
"""A script of faults, not an upload."""


def control_routes(project: Project) -> list[Route]:
    """Everything is JSON; a GET changes nothing."""
    control = _Control(project)
    return [
        *(Route(path, _reading(answer), methods=["GET"]) for path, answer in questions(project)),
        Route("/sandbox/faults", control.faults, methods=["GET", "POST", "DELETE"]),
        Route("/sandbox/chaos", control.chaos, methods=["POST"]),
        Route("/sandbox/reset", control.reset, methods=["POST"]),
    ]


class _Control:
    """The requests that change the script."""

    def __init__(self, project: Project) -> None:
        self._project = project

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
        except LookupError as error:
            return _json({"error": str(error)}, 404)

    return read


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_CONTROL_BYTES:
            raise ValueError(f"a script may have {MAX_CONTROL_BYTES} bytes")
    return body


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
