"""What is a stream called where its dead letters are?"""

import re
from hashlib import sha256
from typing import Final

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")
_STREAM_NAME_MAX_CHARS: Final = 100
_HIDDEN: Final = "._"
"""How names begin that whoever lists a folder passes over."""


def safe_name(stream: str) -> str:
    """Return a name for *stream* that any file system takes, and that no other stream has."""
    safe = _UNSAFE.sub("_", stream)[:_STREAM_NAME_MAX_CHARS]
    if safe == stream and not safe.startswith(tuple(_HIDDEN)):
        return safe
    digest = sha256(stream.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe.lstrip(_HIDDEN)}-{digest}"
