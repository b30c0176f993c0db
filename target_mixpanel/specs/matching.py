"""Which mappings does a stream get?"""

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
    exact = dict(mappings).get(stream)
    if exact is not None:
        return exact
    matching = [(pattern, specs) for pattern, specs in mappings if fnmatchcase(stream, pattern)]
    if not matching:
        return ()
    return max(matching, key=lambda entry: len(_WILDCARD.split(entry[0], maxsplit=1)[0]))[1]
