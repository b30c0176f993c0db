"""When is a request sent again, and when never?"""

from typing import Final, assert_never

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

_LEAST_JITTER_SHARE: Final = 0.2


UNDECIDED: Final = (TryAgain, Unaccounted)


class RetryPolicy(msgspec.Struct, frozen=True):
    """When to send again. Mixpanel's advice: 2 s doubling to 60 s, plus 1 to 5 s of jitter."""

    initial_s: float = 2.0
    max_s: float = 60.0
    jitter_s: float = 5.0
    max_elapsed_s: float = 900.0


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


def verdict_of(state: tenacity.RetryCallState) -> Verdict:
    """Return what the latest attempt came to."""
    if state.outcome is None:
        raise RuntimeError("asked for a verdict before the first attempt")
    verdict: Verdict = state.outcome.result()
    return verdict
