"""What of a text is JSON to Python, and not to a strict reader?"""

import hashlib
import json
from decimal import Decimal, InvalidOperation
from typing import Any, Final

_NUMBER_MAX_DIGITS: Final = 4_000
"""Of an integer; Python itself reads none of more than 4,300."""


def decode_leniently(line: bytes, flaws: list[str]) -> Any:
    """Decode *line* as Python's json does, noting what strict JSON lacks."""

    def constant(_: str) -> None:
        flaws.append("not_a_number")

    def integer(digits: str) -> int:
        if len(digits) > _NUMBER_MAX_DIGITS:
            flaws.append("too_large_number")
            return 0
        return int(digits)

    def number(text: str) -> float:
        try:
            Decimal(text)
        except InvalidOperation:
            flaws.append("too_large_number")
        return 0.0

    return json.loads(
        line.decode(),
        parse_constant=constant,
        parse_float=number,
        parse_int=integer,
    )


def identified(line: bytes) -> str:
    """Say which line it is without showing it."""
    return f"{len(line):,} bytes, sha256 {hashlib.sha256(line).hexdigest()[:12]}"
