"""Which Singer message is a line?"""

import hashlib
import json
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from target_mixpanel.model import Flaw, JsonObject
from target_mixpanel.pipeline.json_numbers import decimal_number

LINE_MAX_BYTES: Final = 16 * 1024 * 1024
"""A longer line is no record of anything. Decoded, a line may take thirty times its size, so
without a cap one line could take all memory."""


UTF8_BOM: Final = b"\xef\xbb\xbf"


_NUMBER_MAX_DIGITS: Final = 4_000


class Message(msgspec.Struct, gc=False):
    """A line of the input, whatever its type; a part that its type does not have is None."""

    type: str
    stream: str | None = None
    record: JsonObject | None = None
    schema: JsonObject | None = None
    key_properties: Any = None
    version: Any = None
    time_extracted: Any = None
    value: msgspec.Raw = msgspec.Raw(b"")
    """A STATE's value, as it came: nothing of it is lost on its way."""
    dead_letter: Any = None
    line: bytes = b""
    flaw: Flaw | None = None
    """Why a record that could be read is not JSON; its *record* is empty."""


decode_message: Final = msgspec.json.Decoder(Message, float_hook=decimal_number).decode


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
