"""Requests in flight are bounded for the whole run, and an overload slows all of it."""

import signal
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_mixpanel.delivery.gate import Gate, Width
from target_mixpanel.errors import CredentialsError, ShutdownTimeoutError
from tests.delivery.conftest import PassingTime, VirtualClock, VirtualStop


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
