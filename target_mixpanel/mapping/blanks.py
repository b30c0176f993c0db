"""What of a text is nothing to be seen, and when does it count as null?"""

import unicodedata
from collections.abc import Callable
from typing import Any, Final

from target_mixpanel.mapping.paths import Values

_INVISIBLE: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
"""Controls, what has no width, and white space. https://www.unicode.org/reports/tr44/#General_Category_Values"""


def trimmed(text: str) -> str:
    """Return *text* without what cannot be seen at either end; of a blank one nothing is left."""
    if text.isprintable():  # so the plain space is all there may be
        return text.strip()
    start, end = 0, len(text)
    while start < end and unicodedata.category(text[start]) in _INVISIBLE:
        start += 1
    while start < end and unicodedata.category(text[end - 1]) in _INVISIBLE:
        end -= 1
    return text[start:end]


def null_if_blank(value: Any) -> Any:
    """Return None for a text of which nothing is to be seen, all else as it is."""
    return None if type(value) is str and not trimmed(value) else value


def without_blanks(split: Callable[[Any], Values]) -> Callable[[Any], Values]:
    """Return *split*, which takes a record apart, such that blank texts are None."""
    return lambda record: [null_if_blank(value) for value in split(record)]
