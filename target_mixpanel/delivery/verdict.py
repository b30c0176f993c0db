"""What does a reply say became of the rows? Pure; unknown is never success."""

import time
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import msgspec

from target_mixpanel.errors import printable
from target_mixpanel.http.endpoint import Endpoint
from target_mixpanel.http.replies import (
    BAD_REQUEST,
    TOO_LARGE,
    TOO_MANY,
    Answer,
    NoAnswer,
    NotConnected,
    Reply,
    retry_after_s,
    said,
)


class Delivered(msgspec.Struct, frozen=True):
    """Every row was accepted."""


class RefusedRow(msgspec.Struct, frozen=True):
    """A row that Mixpanel names as bad."""

    index: int
    reason: str
    field: str | None


class Refused(msgspec.Struct, frozen=True):
    """These rows will never be accepted; all the others were."""

    rows: tuple[RefusedRow, ...]


class RefusedUnattributed(msgspec.Struct, frozen=True):
    """The request was refused, and no row is named."""

    reason: str
    is_ambiguous: bool = True
    """Some of the rows may have been accepted all the same."""


class TooLarge(msgspec.Struct, frozen=True):
    """The request has more bytes or rows than Mixpanel takes; it took none of them."""

    reason: str


class TryAgain(msgspec.Struct, frozen=True):
    """Nothing is known, or not yet: identical bytes may be sent again."""

    reason: str
    at_least_s: float = 0.0
    is_overload: bool = False
    """The server has too much to do (429, 5xx), so everyone slows down."""
    is_rate_limit: bool = False
    """The server counts requests or events, and these were too many (429)."""
    is_ambiguous: bool = True
    """The rows may have arrived."""


class Unaccounted(msgspec.Struct, frozen=True):
    """The reply's numbers contradict what was sent."""

    reason: str


class TableRefused(msgspec.Struct, frozen=True):
    """A lookup table was refused as a whole; the old one stays."""

    message: str
    """Place, what is wrong, what to do."""


class NoSuchTable(msgspec.Struct, frozen=True):
    """There is no lookup table of this id."""

    place: str
    table_id: str
    listing: Endpoint
    """Where to ask which tables there are."""


class Fatal(msgspec.Struct, frozen=True):
    """No repeat can help."""

    reason: str
    is_about_credentials: bool = False


Verdict: TypeAlias = (
    Delivered
    | Refused
    | RefusedUnattributed
    | TooLarge
    | TryAgain
    | Unaccounted
    | TableRefused
    | NoSuchTable
    | Fatal
)

OwnVerdicts: TypeAlias = Mapping[int, Callable[[Answer], Verdict]]
"""What an endpoint means by a status; by all others it means what they all mean."""

_REMEDIES: Final = {
    402: "the project's plan does not allow this; ask its owner",
    404: "there is no such endpoint; check region or api_url",
    405: "the endpoint does not take this request; check api_url",
    415: "the endpoint does not take this content type; check api_url",
}
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_REQUEST_TIMEOUT: Final = 408
_FIRST_REDIRECT: Final = 300
_FIRST_SERVER_ERROR: Final = 500


def judge_by_status(reply: Reply, own: OwnVerdicts, *, now: float | None = None) -> Verdict:
    """Return an endpoint's *own* verdict on the reply's status, or the one of all endpoints."""
    match reply:
        case NoAnswer(reason=reason, was_sent=was_sent):
            return TryAgain(reason, is_ambiguous=was_sent)
        case NotConnected(reason=reason):
            return Fatal(f"{reason}; check api_url, the proxy and the CA bundle")
        case Answer(status=status) if status in own:
            return own[status](reply)
        case Answer():
            return _judge_status(reply, time.time() if now is None else now)


def _judge_status(answer: Answer, now: float) -> Verdict:
    status, words = answer.status, said(answer)
    if status == TOO_LARGE:
        return TooLarge(words)
    if status in {TOO_MANY, _REQUEST_TIMEOUT} or status >= _FIRST_SERVER_ERROR:
        return TryAgain(
            words,
            at_least_s=retry_after_s(answer.retry_after, now),
            is_overload=status != _REQUEST_TIMEOUT,
            is_rate_limit=status == TOO_MANY,
            is_ambiguous=status != TOO_MANY,
        )
    if status in {_UNAUTHORIZED, _FORBIDDEN}:
        return Fatal(
            f"{words}; check project_token, or the service account, its role and project_id, and "
            "that region is the project's",
            is_about_credentials=True,
        )
    if _FIRST_REDIRECT <= status < BAD_REQUEST:
        where = printable(answer.location or "elsewhere")
        return Fatal(f"{words}: a redirect to {where} is not followed; check region or api_url")
    return Fatal(f"{words}; {_REMEDIES.get(status, 'this is no answer of the ingestion API')}")
