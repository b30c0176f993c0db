"""What has Mixpanel got, in the shape in which it is compared?"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from target_mixpanel.sandbox import Sandbox

_BOOKKEEPING: Final = {"$insert_id", "ip"}
"""What the loader says of an event by itself."""


def events(sandbox: Sandbox, event: str, key: str = "id") -> dict[Any, dict[str, Any]]:
    """
    Return the events as the reports show them, by *key*; each is there once.

    Compaction, some hours later, takes none of them away.
    """
    shown = sandbox.report(event)
    by_key = {row["properties"][key]: _bare(row["properties"]) for row in shown}
    assert len(by_key) == len(shown), "an event is in the reports twice"
    assert len(sandbox.compacted(event)) == len(shown), "compaction takes an event for another"
    return by_key


def users(sandbox: Sandbox) -> dict[int, dict[str, Any]]:
    """Return what is known of each user, whose ids are numbers; a cleared value is none."""
    return {
        int(user): {name: value for name, value in known.items() if value is not None}
        for user, known in sandbox.users.items()
    }


def groups(sandbox: Sandbox, group_key: str) -> dict[int, dict[str, Any]]:
    """Return what is known of each group of a kind, whose ids are numbers spelled as text."""
    return {
        int(group): {name: value for name, value in known.items() if value is not None}
        for (key, group), known in sandbox.groups.items()
        if key == group_key
    }


def cells(sandbox: Sandbox) -> dict[Any, dict[str, Any]]:
    """Return the rows of the one lookup table by their key `id`; an empty cell is none."""
    return {
        row["id"]: {
            name: value.replace(tzinfo=None).isoformat() if isinstance(value, datetime) else value
            for name, value in row.items()
            if name != "id" and value is not None
        }
        for row in sandbox.table_rows()
    }


def rejected_columns(dead_letters: Path) -> dict[int, str]:
    """Return which column each rejected record was rejected for, by the record's id."""
    letters = [
        json.loads(line)
        for file in dead_letters.glob("*.singer")
        for line in file.read_text().splitlines()
    ]
    return {one["record"]["id"]: one["rejection"]["field"] for one in letters if "record" in one}


def _bare(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name not in _BOOKKEEPING}
