"""Nothing disappears: every record read is accepted, rejected, filtered, or said to be pending."""

import json
import sys
import threading
from contextlib import nullcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_mixpanel.engine.report import (
    run_report,
    stream_line,
    stream_report,
    summary_block,
    write_report,
)
from target_mixpanel.engine.summary import StreamCounts, Summary
from target_mixpanel.errors import RejectionRateError, SettingsError
from target_mixpanel.model import Flaw

FLAW = Flaw("map", "missing_time", "created_at")


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def summary(clock):
    return Summary(clock)


def counted(read, rejected, stream="orders"):
    counts = StreamCounts(stream, Clock())
    counts.read = read
    for _ in range(rejected):
        counts.count_rejected(FLAW)
    return counts


@given(*[st.integers(0, 50)] * 4)
@settings(deadline=None)
def test_read_is_the_sum_of_the_rest(accepted, rejected, filtered, pending):
    counts = counted(accepted + rejected + filtered + pending, rejected)
    counts.filtered = filtered
    counts.count_accepted(accepted)
    report = stream_report(counts)

    assert report["pending"] == counts.pending == pending
    assert report["read"] == sum(
        report[part] for part in ("accepted", "rejected", "filtered", "pending")
    )


def test_a_report_is_of_one_moment():
    """Even while senders of a failed run go on counting."""
    counts = StreamCounts("orders", Clock())
    is_over = threading.Event()

    def settle():
        number = 0
        while not is_over.is_set():
            counts.count_rejected(Flaw("refused", f"reason {number % 90}", "*"))
            counts.count_accepted(1)
            number += 1

    switch_interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    settling = [threading.Thread(target=settle) for _ in range(2)]
    for thread in settling:
        thread.start()
    try:
        for _ in range(300):
            report = stream_report(counts)
            stream_line(counts)
            by_reason = sum(each["records"] for each in report["rejected_by_reason"])

            assert report["rejected"] == by_reason
            assert report["pending"] == -report["accepted"] - by_reason
    finally:
        sys.setswitchinterval(switch_interval)
        is_over.set()
        for thread in settling:
            thread.join()


class TestRejectionRate:
    @pytest.mark.parametrize(
        ("read", "rejected", "is_end", "is_fatal"),
        [
            pytest.param(999, 999, False, False, id="before-the-1000th"),
            pytest.param(1_000, 100, False, False, id="the-rate-itself"),
            pytest.param(1_000, 101, False, True, id="above-it"),
            pytest.param(20, 9, True, False, id="few-at-the-end"),
            pytest.param(20, 10, True, True, id="ten-at-the-end"),
            pytest.param(20, 10, False, False, id="ten-on-the-way"),
            pytest.param(100, 10, True, False, id="ten-of-a-hundred-at-the-end"),
        ],
    )
    def test_fault_75_too_large_a_share(self, read, rejected, is_end, is_fatal):
        counts = counted(read, rejected)
        expected = (
            rf"^orders: {rejected:,} of {read:,} .* missing_time \(created_at\) x {rejected}$"
        )
        expecting = pytest.raises(RejectionRateError, match=expected) if is_fatal else nullcontext()
        with expecting:
            counts.check_rate(0.1, is_end=is_end)

    @pytest.mark.parametrize(("rate", "rejected", "is_fatal"), [(1.0, 5_000, 0), (0.0, 1, 1)])
    def test_fault_75_one_switches_it_off_and_nought_allows_none(self, rate, rejected, is_fatal):
        counts = counted(5_000, rejected)
        if is_fatal:
            with pytest.raises(RejectionRateError):
                counts.check_rate(rate)
        else:
            counts.check_rate(rate, is_end=True)

    def test_fault_75_the_most_frequent_reasons_are_named(self):
        counts = counted(1_000, 0)
        for number in range(7):
            for _ in range(50 - number):
                counts.count_rejected(Flaw("refused", f"reason-{number}", "*"))
        with pytest.raises(RejectionRateError, match=r"reason-0 x 50, .*reason-4 x 46$"):
            counts.check_rate(0.1)

    def test_each_stream_is_judged_at_the_end(self, summary):
        summary.stream("good").read = 10_000
        bad = summary.stream("bad")
        bad.read = 10
        for _ in range(10):
            bad.count_rejected(FLAW)
        with pytest.raises(RejectionRateError, match=r"^bad: 10 of 10"):
            summary.check_rates(0.1)


def test_the_report_as_json(summary, clock):
    counts = summary.stream("orders")
    counts.read = 10
    counts.filtered = 1
    clock.now += 2.0
    counts.count_accepted(6)
    counts.count_rejected(FLAW)
    counts.count_request(body_bytes=100, is_retry=False)
    counts.count_request(body_bytes=100, is_retry=True)
    summary.ignored_messages["ACTIVATE_VERSION"] += 1
    summary.unmapped_streams.append("carts")
    summary.unused_mappings.append("crats")
    counts.dead_letters["/r/it is.singer"] = None
    assert counts.note_left_out("address", "hold objects")
    assert not counts.note_left_out("address", "hold objects")
    assert counts.note_new_column("coupon")
    assert not counts.note_new_column("coupon")
    clock.now += 1.0
    report = run_report(summary, "failed", "why")

    assert json.loads(json.dumps(report)) == {
        "verdict": "failed",
        "error": "why",
        "seconds": 3.0,
        "requests": 0,
        "retries": 0,
        "bytes": 0,
        "ignored_messages": {"ACTIVATE_VERSION": 1},
        "unmapped_streams": ["carts"],
        "unused_mappings": ["crats"],
        "names_passed_over": 0,
        "dead_letters": [
            {
                "stream": "orders",
                "path": "/r/it is.singer",
                "load_again": "target-mixpanel --config config.json --input '/r/it is.singer'",
            }
        ],
        "streams": {
            "orders": {
                "read": 10,
                "accepted": 6,
                "rejected": 1,
                "rejected_by_reason": [
                    {
                        "stage": "map",
                        "reason": "missing_time",
                        "field": "created_at",
                        "records": 1,
                    }
                ],
                "unused_columns_breached": {},
                "values_left_out": {},
                "cut_texts": [],
                "columns_left_out": [{"column": "address", "why": "hold objects"}],
                "new_columns": ["coupon"],
                "ids_dropped": {},
                "filtered": 1,
                "deleted": 0,
                "pending": 2,
                "requests": 2,
                "retries": 1,
                "bytes": 200,
                "seconds": 2.0,
                "events_per_second": None,
            }
        },
    }


def test_the_block_has_a_line_for_each_stream_and_one_for_its_rejections(summary, clock):
    summary.stream("orders").read = 1_234
    summary.stream("orders").count_accepted(1_234)
    users = summary.stream("users")
    users.read = 2
    users.count_deleted(1_000)
    users.count_rejected(FLAW)
    clock.now += 1.5
    idle = "requests 0, retries 0, bytes 0, seconds 0.0"

    assert summary_block(summary, "failed").splitlines() == [
        "summary: failed after 1.5 s",
        f"  orders: read 1,234, accepted 1,234, rejected 0, filtered 0, {idle}",
        f"  users: read 2, accepted 0, rejected 1, filtered 0, deleted 1,000, PENDING 1, {idle}",
        "    rejected: missing_time (created_at) x 1",
    ]


@pytest.mark.parametrize(
    ("records", "seconds", "shown"),
    [
        pytest.param(16, 60.0, None, id="few-records"),
        pytest.param(10_000, 0.9, None, id="one-request"),
        pytest.param(10_000, 2.0, 5_000, id="a-rate"),
    ],
)
def test_a_rate_is_shown_where_it_says_something(summary, clock, records, seconds, shown):
    counts = summary.stream("orders")
    clock.now += seconds
    counts.count_accepted(records)

    assert stream_report(counts)["events_per_second"] == shown
    assert ("events/s 5,000" in summary_block(summary, "complete")) is (shown is not None)


@pytest.mark.parametrize("hostile", ["\n", "\r", "\x1b[31m", "\u2028", "\u2029", "\x85", "\0"])
def test_no_name_forges_a_line(summary, hostile):
    summary.stream(f"a{hostile}b").count_rejected(Flaw("map", f"c{hostile}", f"d{hostile}"))
    summary.ignored_messages[f"e{hostile}"] += 1
    block = summary_block(summary, "complete")

    assert len(block.splitlines()) == 4
    assert all(line.isprintable() for line in block.split("\n"))


def test_the_first_of_a_kind_is_new():
    counts = counted(0, 0)
    kinds = [FLAW, FLAW, Flaw("map", "missing_time", "other"), FLAW]

    assert [counts.count_rejected(flaw) for flaw in kinds] == [True, False, True, False]


def test_a_servers_many_words_take_little_room():
    counts = counted(10_000, 0)
    news = [counts.count_rejected(Flaw("refused", f"row {n} is bad", "*")) for n in range(10_000)]

    assert len(counts.rejected) == sum(news) == 101
    assert counts.rejections == 10_000


class TestReportFile:
    def test_it_is_the_report(self, tmp_path):
        path = tmp_path / "report.json"
        write_report({"verdict": "complete", "streams": {"é": 1}}, path)

        assert json.loads(path.read_bytes()) == {"verdict": "complete", "streams": {"é": 1}}
        assert list(tmp_path.iterdir()) == [path]

    def test_it_is_replaced_whole_or_not_at_all(self, tmp_path, monkeypatch):
        path = tmp_path / "report.json"
        write_report({"verdict": "complete"}, path)
        real = type(path).write_bytes

        def write_some(self, content):
            real(self, content[:5])
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(type(path), "write_bytes", write_some)
        with pytest.raises(SettingsError, match="No space left on device"):
            write_report({"verdict": "failed"}, path)

        assert json.loads(path.read_bytes()) == {"verdict": "complete"}
        assert list(tmp_path.iterdir()) == [path]

    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(SettingsError, match=r"^report_path: .* cannot be written"):
            write_report({}, tmp_path / "no" / "report.json")
