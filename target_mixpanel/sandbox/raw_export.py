"""What does GET /api/2.0/export hand out?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from target_mixpanel.sandbox.answers import TEXT, Answer, RequestRefusedError
from target_mixpanel.sandbox.credentials import require_service_account
from target_mixpanel.sandbox.settings import EARLIEST_TIME_S, MAX_EXPORT_ROWS

if TYPE_CHECKING:
    from collections.abc import Container

    from target_mixpanel.sandbox.answers import Incoming
    from target_mixpanel.sandbox.project import Project


class Window(msgspec.Struct, frozen=True):
    """Whole days, in milliseconds: from the first's start to before the last's end."""

    start_ms: float
    end_ms: float


def export_events(project: Project, request: Incoming) -> Answer:
    """
    Answer with every event of some days, as stored: not deduplicated.

    Raises:
        RequestRefusedError: 401, or 400 for parameters that make no sense.
    """
    require_service_account(request, project.settings)
    window = _window(request, project.clock())
    names = _names(request)
    limit = _limit(request)
    in_ms = request.query.get("time_in_ms") == "true"
    lines = [
        line
        for event in project.events.raw()
        if (line := _exported(event, window, names, in_ms=in_ms))
    ]
    return Answer(200, b"".join(lines[:limit]), TEXT)


def _exported(
    line: bytes, window: Window, names: Container[str] | None, *, in_ms: bool
) -> bytes | None:
    event = msgspec.json.decode(line)
    properties = event.get("properties")
    time = properties.get("time") if isinstance(properties, dict) else None
    if type(time) is not int or (names is not None and event.get("event") not in names):
        return None
    time_ms = time * 1000 if time < EARLIEST_TIME_S * 1000 else time
    if not window.start_ms <= time_ms < window.end_ms:
        return None
    properties["time"] = time_ms if in_ms else time_ms // 1000
    return msgspec.json.encode(event) + b"\n"


def _window(request: Incoming, now_s: float) -> Window:
    try:
        first, last = (
            datetime.strptime(request.query[name], "%Y-%m-%d").replace(tzinfo=UTC)
            for name in ("from_date", "to_date")
        )
    except (KeyError, ValueError) as error:
        raise RequestRefusedError(400, "from_date and to_date must be yyyy-mm-dd") from error
    if last.timestamp() > now_s:
        raise RequestRefusedError(400, "to_date cannot be later than today")
    end = last + timedelta(days=1)
    return Window(first.timestamp() * 1000, end.timestamp() * 1000)


def _names(request: Incoming) -> list[str] | None:
    if "event" not in request.query:
        return None
    try:
        return msgspec.json.decode(request.query["event"], type=list[str])
    except msgspec.DecodeError as error:
        raise RequestRefusedError(400, "event must be a JSON array of strings") from error


def _limit(request: Incoming) -> int:
    try:
        limit = int(request.query.get("limit", MAX_EXPORT_ROWS))
    except ValueError:
        limit = 0
    if not 0 < limit <= MAX_EXPORT_ROWS:
        raise RequestRefusedError(400, f"limit must be between 1 and {MAX_EXPORT_ROWS}")
    return limit
