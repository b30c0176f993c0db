"""How does a rejected record read in a dead-letter file?"""

import json
import math
from decimal import Decimal
from typing import Any, Final

import msgspec

from target_mixpanel.model import Record, Rejection

DEAD_LETTER_MARK: Final = "dead_letter"
"""A key of the SCHEMA lines in these files, so that a replay knows a torn last line for what it is:
one that was never confirmed."""


_encode: Final = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


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
    return _with_key(record_message(rejection.record), "rejection", msgspec.json.encode(given))


def record_message(record: Record) -> bytes:
    """Return *record* as a RECORD message: as it came, if it came as one."""
    raw, segment = record.raw, record.source
    if isinstance(raw, bytes) and (segment is None or segment.is_from_singer):
        return raw
    columns = raw if isinstance(raw, bytes) else _json(raw)
    return b'{"type":"RECORD","stream":%b,"record":%b}' % (_json(segment.stream), columns)


def _json(value: Any) -> bytes:
    """Return *value* as JSON; what JSON has no word for (NaN) as Python spells it."""
    return _encode(_with_odd_values(value))


def _with_odd_values(value: Any) -> Any:
    match value:
        case dict():
            return {_key(name): _with_odd_values(item) for name, item in value.items()}
        case list():
            return [_with_odd_values(item) for item in value]
        case float() if not math.isfinite(value):
            return msgspec.Raw(json.dumps(value).encode())
        case Decimal() if not value.is_finite():
            return msgspec.Raw(b"NaN" if value.is_nan() else b"%bInfinity" % (b"-" * (value < 0)))
        case str() if not _is_utf8(value):
            return msgspec.Raw(json.dumps(value).encode())
        case _:
            return value


def _key(name: object) -> str:
    return str(name).encode("utf-8", "replace").decode()


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _with_key(line: bytes, key: str, value: bytes) -> bytes:
    """Add *key* to the JSON object *line* and touch nothing else in it."""
    try:
        message = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # What JSON does not know (NaN) is kept as it came, too.
        return line.rstrip().removesuffix(b"}") + b',"' + key.encode() + b'":' + value + b"}\n"
    message[key] = msgspec.Raw(value)
    return msgspec.json.encode(message) + b"\n"
