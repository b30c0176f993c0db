"""What can come back from a request, and how is it read?"""

import math
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeAlias

import msgspec

from target_mixpanel.errors import printable

RETRY_AFTER_MAX_S: Final = 300.0
"""Of a server's wish to wait, what is granted: a slip of its clock must not stop a load."""


_MAX_COUNT_SHOWN: Final = 10**12

OK: Final = 200

BAD_REQUEST: Final = 400

TOO_LARGE: Final = 413

TOO_MANY: Final = 429


class Answer(msgspec.Struct, frozen=True):
    """An HTTP response, read to its end."""

    status: int
    body: bytes
    retry_after: str | None = None
    location: str | None = None
    date: str | None = None


class NoAnswer(msgspec.Struct, frozen=True):
    """Nothing that can be read came back."""

    reason: str
    was_sent: bool = True
    """False only if there never was a connection to send on; else the rows may have arrived."""


class NotConnected(msgspec.Struct, frozen=True):
    """TLS or the proxy failed: there is nobody there to whom credentials may be shown."""

    reason: str


Reply: TypeAlias = Answer | NoAnswer | NotConnected


def said(answer: Answer) -> str:
    """Return status and error text for a message: short, printable, one line."""
    error = (json_object(answer.body) or {}).get("error")
    status = f"HTTP {answer.status}"
    return f'{status}, "{printable(error)}"' if isinstance(error, str) and error else status


def json_object(body: bytes) -> dict[str, Any] | None:
    """Return a JSON object, None if *body* is anything else."""
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict) else None


def count_text(value: object) -> str:
    """Return a count for a message, whatever a server put in its place."""
    is_sane = type(value) is int and abs(value) < _MAX_COUNT_SHOWN
    return f"{value:,}" if is_sane else "no number"


def retry_after_s(header: str | None, now: float) -> float:
    """Return the wait a `Retry-After` asks for, seconds or date, within reason; 0 if none."""
    if header is None:
        return 0.0
    try:
        seconds = float(header)
    except ValueError:
        try:
            date = parsedate_to_datetime(header)
            # Without a zone, or with -0000, it is UTC; not this machine's zone.
            seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return 0.0
    if math.isnan(seconds):
        return 0.0
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S)
