"""Which keys of a lookup table are the same to Mixpanel, which tells their types from the texts?"""

import math
import re
from datetime import datetime
from typing import Final

import msgspec

from target_mixpanel.limits import MAX_SAFE_INTEGER

_MAX_DIGITS: Final = 300
"""About as far as doubles reach."""

_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_FLOAT: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)
_TYPED: Final = frozenset("+-.0123456789tTfF[")
"""What a text begins with that may be more than a text."""

_texts: Final = msgspec.json.Decoder(list[str]).decode


def typed_key(text: str) -> str:
    """
    Return the one spelling of all keys that are, once typed, the same as *text*: 7 of 007.

    Integers beyond 2^53 stay apart, digit by digit: whether Mixpanel keeps them so is documented
    nowhere, and it says so if it does not, while a row that was taken for another would be gone.
    https://developer.mixpanel.com/reference/replace-lookup-table
    """
    if text[0] not in _TYPED or len(text) > _MAX_DIGITS:
        return text
    if _INTEGER.fullmatch(text):
        return str(int(text))
    if _FLOAT.fullmatch(text):
        return _number(float(text), text)
    if text.lower() in {"true", "false"}:
        return text.lower()
    if _RFC_3339.fullmatch(text):
        return _instant(text)
    return _list(text) if text[0] == "[" else text


def _number(number: float, text: str) -> str:
    if math.isinf(number):
        return text
    is_whole = number.is_integer() and abs(number) <= MAX_SAFE_INTEGER
    return str(int(number)) if is_whole else repr(number)


def _instant(text: str) -> str:
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        return text


def _list(text: str) -> str:
    try:
        return msgspec.json.encode(_texts(text)).decode()
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        return text
