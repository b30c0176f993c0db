"""
Reports show one row of (event, distinct_id, time, $insert_id): the last ingested.

After compaction one of (event, distinct_id, $insert_id, calendar day) is left.
https://developer.mixpanel.com/reference/event-deduplication
"""

import pytest

T = 1_795_000_000
"""2026-11-18T10:26:40Z"""

MIDNIGHT = 1_795_046_400
"""The next one, in UTC."""


def row(name="A", **properties):
    return {
        "event": name,
        "properties": {"time": T, "distinct_id": "u", "$insert_id": "i", **properties},
    }


def test_the_last_ingested_is_shown(sandbox, import_):
    import_(sandbox, [row(version=1), row(version=2)])
    import_(sandbox, [row(version=3)])

    assert [row(version=3)] == sandbox.report()
    assert [event["properties"]["version"] for event in sandbox.raw()] == [1, 2, 3]


@pytest.mark.parametrize(
    "other",
    [row("B"), row(distinct_id="v"), row(time=T + 1), row(**{"$insert_id": "I"})],
    ids=["event", "distinct_id", "time", "insert_id-is-case-sensitive"],
)
def test_each_of_the_four_tells_rows_apart(sandbox, import_, other):
    import_(sandbox, [row(), other])

    assert [row(), other] == sandbox.report()


@pytest.mark.parametrize(
    "same",
    [row(time=T * 1000), row(price=5), row(**{"$user_id": "u", "distinct_id": "x"})],
    ids=["milliseconds", "other-properties", "user_id-wins"],
)
def test_the_same_event_in_other_words(sandbox, import_, same):
    import_(sandbox, [row(), same])

    assert [same] == sandbox.report()


def test_a_device_is_known_by_its_prefix(sandbox, import_):
    import_(
        sandbox,
        [row(**{"$device_id": "d"}), row(distinct_id="$device:d")],
    )

    assert len(sandbox.report()) == 1


def test_without_insert_id_nothing_is_a_duplicate(sandbox, import_):
    userless = row()
    del userless["properties"]["$insert_id"]
    import_(sandbox, [userless, userless], strict="0")

    assert len(sandbox.report()) == 2


def test_duplicates_count_as_imported(sandbox, import_, http):
    assert import_(sandbox, [row(), row()]).json()["num_records_imported"] == 2
    summary = http.get(f"{sandbox.url}/sandbox/summary").json()

    counts = {"accepted": 2, "duplicates": 1, "report_rows": 1, "compacted_rows": 1}
    assert counts.items() <= summary.items()
    assert summary["events"] == {"A": {"raw": 2, "report": 1, "compacted": 1}}


def test_compaction_leaves_one_of_a_day(sandbox, import_, http):
    """Its time does not count, as it does in reports; the last ingested is left."""
    import_(sandbox, [row(version=1), row(time=T + 3_600, version=2), row(version=3)])

    assert [event["properties"]["version"] for event in sandbox.report()] == [3, 2]
    assert [event["properties"]["version"] for event in sandbox.compacted()] == [3]
    summary = http.get(f"{sandbox.url}/sandbox/summary").json()
    assert (summary["report_rows"], summary["compacted_rows"]) == (2, 1)
    assert summary["events"] == {"A": {"raw": 3, "report": 2, "compacted": 1}}


@pytest.mark.parametrize(
    "other",
    [row("B"), row(distinct_id="v"), row(time=MIDNIGHT), row(**{"$insert_id": "I"})],
    ids=["event", "distinct_id", "day", "insert_id"],
)
def test_compaction_leaves_what_differs(sandbox, import_, other):
    first = row(time=MIDNIGHT - 1)
    import_(sandbox, [first, other])

    assert [first, other] == sandbox.compacted()


def test_without_insert_id_nothing_is_compacted(sandbox, import_):
    anonymous = row()
    del anonymous["properties"]["$insert_id"]
    import_(sandbox, [anonymous, anonymous], strict="0")

    assert len(sandbox.compacted()) == 2


def test_days_of_events_that_skip_the_rules_are_told_apart(start, import_):
    """A lenient request's seconds are seconds, too."""
    lenient = start(lenient_rows="keep")
    rows = [row(time=T + day * 86_400, distinct_id=None) for day in range(2)]
    import_(lenient, rows, strict="0")

    assert rows == lenient.compacted()


@pytest.mark.parametrize("keep", [0, 2])
def test_kept_rows_can_be_bounded(start, import_, http, keep):
    bounded = start(keep_rows=keep)
    rows = [row(**{"$insert_id": str(number)}) for number in range(10, 15)]
    import_(bounded, rows)

    assert rows[5 - keep :] == bounded.raw() == bounded.report() == bounded.compacted()
    assert http.get(f"{bounded.url}/sandbox/summary").json()["report_rows"] == 5
