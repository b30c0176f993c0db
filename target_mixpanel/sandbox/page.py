"""What does someone see who opens the sandbox in a browser?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from target_mixpanel.sandbox.page_html import Code, numbers, table
from target_mixpanel.sandbox.page_profiles import groups, joins, lookup_tables, users
from target_mixpanel.sandbox.page_style import STYLE
from target_mixpanel.sandbox.summary import summarise

if TYPE_CHECKING:
    from starlette.requests import Request

    from target_mixpanel.sandbox.project import Project
    from target_mixpanel.sandbox.settings import SandboxSettings

ROWS_SHOWN: Final = 15
"""Of each list: the page is a glance, the JSON under /sandbox/ is the record."""

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""What is stored came from anywhere: even unescaped it could run and load nothing."""

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
    """Everything that came from a request is escaped in page_html and nowhere else."""
    sections = (
        _numbers(project),
        "<h2>Events</h2>",
        _events(project),
        _newest(project),
        "<h2>Profiles and lookup tables</h2>",
        users(project),
        groups(project),
        joins(project),
        lookup_tables(project),
        "<h2>Requests</h2>",
        _rejections(project),
        _silent(project),
        _requests(project),
        _credentials(project.settings),
    )
    return PAGE.format(body="\n".join(sections))


def _numbers(project: Project) -> str:
    summary = summarise(project)
    return numbers(
        {
            "Events accepted": summary.accepted,
            "In reports": summary.report_rows,
            "After compaction": summary.compacted_rows,
            "Duplicates": summary.duplicates,
            "Rows rejected": summary.rejected,
            "Users": summary.users,
            "Groups": summary.groups,
            "Lookup table rows": summary.lookup_table_rows,
            "Requests": summary.requests,
        }
    )


def _events(project: Project) -> str:
    rows = [
        (name, count.raw, count.report, count.compacted)
        for name, count in sorted(project.events.counts().items())[: ROWS_SHOWN * 5]
    ]
    head = ("Event", "Raw rows", "Rows in reports", "After compaction")
    return table(
        "Events by name",
        head,
        rows,
        note="compaction leaves one of an event, a distinct_id and an $insert_id on one day",
    )


def _newest(project: Project) -> str:
    rows = [(Code(line),) for line in project.events.newest(ROWS_SHOWN)]
    return table("Latest events", ("Event",), rows, note="as received, the newest first")


def _rejections(project: Project) -> str:
    rows = list(project.events.messages().items())[:ROWS_SHOWN]
    return table("Rejected rows", ("Message", "Rows"), rows)


def _silent(project: Project) -> str:
    events = project.events
    counts = {
        "Events dropped: they have a truthy $ignore": events.ignored,
        "Texts cut at 255 bytes": events.texts_cut,
        **{f"Identity events: {why}": count for why, count in events.unlinked().items()},
    }
    rows = [(what, count) for what, count in counts.items() if count]
    return table("Done without a word", ("What", "How often"), rows)


def _requests(project: Project) -> str:
    rows = [
        (
            time.strftime("%H:%M:%S", time.gmtime(request.at)),
            f"{request.method} {request.path}",
            "reset" if request.status is None else str(request.status),
            request.rows,
            request.wire_bytes,
            request.plain_bytes,
            request.ms,
            request.fault,
        )
        for request in reversed(project.requests.newest(ROWS_SHOWN))
    ]
    head = ("At (UTC)", "Request", "Status", "Rows", "Bytes sent", "Uncompressed", "ms", "Fault")
    return table("Latest requests", head, rows, note="the newest first")


def _credentials(settings: SandboxSettings) -> str:
    rows = [
        ("Project token", settings.token),
        ("Service account", settings.service_account),
        ("Secret", settings.secret),
        ("Project id", settings.project_id),
    ]
    return table("Credentials", ("What", "Value"), rows, note="of this sandbox only")
