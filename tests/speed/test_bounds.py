"""What the target remembers of a run does not grow with its input: counted, not weighed."""

import gc

import pytest

from target_mixpanel.delivery.batches import Batch
from target_mixpanel.delivery.outbox import Outbox
from target_mixpanel.engine import stream
from target_mixpanel.engine.checkpoints import CheckpointLedger
from target_mixpanel.engine.stream import Stream
from target_mixpanel.singer import reader
from tests.conftest import ORDERS_SCHEMA, order, singer, state

BATCH_ROWS = 50
SENDERS = 2
MOST_UNSETTLED = BATCH_ROWS * (SENDERS + 3)
"""One batch for each sender, two that wait, one being filled."""

SMALL = {"batch_size_rows": BATCH_ROWS, "max_parallel_requests": SENDERS}
USERS = {"orders": {"type": "users", "distinct_id": "user_id", "properties": "*"}}


@pytest.fixture
def sizes(monkeypatch):
    """Note the size of something each time that a function was called."""

    def note(owner, name, size):
        found = []
        original = getattr(owner, name)

        def noted(self, *arguments):
            result = original(self, *arguments)
            found.append(size(self))
            return result

        monkeypatch.setattr(owner, name, noted)
        return found

    return note


def records(count):
    """Return records with a STATE after each."""
    return [message for number in range(count) for message in (order(number), state(number))]


@pytest.mark.parametrize("count", [1_000, 4_000])
def test_the_ledger_has_no_more_spans_than_records_under_way(load, sizes, count):
    """A STATE after each record makes a span of each."""
    spans = sizes(CheckpointLedger, "checkpoint", lambda ledger: len(ledger._open))
    target = load([singer(ORDERS_SCHEMA, records(count))], **SMALL)

    assert count == len(spans)
    assert BATCH_ROWS < max(spans) <= MOST_UNSETTLED + 1
    assert (len(target.engine.ledger._open), target.engine.ledger.pending) == (1, 0)


def test_a_batch_that_is_stuck_does_not_make_the_ledger_grow(load, sizes, sandbox):
    """What goes past it is forgotten, and the STATEs with it."""
    sandbox.script({"hold_until_requests": 30})
    spans = sizes(CheckpointLedger, "checkpoint", lambda ledger: len(ledger._open))
    load([singer(ORDERS_SCHEMA, records(2_000))], **SMALL)

    assert max(spans) <= MOST_UNSETTLED + 1


@pytest.mark.parametrize("count", [1_000, 4_000])
def test_no_more_batches_and_lanes_are_under_way_than_there_are_senders(load, sizes, count):
    batches = sizes(Outbox, "submit", lambda outbox: outbox._unfinished)
    busy = sizes(Outbox, "_finish", lambda outbox: len(outbox._busy_lanes))
    target = load([singer(ORDERS_SCHEMA, records(count))], **SMALL, streams=USERS)

    assert count / BATCH_ROWS <= len(batches)
    assert max(batches) <= SENDERS + 2
    assert max(busy) <= SENDERS
    assert not target.engine._outbox._busy_lanes
    assert not target.engine._outbox._waiting


@pytest.fixture
def no_garbage_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def batches_alive():
    return sum(isinstance(each, Batch) for each in gc.get_objects())


@pytest.mark.usefixtures("no_garbage_collector")
@pytest.mark.parametrize("streams", [{}, {"streams": USERS}], ids=["events", "users"])
@pytest.mark.parametrize("faults", [[], [{"status": 503}, {"status": 413}]], ids=["well", "badly"])
def test_a_settled_batch_does_not_wait_for_the_garbage_collector(
    load, sizes, sandbox, streams, faults
):
    """It seldom comes: it counts objects, of which a batch has few, and not their bytes."""
    sandbox.script(*faults)
    waits = {"retry_initial_seconds": 0.01, "retry_jitter_seconds": 0.01}
    before = batches_alive()  # of other tests
    alive = sizes(Outbox, "submit", lambda _: batches_alive() - before)
    load([singer(ORDERS_SCHEMA, records(1_000))], **SMALL, **waits, **streams)

    assert len(alive) >= 1_000 / BATCH_ROWS
    # Some more than are under way: halves, and what a thread has just let go of.
    assert max(alive) <= SENDERS + 2 + 2 * SENDERS


def test_beginnings_that_never_come_again_are_not_all_kept(load, monkeypatch):
    """Some taps write a time, or more, before the record."""
    monkeypatch.setattr(reader, "_FAST_LINES_KEPT", 20)
    rows = [{"time_extracted": f"{number}"} | order(number) for number in range(100)]
    target = load([singer(ORDERS_SCHEMA, rows)])

    assert len(target._reader.fast_lines) == 20
    assert target.engine.summary.stream("orders").accepted == 100


def test_a_beginning_of_any_length_is_not_kept(load):
    rows = [{"time_extracted": "x" * 10_000} | order(number) for number in range(10)]
    target = load([singer(ORDERS_SCHEMA, rows)])

    assert not target._reader.fast_lines


def test_schemas_that_never_come_again_are_not_all_kept(load, monkeypatch):
    monkeypatch.setattr(stream, "_SEGMENTS_KEPT", 3)
    kept = []
    original = Stream.use_schema

    def use_schema(self, *arguments):
        original(self, *arguments)
        kept.append(len(self._segments))

    monkeypatch.setattr(Stream, "use_schema", use_schema)
    columns = ORDERS_SCHEMA["schema"]["properties"]
    lines = [
        singer(
            ORDERS_SCHEMA | {"schema": {"properties": columns | {f"column_{number}": {}}}},
            order(number),
        )
        for number in range(10)
    ]
    target = load(lines)

    assert kept == [2, 3, 3, 3, 3, 3, 3, 3, 3]
    assert len(target._reader.fast_lines) == 1
    assert target.engine.summary.stream("orders").accepted == 10
