"""Which texts are blank, and how do they count as null?"""

import re
from collections.abc import Callable
from typing import Any, Final

from target_mixpanel.mapping.paths import Values

_BLANK: Final = re.compile(
    r"[\s\x00-\x1f\x7f-\x9f\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]*"
)
"""White space, control characters, and those that have no width."""


def is_blank_text(text: str) -> bool:
    """Say whether there is nothing to be seen of *text*."""
    return not text or _BLANK.fullmatch(text) is not None


def null_if_blank(value: Any) -> Any:
    """Return None for a blank text, all else as it is."""
    return None if type(value) is str and is_blank_text(value) else value


def without_blanks(split: Callable[[Any], Values]) -> Callable[[Any], Values]:
    """Return *split*, which takes a record apart, such that blank texts are None."""
    return lambda record: [null_if_blank(value) for value in split(record)]
