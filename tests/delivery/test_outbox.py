"""The reader waits when the senders cannot keep up, and hears at once when one fails."""

import contextlib
import threading
import time
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_mixpanel.delivery.outbox import Outbox
from target_mixpanel.errors import CredentialsError, ShutdownTimeoutError, TargetMixpanelError
from target_mixpanel.stop import Stop
from tests.waiting import wait_until


class Parcel:
    """A batch as far as an outbox looks at it."""

    def __init__(self, content, lane=None, retained_bytes=1_000):
        self.content = content
        self.lane = lane
        self.retained_bytes = retained_bytes


class Courier:
    """Deliver when told to; fail on a batch that says so."""

    def __init__(self):
        self.may_go = threading.Event()
        self.has_begun = threading.Event()
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
        if isinstance(batch.content, BaseException):
            raise batch.content
        self.has_begun.set()
        assert self.may_go.wait(120)
        with self.lock:
            self.delivered.append(batch.content)


@pytest.fixture
def courier():
    courier = Courier()
    yield courier
    courier.may_go.set()


def senders():
    return [thread for thread in threading.enumerate() if thread.name.startswith("sender-")]


def end_of_senders():
    """Wait until no sender lives; say that it came to be."""
    wait_until(lambda: not senders())
    return True


def test_all_that_is_submitted_is_delivered_once(courier, real_stop):
    courier.may_go.set()
    with Outbox(courier.open, real_stop, senders=4) as outbox:
        for number in range(500):
            outbox.submit(Parcel(number))
        outbox.drain()

        assert sorted(courier.delivered) == list(range(500))


def test_what_is_settled_is_let_go(courier, real_stop):
    """However many senders have nothing more to do; a batch may be some megabytes."""
    courier.may_go.set()
    kept = []
    with Outbox(courier.open, real_stop, senders=8) as outbox:
        for number in range(64):
            parcel = Parcel(number)
            kept.append(weakref.ref(parcel))
            outbox.submit(parcel)
        del parcel
        outbox.drain()

        wait_until(lambda: not any(each() for each in kept))


def test_drain_waits_for_all(courier, real_stop):
    with Outbox(courier.open, real_stop, senders=2) as outbox:
        for number in range(4):
            outbox.submit(Parcel(number))
        drained = threading.Thread(target=outbox.drain)
        drained.start()
        drained.join(0.3)
        assert drained.is_alive()
        courier.may_go.set()
        drained.join(60)

        assert sorted(courier.delivered) == [0, 1, 2, 3]


def test_the_reader_waits_when_there_is_too_much(courier, real_stop):
    """Two senders hold one batch each, two batches wait, the fifth has no room."""
    with Outbox(courier.open, real_stop, senders=2) as outbox:
        submitted = []

        def read():
            for number in range(6):
                outbox.submit(Parcel(number))
                submitted.append(number)

        reader = threading.Thread(target=read)
        reader.start()
        wait_until(lambda: len(submitted) == 4)
        reader.join(0.2)
        assert submitted == [0, 1, 2, 3]
        courier.may_go.set()
        reader.join(60)
        outbox.drain()

    assert sorted(courier.delivered) == list(range(6))


@pytest.mark.parametrize(("each", "room"), [(20 << 20, 2), (42 << 20, 1), (500 << 20, 1)])
def test_the_reader_waits_when_batches_keep_too_much(courier, real_stop, each, room):
    """By their bytes; one that is too large for all of it goes alone."""
    with Outbox(courier.open, real_stop, senders=16) as outbox:
        submitted = []

        def read():
            for number in range(4):
                outbox.submit(Parcel(number, retained_bytes=each))
                submitted.append(number)

        reader = threading.Thread(target=read)
        reader.start()
        wait_until(lambda: len(submitted) == room)
        reader.join(0.2)
        assert len(submitted) == room
        courier.may_go.set()
        reader.join(60)
        outbox.drain()

    assert sorted(courier.delivered) == list(range(4))


def test_a_clean_exit_leaves_no_thread_and_no_courier(courier, real_stop):
    courier.may_go.set()
    with Outbox(courier.open, real_stop, senders=8) as outbox:
        outbox.submit(Parcel(1))

    assert senders() == []
    assert (courier.opened, courier.closed) == (8, 8)
    assert courier.delivered == [1]


def submit_and_drain(outbox, contents, lane=None):
    for content in contents:
        outbox.submit(Parcel(content, lane))
    outbox.drain()


class TestFailure:
    def test_it_reaches_a_reader_that_waits_for_room(self, courier, real_stop):
        batches = [CredentialsError("revoked"), *range(100)]
        started = time.monotonic()
        with Outbox(courier.open, real_stop, senders=2) as outbox:
            with pytest.raises(CredentialsError):
                submit_and_drain(outbox, batches)

            assert time.monotonic() - started < 60  # and not the 120 of what is under way
        courier.may_go.set()

        assert end_of_senders()

    def test_it_reaches_a_reader_that_drains(self, courier, real_stop):
        started = time.monotonic()
        with Outbox(courier.open, real_stop, senders=2) as outbox:
            with pytest.raises(CredentialsError):
                submit_and_drain(outbox, [1, CredentialsError("revoked")])

            assert time.monotonic() - started < 60  # and not the 120 of what is under way
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
                    outbox.submit(Parcel(number))
                assert courier.has_begun.wait(60)
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


class Held:
    """A courier whose every batch waits until the test lets it go."""

    def __init__(self):
        self.changed = threading.Condition()
        self.under_way = []
        self.done = []

    @contextlib.contextmanager
    def open(self):
        yield self

    def deliver(self, batch):
        with self.changed:
            self.under_way.append(batch.content)
            self.changed.notify_all()
            assert self.changed.wait_for(lambda: batch.content not in self.under_way, 120)
            self.done.append(batch.content)

    def await_under_way(self, *contents):
        with self.changed:
            assert self.changed.wait_for(lambda: sorted(self.under_way) == sorted(contents), 60)

    def let_go(self, content):
        with self.changed:
            self.under_way.remove(content)
            self.changed.notify_all()


class TestLanes:
    def test_fault_80_a_lane_waits_for_itself_and_for_nobody_else(self, real_stop):
        held = Held()
        with Outbox(held.open, real_stop, senders=4) as outbox:
            for content, lane in [("a1", 0), ("a2", 0), ("b1", 1), ("x", None), ("a3", 0)]:
                outbox.submit(Parcel(content, lane))
            held.await_under_way("a1", "b1", "x")
            held.let_go("b1")
            held.await_under_way("a1", "x")
            held.let_go("a1")
            held.await_under_way("a2", "x")
            held.let_go("x")
            held.let_go("a2")
            held.await_under_way("a3")
            held.let_go("a3")
            outbox.drain()

        assert len(held.done) == 5
        assert [each for each in held.done if each[0] == "a"] == ["a1", "a2", "a3"]

    def test_a_lane_that_is_stuck_blocks_the_reader_in_the_end(self, real_stop):
        """What waits for it is bounded, idle senders or not."""
        held = Held()
        with Outbox(held.open, real_stop, senders=3) as outbox:
            submitted = []

            def read():
                for number in range(20):
                    outbox.submit(Parcel(f"{number:02d}", 0))
                    submitted.append(number)

            reader = threading.Thread(target=read)
            reader.start()
            held.await_under_way("00")
            wait_until(lambda: len(submitted) == 5)
            reader.join(0.2)
            assert submitted == [0, 1, 2, 3, 4]
            for number in range(20):
                held.await_under_way(f"{number:02d}")
                held.let_go(f"{number:02d}")
            reader.join(60)
            outbox.drain()

        assert held.done == sorted(held.done)
        assert len(held.done) == 20

    def test_a_clean_exit_delivers_what_waits_for_a_lane(self, real_stop):
        held = Held()

        def free_all():
            for number in range(4):
                held.await_under_way(number)
                held.let_go(number)

        freeing = threading.Thread(target=free_all)
        with Outbox(held.open, real_stop, senders=2) as outbox:
            for number in range(4):
                outbox.submit(Parcel(number, 7))
            freeing.start()
        freeing.join(60)

        assert held.done == [0, 1, 2, 3]
        assert senders() == []

    def test_a_failure_ends_who_waits_for_its_lane(self, courier, real_stop):
        outbox = Outbox(courier.open, real_stop, senders=4)
        with outbox, pytest.raises(CredentialsError):
            submit_and_drain(outbox, [CredentialsError("revoked"), 1, 2], lane=0)
        courier.may_go.set()

        assert end_of_senders()
        assert courier.delivered == []

    @given(st.lists(st.none() | st.integers(0, 3), max_size=60), st.integers(1, 4))
    @settings(deadline=None, max_examples=60)
    def test_fault_80_each_lane_in_order_one_at_a_time(self, lanes, number_of_senders):
        stop = Stop(25.0)
        delivered, busy, lock = [], set(), threading.Lock()

        class Checking:
            def deliver(self, batch):
                with lock:
                    assert batch.lane is None or batch.lane not in busy
                    busy.add(batch.lane)
                time.sleep(0.0002 * (batch.content % 3))
                with lock:
                    delivered.append(batch)
                    busy.discard(batch.lane)

        @contextlib.contextmanager
        def opened():
            yield Checking()

        with Outbox(opened, stop, senders=number_of_senders) as outbox:
            for number, lane in enumerate(lanes):
                outbox.submit(Parcel(number, lane))
            outbox.drain()
        stop.close()

        assert sorted(each.content for each in delivered) == list(range(len(lanes)))
        for lane in set(lanes) - {None}:
            ordered = [each.content for each in delivered if each.lane == lane]
            assert ordered == sorted(ordered)


def test_waiting_costs_no_time(courier, real_stop):
    """Eight senders and a reader that wait for half a second use a hundredth of it."""
    with Outbox(courier.open, real_stop, senders=8) as outbox:
        outbox.submit(Parcel(1, 0))
        outbox.submit(Parcel(2, 0))
        reader = threading.Thread(target=outbox.drain)
        reader.start()
        before = time.process_time()
        time.sleep(0.5)
        used_s = time.process_time() - before
        courier.may_go.set()
        reader.join(60)

    assert used_s < 0.05
