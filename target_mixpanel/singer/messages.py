"""Which Singer message is a line?"""

from typing import Any, Final

import msgspec

from target_mixpanel.errors import InputError, printable
from target_mixpanel.model import NO_SINGLE_COLUMN, Flaw, JsonObject
from target_mixpanel.pipeline.json_numbers import decimal_number
from target_mixpanel.pipeline.lenient_json import decode_leniently, flaw_of, identified

LINE_MAX_BYTES: Final = 16 * 1024 * 1024
"""A longer line is no record of anything. Decoded, a line may take thirty times its size, so
without a cap one line could take all memory."""


_UTF8_BOM: Final = b"\xef\xbb\xbf"


_NUMBER_MAX_DIGITS: Final = 4_000


class NotJsonError(InputError):
    """A line is no JSON object: it may have been cut off."""


class Message(msgspec.Struct, gc=False):
    """A line of the input, whatever its type; a part that its type does not have is None."""

    type: str
    stream: str | None = None
    record: JsonObject | None = None
    schema: JsonObject | None = None
    key_properties: Any = None
    bookmark_properties: Any = None
    version: Any = None
    time_extracted: Any = None
    value: msgspec.Raw = msgspec.Raw(b"")
    """A STATE's value, as it came: nothing of it is lost on its way."""
    dead_letter: Any = None
    line: bytes = b""
    flaw: Flaw | None = None
    """Why a record that could be read is not JSON; its *record* is empty."""


UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises for a line that is no message to a strict reader."""

decode_message: Final = msgspec.json.Decoder(Message, float_hook=decimal_number).decode


def reread(line: bytes, place: str, *, is_first: bool) -> Message | None:
    """
    Look again, slowly, at a line that is no Singer message to a strict reader; None: it is blank.

    A RECORD whose values JSON does not know (NaN, half a character, a number with thousands of
    digits) can be told and set aside. Anything else could be a SCHEMA or a STATE: it ends the run.

    Args:
        line: As it came.
        place: What errors call it.
        is_first: Of the input; it may begin with a byte-order mark.

    Raises:
        NotJsonError: It is no JSON object.
        InputError: It is one, and no message.
    """
    if is_first and line.startswith(_UTF8_BOM):
        line = line.removeprefix(_UTF8_BOM)
        try:
            return decode_message(line) if line.strip() else None
        except UNREADABLE:
            return reread(line, place, is_first=False)
    if not line.strip():
        return None
    try:
        message = decode_leniently(line)
    except (ValueError, RecursionError) as error:
        raise _not_json(line, place, error) from None
    if not isinstance(message, dict):
        raise _not_json(line, place, None)
    return _with_flaw(message, line, place)


def _with_flaw(message: JsonObject, line: bytes, place: str) -> Message:
    kind, stream = message.get("type"), message.get("stream")
    if not isinstance(kind, str):
        raise InputError(f'{place}: has no "type"; {identified(line)}')
    columns = message.get("record")
    if kind == "RECORD" and isinstance(stream, str) and isinstance(columns, dict):
        flaw = flaw_of(columns)
        if flaw.field == NO_SINGLE_COLUMN:
            flaw = flaw_of(message)
        return Message(type=kind, stream=stream, record={}, flaw=flaw)
    raise InputError(
        f"{place}: is a {printable(kind, max_chars=40)} message of the wrong shape; "
        f"{identified(line)}",
    )


def _not_json(line: bytes, place: str, error: Exception | None) -> NotJsonError:
    match error:
        case UnicodeDecodeError():
            problem = "is not UTF-8"
        case RecursionError():
            problem = "nests too deeply"
        case _:
            problem = "is not a JSON object"
    return NotJsonError(
        f"{place}: {problem}; {identified(line)}; look at what the tap writes to stdout there",
    )
