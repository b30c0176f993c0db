"""What does Mixpanel do to a valid event without a word: drop it, cut it, or take no notice?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from target_mixpanel.sandbox.settings import MAX_TEXT_BYTES

if TYPE_CHECKING:
    from target_mixpanel.sandbox.rules import JsonObject

_UUID_4: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE
)


class Ingested(msgspec.Struct, frozen=True):
    """
    What became of an event that broke no rule.

    Attributes:
        line: As it is stored; None if it is not.
        texts_cut: How many of its texts are shorter now.
        unlinked: Why an identity event changed nothing, empty if it did or is none.
    """

    line: bytes | None
    texts_cut: int = 0
    unlinked: str = ""


def ingest(row: JsonObject, line: bytes) -> Ingested:
    """Return what becomes of *row*, which came as *line*."""
    properties = row.get("properties")
    if not isinstance(properties, dict):
        return Ingested(line)
    if _is_ignored(properties.get("$ignore")):
        return Ingested(None)
    unlinked = _flaw_of_identify(properties) if row.get("event") == "$identify" else ""
    if len(line) <= MAX_TEXT_BYTES:
        return Ingested(line, unlinked=unlinked)
    cut: list[str] = []
    kept = {name: _cut(value, cut) for name, value in properties.items()}
    if cut:
        line = msgspec.json.encode({**row, "properties": kept})
    return Ingested(line, len(cut), unlinked)


def _is_ignored(given: object) -> bool:
    # "True or a non-empty string": https://docs.mixpanel.com/docs/tracking-best-practices/bot-traffic
    return given is True or (isinstance(given, str) and given != "")


def _cut(value: Any, cut: list[str]) -> Any:
    match value:
        case str() if len(value) * 4 > MAX_TEXT_BYTES and len(value.encode()) > MAX_TEXT_BYTES:
            cut.append(value)
            return value.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")
        case list():
            return [_cut(item, cut) for item in value]
        case dict():
            return {name: _cut(item, cut) for name, item in value.items()}
        case _:
            return value


def _flaw_of_identify(properties: JsonObject) -> str:
    """Seen live: a shape that no SDK makes is answered with 200, and links nobody."""
    anonymous, identified = properties.get("$anon_id"), properties.get("$identified_id")
    if not isinstance(anonymous, str) or not _UUID_4.fullmatch(anonymous):
        return "$anon_id is no UUID v4"
    if anonymous == identified:
        return "$anon_id is the $identified_id"
    return ""
