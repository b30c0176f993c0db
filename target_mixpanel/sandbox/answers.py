"""What is said back, apart from how it is sent?"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


class Incoming(msgspec.Struct, kw_only=True):
    """
    One request, read to its end.

    Attributes:
        query: The last value of each parameter; a form body adds its fields.
        headers: Names in lower case.
        body: As it came over the wire; None if it was longer than the sandbox reads.
        wire_bytes: The body's length as it came, kept or not.
        rows: Rows it carried, once counted.
        plain_bytes: Its size uncompressed, once known.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes | None
    wire_bytes: int
    rows: int = 0
    plain_bytes: int = 0

    @property
    def is_verbose(self) -> bool:
        return self.query.get("verbose", "0") in {"1", "2"}

    @property
    def is_strict(self) -> bool:
        return self.query.get("strict", "1") != "0"

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Answer(msgspec.Struct, frozen=True):
    """A reply before any fault touches it."""

    status: int
    body: bytes
    media_type: str = JSON
    headers: dict[str, str] = {}


class RequestRefusedError(Exception):
    """The request as a whole is refused; no row of it was looked at."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


def as_json(status: int, content: object) -> Answer:
    """Structs become objects."""
    return Answer(status, msgspec.json.encode(content))


def refusal(status: int, error: str, *, is_verbose: bool = False) -> Answer:
    """Mixpanel's error object; verbose turns its `status` from words into 0."""
    phrase = {413: "Request Entity Too Large"}.get(status) or HTTPStatus(status).phrase
    return as_json(status, {"code": status, "error": error, "status": 0 if is_verbose else phrase})
