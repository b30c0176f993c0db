"""The things that travel through the loader: records, rows, rejections, credentials."""

from typing import Any, Final, Literal, NewType, TypeAlias

import msgspec

Span = NewType("Span", int)
"""The records between two STATEs, numbered from the start of the run."""

JsonObject: TypeAlias = dict[str, Any]

Stage: TypeAlias = Literal["parse", "validate", "map", "limit", "refused"]
"""Where a record or row was rejected: by the reader, its stream's schema, its mapping,
Mixpanel's published limits, or Mixpanel itself."""


class Record(msgspec.Struct, gc=False):
    """One record of a stream, from the moment it is read until it is settled."""

    raw: bytes | JsonObject
    """As its door brought it: a RECORD message without its line end, or the columns alone, as JSON
    or decoded. A dead letter is made of it, if there is one."""
    span: Span
    source: Any = None
    """The segment of its stream; delivery never looks at it."""
    rows_pending: int = 1
    """Its rows that are neither accepted nor refused yet, those of lookup tables aside; once it is
    rejected, its dead letter counts as one. If that is nowhere written, no STATE passes it."""
    is_rejected: bool = False
    waits_for_table: bool = False
    """It is also a row of a lookup table, which is accepted last of all."""


class Row(msgspec.Struct, gc=False):
    """One Mixpanel object, encoded."""

    body: bytes
    """UTF-8 JSON without line end."""
    key: str
    """What a reply knows it by: an event's $insert_id, empty for a profile update."""
    record: Record
    is_repeatable: bool = True
    """Whether applying it twice is the same as once; if not, it is never blindly sent again."""
    is_deletion: bool = False
    """Whether it deletes a whole profile."""


NO_SINGLE_COLUMN: Final = "*"
"""Stands for the column at fault where no column is, alone."""


class Flaw(msgspec.Struct, frozen=True):
    """Why something will never be accepted; holds no record content."""

    stage: Stage
    reason: str
    """A short code, or Mixpanel's own words; few different ones in a run, so they are counted."""
    field: str
    """The column at fault, or what Mixpanel calls it; `NO_SINGLE_COLUMN` if it is none alone."""
    detail: str | None = None


class Rejection(msgspec.Struct, frozen=True):
    """A record that will never be accepted, and why."""

    record: Record
    flaw: Flaw
    insert_id: str | None = None


class Mapped(msgspec.Struct, frozen=True, gc=False):
    """One row that a record becomes."""

    destination: int
    """Which of the stream's mappings made it."""
    body: bytes
    """UTF-8 JSON without line end; of a lookup table its CSV line."""
    key: str
    """What Mixpanel knows it by: an event's $insert_id, a profile's id, a table's key."""
    is_repeatable: bool = True
    """As a row's."""
    is_deletion: bool = False
    """As a row's."""
