"""Which mappings does a stream get?"""

import difflib
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

from target_mixpanel.specs.spec import StreamSpec

_WILDCARD: Final = re.compile(r"[*?\[]")


def specs_for(
    stream: str,
    mappings: Sequence[tuple[str, tuple[StreamSpec, ...]]],
) -> tuple[StreamSpec, ...]:
    """
    Return *stream*'s mappings, none where no pattern matches.

    An exact name wins over a pattern; of patterns, the one with the longest text before its first
    wildcard; of equals, the first.
    """
    pattern = pattern_for(stream, mappings)
    return () if pattern is None else dict(mappings)[pattern]


def pattern_for(stream: str, mappings: Sequence[tuple[str, tuple[StreamSpec, ...]]]) -> str | None:
    """Return the pattern under which *stream*'s mappings stand, None where none matches."""
    matching = [pattern for pattern, _ in mappings if fnmatchcase(stream, pattern)]
    if stream in dict(mappings):
        return stream
    return max(
        matching, key=lambda pattern: len(_WILDCARD.split(pattern, maxsplit=1)[0]), default=None
    )


def close_names(name: str, names: Sequence[str]) -> list[str]:
    """Return those of *names* that *name* may mean, the closest first, however they are cased."""
    by_folded = {each.casefold(): each for each in reversed(names)}
    close = difflib.get_close_matches(name.casefold(), list(by_folded), n=3)
    return [by_folded[folded] for folded in close]
