"""What is done until every row of a batch is accepted or refused? The only loop that retries."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol, assert_never
from urllib.parse import urlsplit

import msgspec
import tenacity

from target_mixpanel.delivery.batches import Batch, SizeLimit
from target_mixpanel.delivery.encode import Payload, import_payload
from target_mixpanel.delivery.gate import Gate
from target_mixpanel.delivery.verdict import (
    Answer,
    BlamesNobody,
    Delivered,
    DoesNotAddUp,
    Hopeless,
    Refused,
    RefusedRow,
    Reply,
    TooLarge,
    TryAgain,
    Verdict,
    judge,
)
from target_mixpanel.errors import (
    CredentialsError,
    DeliveryAbandonedError,
    EndpointError,
    UnaccountedRowsError,
)
from target_mixpanel.model import Flaw, Rejection, Row
from target_mixpanel.stop import Stop

logger = logging.getLogger("target-mixpanel.delivery")

_TRIES_AT_A_SUM: Final = 2
"""A reply whose numbers do not add up is asked for once more, then believed to be broken."""

_LEAST_JITTER_SHARE: Final = 0.2

_SHORT: Final = 3
"""A value of so few characters may stand in a server's words by chance."""


class Transport(Protocol):
    """Whatever carries a request's body and brings back the reply."""

    def send(self, body: bytes) -> Reply:
        """Send *body* once."""


class RetryPolicy(msgspec.Struct, frozen=True):
    """When to send again. Mixpanel's advice: 2 s doubling to 60 s, plus 1 to 5 s of jitter."""

    initial_s: float = 2.0
    max_s: float = 60.0
    jitter_s: float = 5.0
    max_elapsed_s: float = 900.0


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
    """Deliver batches, one after the other: send, judge, wait, halve, report."""

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
        parts = [batch]
        while parts:
            part = parts.pop()
            match self._final_verdict(part):
                case Delivered():
                    self._reports.on_settled(part)
                case Refused(rows=rows):
                    self._settle_refused(part, rows)
                case BlamesNobody(reason=reason) | TooLarge(reason=reason) as verdict:
                    if isinstance(verdict, TooLarge):
                        self._size_limit.learn(reason)
                    if len(part.rows) == 1:
                        code = "too_large" if isinstance(verdict, TooLarge) else reason
                        self._settle_refused(part, [RefusedRow(0, code, None)])
                    else:
                        parts.extend(reversed(part.halves()))
                case DoesNotAddUp(reason=reason):
                    raise UnaccountedRowsError(
                        f"{self._host}: {reason}, twice; what became of the rows is not known, so "
                        "STATE stays where it was and a rerun sends them again",
                    )
                case Hopeless(reason=reason, is_about_credentials=is_about_credentials):
                    kind = CredentialsError if is_about_credentials else EndpointError
                    raise kind(f"{self._host}: {reason}")
                case TryAgain(reason=reason):
                    raise DeliveryAbandonedError(
                        f"{self._host}: {reason}; gave up after retry_max_elapsed_seconds "
                        f"{self._retry.max_elapsed_s:g}, and STATE stays where it was",
                    )
                case unknown:
                    assert_never(unknown)

    def _settle_refused(self, part: Batch, refused: Sequence[RefusedRow]) -> None:
        rejections = [_rejection(part.rows[row.index], row) for row in refused]
        # First what must be written down, then what may be forgotten.
        self._reports.on_rejected(part, rejections)
        self._reports.on_settled(part)

    def _final_verdict(self, part: Batch) -> Verdict:
        """Send *part* until the verdict is one that a repeat cannot better, or time is up."""
        payload = import_payload(part.rows)
        insert_ids = [row.insert_id for row in part.rows]
        started_at = self._clock()
        sums_that_failed = 0

        def is_over(state: tenacity.RetryCallState) -> bool:
            nonlocal sums_that_failed
            if isinstance(_verdict_of(state), DoesNotAddUp):
                sums_that_failed += 1
                return sums_that_failed == _TRIES_AT_A_SUM
            next_at = self._clock() + state.upcoming_sleep
            return next_at - started_at > self._retry.max_elapsed_s

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda reached: isinstance(reached, _UNDECIDED)),
            stop=is_over,
            wait=self._wait_s,
            sleep=self._stop.wait,
            before_sleep=self._announce_retry,
            retry_error_callback=_verdict_of,
        )
        attempts = 0

        def attempt() -> Verdict:
            nonlocal attempts
            attempts += 1
            return self._attempt(part, payload, insert_ids, is_retry=attempts > 1)

        verdict: Verdict = retrying(attempt)
        return verdict

    def _attempt(
        self,
        part: Batch,
        payload: Payload,
        insert_ids: Sequence[str],
        *,
        is_retry: bool,
    ) -> Verdict:
        with self._gate.admission(len(part.rows)) as leave:
            started_at = self._clock()
            self._reports.on_request(part, len(payload.body), is_retry)
            reply = self._transport.send(payload.body)
            verdict = judge(reply, insert_ids)
            match verdict:
                case TryAgain(is_rate_limit=True, at_least_s=at_least_s):
                    retry_s = self._retry.initial_s + self._retry.jitter_s
                    self._gate.rate_limited(leave, hold_s=at_least_s, retry_s=retry_s)
                case TryAgain(is_overload=is_overload, at_least_s=at_least_s):
                    if is_overload or at_least_s:
                        self._gate.overloaded(leave, at_least_s)
                case _:
                    self._gate.good(leave, len(part.rows))
        if isinstance(verdict, (Delivered, Refused)) and isinstance(reply, Answer) and reply.date:
            self._reports.on_date(reply.date)
        logger.debug(
            "verdict=%s rows=%d bytes=%d body_bytes=%d seconds=%.3f",
            type(verdict).__name__,
            len(part.rows),
            payload.raw_bytes,
            len(payload.body),
            self._clock() - started_at,
        )
        return verdict

    def _wait_s(self, state: tenacity.RetryCallState) -> float:
        retry = self._retry
        backoff = tenacity.wait_exponential(multiplier=retry.initial_s, max=retry.max_s)
        jitter = tenacity.wait_random(retry.jitter_s * _LEAST_JITTER_SHARE, retry.jitter_s)
        wait_s = backoff(state) + jitter(state)
        verdict = _verdict_of(state)
        return max(wait_s, verdict.at_least_s) if isinstance(verdict, TryAgain) else wait_s

    def _announce_retry(self, state: tenacity.RetryCallState) -> None:
        verdict = _verdict_of(state)
        logger.warning(
            "%s: %s; attempt=%d next_in_seconds=%.1f",
            self._host,
            verdict.reason if isinstance(verdict, _UNDECIDED) else type(verdict).__name__,
            state.attempt_number,
            state.upcoming_sleep,
        )


_UNDECIDED: Final = (TryAgain, DoesNotAddUp)


def _verdict_of(state: tenacity.RetryCallState) -> Verdict:
    if state.outcome is None:
        raise RuntimeError("asked for a verdict before the first attempt")
    verdict: Verdict = state.outcome.result()
    return verdict


def _rejection(row: Row, refused: RefusedRow) -> Rejection:
    reason = _without_content(refused.reason, row)
    return Rejection(row.record, Flaw("refused", reason, refused.field), row.insert_id)


def _without_content(words: str, row: Row) -> str:
    """Return a server's words about *row* less what they repeat of it: they go into the log."""
    try:
        texts = sorted(_texts(msgspec.json.decode(row.body)), key=len, reverse=True)
    except msgspec.DecodeError:
        return words  # not JSON: that is what Mixpanel says, too
    for text in texts:
        if len(text) > _SHORT:
            words = words.replace(text, "…")
    return words


def _texts(value: object) -> Iterator[str]:
    """Yield every value in a decoded row as text."""
    match value:
        case dict():
            for item in value.values():
                yield from _texts(item)
        case list():
            for item in value:
                yield from _texts(item)
        case str() | int() | float():
            yield str(value)
        case _:
            pass  # null shows nothing
