"""Reports show one row of (event, distinct_id, time, $insert_id): the last ingested."""

import pytest

T = 1_795_000_000


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

    assert {"accepted": 2, "duplicates": 1, "report_rows": 1}.items() <= summary.items()
    assert summary["events"] == {"A": {"raw": 2, "report": 1}}


@pytest.mark.parametrize("keep", [0, 2])
def test_kept_rows_can_be_bounded(start, import_, http, keep):
    bounded = start(keep_rows=keep)
    rows = [row(**{"$insert_id": str(number)}) for number in range(10, 15)]
    import_(bounded, rows)

    assert rows[5 - keep :] == bounded.raw() == bounded.report()
    assert http.get(f"{bounded.url}/sandbox/summary").json()["report_rows"] == 5
