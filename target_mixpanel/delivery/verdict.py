"""What does a reply say became of the rows? Pure; unknown is never success."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeAlias

import msgspec

from target_mixpanel.errors import printable
from target_mixpanel.http.endpoint import Endpoint

RETRY_AFTER_MAX_S: Final = 300.0
"""Of a server's wish to wait, what is granted: a slip of its clock must not stop a load."""


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


class BlamesNobody(msgspec.Struct, frozen=True):
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


class DoesNotAddUp(msgspec.Struct, frozen=True):
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


class Hopeless(msgspec.Struct, frozen=True):
    """No repeat can help."""

    reason: str
    is_about_credentials: bool = False


Verdict: TypeAlias = (
    Delivered
    | Refused
    | BlamesNobody
    | TooLarge
    | TryAgain
    | DoesNotAddUp
    | TableRefused
    | NoSuchTable
    | Hopeless
)

OwnVerdicts: TypeAlias = Mapping[int, Callable[[Answer], Verdict]]
"""What an endpoint means by a status; by all others it means what they all mean."""

_REMEDIES: Final = {
    402: "the project's plan does not allow this; ask its owner",
    404: "there is no such endpoint; check region or api_url",
    405: "the endpoint does not take this request; check api_url",
    415: "the endpoint does not take this content type; check api_url",
}
_MAX_COUNT_SHOWN: Final = 10**12
OK: Final = 200
BAD_REQUEST: Final = 400
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_REQUEST_TIMEOUT: Final = 408
TOO_LARGE: Final = 413
TOO_MANY: Final = 429
_FIRST_REDIRECT: Final = 300
_FIRST_SERVER_ERROR: Final = 500


def judge(reply: Reply, insert_ids: Sequence[str], *, now: float | None = None) -> Verdict:
    """
    Return what /import's *reply* says of the rows with *insert_ids*, in the order they were sent.

    Args:
        reply: What came back.
        insert_ids: Of the rows sent.
        now: Seconds since the epoch, for a `Retry-After` that is a date.
    """
    own: OwnVerdicts = {
        OK: lambda answer: _judge_ok(answer, len(insert_ids)),
        BAD_REQUEST: lambda answer: _judge_bad_request(answer, insert_ids),
    }
    return judge_by_status(reply, own, now=now)


def judge_by_status(reply: Reply, own: OwnVerdicts, *, now: float | None = None) -> Verdict:
    """Return an endpoint's *own* verdict on the reply's status, or the one of all endpoints."""
    match reply:
        case NoAnswer(reason=reason, was_sent=was_sent):
            return TryAgain(reason, is_ambiguous=was_sent)
        case NotConnected(reason=reason):
            return Hopeless(f"{reason}; check api_url, the proxy and the CA bundle")
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
        return Hopeless(
            f"{words}; check project_token, or the service account, its role and project_id, and "
            "that region is the project's",
            is_about_credentials=True,
        )
    if _FIRST_REDIRECT <= status < BAD_REQUEST:
        where = printable(answer.location or "elsewhere")
        return Hopeless(f"{words}: a redirect to {where} is not followed; check region or api_url")
    return Hopeless(f"{words}; {_REMEDIES.get(status, 'this is no answer of the ingestion API')}")


def _judge_ok(answer: Answer, sent: int) -> Verdict:
    body = json_object(answer.body)
    if body is None:
        return TryAgain("HTTP 200 without JSON, as a proxy's page or a cut reply")
    imported = body.get("num_records_imported")
    if body.get("failed_records"):
        return DoesNotAddUp("HTTP 200 blames rows")
    if imported == sent and type(imported) is int:
        return Delivered()
    return DoesNotAddUp(f"HTTP 200 counts {number(imported)} of {sent:,} rows")


def _judge_bad_request(answer: Answer, insert_ids: Sequence[str]) -> Verdict:
    body = json_object(answer.body) or {}
    entries = body.get("failed_records")
    if not isinstance(entries, list) or not entries:
        return BlamesNobody(said(answer))
    if not all(isinstance(entry, dict) for entry in entries):
        # Identity verbs in a simplified project: a list of texts, and nothing was imported.
        words = next((entry for entry in entries if isinstance(entry, str)), "")
        return BlamesNobody(printable(words) or said(answer))
    refused: dict[int, RefusedRow] = {}
    for entry in entries:
        index = _row_index(entry, insert_ids)
        if index is None:
            return DoesNotAddUp("HTTP 400 blames a row that was not sent")
        refused.setdefault(index, _refused_row(index, entry))
    imported = body.get("num_records_imported")
    if imported is None and len(refused) < len(entries):
        return DoesNotAddUp("HTTP 400 blames one row twice and does not count the others")
    counted = len(insert_ids) - len(refused)
    if imported is not None and (type(imported) is not int or imported != counted):
        return DoesNotAddUp(
            f"HTTP 400 counts {number(imported)} rows imported and {len(refused):,} failed of "
            f"{len(insert_ids):,}",
        )
    return Refused(tuple(refused[index] for index in sorted(refused)))


def _row_index(entry: dict[str, Any], insert_ids: Sequence[str]) -> int | None:
    """Return which row *entry* blames: by index if its id agrees, else by an id of one row."""
    index = entry.get("index")
    named = entry.get("insert_id") or entry.get("$insert_id")  # the pages disagree on the key
    if type(index) is int and 0 <= index < len(insert_ids):
        is_agreed = not isinstance(named, str) or named in {"", insert_ids[index]}
        if is_agreed:
            return index
    if isinstance(named, str) and insert_ids.count(named) == 1:
        return insert_ids.index(named)
    return None


def _refused_row(index: int, entry: dict[str, Any]) -> RefusedRow:
    message, field = entry.get("message"), entry.get("field")
    return RefusedRow(
        index=index,
        reason=printable(message) if isinstance(message, str) and message else "refused",
        field=printable(field) if isinstance(field, str) and field else None,
    )


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


def number(value: object) -> str:
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
