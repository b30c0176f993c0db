"""What of a text is JSON to Python, and not to a strict reader?"""

import hashlib
import json
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from target_mixpanel.model import Flaw, JsonObject
from target_mixpanel.pipeline.culprits import column_with, column_with_half_a_character

_NUMBER_MAX_DIGITS: Final = 4_000
"""Of an integer; Python itself reads none of more than 4,300."""

_IN_WORDS: Final = {
    "not_a_number": "is NaN or infinite",
    "too_large_number": "is too large a number",
}


class _Odd(msgspec.Struct, frozen=True):
    """Stands for a value that strict JSON has no word for."""

    reason: str


def decode_leniently(line: bytes) -> Any:
    """Decode *line* as Python's json does; `flaw_of` says what strict JSON lacks."""
    return json.loads(
        line.decode(), parse_constant=_constant, parse_float=_number, parse_int=_integer
    )


def flaw_of(columns: JsonObject) -> Flaw:
    """Return what keeps a record that was decoded leniently from being strict JSON."""
    odd: list[_Odd] = []

    def is_odd(part: Any) -> bool:
        if isinstance(part, _Odd):
            odd.append(part)
        return bool(odd)

    column = column_with(columns, is_odd)
    if odd:
        return Flaw("parse", odd[0].reason, column, _IN_WORDS[odd[0].reason])
    column = column_with_half_a_character(columns)
    return Flaw("parse", "lone_surrogate", column, "holds half a character")


def identified(line: bytes) -> str:
    """Say which line it is without showing it."""
    return f"{len(line):,} bytes, sha256 {hashlib.sha256(line).hexdigest()[:12]}"


def _constant(_: str) -> _Odd:
    return _Odd("not_a_number")


def _integer(digits: str) -> int | _Odd:
    return int(digits) if len(digits) <= _NUMBER_MAX_DIGITS else _Odd("too_large_number")


def _number(text: str) -> float | _Odd:
    try:
        Decimal(text)
    except InvalidOperation:
        return _Odd("too_large_number")
    return 0.0
