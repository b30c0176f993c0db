"""The reader waits when the senders cannot keep up, and hears at once when one fails."""

import contextlib
import threading
import time

import pytest

from target_mixpanel.delivery.outbox import Outbox
from target_mixpanel.errors import CredentialsError, ShutdownTimeoutError, TargetMixpanelError
from target_mixpanel.stop import Stop


class Courier:
    """Deliver when told to; fail on a batch that says so."""

    def __init__(self):
        self.may_go = threading.Event()
        self.delivered = []
        self.opened = self.closed = 0
        self.lock = threading.Lock()

    @contextlib.contextmanager
    def open(self):
        with self.lock:
            self.opened += 1
        try:
            yield self
        finally:
            with self.lock:
                self.closed += 1

    def deliver(self, batch):
        if isinstance(batch, BaseException):
            raise batch
        assert self.may_go.wait(10)
        with self.lock:
            self.delivered.append(batch)


@pytest.fixture
def courier():
    courier = Courier()
    yield courier
    courier.may_go.set()


def senders():
    return [thread for thread in threading.enumerate() if thread.name.startswith("sender-")]


def end_of_senders(within_s=5.0):
    """Wait until no sender lives; say whether that came to be."""
    until = time.monotonic() + within_s
    while senders() and time.monotonic() < until:
        time.sleep(0.005)
    return not senders()


def test_all_that_is_submitted_is_delivered_once(courier, real_stop):
    courier.may_go.set()
    with Outbox(courier.open, real_stop, senders=4) as outbox:
        for number in range(500):
            outbox.submit(number)
        outbox.drain()

        assert sorted(courier.delivered) == list(range(500))


def test_drain_waits_for_all(courier, real_stop):
    with Outbox(courier.open, real_stop, senders=2) as outbox:
        for number in range(4):
            outbox.submit(number)
        drained = threading.Thread(target=outbox.drain)
        drained.start()
        drained.join(0.3)
        assert drained.is_alive()
        courier.may_go.set()
        drained.join(5)

        assert sorted(courier.delivered) == [0, 1, 2, 3]


def test_the_reader_waits_when_there_is_too_much(courier, real_stop):
    """Two senders hold one batch each, two batches wait, the fifth has no room."""
    with Outbox(courier.open, real_stop, senders=2) as outbox:
        submitted = []

        def read():
            for number in range(6):
                outbox.submit(number)
                submitted.append(number)

        reader = threading.Thread(target=read)
        reader.start()
        reader.join(0.4)
        assert submitted == [0, 1, 2, 3]
        courier.may_go.set()
        reader.join(5)
        outbox.drain()

    assert sorted(courier.delivered) == list(range(6))


def test_a_clean_exit_leaves_no_thread_and_no_courier(courier, real_stop):
    courier.may_go.set()
    with Outbox(courier.open, real_stop, senders=8) as outbox:
        outbox.submit(1)

    assert senders() == []
    assert (courier.opened, courier.closed) == (8, 8)
    assert courier.delivered == [1]


def submit_and_drain(outbox, batches):
    for batch in batches:
        outbox.submit(batch)
    outbox.drain()


class TestFailure:
    def test_it_reaches_a_reader_that_waits_for_room(self, courier, real_stop):
        batches = [CredentialsError("revoked"), *range(100)]
        started = time.monotonic()
        with Outbox(courier.open, real_stop, senders=2) as outbox:
            with pytest.raises(CredentialsError):
                submit_and_drain(outbox, batches)

            assert time.monotonic() - started < 1
        courier.may_go.set()

        assert end_of_senders()

    def test_it_reaches_a_reader_that_drains(self, courier, real_stop):
        started = time.monotonic()
        with Outbox(courier.open, real_stop, senders=2) as outbox:
            with pytest.raises(CredentialsError):
                submit_and_drain(outbox, [1, CredentialsError("revoked")])

            assert time.monotonic() - started < 1
        courier.may_go.set()

        assert end_of_senders()

    def test_it_may_come_before_the_first_batch(self, real_stop):
        def fail():
            raise CredentialsError("no bundle")

        with Outbox(fail, real_stop, senders=3) as outbox, pytest.raises(CredentialsError):
            submit_and_drain(outbox, [1])

        assert end_of_senders()

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, MemoryError, AssertionError])
    def test_even_what_nobody_expects_reaches_the_reader(self, courier, real_stop, kind):
        with Outbox(courier.open, real_stop, senders=1) as outbox, pytest.raises(kind):
            submit_and_drain(outbox, [kind()])

        assert end_of_senders()

    def test_a_readers_own_failure_ends_the_senders_too(self, courier, real_stop):
        """What waits is not sent any more: nothing of this run comes later."""

        def read():
            with Outbox(courier.open, real_stop, senders=1) as outbox:
                for number in range(3):
                    outbox.submit(number)
                raise TargetMixpanelError("malformed line")

        with pytest.raises(TargetMixpanelError, match="malformed line"):
            read()
        courier.may_go.set()

        assert end_of_senders()
        assert courier.delivered == [0]
        assert courier.opened == courier.closed

    def test_idle_senders_end_with_a_failed_run(self, courier, real_stop):
        with pytest.raises(TargetMixpanelError), Outbox(courier.open, real_stop, senders=8):
            raise TargetMixpanelError("malformed line")

        assert end_of_senders()
        assert (courier.opened, courier.closed) == (8, 8)


@pytest.mark.parametrize("batches", [1, 10], ids=["drain", "submit"])
def test_fault_36_the_time_to_stop_ends_the_wait(courier, batches):
    stop = Stop(0.3)

    def read():
        with Outbox(courier.open, stop, senders=1) as outbox:
            stop.request(15)
            submit_and_drain(outbox, range(batches))

    with pytest.raises(ShutdownTimeoutError):
        read()
    courier.may_go.set()

    assert end_of_senders()
    stop.close()
