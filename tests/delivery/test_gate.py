"""Requests in flight are bounded for the whole run, and an overload slows all of it."""

import signal
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_mixpanel.delivery.gate import Gate, Reservation, Width
from target_mixpanel.errors import CredentialsError, ShutdownTimeoutError
from tests.delivery.conftest import PassingTime, VirtualClock, VirtualStop
from tests.waiting import wait_until


@pytest.fixture
def gate(stop, clock):
    def gate(most=4, **more):
        made = Gate(most, stop, clock=clock, **more)
        made._changed = PassingTime(clock)
        return made

    return gate


@given(st.integers(1, 20), st.lists(st.booleans() | st.integers(0, 60), max_size=200))
@settings(deadline=None)
def test_width_stays_between_one_and_the_most(most, answers):
    """True: a good answer; False: an overload of this round; a number: of an earlier one."""
    width = Width(most)
    for answer in answers:
        before, round_before = width.requests, width.round
        if answer is True:
            width.good()
            assert before <= width.requests <= before + 1
        else:
            started_in = width.round if answer is False else width.round - 1 - answer
            width.overloaded(started_in)
            expected = before if answer is not False else max(before / 2, 1.0)
            assert expected == width.requests
            assert (width.round == round_before + 1) == (answer is False)
        assert 1.0 <= width.requests <= most


@pytest.mark.parametrize(("start", "answers"), [(1.0, 1), (2.0, 3), (4.0, 5)])
def test_a_round_of_good_answers_widens_by_about_one(start, answers):
    width = Width(20, requests=start)
    for _ in range(answers):
        width.good()

    assert start + 1 <= width.requests < start + 1.5


def test_requests_of_one_round_halve_once(gate):
    """Eight requests meet the same overload: that is one message, not eight."""
    narrow = gate(8)
    with narrow.admission(1) as first, narrow.admission(1) as second:
        narrow.overloaded(first)
        narrow.overloaded(second)

    assert narrow.width.requests == 4.0


def test_fault_11_a_wish_to_wait_holds_all(gate, clock):
    holding = gate()
    with holding.admission(1) as admission:
        holding.overloaded(admission, 7.0)
    with holding.admission(1):
        assert clock.now == pytest.approx(1_007.0)


def test_a_shorter_wish_does_not_end_a_longer_one(gate, clock):
    holding = gate()
    with holding.admission(1) as admission:
        holding.overloaded(admission, 30.0)
        holding.overloaded(admission, 1.0)
    with holding.admission(1):
        assert clock.now == pytest.approx(1_030.0)


@given(st.lists(st.integers(1, 2_000), min_size=2, max_size=40), st.integers(100, 5_000))
@settings(deadline=None)
def test_paced_runs_keep_to_their_rate(sizes, rate):
    """Averaged from the first request on, but for one burst of a second."""
    clock = VirtualClock()
    stop = VirtualStop(clock, 25.0)
    gate = Gate(4, stop, max_events_per_second=rate, clock=clock)
    gate._changed = PassingTime(clock)
    sent = 0
    for size in sizes:
        with gate.admission(size):
            assert sent <= rate * (clock.now - 1_000.0 + 1.0) + 1e-6
            sent += size
    stop.close()

    assert clock.now - 1_000.0 <= sent / rate + 1e-6


def test_an_unpaced_run_does_not_wait(gate, clock):
    unpaced = gate()
    for _ in range(100):
        with unpaced.admission(2_000):
            pass

    assert clock.now == 1_000.0


def test_a_failed_request_gives_its_place_back(gate, clock):
    narrow = gate(1)
    with pytest.raises(RuntimeError), narrow.admission(1):
        raise RuntimeError
    with narrow.admission(1):
        assert clock.now == 1_000.0


def test_a_full_gate_opens_for_the_next_when_one_leaves(real_stop):
    gate = Gate(2, real_stop)
    order = []
    is_in = threading.Event()

    def third():
        with gate.admission(1):
            order.append("third")
        is_in.set()

    with gate.admission(1):
        with gate.admission(1):
            waiting = threading.Thread(target=third)
            waiting.start()
            assert not is_in.wait(0.1)
            order.append("second leaves")
        assert is_in.wait(60)
    waiting.join()

    assert order == ["second leaves", "third"]


@pytest.mark.parametrize("cause", ["failure", "deadline"])
def test_a_held_gate_ends_with_the_run(gate, stop, clock, cause):
    holding = gate()
    with holding.admission(1) as admission:
        holding.overloaded(admission, 300.0)
    if cause == "failure":
        stop.fail(CredentialsError("elsewhere"))
    else:
        stop.request(signal.SIGTERM)
    kind = CredentialsError if cause == "failure" else ShutdownTimeoutError
    with pytest.raises(kind), holding.admission(1):
        pass

    assert clock.now <= 1_026.0


class Shared:
    """A limit that gives the places it is told to, and notes what it was asked for."""

    def __init__(self, *reservations):
        self.reservations = list(reservations)
        self.asked = []
        self.is_away = False
        self.on_ask = lambda: None

    def reserve(self, events, raw_bytes):
        self.asked.append((events, raw_bytes))
        self.on_ask()
        return self.reservations.pop(0) if self.reservations else Reservation(0.0)


def test_a_request_waits_for_its_turn_among_all_loaders(gate, clock):
    shared = Shared(Reservation(0.0), Reservation(3.25))
    paced = gate(shared=shared)
    with paced.admission(2_000, shared_bytes=1_000_000):
        assert clock.now == 1_000.0
    with paced.admission(500, shared_bytes=70_000):
        assert clock.now == pytest.approx(1_003.25)

    assert shared.asked == [(2_000, 1_000_000), (500, 70_000)]


def test_what_others_do_not_limit_asks_nobody(gate, clock):
    """Profiles and lookup tables: Mixpanel's limit is one of events."""
    shared = Shared(Reservation(9.0))
    with gate(shared=shared).admission(2_000):
        assert clock.now == 1_000.0

    assert shared.asked == []


def test_the_time_that_the_answer_took_is_part_of_the_wait(gate, clock):
    shared = Shared(Reservation(2.0))

    def ask():
        clock.now += 0.5

    shared.on_ask = ask
    with gate(shared=shared).admission(1, shared_bytes=1):
        assert clock.now == pytest.approx(1_002.0)


def test_who_gets_no_place_asks_again(gate, clock):
    shared = Shared(*[Reservation(70.0, has_place=False)] * 3, Reservation(1.0))
    with gate(shared=shared).admission(1, shared_bytes=1):
        assert 1_001.0 < clock.now < 1_010.0

    assert len(shared.asked) == 4


def test_what_mixpanel_holds_back_takes_no_place_from_others(gate, clock):
    """A 429 holds this loader for a while: it asks when it could go."""
    shared = Shared()
    paced = gate(shared=shared)
    with paced.admission(1, shared_bytes=1) as admission:
        paced.overloaded(admission, 30.0)
    shared.on_ask = lambda: asked_at.append(clock.now)
    asked_at = []
    with paced.admission(1, shared_bytes=1):
        pass

    assert asked_at == [pytest.approx(1_030.0)]


def test_a_429_within_the_wait_holds_what_has_a_place(gate, clock):
    shared = Shared(Reservation(0.0), Reservation(1.0))
    paced = gate(shared=shared)
    with paced.admission(1, shared_bytes=1) as first:
        shared.on_ask = lambda: paced.overloaded(first, 4.0)
    with paced.admission(1, shared_bytes=1):
        assert clock.now == pytest.approx(1_004.0)

    assert len(shared.asked) == 2


def test_a_turn_that_was_missed_is_asked_for_anew(gate, clock):
    """A 429 holds all loaders back: their turns of before would all be now."""
    shared = Shared(Reservation(0.0), Reservation(1.0), Reservation(2.0))
    paced = gate(shared=shared)
    with paced.admission(1, shared_bytes=1) as first:
        shared.on_ask = lambda: len(shared.asked) == 2 and paced.overloaded(first, 20.0)
    with paced.admission(1, shared_bytes=1):
        assert clock.now == pytest.approx(1_022.0)

    assert len(shared.asked) == 3


@pytest.mark.parametrize("cause", ["failure", "deadline"])
def test_a_wait_for_a_turn_ends_with_the_run(gate, stop, clock, cause):
    paced = gate(shared=Shared(Reservation(300.0)))
    if cause == "failure":
        stop.fail(CredentialsError("elsewhere"))
    else:
        stop.request(signal.SIGTERM)
    kind = CredentialsError if cause == "failure" else ShutdownTimeoutError
    with pytest.raises(kind), paced.admission(1, shared_bytes=1):
        pass

    assert clock.now <= 1_026.0


class Threaded:
    """Requests of several threads at one gate, and what each of them is doing."""

    def __init__(self, gate):
        self.gate = gate
        self.threads = []
        self.in_flight = []

    def start(self, name, *, shared_bytes=1):
        def run():
            with self.gate.admission(1, shared_bytes=shared_bytes):
                self.in_flight.append(name)

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def join(self):
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()


def test_one_request_at_a_time_has_a_place(real_stop):
    """Eight senders would else take eight places, and a loader that is killed leave eight empty."""
    shared = Shared()
    may_answer = threading.Event()
    shared.on_ask = lambda: may_answer.wait(60)
    requests = Threaded(Gate(8, real_stop, shared=shared))
    for number in range(4):
        requests.start(number)
    wait_until(lambda: shared.asked)
    requests.start("profile", shared_bytes=None)
    wait_until(lambda: requests.in_flight)

    assert (len(shared.asked), requests.in_flight) == (1, ["profile"])
    may_answer.set()
    requests.join()
    assert len(shared.asked) == 4


def test_while_redis_is_away_nobody_waits_for_who_asks(real_stop):
    shared = Shared()
    may_answer = threading.Event()
    shared.on_ask = lambda: may_answer.wait(60)
    requests = Threaded(Gate(8, real_stop, shared=shared))
    requests.start("asks")
    wait_until(lambda: shared.asked)
    shared.is_away = True
    requests.start("goes by")
    wait_until(lambda: requests.in_flight)

    assert requests.in_flight == ["goes by"]
    may_answer.set()
    requests.join()


def test_a_turn_that_fails_is_the_next_ones(real_stop):
    """A programming error in who is asked blocks no other sender."""
    shared = Shared()
    paced = Gate(8, real_stop, shared=shared)

    def fails():
        raise RuntimeError

    shared.on_ask = fails
    with pytest.raises(RuntimeError), paced.admission(1, shared_bytes=1):
        pass
    shared.on_ask = lambda: None
    with paced.admission(1, shared_bytes=1):
        pass

    assert len(shared.asked) == 2
