"""What a tap can get wrong: the rows of the fault matrix about lines and messages."""

import json
import os
from pathlib import Path

import pytest

from target_mixpanel.sandbox import Sandbox
from tests.conftest import ORDERS_MAPPING, ORDERS_SCHEMA, Command, order, orders, singer, state

SCHEMA_LINE = json.dumps(ORDERS_SCHEMA).encode()


def schema(**more: object) -> dict:
    """Return the SCHEMA of orders with other parts."""
    return {**ORDERS_SCHEMA, "schema": {**ORDERS_SCHEMA["schema"], **more}}


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(b"\n\n" + singer(ORDERS_SCHEMA) + b"  \n" + singer(order(1)), id="blank"),
        pytest.param(b"\xef\xbb\xbf" + singer(ORDERS_SCHEMA, order(1)), id="BOM"),
        pytest.param(singer(ORDERS_SCHEMA, order(1)).replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(singer(ORDERS_SCHEMA, order(1)).rstrip(b"\n"), id="no-line-end"),
        pytest.param(b"\xef\xbb\xbf\n" + singer(ORDERS_SCHEMA, order(1)), id="BOM-alone"),
    ],
)
def test_fault_40_spellings_of_a_line(command: Command, sandbox: Sandbox, lines: bytes):
    done = command.run(lines.removesuffix(b"\n"))

    assert (done.code, len(sandbox.report())) == (0, 1)


MALFORMED = [
    pytest.param(b'{"type":"RECORD"', "is not a JSON object", id="41-cut"),
    pytest.param(b"{nothing}", "is not a JSON object", id="41-no-JSON"),
    pytest.param(singer(order(2))[:-1] + b"\x00", "is not a JSON object", id="40-NUL"),
    pytest.param(b"[1]", "is not a JSON object", id="42-array"),
    pytest.param(b'"text"', "is not a JSON object", id="42-text"),
    pytest.param(b"5", "is not a JSON object", id="42-number"),
    pytest.param(b"{}", 'has no "type"', id="42-no-type"),
    pytest.param(b'{"type": 5}', 'has no "type"', id="42-type-is-a-number"),
    pytest.param(b'{"type":"RECORD","stream":"orders"}', 'without "stream"', id="42-no-record"),
    pytest.param(b'{"type":"RECORD","record":{}}', 'without "stream"', id="42-no-stream"),
    pytest.param(b'{"type":"RECORD","stream":1,"record":{}}', "wrong shape", id="42-stream"),
    pytest.param(b'{"type":"STATE"}', 'without "value"', id="42-no-value"),
    pytest.param(b'{"type":"STATE","value":NaN}', "wrong shape", id="54-NaN-in-STATE"),
    pytest.param(b'{"type":"SCHEMA","stream":"orders"}', 'without "stream"', id="45-no-schema"),
    pytest.param(b'{"type":"RECORD","stream":"\xff"}', "is not UTF-8", id="57-byte"),
    pytest.param(b'{"type":"RECORD","stream":"\xc0\xaf"}', "is not UTF-8", id="57-overlong"),
    pytest.param(SCHEMA_LINE.decode().encode("utf-16"), "is not UTF-8", id="57-utf-16"),
    pytest.param(b"[" * 100_000, "nests too deeply", id="58-depth"),
    pytest.param(b'{"type":"BATCH","stream":"orders"}', "BATCH messages are not", id="69-batch"),
]


@pytest.mark.parametrize(("line", "problem"), MALFORMED)
def test_faults_41_42_57_58_a_line_that_is_no_message(command: Command, line: bytes, problem: str):
    """It ends the run with one line that names it and shows nothing of it."""
    done = command.run(ORDERS_SCHEMA, order(1), state(1), line, order(3), state(3))
    (error,) = done.errors

    assert done.code == 1
    assert state(3)["value"] not in done.states
    assert "line 4: " in error
    assert problem in error


@pytest.mark.parametrize("lang", ["C", "C.UTF-8", "en_US.ISO-8859-1"])
def test_fault_57_text_is_utf_8_whatever_the_locale(command: Command, sandbox: Sandbox, lang: str):
    done = command.run(
        ORDERS_SCHEMA,
        json.dumps(order(1, note="Zoë — ☕"), ensure_ascii=False).encode(),
        env={**os.environ, "LANG": lang, "LC_ALL": lang, "PYTHONUTF8": "0"},
    )

    assert done.code == 0
    assert sandbox.report()[0]["properties"]["note"] == "Zoë — ☕"


def test_fault_58_a_line_without_end(command: Command):
    """Memory stays bounded: the cap ends the run before the line does."""
    done = command.run(ORDERS_SCHEMA, b'{"type":"RECORD","stream":"' + b"x" * (20 * 1024 * 1024))

    assert done.code == 1
    assert "line 2: has more than 16,777,216 bytes" in done.errors[0]


RECORD = (
    '{"type":"RECORD","stream":"orders","record":'
    '{"id":7,"user_id":"u","created_at":"2026-10-01T00:00:00Z",%s}}'
)


class TestFaults54To58ARecordThatJsonCannotHold:
    """It is one bad record, not a broken tap: set aside where there is a place for it."""

    BAD = (
        pytest.param('"amount":NaN', "not_a_number", id="54-NaN"),
        pytest.param('"amount":-Infinity', "not_a_number", id="54-Infinity"),
        pytest.param(r'"note":"\ud800"', "lone_surrogate", id="56-half-a-character"),
        pytest.param(f'"amount":{"9" * 5_001}', "too_large_number", id="55-digits"),
    )

    @pytest.mark.parametrize(("column", "reason"), BAD)
    def test_set_aside(
        self, command: Command, sandbox: Sandbox, tmp_path: Path, column: str, reason: str
    ):
        line = (RECORD % column).encode()
        done = command.run(
            ORDERS_SCHEMA, line, order(1), state(7), dead_letter_path=str(tmp_path / "rejected")
        )
        (letters,) = (tmp_path / "rejected").iterdir()
        written = letters.read_bytes().splitlines()[1]

        assert (done.code, done.states) == (0, [state(7)["value"]])
        assert len(sandbox.report()) == 1
        assert column.encode() in written
        assert f'"reason":"{reason}","field":{column.partition(":")[0]}'.encode() in written

    @pytest.mark.parametrize(("column", "reason"), BAD)
    def test_fatal_without_a_place(self, command: Command, column: str, reason: str):
        done = command.run(ORDERS_SCHEMA, (RECORD % column).encode(), state(7))

        assert (done.code, done.states) == (1, [])
        name = column.partition(":")[0]
        assert f"orders: a record was rejected: {name} " in done.errors[0]
        assert f" (parse: {reason})" in done.errors[0]

    def test_56_a_whole_character_in_two_halves_is_fine(self, command: Command, sandbox: Sandbox):
        done = command.run(ORDERS_SCHEMA, (RECORD % r'"note":"\ud83d\ude00"').encode())

        assert done.code == 0
        assert sandbox.report()[0]["properties"]["note"] == "😀"


def test_fault_43_unknown_messages_are_named_once_and_counted(command: Command):
    unknown = {"type": "ODD\u2028\x1b[31m", "payload": 1}
    done = command.run(ORDERS_SCHEMA, unknown, unknown, order(1), state(1))
    report = json.loads(command.report_path.read_text())

    assert (done.code, done.states) == (0, [state(1)["value"]])
    assert report["ignored_messages"] == {"ODD\\u2028\\x1b[31m": 2}
    assert done.stderr.count("messages are ignored") == 1
    assert "\x1b" not in done.stderr


def test_fault_44_a_record_before_its_schema(command: Command):
    done = command.run(order(1), state(1))

    assert (done.code, done.states) == (1, [])
    assert "line 1: a RECORD of orders came before its SCHEMA" in done.errors[0]


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        pytest.param(
            {**ORDERS_SCHEMA, "schema": {"type": "object"}, "key_properties": []},
            "names neither columns nor a key; the tap must name its columns, or say "
            "additionalProperties: true",
            id="45-empty",
        ),
        pytest.param(schema(properties=["id"]), "has properties that are no map", id="45-list"),
        pytest.param(
            schema(properties={**ORDERS_SCHEMA["schema"]["properties"], "id": {"type": "sting"}}),
            '"sting" of column "id" is no JSON type; did you mean "string"?',
            id="45-type",
        ),
        pytest.param(
            schema(allOf=[{"$ref": "http://127.0.0.1:9/schema.json"}]), "nothing is", id="46-http"
        ),
        pytest.param(schema(allOf=[{"$ref": "file:///etc/passwd"}]), "nothing is", id="46-file"),
    ],
)
def test_faults_45_46_a_schema_that_is_none(command: Command, message: dict, problem: str):
    done = command.run(message, order(1), state(1))

    assert (done.code, done.states) == (1, [])
    assert "SCHEMA of orders: " in done.errors[0]
    assert problem in done.errors[0]


@pytest.mark.parametrize(
    "more",
    [{"flattening_enabled": True, "flattening_max_depth": 2}, {"stream_maps": {"orders": {}}}],
    ids=["flattening", "stream-maps"],
)
def test_fault_45_the_sdk_sees_what_a_schema_means(command: Command, sandbox: Sandbox, more: dict):
    """Its flattening took a column's null for a bug of ours."""
    columns = {**ORDERS_SCHEMA["schema"]["properties"], "extra": None, "other": {"type": "sting"}}
    done = command.run(schema(properties=columns), order(1), state(1), **more)

    assert (done.code, len(sandbox.raw())) == (0, 1)
    assert '"sting" of column "other" is no JSON type' in done.stderr


def test_fault_45_null_keys_are_no_keys(command: Command, sandbox: Sandbox):
    done = command.run({**ORDERS_SCHEMA, "key_properties": None}, order(1), order(2), order(2))

    assert (done.code, len(sandbox.raw()), len(sandbox.report())) == (0, 3, 2)


def test_fault_47_a_pattern_cannot_hang_the_run(command: Command, tmp_path: Path):
    columns = {**ORDERS_SCHEMA["schema"]["properties"], "note": {"pattern": "^(a+)+$"}}
    done = command.run(
        schema(properties=columns),
        order(1, note="a" * 60 + "!"),
        dead_letter_path=str(tmp_path / "rejected"),
    )

    assert done.code == 0
    assert command.report()["rejected"] == 1


def test_fault_48_the_same_schema_many_times(command: Command, sandbox: Sandbox):
    """Equal SCHEMAs change nothing: the rows still travel together."""
    done = command.run([part for n in range(500) for part in (ORDERS_SCHEMA, order(n))])

    assert (done.code, len(sandbox.report())) == (0, 500)
    assert len(sandbox.requests) == 1


def test_fault_48_two_schemas_in_turn(command: Command, sandbox: Sandbox):
    """Each record is mapped by the SCHEMA before it, and nothing piles up."""
    extra = {"type": "string", "format": "date-time"}
    other = schema(properties={**ORDERS_SCHEMA["schema"]["properties"], "extra": extra})
    messages = [
        part
        for n in range(60)
        for part in ((ORDERS_SCHEMA, other)[n % 2], order(n, extra="2026-10-01T08:00:00Z"))
    ]
    done = command.run(messages, state(59))
    properties = [event["properties"] for event in sandbox.report()]
    with_time = {each["id"] for each in properties if each["extra"] == "2026-10-01T08:00:00"}

    assert (done.code, done.states) == (0, [state(59)["value"]])
    assert with_time == set(range(1, 60, 2))
    assert len(sandbox.report()) == 60


def test_fault_49_a_missing_key_is_set_aside_or_fatal(command: Command, tmp_path: Path):
    record = order(1)
    del record["record"]["id"]
    fatal = command.run(ORDERS_SCHEMA, record, state(1))
    aside = command.run(ORDERS_SCHEMA, record, state(1), dead_letter_path=str(tmp_path / "bad"))

    assert (fatal.code, fatal.states) == (1, [])
    assert '"id" is a key property (validate: missing_key)' in fatal.errors[0]
    assert (aside.code, aside.states) == (0, [state(1)["value"]])


def test_fault_49_a_key_that_insert_id_does_not_use_may_be_missing(
    command: Command, sandbox: Sandbox
):
    """The remedy that the error of the same stream without insert_id names."""
    keyed = {**ORDERS_SCHEMA, "key_properties": ["uuid"]}
    refused = command.run(keyed, order(1), state(1))
    mapping = dict(command.config["streams"]["orders"], insert_id=["id"])
    loaded = command.run(keyed, order(1), state(1), streams={"orders": mapping})

    assert (refused.code, refused.states) == (1, [])
    assert refused.errors[0].endswith("so set insert_id")
    assert (loaded.code, loaded.states) == (0, [state(1)["value"]])
    assert len(sandbox.report()) == 1


def test_fault_51_duplicates_in_a_batch_across_batches_and_runs(command: Command, sandbox: Sandbox):
    for _ in range(2):
        command.run(ORDERS_SCHEMA, orders(10), orders(10), orders(10), batch_size_rows=15)

    assert (len(sandbox.raw()), len(sandbox.report())) == (60, 10)


def test_fault_53_a_column_named_twice(command: Command, sandbox: Sandbox):
    command.run(ORDERS_SCHEMA, (RECORD % '"note":"first","note":"last"').encode())

    assert sandbox.report()[0]["properties"]["note"] == "last"


@pytest.mark.parametrize("stream", ["orders", "never-seen"])
def test_fault_64_activate_version_is_counted_and_ignored(command: Command, stream: str):
    version = {"type": "ACTIVATE_VERSION", "stream": stream, "version": 1}
    done = command.run(version, ORDERS_SCHEMA, version, order(1), version)
    report = json.loads(command.report_path.read_text())

    assert done.code == 0
    assert report["ignored_messages"] == {"ACTIVATE_VERSION": 3}


def test_fault_65_a_large_state(command: Command):
    large = {"type": "STATE", "value": {"pad": "x" * 5_000_000, "list": [1.5, None]}}
    done = command.run(ORDERS_SCHEMA, order(1), large)

    assert done.states == [large["value"]]


def test_fault_65_a_state_that_is_a_list(command: Command):
    done = command.run(ORDERS_SCHEMA, order(1), {"type": "STATE", "value": [1, 2]})

    assert done.states == [[1, 2]]


def test_fault_66_one_stream_fails_and_the_other_does_not(command: Command, sandbox: Sandbox):
    """What was sent of the healthy one stays sent; STATE stays behind the other."""
    users = json.loads(SCHEMA_LINE) | {"stream": "users"}
    with command.start(
        streams={"*": ORDERS_MAPPING},
        batch_size_rows=5,
        retry_max_elapsed_seconds=0.3,
    ) as running:
        running.write(ORDERS_SCHEMA, users, orders(5))
        while len(sandbox.raw()) < 5:
            pass
        sandbox.script({"status": 503, "times": -1})
        running.write([{**message, "stream": "users"} for message in orders(5)], state(1))
        done = running.finish()

    assert (done.code, done.states) == (1, [])
    assert len(sandbox.report()) == 5


def test_fault_67_the_tap_dies(command: Command, sandbox: Sandbox):
    """What came is loaded, the last STATE that came is printed, and Meltano sees the tap's code."""
    done = command.run(ORDERS_SCHEMA, orders(10), state(9), orders(5, start=10))

    assert (done.code, done.states) == (0, [state(9)["value"]])
    assert len(sandbox.report()) == 15


@pytest.mark.parametrize(
    ("messages", "states"),
    [
        pytest.param([b""], [], id="nothing"),
        pytest.param([ORDERS_SCHEMA], [], id="SCHEMA-only"),
        pytest.param([state(1)], [state(1)["value"]], id="STATE-only"),
    ],
)
def test_fault_68_no_records(command: Command, sandbox: Sandbox, messages: list, states: list):
    done = command.run(*messages)

    assert (done.code, done.states) == (0, states)
    assert sandbox.requests == []


def test_fault_74_a_dead_letter_file_that_a_crash_cut_off(
    command: Command, sandbox: Sandbox, tmp_path: Path
):
    """The cut line was never confirmed, so its record comes again from the tap: it is skipped."""
    folder = tmp_path / "rejected"
    bad = [order(1, user_id=None), order(2, user_id=None)]
    command.run(ORDERS_SCHEMA, bad, dead_letter_path=str(folder))
    (letters,) = folder.iterdir()
    letters.write_bytes(letters.read_bytes()[:-20])
    mapping = {**ORDERS_MAPPING, "distinct_id": {"column": "user_id", "default": ""}}
    done = command.run(arguments=["--input", str(letters)], streams={"orders": mapping})

    assert (done.code, len(sandbox.report())) == (0, 1)
    assert "line 3: is cut off" in done.stderr


def test_fault_75_too_many_rejections(command: Command, tmp_path: Path):
    bad = [order(n, user_id=None if n % 5 == 0 else "u") for n in range(1_000)]
    done = command.run(ORDERS_SCHEMA, bad, state(1), dead_letter_path=str(tmp_path / "rejected"))
    (letters,) = (tmp_path / "rejected").iterdir()

    assert done.code == 1
    assert "orders: 200 of 1,000 records were rejected" in done.errors[0]
    assert "missing_distinct_id (user_id) x 200" in done.errors[0]
    assert len(letters.read_text().splitlines()) == 201


def test_fault_82_a_stream_map_that_filters_all(command: Command, sandbox: Sandbox):
    done = command.run(
        ORDERS_SCHEMA,
        orders(10),
        state(9),
        stream_maps={"orders": {"__filter__": "int(record['id']) < 0"}},
    )

    assert (done.code, done.states) == (0, [state(9)["value"]])
    assert command.report()["filtered"] == 10
    assert sandbox.requests == []


def test_fault_82_a_stream_map_that_removes_the_key(command: Command):
    done = command.run(ORDERS_SCHEMA, order(1), stream_maps={"orders": {"id": "__NULL__"}})

    assert done.code == 1
    assert done.errors[0].startswith("stream_maps: Removing key property 'id'")


def test_fault_82_a_stream_map_that_fails_on_a_record(command: Command, tmp_path: Path):
    """The record is set aside; the expression's complaint could show it, so it is not shown."""
    done = command.run(
        ORDERS_SCHEMA,
        order(1, note="canary"),
        order(2),
        stream_maps={"orders": {"note": "int(record['note'] or '5')"}},
        dead_letter_path=str(tmp_path / "rejected"),
        max_rejection_rate=1.0,
    )

    assert done.code == 0
    assert command.report()["rejected_by_reason"][0]["reason"] in {
        "stream_map_failed",
        "schema_type",
    }
    assert "canary" not in done.stderr
