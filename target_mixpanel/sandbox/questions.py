"""What may be asked under /sandbox/, and what is the answer in JSON?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from target_mixpanel.sandbox.group_joins import group_joins
from target_mixpanel.sandbox.summary import summarise
from target_mixpanel.sandbox.table_values import cells, columns, typed_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.requests import Request

    from target_mixpanel.sandbox.profile_store import Profiles
    from target_mixpanel.sandbox.profiles import ProfileId, Properties
    from target_mixpanel.sandbox.project import Project
    from target_mixpanel.sandbox.table_store import LookupTable

DEFAULT_LIMIT: Final = 100
"""Rows in an answer that asked for no number. Profiles, which are told by id, are all there."""


def questions(project: Project) -> Iterable[tuple[str, Callable[[Request], Any]]]:
    """
    Pair each path with what answers it.

    An answer raises ValueError if the question makes no sense, and LookupError
    if it is about something that is not there.
    """
    ask = _Questions(project)
    return {
        "/sandbox/summary": lambda _: summarise(project),
        "/sandbox/events": ask.events,
        "/sandbox/insert_ids": lambda _: project.events.insert_ids(),
        "/sandbox/requests": lambda request: project.requests.newest(_limit(request)),
        "/sandbox/rejections": lambda request: project.events.rejected()[-_limit(request) :],
        "/sandbox/users": ask.users,
        "/sandbox/user_updates": lambda request: _updates(project.users, request),
        "/sandbox/groups": ask.groups,
        "/sandbox/group_joins": lambda _: group_joins(project),
        "/sandbox/group_updates": lambda request: _updates(project.groups, request),
        "/sandbox/lookup_tables": lambda _: list(map(_description, project.tables.all())),
        "/sandbox/lookup_tables/{table_id}": ask.table,
    }.items()


class _Questions:
    """Those that need more than a line."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def events(self, request: Request) -> list[msgspec.Raw]:
        """The newest rows of the report, the compacted or the raw view, oldest first."""
        event = request.query_params.get("event")
        store = self._project.events
        match request.query_params.get("view", "report"):
            case "report":
                lines = store.report(event)
            case "compacted":
                lines = store.compacted(event)
            case "raw":
                lines = store.raw(event)
            case _:
                raise ValueError("view must be report, compacted or raw")
        return [msgspec.Raw(line) for line in lines[-_limit(request) :]]

    def users(self, request: Request) -> dict[str, Properties]:
        """Profiles by distinct_id, the one changed last first."""
        return {user: known for (user,), known in _profiles(self._project.users, request)}

    def groups(self, request: Request) -> dict[str, dict[str, Properties]]:
        """Profiles by group key and group id, the one changed last first."""
        by_key: dict[str, dict[str, Properties]] = {}
        for (group_key, group_id), known in _profiles(self._project.groups, request):
            by_key.setdefault(group_key, {})[group_id] = known
        return by_key

    def table(self, request: Request) -> dict[str, Any]:
        """Some rows of one table, by column, each value with its type."""
        table = self._project.tables.find(request.path_params["table_id"])
        if table is None:
            raise LookupError("there is no such lookup table")
        rows = typed_rows(table, _limit(request), start=_number(request, "start", 0, least=0))
        return {**_description(table), "rows": list(map(cells, rows))}


def _profiles(profiles: Profiles, request: Request) -> list[tuple[ProfileId, Properties]]:
    return profiles.newest(_limit(request) if "limit" in request.query_params else None)


def _updates(profiles: Profiles, request: Request) -> list[msgspec.Raw]:
    return [msgspec.Raw(line) for line in profiles.updates()[-_limit(request) :]]


def _description(table: LookupTable) -> dict[str, Any]:
    return {
        "id": table.id,
        "name": table.name,
        "row_count": table.row_count,
        "columns": columns(table),
    }


def _limit(request: Request) -> int:
    return _number(request, "limit", DEFAULT_LIMIT, least=1)


def _number(request: Request, name: str, default: int, *, least: int) -> int:
    number = int(request.query_params.get(name, default))
    if number < least:
        raise ValueError(f"{name} must be {least} or more")
    return number
