"""What does someone see who opens the sandbox in a browser?"""

from __future__ import annotations

import time
from html import escape
from typing import TYPE_CHECKING, Final

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from target_mixpanel.sandbox.summary import summarise

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from target_mixpanel.sandbox.project import Project
    from target_mixpanel.sandbox.settings import SandboxSettings

ROWS_SHOWN: Final = 20
"""Of each list: the page is a glance, the JSON under /sandbox/ is the record."""

CHARACTERS_SHOWN: Final = 400
"""Of one event: it may have a megabyte."""

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""What is stored came from anywhere: even unescaped it could run and load nothing."""

STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem;
  color: #1b1b2f; background: #fafafc; }
.notice { background: #fff4d6; border-left: 4px solid #e0a100; padding: .5rem 1rem; }
table { border-collapse: collapse; width: 100%; margin-bottom: 2rem; background: #fff; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #e3e3ec;
  vertical-align: top; }
td { overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
"""

PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="5">
<meta name="viewport" content="width=device-width">
<title>Mixpanel sandbox</title>
<link rel="stylesheet" href="/sandbox/page.css">
</head>
<body>
<h1>Sandbox</h1>
<p class="notice"><strong>This is not Mixpanel.</strong> It is target-mixpanel's local stand-in for
tests and demos: it follows Mixpanel's public documentation, runs on this machine only, and forgets
everything when it stops.</p>
{body}
</body>
</html>
"""


def page_routes(project: Project) -> list[Route]:
    """The page and its style, both static but for what arrived."""

    async def page(_: Request) -> Response:
        return HTMLResponse(render(project), headers=HEADERS)

    async def style(_: Request) -> Response:
        return Response(STYLE, media_type="text/css", headers=HEADERS)

    return [Route("/", page), Route("/sandbox/page.css", style)]


def render(project: Project) -> str:
    """Everything that came from a request is escaped in _table and nowhere else."""
    return PAGE.format(
        body="\n".join(
            [
                _credentials(project.settings),
                _numbers(project),
                _events(project),
                _newest(project),
                _rejections(project),
                _requests(project),
            ]
        )
    )


def _credentials(settings: SandboxSettings) -> str:
    rows = [
        ("Project token", settings.token),
        ("Service account", settings.service_account),
        ("Secret", settings.secret),
        ("Project id", settings.project_id),
    ]
    return _table("Credentials", ("What", "Value"), rows)


def _numbers(project: Project) -> str:
    summary = summarise(project)
    head = ("Accepted", "In reports", "Duplicates", "Rejected", "Users", "Groups", "Requests")
    numbers = (
        summary.accepted,
        summary.report_rows,
        summary.duplicates,
        summary.rejected,
        summary.users,
        summary.groups,
        summary.requests,
    )
    return _table("In numbers", head, [numbers])


def _events(project: Project) -> str:
    rows = [
        (name, count.raw, count.report)
        for name, count in sorted(project.events.counts().items())[: ROWS_SHOWN * 5]
    ]
    return _table("Events by name", ("Event", "Raw rows", "Rows in reports"), rows)


def _newest(project: Project) -> str:
    rows = [
        (line[:CHARACTERS_SHOWN].decode("utf-8", "replace"),)
        for line in project.events.newest(ROWS_SHOWN)
    ]
    return _table("Latest rows, as received", ("Event",), rows)


def _rejections(project: Project) -> str:
    rows = list(project.events.messages().items())[:ROWS_SHOWN]
    return _table("Rejected rows", ("Message", "Rows"), rows)


def _requests(project: Project) -> str:
    rows = [
        (
            time.strftime("%H:%M:%S", time.gmtime(request.at)),
            f"{request.method} {request.path}",
            "reset" if request.status is None else request.status,
            request.rows,
            request.wire_bytes,
            request.plain_bytes,
            request.ms,
            request.fault,
        )
        for request in reversed(project.requests.newest(ROWS_SHOWN))
    ]
    head = ("At (UTC)", "Request", "Status", "Rows", "Bytes sent", "Uncompressed", "ms", "Fault")
    return _table("Latest requests", head, rows)


def _table(caption: str, head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    columns = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "\n".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f"<table><caption>{escape(caption)}</caption>\n"
        f"<thead><tr>{columns}</tr></thead>\n<tbody>\n{lines}\n</tbody></table>"
    )
