"""Which path is answered by whom?"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from target_mixpanel.sandbox.control import control_routes
from target_mixpanel.sandbox.import_events import import_events
from target_mixpanel.sandbox.ingestion import Endpoint, ingestion, query
from target_mixpanel.sandbox.lookup_tables import list_tables, replace_table
from target_mixpanel.sandbox.page import page_routes
from target_mixpanel.sandbox.raw_export import export_events
from target_mixpanel.sandbox.update_profiles import update_groups, update_users

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from target_mixpanel.sandbox.project import Project

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


def make_app(project: Project) -> ASGIApp:
    """Wire every path to the project."""

    def route(path: str, method: str, endpoint: Endpoint) -> Route:
        is_table = path.startswith("/lookup-tables")
        settings = project.settings
        max_bytes = settings.max_table_bytes if is_table else settings.max_request_bytes
        handler = ingestion(project, endpoint, max_wire_bytes=max_bytes)
        return Route(path, handler, methods=[method])

    routes = [
        route("/import", "POST", import_events),
        route("/import/", "POST", import_events),
        route("/engage", "POST", update_users),
        route("/groups", "POST", update_groups),
        route("/lookup-tables", "GET", list_tables),
        route("/lookup-tables/{table_id}", "PUT", replace_table),
        Route("/api/2.0/export", query(project, export_events)),
        *control_routes(project),
        *page_routes(project),
    ]
    return LoopbackOnly(Starlette(routes=routes))


class LoopbackOnly:
    """
    Refuse what a page of another site could send here.

    Such a page reaches the loopback address by a name of its own (so the Host is
    another) or across origins (so the Origin is).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        if _hostname("//" + headers.get(b"host", b"").decode("latin-1")) not in LOOPBACK_NAMES:
            refused = PlainTextResponse("The sandbox answers to 127.0.0.1 and localhost only.", 421)
            await refused(scope, receive, send)
        elif origin and _hostname(origin) not in LOOPBACK_NAMES:
            refused = PlainTextResponse("The sandbox answers no other site's pages.", 403)
            await refused(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
