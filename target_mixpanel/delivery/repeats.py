"""When is a request sent again, and when never?"""

from collections.abc import Callable
from typing import Final, TypeAlias, assert_never

import msgspec
import tenacity

from target_mixpanel.delivery.batches import Batch
from target_mixpanel.delivery.verdict import (
    Delivered,
    Fatal,
    NoSuchTable,
    Refused,
    RefusedUnattributed,
    TableRefused,
    TooLarge,
    TryAgain,
    Unaccounted,
    Verdict,
)

Undecided: TypeAlias = TryAgain | Unaccounted
"""Verdicts that a repeat may better."""

_LEAST_JITTER_SHARE: Final = 0.2
"""Of the jitter's setting; Mixpanel advises 1 to 5 s."""

_TRIES_AT_A_SUM: Final = 2
"""A reply whose numbers do not add up is asked for once more, then believed to be broken."""


class RetryPolicy(msgspec.Struct, frozen=True):
    """When to send again. Mixpanel's advice: 2 s doubling to 60 s, plus 1 to 5 s of jitter."""

    initial_s: float = 2.0
    max_s: float = 60.0
    jitter_s: float = 5.0
    max_elapsed_s: float = 900.0

    @property
    def first_wait_s(self) -> float:
        """The longest that the first wait may last, if the server asks for no more."""
        return self.initial_s + self.jitter_s

    def allows(self, wait_s: float, elapsed_s: float) -> bool:
        """Say whether there is time for a wait, *elapsed_s* after the first request."""
        return elapsed_s + wait_s <= self.max_elapsed_s


class Repeats:
    """The requests of one batch: how long to wait before the next one, and whether there is one."""

    def __init__(self, retry: RetryPolicy, clock: Callable[[], float], began_at: float) -> None:
        """
        Args:
            retry: The operator's wishes.
            clock: Monotonic seconds.
            began_at: When the batch was first sent, of which this may be a part.
        """
        self._retry = retry
        self._clock = clock
        self._began_at = began_at
        backoff = tenacity.wait_exponential(multiplier=retry.initial_s, max=retry.max_s)
        jitter = tenacity.wait_random(retry.jitter_s * _LEAST_JITTER_SHARE, retry.jitter_s)
        self._backoff = backoff + jitter
        self._sums_that_failed = 0
        self.attempts = 0
        """Made so far."""

    def wait_s(self, part: Batch, verdict: Undecided) -> float | None:
        """Return how long to wait before *part* is sent again; None: *verdict* is the last word."""
        if may_double(part, verdict):
            return None
        wait_s = self._backoff(self._state())
        match verdict:
            case TryAgain(at_least_s=at_least_s):
                wait_s = max(wait_s, at_least_s)
                elapsed_s = self._clock() - self._began_at
                return wait_s if self._retry.allows(wait_s, elapsed_s) else None
            case Unaccounted():
                self._sums_that_failed += 1
                return wait_s if self._sums_that_failed < _TRIES_AT_A_SUM else None

    def _state(self) -> tenacity.RetryCallState:
        """Return what tenacity's waits look at."""
        state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
        state.attempt_number = self.attempts
        return state


def may_double(part: Batch, verdict: Verdict) -> bool:
    """Say whether to send *part* again could apply a row twice that must not be."""
    return ambiguity(verdict) is not None and not all(row.is_repeatable for row in part.rows)


def ambiguity(verdict: Verdict) -> str | None:
    """
    Return why rows may have been applied of which the verdict is not that they were.

    In our words: a server's could repeat any of the rows.
    """
    match verdict:
        case TryAgain(is_ambiguous=True):
            return "no usable reply"
        case RefusedUnattributed(is_ambiguous=True):
            return "some of its request's updates were refused"
        case Unaccounted():
            return "the reply's count contradicts what was sent"
        case TryAgain() | RefusedUnattributed():
            return None
        case Delivered() | Refused() | TooLarge() | TableRefused() | NoSuchTable() | Fatal():
            return None
        case unknown:
            assert_never(unknown)
