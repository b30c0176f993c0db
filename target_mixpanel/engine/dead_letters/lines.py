"""How does a rejected record read in a dead-letter file?"""

from typing import Final

import msgspec

from target_mixpanel.model import Rejection

DEAD_LETTER_MARK: Final = "dead_letter"
"""A key of the SCHEMA lines in these files, so that a replay knows a torn last line for what it is:
one that was never confirmed."""


def schema_line_of(line: bytes) -> bytes:
    """Return a SCHEMA message, marked as that of a dead-letter file."""
    return _with_key(line, DEAD_LETTER_MARK, b"true")


def record_line_of(rejection: Rejection, at: str) -> bytes:
    """Return the RECORD message of *rejection* with why it was rejected, *at* an ISO 8601 time."""
    flaw = rejection.flaw
    note = {
        "stage": flaw.stage,
        "reason": flaw.reason,
        "field": flaw.field,
        "insert_id": rejection.insert_id,
        "at": at,
        "detail": flaw.detail,
    }
    given = {name: value for name, value in note.items() if value is not None}
    return _with_key(rejection.record.line, "rejection", msgspec.json.encode(given))


def _with_key(line: bytes, key: str, value: bytes) -> bytes:
    """Add *key* to the JSON object *line* and touch nothing else in it."""
    try:
        message = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # What JSON does not know (NaN) is kept as it came, too.
        return line.rstrip().removesuffix(b"}") + b',"' + key.encode() + b'":' + value + b"}\n"
    message[key] = msgspec.Raw(value)
    return msgspec.json.encode(message) + b"\n"
