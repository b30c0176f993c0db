"""What of a server's words may be shown? Not what they repeat of the rows it was sent."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from target_mixpanel.model import Row

_SHORT: Final = 3
"""A value of so few characters may stand in a server's words by chance."""

_PROBE: Final = _SHORT + 1
_HIDDEN: Final = "…"


_DOCUMENTED: Final = re.compile(
    r"Project exceeded rate limits\. Please retry the request with exponential backoff\."
    r"|Invalid (?:service account )?credentials|Unauthorized"
    r"|request exceeds max limit of \d{1,12} bytes",
)
"""What the documentation shows as errors about a whole request."""


def is_documented(error: str) -> bool:
    """Say whether *error* is word for word what Mixpanel documents, and so repeats no row."""
    return _DOCUMENTED.fullmatch(error) is not None


def row_texts(rows: Iterable[Row]) -> Iterator[str]:
    """Yield every value in *rows*, JSON objects, as text."""
    for row in rows:
        try:
            yield from value_texts(msgspec.json.decode(row.body))
        except msgspec.DecodeError:  # not JSON: that is what Mixpanel says, too
            yield row.body.decode("utf-8", "replace")


def without_values(texts: Sequence[str], values: Iterable[str]) -> list[str]:
    """
    Return a server's *texts* with all that is part of any of *values* hidden.

    Values may overlap, and the last one of a text that was cut may be cut with it.
    """
    wholes = [text.removesuffix(_HIDDEN) for text in texts]
    masks = [bytearray(len(whole)) for whole in wholes]
    for value in values:
        if len(value) > _SHORT:
            for whole, mask in zip(wholes, masks, strict=True):
                _hide(whole, mask, value)
    return [
        _shown(whole, mask) + text[len(whole) :]
        for text, whole, mask in zip(texts, wholes, masks, strict=True)
    ]


def _hide(text: str, mask: bytearray, value: str) -> None:
    probe = value[:_PROBE]
    start = text.find(probe)
    while start >= 0:
        # As much of it as there is room for: it may be cut where the text is.
        part = value[: len(text) - start]
        if text.startswith(part, start):
            mask[start : start + len(part)] = b"\1" * len(part)
        start = text.find(probe, start + 1)


def _shown(text: str, mask: bytearray) -> str:
    if not any(mask):
        return text
    shown: list[str] = []
    for char, is_hidden in zip(text, mask, strict=True):
        if not is_hidden:
            shown.append(char)
        elif not shown or shown[-1] != _HIDDEN:
            shown.append(_HIDDEN)
    return "".join(shown)


def value_texts(value: object) -> Iterator[str]:
    """Yield every value in a decoded row as text."""
    match value:
        case dict():
            for item in value.values():
                yield from value_texts(item)
        case list():
            for item in value:
                yield from value_texts(item)
        case str() | int() | float():
            yield str(value)
        case _:
            pass  # null shows nothing
