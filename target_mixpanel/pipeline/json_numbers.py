"""Which Python number is a JSON number, to the last digit?"""

from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

_EXACT_FLOAT_CHARS: Final = 16
"""A decimal of fifteen digits and a point is spelled the same by the float it becomes."""


def decimal_number(text: str) -> float | Decimal:
    """
    Return a JSON number with a point or exponent: a float if that is exactly it, which is faster.

    Raises:
        msgspec.ValidationError: Its exponent is beyond any number.
    """
    if len(text) <= _EXACT_FLOAT_CHARS and "e" not in text and "E" not in text:
        return float(text)
    try:
        return Decimal(text)
    except InvalidOperation:
        raise msgspec.ValidationError("exponent out of range") from None


def number(text: str) -> int | float | Decimal:
    """
    Return any JSON number, as a decoder with `decimal_number` for a float hook would.

    Raises:
        msgspec.ValidationError: Its exponent is beyond any number.
    """
    return int(text) if text.lstrip("-").isdecimal() else decimal_number(text)
