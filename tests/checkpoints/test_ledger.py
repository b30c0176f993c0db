"""A STATE is released when every record before it is settled: never earlier, never not at all."""

import random
import sys
import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from target_mixpanel.engine.checkpoints import CheckpointLedger
from target_mixpanel.model import Span


class LedgerMachine(RuleBasedStateMachine):
    """The ledger beside a list of all that was ever read."""

    spans = Bundle("spans")

    def __init__(self):
        super().__init__()
        self.ledger = CheckpointLedger()
        self.input = []  # [span, is settled] for records, a number for STATEs
        self.states = 0
        self.released = -1

    @rule(target=spans)
    def read_record(self):
        record = [self.ledger.admit(), False]
        self.input.append(record)
        return record

    @rule()
    def read_state(self):
        self.ledger.checkpoint(b"%d" % self.states)
        self.input.append(self.states)
        self.states += 1

    @rule(record=consumes(spans))
    def settle(self, record):
        self.ledger.settle(record[0])
        record[1] = True

    @rule(data=st.data())
    def settle_too_much(self, data):
        span = Span(data.draw(st.integers(-1, self.states + 1)))
        pending = sum(1 for each in self.records() if each[0] == span and not each[1])
        with pytest.raises(ValueError, match="more records settled than admitted"):
            self.ledger.settle(span, pending + 1)

    @rule()
    def release(self):
        """What is released is the newest STATE that is safe, if it was not released before."""
        state = self.ledger.release()
        safe = self.newest_safe()
        expected = safe if safe > self.released else None

        assert expected == (None if state is None else int(state))
        self.released = max(self.released, safe)

    @invariant()
    def everything_pending_is_counted(self):
        assert self.ledger.pending == sum(1 for each in self.records() if not each[1])

    @invariant()
    def what_is_settled_is_forgotten(self):
        assert len(self.ledger._open) <= self.ledger.pending + 1

    def records(self):
        return [each for each in self.input if isinstance(each, list)]

    def newest_safe(self):
        newest = -1
        for each in self.input:
            if isinstance(each, int):
                newest = each
            elif not each[1]:
                break
        return newest


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(deadline=None, max_examples=200, stateful_step_count=40)


@pytest.fixture
def ledger():
    return CheckpointLedger()


def test_a_state_before_any_record_is_safe(ledger):
    ledger.checkpoint(b"1")

    assert [ledger.release(), ledger.release()] == [b"1", None]


def test_nothing_is_invented(ledger):
    ledger.settle(ledger.admit())

    assert ledger.release() is None


def test_fault_66_a_state_waits_for_every_stream(ledger):
    """Records of two streams stand before it; one is stuck."""
    stuck, sent = ledger.admit(), ledger.admit()
    ledger.checkpoint(b"1")
    ledger.settle(sent)
    assert ledger.release() is None
    ledger.settle(stuck)

    assert ledger.release() == b"1"


def test_a_later_span_that_settles_first_waits(ledger):
    first = ledger.admit()
    ledger.checkpoint(b"1")
    second = ledger.admit()
    ledger.checkpoint(b"2")
    ledger.settle(second)
    assert ledger.release() is None
    ledger.settle(first)

    assert [ledger.release(), ledger.release()] == [b"2", None]


def test_several_records_settle_at_once(ledger):
    span, *_ = [ledger.admit() for _ in range(5)]
    ledger.checkpoint(b"1")
    ledger.settle(span, 5)

    assert ledger.release() == b"1"


def test_states_without_records_take_no_room(ledger):
    ledger.admit()
    for number in range(10_000):
        ledger.checkpoint(b"%d" % number)

    assert len(ledger._open) == 2


def test_one_stuck_record_does_not_make_the_ledger_grow(ledger):
    stuck = ledger.admit()
    for number in range(10_000):
        ledger.checkpoint(b"%d" % number)
        ledger.settle(ledger.admit())
    assert ledger.release() is None
    assert len(ledger._open) == 2
    ledger.settle(stuck)

    assert ledger.release() == b"9999"


def test_threads_settle_while_the_reader_reads(ledger):
    """Each STATE is seen released after the records before it, and the last one is released."""
    todo, lock, done = [], threading.Lock(), threading.Event()
    settled, released = set(), []

    def send(seed):
        choose = random.Random(seed)  # noqa: S311
        while not done.is_set() or todo:
            with lock:
                if not todo:
                    continue
                number, span = todo.pop(choose.randrange(len(todo)))
                settled.add(number)
            ledger.settle(span)
            with lock:  # as the loader does: what is released is written in order
                state = ledger.release()
                if state is not None:
                    released.append(int(state))
                    assert all(before in settled for before in range(int(state)))

    switch_interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        senders = [threading.Thread(target=send, args=(seed,)) for seed in range(4)]
        for sender in senders:
            sender.start()
        for number in range(2_000):
            with lock:
                todo.append((number, ledger.admit()))
            if number % 7 == 0:
                ledger.checkpoint(b"%d" % (number + 1))
        ledger.checkpoint(b"2000")
        done.set()
        for sender in senders:
            sender.join(10)
    finally:
        sys.setswitchinterval(switch_interval)
    last = ledger.release()

    assert sorted(released) == released
    assert (int(last) if last else released[-1]) == 2_000
    assert ledger.pending == 0
