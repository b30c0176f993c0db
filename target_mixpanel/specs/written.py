"""Is what an operator wrote a text, a map or a list, and what do messages call it?"""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypeGuard, TypeVar

from target_mixpanel.errors import SettingsError, listed, printable

Raw: TypeAlias = Mapping[str, Any]

_Word = TypeVar("_Word", bound=str)


def as_object(raw: object, place: str) -> Raw:
    """Return *raw* if it is a map."""
    if isinstance(raw, Mapping):
        return raw
    raise SettingsError(f"{place}: expected a mapping, got {kind_of(raw)}")


def as_text(raw: object, place: str) -> str:
    """Return *raw* if it is a text that is not blank."""
    if isinstance(raw, str) and raw.strip():
        return raw
    if isinstance(raw, str):
        raise SettingsError(f"{place}: is blank")
    hint = "" if isinstance(raw, Mapping) or is_list(raw) or raw is None else "; put it in quotes"
    raise SettingsError(f"{place}: expected a text, got {kind_of(raw)}{hint}")


def one_of(raw: object, words: Sequence[_Word], place: str) -> _Word:
    """Return the one of *words* that *raw* is."""
    for word in words:
        if raw == word:
            return word
    close = difflib.get_close_matches(raw, words, n=1) if isinstance(raw, str) else []
    hint = f'; did you mean "{close[0]}"?' if close else ""
    raise SettingsError(f"{place}: expected one of {listed(list(words))}{hint}")


def is_list(raw: object) -> TypeGuard[Sequence[Any]]:
    """Say whether *raw* is a list."""
    return isinstance(raw, (list, tuple))


def kind_of(raw: object) -> str:
    """Name *raw*'s JSON type, never its value: it may be a secret in the wrong place."""
    match raw:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case Mapping():
            return "a map"
        case _:
            return "a list"


def refuse_unknown(raw: Raw, known: Sequence[str], place: str) -> None:
    """Refuse a key that is not among *known*."""
    for key in raw:
        if key not in known:
            raise SettingsError(
                f"{place}.{printable(str(key))}: {unknown_key_hint(str(key), known)}"
            )


def unknown_key_hint(key: str, known: Sequence[str]) -> str:
    """Say that *key* is not known, and which known one it looks like."""
    close = difflib.get_close_matches(key, known, n=1)
    return (
        f'is not known; did you mean "{close[0]}"?'
        if close
        else f"is not known; there are {listed(list(known), at_most=60)}"
    )
