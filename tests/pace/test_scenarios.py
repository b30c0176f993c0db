"""
The pace finds Mixpanel's limit, whatever it is, and wastes little of it on the way.

Every scenario runs on a virtual clock, against a limit on a rolling window.
"""

import random
from collections import deque
from collections.abc import Callable

import msgspec
import pytest

from target_mixpanel.delivery.pace import PROBE_S, Pace

EVENTS = 2_000
SENDERS = 8
TICK_S = 0.02


class Link(msgspec.Struct):
    """A Mixpanel and the way to it."""

    limit: Callable[[float], float]
    """Events a second that are taken at a time, on average over the window."""
    window_s: float = 60.0
    reply_s: float = 0.05


class Outcome(msgspec.Struct):
    accepted: list[float]
    """When each request was accepted."""
    refused: int

    @property
    def share_refused(self) -> float:
        return self.refused / (self.refused + len(self.accepted))

    def events_per_s(self, start: float, end: float) -> float:
        requests = sum(start <= at < end for at in self.accepted)
        return requests * EVENTS / (end - start)


def drive(
    link: Link,
    seconds: float,
    *,
    tap_events_per_s: float = 100_000.0,
    pace: Pace | None = None,
    start: float = 0.0,
) -> Outcome:
    """Run senders, their backoff and the gate's rules, by a virtual clock, for *seconds*."""
    chance = random.Random(1)  # noqa: S311 (jitter)
    pace = pace or Pace()
    window: deque[float] = deque()
    outcome = Outcome([], 0)
    under_way: list[tuple[float, int, bool]] = []
    waiting: list[tuple[float, int]] = []
    hold_until = ready = 0.0
    now = start
    while now < start + seconds:
        now += TICK_S
        ready = min(ready + tap_events_per_s * TICK_S / EVENTS, 2.0)
        for request in [request for request in under_way if request[0] <= now]:
            under_way.remove(request)
            _, attempt, is_taken = request
            if is_taken:
                outcome.accepted.append(now)
                pace.accepted(EVENTS, now, started_at=request[0] - link.reply_s, is_telling=True)
            else:
                outcome.refused += 1
                pace.refused(now, PROBE_S, is_telling=True)
                wait_s = min(2 * 2 ** (attempt - 1), 60) + chance.uniform(1, 5)
                hold_until = max(hold_until, now + min(wait_s, PROBE_S))
                waiting.append((now + wait_s, attempt + 1))
        while len(under_way) < (1 if pace.is_closed else SENDERS):
            again = next((entry for entry in waiting if entry[0] <= now), None)
            if now < hold_until or pace.wait_s(now) > 0 or (again is None and ready < 1):
                break
            if again is None:
                ready -= 1
                attempt = 1
            else:
                waiting.remove(again)
                attempt = again[1]
            pace.start(EVENTS, now)
            while window and window[0] <= now - link.window_s:
                window.popleft()
            room = link.limit(now) * link.window_s - len(window) * EVENTS
            if room >= EVENTS:
                window.append(now)
            under_way.append((now + link.reply_s, attempt, room >= EVENTS))
        pace.pass_time(now + TICK_S, 1.0 if ready >= 1 else len(under_way) / SENDERS)
    return outcome


@pytest.mark.parametrize("limit", [10_000, 30_000])
@pytest.mark.parametrize("reply_s", [0.02, 0.5], ids=["fast-link", "slow-link"])
def test_a_constant_limit_is_used_and_respected(limit: int, reply_s: float):
    """More than nine tenths of it, with less than one request in fifty refused."""
    outcome = drive(Link(lambda _: limit, reply_s=reply_s), seconds=900)
    possible = min(limit, SENDERS * EVENTS / reply_s)

    assert outcome.events_per_s(0, 900) > 0.9 * possible
    assert outcome.share_refused < 0.02


def test_a_tap_below_the_limit_never_hears_of_it():
    outcome = drive(Link(lambda _: 30_000), seconds=300, tap_events_per_s=25_000)

    assert outcome.refused == 0
    assert outcome.events_per_s(0, 300) == pytest.approx(25_000, rel=0.01)


def test_a_load_that_fits_into_the_window_is_not_slowed_down():
    """Mixpanel counts by the minute: 1.5 million events may go in 15 seconds."""
    outcome = drive(Link(lambda _: 30_000), seconds=15)

    assert outcome.refused == 0
    assert outcome.events_per_s(0, 15) > 90_000


def test_a_sudden_limit_is_found_and_left_again():
    """Somebody else takes two thirds of the project's limit for five minutes."""
    outcome = drive(
        Link(lambda now: 10_000 if 600 <= now < 900 else 30_000),
        seconds=1_500,
    )

    assert outcome.events_per_s(660, 900) > 0.8 * 10_000
    assert outcome.events_per_s(1_100, 1_500) > 0.9 * 30_000
    assert outcome.share_refused < 0.02


def test_after_a_storm_the_rate_is_back_in_two_minutes():
    """Half a minute in which everything is refused, and no limit behind it."""
    outcome = drive(
        Link(lambda now: 0 if 100 <= now < 130 else 30_000),
        seconds=400,
        tap_events_per_s=25_000,
    )

    assert outcome.events_per_s(250, 400) > 0.95 * 25_000
    assert outcome.refused < 20


class History:
    """What a run met before the tap has a lot to say, and how long it took."""

    def __init__(self) -> None:
        self.pace = Pace()
        self.now = 0.0

    def requests(self, number: int, *, every_s: float, events: int = EVENTS) -> None:
        """Send requests one by one, each answered after 50 ms."""
        for _ in range(number):
            self.request(events)
            self.accepted(events)
            self.idle(every_s - 0.05)

    def request(self, events: int) -> None:
        self.pace.start(events, self.now)
        self.now += 0.05
        self.pace.pass_time(self.now, (events == EVENTS) / SENDERS)

    def accepted(self, events: int) -> None:
        started_at = self.now - 0.05
        self.pace.accepted(events, self.now, started_at=started_at, is_telling=events == EVENTS)

    def idle(self, seconds: float, used: float = 0.0) -> None:
        self.now += seconds
        self.pace.pass_time(self.now, used)

    def refused_once(self, events: int = EVENTS) -> None:
        self.request(events)
        self.pace.refused(self.now, PROBE_S, is_telling=events == EVENTS)
        self.idle(PROBE_S)
        self.request(events)
        self.accepted(events)


def quiet(history: History) -> None:
    history.requests(14, every_s=0.6, events=1)
    history.refused_once(events=1)


def slow(history: History) -> None:
    history.requests(360, every_s=10.0)
    history.refused_once()


def out_of_reach(history: History) -> None:
    history.requests(40, every_s=0.5)
    for _ in range(60):
        history.request(EVENTS)
        history.pace.failed()
        history.idle(10.0, used=1.0)
    history.refused_once()


def stopped(history: History) -> None:
    history.requests(40, every_s=0.5)
    history.request(EVENTS)
    history.idle(3_600.0, used=1.0)
    history.accepted(EVENTS)
    history.refused_once()


@pytest.mark.parametrize("before", [quiet, slow, out_of_reach, stopped])
def test_one_refusal_after_time_that_was_not_used_slows_nothing_down(
    before: Callable[[History], None],
):
    """Nobody but the tap, an outage or SIGSTOP was the limit."""
    history = History()
    before(history)
    outcome = drive(
        Link(lambda _: 1e9), 40, tap_events_per_s=25_000, pace=history.pace, start=history.now
    )

    assert outcome.refused == 0
    assert outcome.events_per_s(history.now, history.now + 40) > 0.95 * 25_000


def test_a_wait_gets_shorter_as_the_rate_grows():
    history = History()
    history.requests(200, every_s=0.05)
    history.pace.refused(history.now, PROBE_S, is_telling=True)
    history.refused_once()
    rate = history.pace.events_per_s(history.now)
    assert rate is not None
    history.pace.start(int(rate * 300), history.now)

    assert history.pace.wait_s(history.now) == pytest.approx(300, rel=0.1)
    assert history.pace.wait_s(history.now + 150) < 100


def test_an_answer_to_an_earlier_request_does_not_open_it_again():
    """Eight are under way when the first 429 comes; the good ones among them are old news."""
    pace = Pace()
    pace.start(EVENTS, 0.0)
    for second in range(20):
        pace.accepted(EVENTS, float(second), started_at=second - 0.5, is_telling=True)
    pace.refused(20.0, PROBE_S, is_telling=True)
    pace.accepted(EVENTS, 20.1, started_at=19.9, is_telling=True)

    assert pace.is_closed
    assert pace.events_per_s(20.1) is None


def test_the_operators_ceiling_is_never_passed():
    pace = Pace(ceiling=1_000)
    starts = []
    now = 0.0
    for _ in range(20):
        now += max(pace.wait_s(now), 0.0)
        starts.append(now)
        pace.start(EVENTS, now)
        pace.accepted(EVENTS, now, started_at=now, is_telling=True)

    assert starts[-1] >= 19 * EVENTS / 1_000 - 1.0
