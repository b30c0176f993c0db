"""What is done until every row of a batch is accepted or refused? The only loop that retries."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol, assert_never
from urllib.parse import urlsplit

import msgspec

from target_mixpanel.delivery.batches import Batch, SizeLimit
from target_mixpanel.delivery.gate import Gate
from target_mixpanel.delivery.payload import Payload
from target_mixpanel.delivery.quotes import (
    without_content,
    without_rows,
)
from target_mixpanel.delivery.repeats import (
    Repeats,
    RetryPolicy,
    Undecided,
    ambiguity,
    may_double,
)
from target_mixpanel.delivery.table_verdict import tables_there_are
from target_mixpanel.delivery.verdict import (
    Delivered,
    Fatal,
    NoSuchTable,
    Refused,
    RefusedRow,
    RefusedUnattributed,
    TableRefused,
    TooLarge,
    TryAgain,
    Unaccounted,
    Verdict,
)
from target_mixpanel.errors import (
    CredentialsError,
    DeliveryAbandonedError,
    EndpointError,
    LookupTableError,
    UnaccountedRowsError,
    printable,
)
from target_mixpanel.http.endpoint import Body, Endpoint
from target_mixpanel.http.replies import Answer, Reply
from target_mixpanel.model import NO_SINGLE_COLUMN, Flaw, Rejection, Row
from target_mixpanel.stop import Stop

logger = logging.getLogger("target-mixpanel.delivery")


class Transport(Protocol):
    """Whatever carries a request's body and brings back the reply."""

    def send(self, endpoint: Endpoint, body: Body) -> Reply:
        """Send *body* once."""


class Reports(msgspec.Struct, frozen=True):
    """Whom the courier tells, on its own thread."""

    on_settled: Callable[[Batch], None]
    """Every row of the batch was accepted, or reported as rejected before."""
    on_rejected: Callable[[Batch, Sequence[Rejection]], None]
    on_request: Callable[[Batch, int, bool], None]
    """(batch, body's bytes, whether it is a repeat)"""
    on_date: Callable[[str], None] = lambda _: None
    """The `Date` of an answer that delivered rows."""


class Courier:
    """
    Deliver batches, one after the other: send, judge, wait, halve, report.

    Rows are sent again when their fate is not known, and halves when nobody is blamed. That is
    harmless for events, of which Mixpanel shows one copy, and for repeatable updates: within a
    lane nothing else is sent meanwhile, halves go in order, and to apply the first of some updates,
    or the valid ones, and then all of them leaves the profile as if all had been applied once.

    It is not for updates that add or append. Such a row is in no second request unless it is
    certain that the first one did not apply it: there was no connection, or Mixpanel said 429 or
    413, or that none of the updates was good. Where it is not certain, these rows leave the batch
    as rejections (`ambiguous`), whoever decides what becomes of those, and only the others are
    sent again. Each of the rejected rows was then applied once or not at all: a repeat of the
    others, a `$delete` say, may undo what it did but never doubles it.

    What none of this can help: a request that was given up here and is applied there later, after
    the next one of its lane.
    """

    def __init__(  # noqa: PLR0913 (its collaborators)
        self,
        transport: Transport,
        gate: Gate,
        stop: Stop,
        reports: Reports,
        *,
        host: str,
        retry: RetryPolicy,
        size_limit: SizeLimit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._gate = gate
        self._stop = stop
        self._reports = reports
        self._host = urlsplit(host).netloc or host
        self._retry = retry
        self._size_limit = size_limit
        self._clock = clock

    def deliver(self, batch: Batch) -> None:
        """
        See to it that every row of *batch* is accepted or refused, and report which.

        Parts of a batch that had to be halved are reported one by one.

        Raises:
            TargetMixpanelError: It cannot be done; nothing is reported of what is not known.
        """
        began_at = self._clock()  # its parts have no longer than the whole
        parts = [batch]
        while parts:
            part = parts.pop()
            verdict = self._final_verdict(part, began_at)
            if may_double(part, verdict):
                parts.extend(self._part_from_ambiguous(part, verdict, began_at))
                continue
            match verdict:
                case Delivered():
                    self._reports.on_settled(part)
                case Refused(rows=rows):
                    self._settle_refused(part, rows)
                case RefusedUnattributed(reason=reason):
                    parts.extend(self._halves(part, reason))
                case TooLarge(reason=reason):
                    self._size_limit.learn(reason)
                    parts.extend(self._halves(part, "too_large"))
                case Unaccounted(reason=reason):
                    raise UnaccountedRowsError(
                        f"{self._host}: {reason}, twice; what became of the rows is not known, so "
                        "STATE stays where it was and a rerun sends them again",
                    )
                case Fatal(reason=reason, is_about_credentials=is_about_credentials):
                    kind = CredentialsError if is_about_credentials else EndpointError
                    raise kind(f"{self._host}: {reason}")
                case TryAgain(reason=reason):
                    raise self._abandoned(reason)
                case TableRefused(message=message):
                    raise LookupTableError(message)
                case NoSuchTable() as missing:
                    raise self._no_such_table(missing, part)
                case unknown:
                    assert_never(unknown)

    def _halves(self, part: Batch, reason: str) -> Sequence[Batch]:
        """Return the parts to send instead, the last one first; one row alone is the culprit."""
        if len(part.rows) > 1:
            return part.halves()[::-1]
        self._settle_refused(part, [RefusedRow(0, reason, None)])
        return ()

    def _part_from_ambiguous(
        self, part: Batch, verdict: Verdict, began_at: float
    ) -> Sequence[Batch]:
        """Set the rows aside that may not be sent again; return the others to send, if any."""
        ambiguous = part.of([row for row in part.rows if not row.is_repeatable])
        detail = f"may have been applied, and twice is not once ({ambiguity(verdict)})"
        flaw = Flaw("refused", "ambiguous", NO_SINGLE_COLUMN, detail)
        rejections = [Rejection(row.record, flaw, row.key or None) for row in ambiguous.rows]
        self._reports.on_rejected(ambiguous, rejections)
        self._reports.on_settled(ambiguous)
        if len(ambiguous.rows) == len(part.rows):
            return ()
        if isinstance(verdict, TryAgain):
            wait_s = max(self._retry.first_wait_s, verdict.at_least_s)
            if not self._retry.allows(wait_s, self._clock() - began_at):
                raise self._abandoned(verdict.reason)
            self._stop.wait(wait_s)
        return [part.of([row for row in part.rows if row.is_repeatable])]

    def _no_such_table(self, missing: NoSuchTable, part: Batch) -> LookupTableError:
        with self._gate.admission(0):
            reply = without_rows(self._transport.send(missing.listing, b""), part)
        return LookupTableError(
            f"{missing.place}: Mixpanel has no lookup table {printable(missing.table_id)}; "
            f"{tables_there_are(reply)}",
        )

    def _settle_refused(self, part: Batch, refused: Sequence[RefusedRow]) -> None:
        rejections = [_rejection(part.rows[row.index], row) for row in refused]
        # First what must be written down, then what may be forgotten.
        self._reports.on_rejected(part, rejections)
        self._reports.on_settled(part)

    def _abandoned(self, reason: str) -> DeliveryAbandonedError:
        return DeliveryAbandonedError(
            f"{self._host}: {reason}; gave up after retry_max_elapsed_seconds "
            f"{self._retry.max_elapsed_s:g}, and STATE stays where it was",
        )

    def _final_verdict(self, part: Batch, began_at: float) -> Verdict:
        """Send *part* until the verdict is one that a repeat cannot better, or time is up."""
        payload = part.route.pack(part.rows)
        repeats = Repeats(self._retry, self._clock, began_at)
        while True:
            repeats.attempts += 1
            verdict = self._attempt(part, payload, is_retry=repeats.attempts > 1)
            if not isinstance(verdict, Undecided):
                return verdict
            wait_s = repeats.wait_s(part, verdict)
            if wait_s is None:
                return verdict
            logger.warning(
                "%s: %s; attempt=%d next_in_seconds=%.1f",
                self._host,
                verdict.reason,
                repeats.attempts,
                wait_s,
            )
            self._stop.wait(wait_s)

    def _attempt(self, part: Batch, payload: Payload, *, is_retry: bool) -> Verdict:
        shared_bytes = payload.raw_bytes if part.route.shares_the_rate else None
        with self._gate.admission(
            len(part.rows), is_full=part.is_full, shared_bytes=shared_bytes
        ) as admission:
            started_at = self._clock()
            self._reports.on_request(part, payload.body_bytes, is_retry)
            reply = self._transport.send(part.route.endpoint, payload.body)
            verdict = part.route.judge(without_rows(reply, part), part.rows)
            match verdict:
                case TryAgain(is_rate_limit=True, at_least_s=at_least_s):
                    wait_s = self._retry.first_wait_s
                    self._gate.rate_limited(admission, hold_s=at_least_s, retry_s=wait_s)
                case TryAgain(is_overload=is_overload, at_least_s=at_least_s):
                    self._gate.failed()
                    if is_overload or at_least_s:
                        self._gate.overloaded(admission, at_least_s)
                case _:
                    self._gate.good(admission, len(part.rows))
        if isinstance(verdict, (Delivered, Refused)) and isinstance(reply, Answer) and reply.date:
            self._reports.on_date(reply.date)
        logger.debug(
            "route=%s verdict=%s rows=%d bytes=%d body_bytes=%d seconds=%.3f",
            part.route.name,
            type(verdict).__name__,
            len(part.rows),
            payload.raw_bytes,
            payload.body_bytes,
            self._clock() - started_at,
        )
        return verdict


def _rejection(row: Row, refused: RefusedRow) -> Rejection:
    reason = without_content(refused.reason, row)
    flaw = Flaw("refused", reason, refused.field or NO_SINGLE_COLUMN)
    return Rejection(row.record, flaw, row.key or None)
