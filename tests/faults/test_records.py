"""What a record can hold: rows 50 to 63 and 81 of the fault matrix, through a whole run.

A record that cannot be loaded is set aside where there is a place for it, and STATE goes on;
without one it ends the run, and STATE stays.
"""

import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from target_mixpanel.sandbox import Sandbox, SandboxSettings
from tests.conftest import ORDERS_MAPPING, ORDERS_SCHEMA, Command, order, singer, state

LAST = state(9)["value"]
GOOD = order(9)
SECOND = 1_790_812_800
"""2026-10-01T00:00:00Z"""


def orders_schema(*keys: str, **columns: Any) -> dict[str, Any]:
    """Return the SCHEMA of orders with other columns and, if any are named, other keys."""
    properties = {**ORDERS_SCHEMA["schema"]["properties"], **columns}
    schema = {"type": "object", "properties": properties}
    return {**ORDERS_SCHEMA, "key_properties": list(keys) or ["id"], "schema": schema}


def line(columns: str) -> bytes:
    """Return a RECORD whose columns are spelled as given."""
    return singer(order(1)).replace(b'"note": null', columns.encode()).removesuffix(b"\n")


ANYTHING = {"type": ["null", "string", "number", "boolean", "object", "array"]}
ANY_ID = orders_schema(id=ANYTHING)
ANY_TIME = orders_schema(created_at=ANYTHING)
ANY_ITEMS = orders_schema(items={"type": "array"})
ITEMS_MAPPING = {**ORDERS_MAPPING, "properties": ["id", "items"]}
MS_MAPPING = {**ORDERS_MAPPING, "time_unit": "ms"}


def bad(schema: dict, record: dict | bytes, reason: str, name: str, mapping: dict | None = None):
    return pytest.param(schema, record, reason, mapping or ORDERS_MAPPING, id=name)


def bad_time(value: Any, reason: str, name: str, mapping: dict | None = None):
    return bad(ANY_TIME, order(1, created_at=value), reason, name, mapping)


BAD = [
    bad(ANY_ID, order(1, id=None), "null_key", "50-null-key"),
    bad(ANY_ID, order(1, id={"a": 1}), "invalid_key", "50-object-key"),
    bad(ORDERS_SCHEMA, line('"note": Infinity'), "not_a_number", "54-infinity"),
    bad(ORDERS_SCHEMA, line(f'"amount": {"9" * 5_001}'), "too_large_number", "55-digits"),
    bad(ORDERS_SCHEMA, line(r'"\ud800": 1'), "lone_surrogate", "56-half-a-character-in-a-name"),
    bad(ANY_ITEMS, order(1, items=[0] * 10**6), "array_too_long", "58-items", ITEMS_MAPPING),
    bad_time("2026-02-30T00:00:00Z", "invalid_time", "60-30-february"),
    bad_time("0000-01-01T00:00:00Z", "invalid_time", "60-year-0"),
    bad_time("10000-01-01T00:00:00Z", "invalid_time", "60-year-10000"),
    bad_time("", "invalid_time", "60-empty"),
    bad_time(-SECOND, "invalid_time", "61-negative"),
    bad_time(True, "invalid_time", "61-true"),
    bad_time(SECOND, "time_before_1971", "61-explicit-unit-wins", MS_MAPPING),
    bad_time("1970-12-31T23:59:59Z", "time_before_1971", "62-before-1971"),
    bad_time(int(time.time()) + 2 * 86_400, "invalid_time", "62-future-number"),
    bad_time("2126-10-01T00:00:00Z", "time_in_future", "62-future"),
]


class TestFaults50To62ARecordThatCannotBeLoaded:
    def test_faults_50_54_55_56_58_60_61_62_set_aside(
        self, command: Command, sandbox: Sandbox, tmp_path: Path
    ):
        """Each case is a stream of its own, all in one run."""
        messages = [
            each.replace(b'"orders"', b'"%s"' % case.id.encode())
            for case in BAD
            for each in singer(*case.values[:2]).splitlines()
        ]
        done = command.run(
            messages,
            ORDERS_SCHEMA,
            GOOD,
            state(9),
            streams={"orders": ORDERS_MAPPING} | {case.id: case.values[3] for case in BAD},
            dead_letter_path=str(tmp_path / "rejected"),
        )

        assert (done.code, done.states) == (0, [LAST])
        assert [event["properties"]["id"] for event in sandbox.raw()] == [9]
        for case in BAD:
            (letters,) = (tmp_path / "rejected").glob(f"{case.id}-2*.singer")
            _, letter = letters.read_bytes().splitlines()

            assert f'"reason":"{case.values[2]}"'.encode() in letter

    @pytest.mark.parametrize(("schema", "record", "reason", "mapping"), BAD)
    def test_faults_50_54_55_56_58_60_61_62_fatal_without_a_place(
        self, command: Command, sandbox: Sandbox, schema, record, reason, mapping
    ):
        done = command.run(schema, record, state(9), streams={"orders": mapping})

        assert (done.code, done.states) == (1, [])
        assert f": {reason})" in done.errors[0]
        assert sandbox.requests == []


def test_fault_52_the_last_of_two_rows_with_one_key_wins(command: Command, sandbox: Sandbox):
    """Unless what tells them apart is part of the key."""
    changed = [order(1, amount=1), order(1, amount=2), state(9)]
    one = command.run(ORDERS_SCHEMA, changed)
    shown = [event["properties"]["amount"] for event in sandbox.report()]
    sandbox.reset()
    two = command.run(
        ORDERS_SCHEMA,
        changed,
        streams={"orders": {**ORDERS_MAPPING, "insert_id": ["id", "amount"]}},
    )

    assert [(done.code, done.states) for done in (one, two)] == [(0, [LAST])] * 2
    assert shown == [2]
    assert [event["properties"]["amount"] for event in sandbox.report()] == [1, 2]


def test_fault_55_numbers_that_no_double_holds(command: Command, sandbox: Sandbox):
    """Integers are text, which Mixpanel cuts at 255 bytes, fractions the nearest double."""
    spelled = ["1e400", "9007199254740993", "-9007199254740993", f"0.{'1234567890' * 4}", "9" * 400]
    done = command.run(
        orders_schema("id", "amount"),
        [line(f'"amount": {text}').replace(b'"amount": 0.25, ', b"") for text in spelled],
        state(9),
    )
    arrived = [event["properties"]["amount"] for event in sandbox.raw()]

    assert (done.code, done.states) == (0, [LAST])
    assert arrived == ["1E+400", *spelled[1:3], float(spelled[3]), spelled[4][:255]]
    assert len(sandbox.report()) == len(spelled)


def test_fault_56_text_in_every_script(command: Command, sandbox: Sandbox):
    """Values and names arrive as they were."""
    texts = {
        "😀": "family 👨‍👩‍👧",
        "combining": "e\u0301 is not \u00e9",
        "rtl": "\u202e\u05e9\u05dc\u05d5\u05dd",
        "nul": "a\u0000b",
        "separators": "a\u2028b\r\nc",
        "名前": "太郎",
    }
    columns = {name: {"type": "string"} for name in texts}
    done = command.run(orders_schema(**columns), order(1, **texts), state(9))
    properties = sandbox.raw()[0]["properties"]

    assert (done.code, done.states) == (0, [LAST])
    assert {name: properties[name] for name in texts} == texts


def test_fault_56_size_counts_in_bytes(command: Command, sandbox: Sandbox):
    """Four hundred thousand characters of three bytes each are more than a megabyte."""
    done = command.run(ORDERS_SCHEMA, order(1, note="名" * 400_000), state(9))

    assert (done.code, done.states) == (1, [])
    assert "(limit: too_large)" in done.errors[0]


MIDNIGHT = [
    "2026-10-01T00:00:00Z",
    "2026-10-01T05:30:00+05:30",
    "2026-10-01T00:00:00",
    "2026-10-01 00:00:00",
    "2026-10-01",
    "20261001T000000Z",
    "20261001",
    "2026-W40-4",
    "2026-10-01T00:00:00.000000000Z",
    "2026-09-30T24:00:00Z",
    "2026-09-30T23:59:60Z",
]


def test_faults_59_60_one_instant_in_every_spelling(command: Command, sandbox: Sandbox):
    """As a time and as a key: one `time`, one `$insert_id`, one row in the reports."""
    done = command.run(
        orders_schema("created_at"),
        [order(1, created_at=text) for text in MIDNIGHT],
        state(9),
    )

    assert (done.code, done.states) == (0, [LAST])
    assert {event["properties"]["time"] for event in sandbox.raw()} == {SECOND * 1_000}
    assert (len(sandbox.raw()), len(sandbox.report())) == (len(MIDNIGHT), 1)


def test_fault_59_nanoseconds_are_cut_not_rounded(command: Command, sandbox: Sandbox):
    done = command.run(
        ORDERS_SCHEMA, order(1, created_at="2026-10-01T00:00:00.999999999Z"), state(9)
    )

    assert (done.code, done.states) == (0, [LAST])
    assert sandbox.raw()[0]["properties"]["time"] == SECOND * 1_000 + 999


def test_fault_61_one_instant_in_every_unit(command: Command, sandbox: Sandbox):
    """Numbers and digits in text, whole or not, find their unit; decimals lose nothing."""
    spelled = [
        SECOND,
        SECOND * 10**3,
        SECOND * 10**6,
        SECOND * 10**9,
        str(SECOND),
        str(SECOND * 10**3),
        float(SECOND),
        f"{SECOND}.0004",
    ]
    exact = line('"note": null').replace(b'"2026-10-01T00:00:01Z"', b"%d.2350" % SECOND)
    done = command.run(
        ANY_TIME, [order(n, created_at=value) for n, value in enumerate(spelled)], exact, state(9)
    )
    times = [event["properties"]["time"] for event in sandbox.raw()]

    assert (done.code, done.states) == (0, [LAST])
    assert times == [SECOND * 1_000] * len(spelled) + [SECOND * 1_000 + 235]


def at(seconds_from_now: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds_from_now)).isoformat()


def test_fault_62_less_than_an_hour_ahead_is_sent_with_a_warning(
    command: Command, sandbox: Sandbox
):
    """Mixpanel may rewrite such a time, which weakens its deduplication."""
    ahead = [order(n, created_at=at(1_800)) for n in range(3)]
    done = command.run(ORDERS_SCHEMA, ahead, state(9))
    warnings = [line for line in done.stderr.splitlines() if "| WARNING " in line]

    assert (done.code, done.states) == (0, [state(9)["value"]])
    assert len(sandbox.raw()) == 3
    assert len(warnings) == 1
    assert "ahead" in warnings[0] or "future" in warnings[0]


class TestFault63OurClockIsWrong:
    """Once a reply has shown the server's clock, that one tells what lies in the future."""

    def run(self, folder: Path, skew_s: float, created_at: str, **more):
        """Let a first record meet a server whose clock is *skew_s* ahead, then a second one."""
        settings = SandboxSettings(events_per_second=None, bytes_per_minute=None)
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=skew_s), usegmt=True)
        with Sandbox(settings=settings, clock=lambda: time.time() + skew_s) as sandbox:
            sandbox.script({"headers": {"Date": date}, "times": -1})
            command = Command(folder, sandbox.url)
            with command.start(batch_size_rows=1, **more) as running:
                running.write(ORDERS_SCHEMA, order(1, created_at="2026-09-01"), state(1))
                printed = running.read_state()
                running.write(order(2, created_at=created_at), state(2))
                done = running.finish()
            return printed, done, [event["properties"]["id"] for event in sandbox.raw()]

    def test_fault_63_we_are_a_day_behind(self, tmp_path: Path):
        """A time 30 hours ahead of us is 6 hours ago there."""
        printed, done, arrived = self.run(tmp_path, 36 * 3_600, at(30 * 3_600))

        assert printed == state(1)["value"]
        assert (done.code, done.states) == (0, [state(2)["value"]])
        assert arrived == [1, 2]

    def test_fault_63_we_are_a_day_ahead(self, tmp_path: Path):
        """A time an hour ago here is 23 hours ahead there: refused before it is sent."""
        folder = tmp_path / "rejected"
        printed, done, arrived = self.run(
            tmp_path, -24 * 3_600, at(-3_600), dead_letter_path=str(folder)
        )
        (letters,) = folder.iterdir()

        assert printed == state(1)["value"]
        assert (done.code, done.states) == (0, [state(2)["value"]])
        assert arrived == [1]
        assert b'"reason":"time_in_future"' in letters.read_bytes()


RESERVED = {
    "time": 1,
    "distinct_id": "mallory",
    "$insert_id": "mallory",
    "$user_id": "mallory",
    "token": "mallory-token",
    "$token": "mallory-token",
    "mp_lib": "mallory",
    "ip": "1.2.3.4",
}


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({}, id="all-columns"),
        pytest.param({"exclude": ["note"]}, id="all-but-one"),
    ],
)
def test_fault_81_a_record_replaces_nothing_of_the_loaders(
    command: Command, sandbox: Sandbox, more: dict
):
    """Columns with Mixpanel's own names do not become what the mapping or the settings say."""
    columns = {name: {"type": ["string", "integer"]} for name in RESERVED}
    done = command.run(
        orders_schema(**columns),
        order(1, **RESERVED),
        state(9),
        streams={"orders": {**ORDERS_MAPPING, **more}},
    )
    (event,) = sandbox.raw()
    properties = event["properties"]

    assert (done.code, done.states) == (0, [LAST])
    assert (properties["time"], properties["distinct_id"]) == (SECOND * 1_000 + 1_000, "user-1")
    assert (properties["ip"], len(properties["$insert_id"])) == (0, 32)
    assert "mallory" not in json.dumps(event)


@pytest.mark.parametrize("name", ["time", "$insert_id", "token", "$token"])
def test_fault_81_a_mapping_cannot_either(command: Command, name: str):
    mapping = {**ORDERS_MAPPING, "properties": {name: "note"}}
    done = command.run(ORDERS_SCHEMA, GOOD, state(9), streams={"orders": mapping})

    assert (done.code, done.states) == (1, [])
    assert done.errors[0].startswith("streams.orders.properties")
