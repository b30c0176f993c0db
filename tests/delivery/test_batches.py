"""Rows travel together in the order they were read, never too many and never too large."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_mixpanel.delivery.batches import BatchBuilder, SizeLimit
from target_mixpanel.delivery.events import import_payload
from target_mixpanel.model import Record, Row, Span
from tests.delivery.conftest import EVENTS

RECORD = Record(b"{}", Span(0))


def builder_of(**options):
    options = {"route": EVENTS, "max_age_s": 60.0, "clock": lambda: 0.0, **options}
    return BatchBuilder(None, **options)


def pack(sizes, *, max_rows, max_bytes):
    """Return the batches of rows of these sizes, newline not counted."""
    builder = builder_of(max_rows=max_rows, size_limit=SizeLimit(max_bytes))
    rows = [Row(b"x" * size, str(number), RECORD) for number, size in enumerate(sizes)]
    batches = [builder.add(row) for row in rows]
    return [batch for batch in [*batches, builder.take()] if batch is not None]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([1, 1, 1], [2, 1], id="count-closes-first"),
        pytest.param([5, 4, 1], [1, 2], id="bytes-close-first"),
        pytest.param([4, 4, 4], [2, 1], id="the-limit-itself-fits"),
        pytest.param([99, 1], [1, 1], id="oversized-travels-alone"),
        pytest.param([1, 99, 1], [1, 1, 1], id="oversized-in-the-middle"),
        pytest.param([99, 99], [1, 1], id="two-oversized"),
    ],
)
def test_batches_close_on_whichever_limit_is_met_first(sizes, expected):
    batches = pack(sizes, max_rows=2, max_bytes=10)

    assert expected == [len(batch.rows) for batch in batches]


@given(st.lists(st.integers(0, 30)), st.integers(1, 5), st.integers(1, 60))
@settings(deadline=None)
def test_every_row_once_in_order_within_the_limits(sizes, max_rows, max_bytes):
    batches = pack(sizes, max_rows=max_rows, max_bytes=max_bytes)

    assert [row.key for batch in batches for row in batch.rows] == [
        str(number) for number in range(len(sizes))
    ]
    for batch in batches:
        assert 1 <= len(batch.rows) <= max_rows
        assert len(batch.rows) == 1 or import_payload(batch.rows).raw_bytes < max_bytes


@given(st.integers(2, 2_000))
@settings(deadline=None)
def test_halves_are_the_whole_in_order(rows):
    [batch] = pack([1] * rows, max_rows=rows, max_bytes=10**6)
    first, second = batch.halves()

    assert list(batch.rows) == [*first.rows, *second.rows]
    assert 0 <= len(second.rows) - len(first.rows) <= 1
    assert (first.tag, first.closed_at) == (batch.tag, batch.closed_at)


def test_fault_84_a_batch_is_due_its_age_after_its_first_row(clock):
    builder = builder_of(max_rows=3, size_limit=SizeLimit(100), clock=clock)
    row = Row(b"x", "x", RECORD)
    due = [builder.due_at]
    for _ in range(4):
        builder.add(row)
        due.append(builder.due_at)
        clock.now += 1

    assert due == [None, 1_060.0, 1_060.0, None, 1_063.0]
    builder.take()
    assert builder.due_at is None


def test_a_row_that_does_not_fit_starts_the_next_batchs_age(clock):
    builder = builder_of(max_rows=9, size_limit=SizeLimit(10), clock=clock)
    builder.add(Row(b"12345", "a", RECORD))
    clock.now += 5
    closed = builder.add(Row(b"12345", "b", RECORD))

    assert (closed.closed_at, builder.due_at) == (1_005.0, 1_065.0)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param("request exceeds max limit of 2097152 bytes", 2_097_152, id="documented"),
        pytest.param('HTTP 413, "request exceeds max limit of 1000 bytes"', 1_000, id="quoted"),
        pytest.param("request exceeds max limit of 99999999 bytes", 9_500_000, id="never-higher"),
        pytest.param("request exceeds max limit of 0 bytes", 9_500_000, id="zero"),
        pytest.param("limit of -5 bytes", 9_500_000, id="negative"),
        pytest.param("too large", 9_500_000, id="nothing-named"),
        pytest.param("", 9_500_000, id="empty"),
    ],
)
def test_fault_26_the_limit_a_413_names_is_learned(message, expected):
    limit = SizeLimit(9_500_000)
    limit.learn(message)

    assert expected == limit.max_bytes


def test_fault_26_a_learned_limit_holds_for_the_next_batches():
    limit = SizeLimit(10_000)
    builder = builder_of(max_rows=99, size_limit=limit)
    row = Row(b"x" * 499, "x", RECORD)
    assert [builder.add(row) for _ in range(3)] == [None, None, None]
    limit.learn("limit of 1000 bytes")
    sizes = [len(batch.rows) for batch in (builder.add(row) for _ in range(5)) if batch]

    assert sizes == [3, 2, 2]


def test_a_payload_is_the_same_bytes_each_time(batch_of):
    """No file name, no time of day: a digest of the body recognises a retry."""
    rows = batch_of(100).rows

    assert import_payload(rows) == import_payload(rows)
    assert import_payload(rows).body[4:8] == bytes(4)
