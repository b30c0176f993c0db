"""The raw export hands out what was stored, duplicates included."""

import json
import time
from datetime import UTC, datetime

import pytest

NOON = int(datetime(2026, 10, 1, 12, tzinfo=UTC).timestamp())
DAY = {"from_date": "2026-10-01", "to_date": "2026-10-01"}


@pytest.fixture
def export(sandbox, http, service_account):
    def export(auth=service_account, **query):
        params = {"project_id": "1", **DAY, **query}
        return http.get(f"{sandbox.url}/api/2.0/export", params=params, auth=auth, timeout=60)

    return export


def test_it_is_not_deduplicated(sandbox, event, import_, export):
    row = event(time=NOON * 1000 + 5)
    import_(sandbox, [row, row, event(time=NOON - 86_400), event(time=NOON + 86_400)])
    rows = [json.loads(line) for line in export().text.splitlines()]

    row["properties"]["time"] = NOON
    assert [row, row] == rows


def test_time_can_be_asked_for_in_milliseconds(sandbox, event, import_, export):
    import_(sandbox, [event(time=NOON)])

    assert export(time_in_ms="true").json()["properties"]["time"] == NOON * 1000


def test_events_are_chosen_and_limited(sandbox, event, import_, export):
    import_(sandbox, [event(name, time=NOON) for name in "ABAA"])
    rows = [json.loads(line) for line in export(event='["A"]', limit="2").text.splitlines()]

    assert [row["event"] for row in rows] == ["A", "A"]


@pytest.mark.parametrize(
    "query",
    [
        {"from_date": "today"},
        {"to_date": time.strftime("%Y-%m-%d", time.gmtime(time.time() + 90_000))},
        {"limit": "100001"},
        {"limit": "x"},
        {"event": "A"},
    ],
)
def test_questions_that_make_no_sense_are_refused(export, query):
    assert export(**query).status_code == 400


def test_only_the_service_account_may(export):
    assert export(auth=("sandbox-token", "")).status_code == 401
