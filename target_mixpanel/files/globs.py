"""Which names does a path with wildcards stand for?"""

import os
import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

_WILDCARD: Final = re.compile(r"[*?\[]")

_PARTS: Final = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[^\]/]+\]|.", re.DOTALL)


def has_wildcard(url: str) -> bool:
    """Say whether *url* may stand for several names."""
    return _WILDCARD.search(url) is not None


def beginning_of(url: str) -> str:
    """Return the folder that holds all that *url* may stand for."""
    found = _WILDCARD.search(url)
    return url if found is None else url[: found.start()].rpartition("/")[0] + "/"


@lru_cache
def pattern_of(glob: str) -> re.Pattern[str]:
    """
    Return what matches the names that *glob* stands for.

    `*` and `?` stand for what has no slash, `**` for anything, `[ab]` and `[!ab]` for a character.
    """
    return re.compile("".join(map(_expression, _PARTS.findall(glob))), re.DOTALL)


def whole(glob: str) -> str:
    """Return *glob* as the objects' URLs are spelled: local ones as absolute paths."""
    scheme, found, rest = glob.partition("://")
    if found and scheme != "file":
        return glob
    return absolute(unquote(rest) if found else glob)


def absolute(path: str) -> str:
    """Return *path* from the root on, without `..`; links stay."""
    # Not pathlib's: resolve follows links, and expanduser fails where nobody has such a home.
    return os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111


def _expression(part: str) -> str:
    match part:
        case "**/":
            return "(?:.*/)?"
        case "**":
            return ".*"
        case "*":
            return "[^/]*"
        case "?":
            return "[^/]"
        case _ if len(part) > 1:
            inside = part[1:-1].replace("\\", r"\\").replace("^", r"\^")
            return f"(?!/)[{'^' + inside[1:] if inside.startswith('!') else inside}]"
        case _:
            return re.escape(part)
