"""Where does a request go, and how does it say who it is?"""

from collections.abc import Mapping
from typing import BinaryIO, Literal, TypeAlias

import msgspec

from target_mixpanel.version import __version__

Body: TypeAlias = bytes | BinaryIO
"""What is sent: bytes, or a file, from its start to its end, of what memory should not hold."""


class Endpoint(msgspec.Struct, frozen=True):
    """One of Mixpanel's ingestion endpoints, ready to be sent to."""

    url: str
    auth: tuple[str, str] | None
    """Username and password of Basic authentication, never in the URL; None: the body says who."""
    headers: Mapping[str, str]
    method: Literal["GET", "POST", "PUT"] = "POST"


def headers_of(content_type: str | None, *, is_gzip: bool = False) -> dict[str, str]:
    """Return the headers of a request whose body is *content_type*; None: it has no body."""
    headers = {
        "Accept": "application/json",
        "User-Agent": f"target-mixpanel/{__version__}",
    }
    if content_type is not None:
        headers["Content-Type"] = content_type
    if is_gzip:
        headers["Content-Encoding"] = "gzip"
    return headers
