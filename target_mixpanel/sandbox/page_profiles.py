"""Which users, groups and lookup tables does the page show?"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from target_mixpanel.sandbox.group_joins import group_joins
from target_mixpanel.sandbox.page_html import Column, Pairs, table
from target_mixpanel.sandbox.table_values import ROWS_TYPED, columns, typed_rows

if TYPE_CHECKING:
    from target_mixpanel.sandbox.page_html import Cell
    from target_mixpanel.sandbox.profile_store import Profiles
    from target_mixpanel.sandbox.project import Project
    from target_mixpanel.sandbox.table_store import LookupTable
    from target_mixpanel.sandbox.table_values import Value

PROFILES_SHOWN: Final = 10
"""Users, and groups, that were changed last."""

EVENTS_JOINED: Final = 1_000
"""From the newest back: the page is made anew every few seconds."""

TABLES_SHOWN: Final = 20
"""A project may have any number; each is a table of its own here."""

TABLE_ROWS_SHOWN: Final = 8
"""From the top of each lookup table."""


def users(project: Project) -> str:
    """Render the users that changed last."""
    return _profiles("Users", ["distinct_id"], project.users)


def groups(project: Project) -> str:
    """Render the groups that changed last."""
    return _profiles("Groups", ["Group key", "Group id"], project.groups)


def joins(project: Project) -> str:
    """Render whether events and users find the groups that they name."""
    rows = [
        (group_key, joined.profiles, of, join.found, join.without_profile, join.not_text)
        for group_key, joined in group_joins(project, EVENTS_JOINED).items()
        for of, join in (("events", joined.events), ("users", joined.users))
    ]
    head = (
        "Group key",
        "Profiles",
        "Named by",
        "Found",
        "No such profile",
        "No text, so not found",
    )
    return table(
        "Group joins", head, rows[:TABLES_SHOWN], note=f"of the latest {EVENTS_JOINED:,} events"
    )


def lookup_tables(project: Project) -> str:
    """Render the top of each lookup table, its values as Mixpanel reads them."""
    return "\n".join(map(_lookup_table, project.tables.all()[:TABLES_SHOWN]))


def _profiles(caption: str, ids: list[str], profiles: Profiles) -> str:
    rows: list[list[Cell]] = [
        [*profile, Pairs(known)] for profile, known in profiles.newest(PROFILES_SHOWN)
    ]
    count = profiles.count
    note = f"{count:,}"
    if count > PROFILES_SHOWN:
        note = f"the {PROFILES_SHOWN} of {count:,} that changed last"
    return table(caption, [*ids, "Properties"], rows, note=note)


def _lookup_table(lookup: LookupTable) -> str:
    head = [Column(column.name, ", ".join(column.types)) for column in columns(lookup)]
    rows = [list(map(_cell, row.values())) for row in typed_rows(lookup, TABLE_ROWS_SHOWN)]
    note = f"{lookup.id} · {lookup.row_count:,} rows"
    if lookup.row_count > TABLE_ROWS_SHOWN:
        note += f", the first {TABLE_ROWS_SHOWN} below, types of the first {ROWS_TYPED:,}"
    return table(f"Lookup table {lookup.name}", head or ["Columns"], rows, note=note)


def _cell(value: Value | None) -> Cell:
    match value:
        case None:
            return None
        case str():
            return value
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S} UTC"
        case _:
            return msgspec.json.encode(value).decode()
