"""The engine without Singer: records in, settled records out, and nobody can leave it half done."""

import json
import math
import threading
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from target_mixpanel import Engine, parse_settings
from target_mixpanel.engine.dead_letters import lines
from target_mixpanel.engine.segment import SchemaMessage
from target_mixpanel.errors import (
    CredentialsError,
    InputError,
    RejectedRecordError,
    StreamSchemaError,
    UnfinishedRunError,
)
from target_mixpanel.pipeline.validation import RecordValidator
from target_mixpanel.sandbox import Sandbox
from target_mixpanel.singer.target import TargetMixpanel
from tests.conftest import ORDERS_MAPPING, ORDERS_SCHEMA, order, orders, singer
from tests.waiting import wait_until

SCHEMA = ORDERS_SCHEMA["schema"]
KEY = ["id"]
AT = "2026-10-01T00:00:00Z"


@pytest.fixture
def config(sandbox):
    return {
        "api_url": sandbox.url,
        "project_token": "sandbox-token",
        "streams": {"orders": ORDERS_MAPPING},
        "retry_initial_seconds": 0.01,
        "retry_jitter_seconds": 0.01,
    }


@pytest.fixture
def engine(config):
    """Make an engine of the sandbox's."""

    def engine(on_safe=lambda _: None, **more):
        return Engine(parse_settings({**config, **more}), on_safe=on_safe)

    return engine


def records(count):
    return [message["record"] for message in orders(count)]


def dead_letters(folder):
    """Return the RECORD messages, as JSON texts."""
    files = list(folder.glob("*.singer"))
    texts = [line for path in files for line in path.read_text().splitlines()]
    return [text for text in texts if json.loads(text)["type"] == "RECORD"]


def load(run, count=1):
    loading = run.stream("orders", schema=SCHEMA, key=KEY)
    for record in records(count):
        loading.load(record)


class TestARun:
    def test_records_arrive_and_the_report_counts_them(self, engine, sandbox):
        safe = []
        with engine(safe.append) as run:
            loading = run.stream("orders", schema=SCHEMA, key=KEY)
            for record in records(5_000):
                loading.load(record)
            run.checkpoint(b"7")
            report = run.finish()

        assert safe == [b"7"]
        assert len(sandbox.report()) == 5_000
        counts = report["streams"]["orders"]

        assert report["verdict"] == "complete"
        assert counts["accepted"] == counts["read"] == 5_000

    def test_nothing_is_safe_before_it_is_accepted(self, engine, sandbox):
        safe = []
        with engine(lambda state: safe.append((state, len(sandbox.raw())))) as run:
            loading = run.stream("orders", schema=SCHEMA, key=KEY)
            for number, record in enumerate(records(4_100)):
                loading.load(record)
                if number % 1_000 == 0:
                    run.checkpoint(b"%d" % number)
            run.finish()

        assert safe[-1][0] == b"4000"
        assert all(int(state) < stored for state, stored in safe)

    def test_a_breach_that_nobody_sees_is_warned_of_once_and_counted(self, engine, sandbox, caplog):
        """A column that no mapping and no key uses cannot keep a record from loading."""
        mapping = {**ORDERS_MAPPING, "properties": ["amount"]}
        with engine(streams={"orders": mapping}) as run:
            loading = run.stream("orders", schema=SCHEMA, key=KEY)
            for record in records(3):
                loading.load({**record, "note": [1]})
                loading.load_json(json.dumps({**record, "note": {}}).encode())
            report = run.finish()["streams"]["orders"]

        assert (report["accepted"], report["rejected"]) == (6, 0)
        assert report["unused_columns_breached"] == {"note": 6}
        assert sum("note" in each.message for each in caplog.records) == 1
        assert caplog.records[0].message.startswith(
            'orders: "note" breaks the schema\'s type ["null", "string"]; no mapping and no key'
        )

    def test_an_integer_that_becomes_text_is_warned_of_once(self, engine, sandbox, caplog):
        with engine() as run:
            loading = run.stream("orders", schema=SCHEMA, key=KEY)
            for record in records(2):
                loading.load({**record, "amount": 2**53 + 1})
                loading.load_json(json.dumps({**record, "amount": 2**60}).encode())
            run.finish()

        (warning,) = (each.message for each in caplog.records if "2^53" in each.message)
        assert warning.startswith('orders: "amount" has integers beyond 2^53, which Mixpanel would')

    def test_a_breach_that_somebody_sees_says_what_helps(self, engine):
        with (
            pytest.raises(
                RejectedRecordError,
                match=r'"note" breaks the schema.*; mend the source or the mapping, refresh the '
                "tap's catalog, set validate_records: false, or set dead_letter_path",
            ),
            engine() as run,
        ):
            run.stream("orders", schema=SCHEMA, key=KEY).load({**records(1)[0], "note": [1]})

    def test_breached_columns_are_told_apart_within_bounds(self, engine, sandbox):
        columns = {f"c{number}": {"type": "null"} for number in range(150)}
        schema = {**SCHEMA, "properties": {**SCHEMA["properties"], **columns}}
        mapping = {**ORDERS_MAPPING, "properties": ["amount"]}
        with engine(streams={"orders": mapping}) as run:
            loading = run.stream("orders", schema=schema, key=KEY)
            for name in columns:
                loading.load({**records(1)[0], name: 1})
            report = run.finish()["streams"]["orders"]

        assert len(report["unused_columns_breached"]) == 101
        assert report["unused_columns_breached"]["*"] == 50

    def test_a_batch_does_not_wait_for_the_next_record(self, engine, sandbox):
        safe = []
        with engine(safe.append, batch_wait_limit_seconds=0.05) as run:
            run.stream("orders", schema=SCHEMA, key=KEY).load(records(1)[0])
            run.checkpoint(b"1")
            wait_until(lambda: safe)
            run.finish()

        assert len(sandbox.raw()) == 1

    def test_two_streams_from_two_threads(self, engine, sandbox, config):
        config["streams"]["others"] = {**ORDERS_MAPPING, "event": "Other"}
        with engine() as run:
            loading = [run.stream(name, schema=SCHEMA, key=KEY) for name in ("orders", "others")]
            threads = [
                threading.Thread(target=lambda each=each: list(map(each.load, records(3_000))))
                for each in loading
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            report = run.finish()

        assert [counts["accepted"] for counts in report["streams"].values()] == [3_000, 3_000]
        assert len(sandbox.report()) == 6_000

    def test_a_schema_may_change(self, engine, sandbox):
        more = {"type": "string", "format": "date-time"}
        wider = {"properties": {**SCHEMA["properties"], "more": more}}
        with engine() as run:
            run.stream("orders", schema=SCHEMA, key=KEY).load(records(1)[0])
            run.stream("orders", schema=wider, key=KEY).load(
                {**records(2)[1], "more": "2026-10-01T12:00:00Z"}
            )
            run.finish()

        more = {row["properties"].get("more") for row in sandbox.report()}
        assert more == {None, "2026-10-01T12:00:00"}

    def test_a_dry_run_sends_nothing(self, engine, sandbox):
        safe = []
        with engine(safe.append, dry_run=True) as run:
            run.stream("orders", schema=SCHEMA, key=KEY).load(records(1)[0])
            run.checkpoint(b"1")
            report = run.finish()

        assert (safe, sandbox.requests) == ([], [])
        assert report["streams"]["orders"]["accepted"] == 1


RECORD = {
    "id": 7,
    "user_id": UUID("6ba7b810-9dad-41d1-80b4-00c04fd430c8"),
    "created_at": datetime(2026, 10, 1, 12, 30, tzinfo=UTC),
    "amount": Decimal("12.50"),
    "note": date(2026, 10, 2),
    "tags": ["a", datetime(2026, 1, 1)],  # noqa: DTZ001 (no zone: the mapping's)
}
SPELLED = {
    "id": 7,
    "user_id": "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
    "created_at": "2026-10-01T12:30:00Z",
    "amount": 12.5,
    "note": "2026-10-02",
    "tags": ["a", "2026-01-01T00:00:00"],
}
WIDER = {**SCHEMA["properties"], "tags": {"type": "array", "items": {"type": "string"}}}


class TestValues:
    def test_they_are_those_of_the_singer_door(self, engine, sandbox, command):
        """The same ids and the same properties, whatever the door."""
        schema = {"type": "object", "properties": WIDER}
        with engine() as run:
            loading = run.stream("orders", schema=schema, key=KEY)
            loading.load(RECORD)
            loading.load_json(json.dumps(SPELLED).encode())
            run.finish()
        message = {"type": "RECORD", "stream": "orders", "record": SPELLED}
        assert command.run({**ORDERS_SCHEMA, "schema": schema}, message).code == 0
        one, other, third = sandbox.raw()

        assert one["properties"]["$insert_id"] == third["properties"]["$insert_id"]
        assert one == other == third

    def test_the_caller_may_use_a_dict_again(self, engine, sandbox):
        record = records(1)[0]
        with engine() as run:
            loading = run.stream("orders", schema=SCHEMA, key=KEY)
            for number in range(3):
                record["id"] = number
                record["user_id"] = f"u{number}"
                loading.load(record)
            run.finish()

        assert {row["properties"]["distinct_id"] for row in sandbox.raw()} == {"u0", "u1", "u2"}

    def test_bare_json_takes_the_fast_way(self, engine, sandbox, monkeypatch):
        def never(*_):
            raise AssertionError("the careful way was taken")

        monkeypatch.setattr(RecordValidator, "flaw", never)
        with engine() as run:
            loading = run.stream("orders", schema=SCHEMA, key=KEY)
            for record in records(10):
                loading.load_json(json.dumps(record).encode())
            run.finish()

        assert len(sandbox.report()) == 10

    def test_bare_json_that_the_type_does_not_take_is_looked_at(self, engine, sandbox):
        with engine() as run:
            loading = run.stream("orders", schema=SCHEMA, key=KEY)
            loading.load_json(json.dumps({**records(1)[0], "id": 7.0}).encode())
            run.finish()

        assert len(sandbox.report()) == 1

    @pytest.mark.parametrize("text", [b"", b"[]", b"7", b'{"id":', b"\xff{}", b"null"])
    def test_what_is_no_json_object_ends_the_run(self, engine, text):
        with (
            pytest.raises(InputError, match=r"orders: a record is no JSON object; .* sha256"),
            engine() as run,
        ):
            run.stream("orders", schema=SCHEMA, key=KEY).load_json(text)


class TestRejections:
    def test_a_dead_letter_is_a_message_that_loads_again(self, engine, sandbox, command, tmp_path):
        folder = tmp_path / "rejected"
        bad = {**RECORD, "created_at": None, "amount": Decimal("1.10")}
        schema = {"type": "object", "properties": WIDER}
        with engine(dead_letter_path=str(folder), max_rejection_rate=1) as run:
            loading = run.stream("orders", schema=schema, key=KEY)
            loading.load(bad)
            loading.load_json(b'{"id":8,"user_id":"u","amount":NaN}')
            loading.load({**records(1)[0], "amount": math.nan, "note": "\ud800"})
            run.finish()
        texts = dead_letters(folder)

        assert [json.loads(text)["rejection"]["stage"] for text in texts] == [
            "validate",
            "parse",
            "map",
        ]
        assert '"amount":1.10,' in texts[0]
        assert '"amount":NaN' in texts[1]
        assert '"amount":NaN' in texts[2]
        assert r'"note":"\ud800"' in texts[2]
        mended = (
            next(folder.glob("*.singer"))
            .read_text()
            .replace('"created_at":null', f'"created_at":"{AT}"')
            .replace('"amount":NaN', f'"amount":1,"created_at":"{AT}"')
            .replace(r"\ud800", "")
        )
        again = folder / "mended.singer"
        again.write_text(mended)
        done = command.run(arguments=["--input", str(again)])

        assert done.code == 0, done.stderr
        assert len(sandbox.report()) == 3

    def test_none_is_rendered_that_is_not_rejected(self, engine, monkeypatch, tmp_path):
        rendered = []
        original = lines.record_message
        monkeypatch.setattr(
            lines, "record_message", lambda record: rendered.append(record) or original(record)
        )
        with engine(dead_letter_path=str(tmp_path / "rejected"), max_rejection_rate=1) as run:
            loading = run.stream("orders", schema=SCHEMA, key=KEY)
            for record in records(100):
                loading.load(record)
            loading.load({**records(1)[0], "created_at": "soon"})
            run.finish()

        assert len(rendered) == 1

    def test_without_a_place_the_first_ends_the_run(self, engine, sandbox):
        with (
            pytest.raises(RejectedRecordError, match="orders: a record was rejected"),
            engine() as run,
        ):
            run.stream("orders", schema=SCHEMA, key=KEY).load({"id": 1})

        assert not sandbox.raw()


class TestFaultsOfCallers:
    """What was silent: each of them lost or held up records."""

    def test_an_empty_schema_text_filters_nothing(self, engine, sandbox):
        with engine() as run:
            stream = run.open_stream(SchemaMessage("orders", SCHEMA, ("id",), b""))
            stream.load(records(1)[0], b"")
            report = run.finish()

        assert report["streams"]["orders"]["filtered"] == 0
        assert len(sandbox.raw()) == 1

    def test_nor_does_a_second_one_pass_for_the_first(self, engine, sandbox):
        more = {"type": "string", "format": "date-time"}
        wider = {"properties": {**SCHEMA["properties"], "more": more}}
        with engine() as run:
            for schema in (SCHEMA, wider):
                stream = run.open_stream(SchemaMessage("orders", schema, ("id",), b""))
                stream.load({**records(1)[0], "more": "2026-10-01T08:00:00Z"}, b"")
            run.finish()

        assert {row["properties"]["more"] for row in sandbox.raw()} == {
            "2026-10-01T08:00:00Z",
            "2026-10-01T08:00:00",
        }

    def test_a_record_without_its_line_is_in_its_dead_letter(self, config, tmp_path):
        """As the SDK calls a sink."""
        folder = tmp_path / "rejected"
        config |= {"dead_letter_path": str(folder), "max_rejection_rate": 1}
        target = TargetMixpanel(config=config)
        target.schema_line = singer(ORDERS_SCHEMA).strip()
        sink = target.get_sink("orders", schema=SCHEMA, key_properties=KEY)
        sink.process_record({"id": 7, "user_id": "u", "created_at": "soon"}, {})
        target.process_endofpipe()
        [text] = dead_letters(folder)

        assert json.loads(text)["record"] == {"id": 7, "user_id": "u", "created_at": "soon"}

    @pytest.mark.parametrize("way", ["load", "load_json"])
    def test_time_goes_on_though_nobody_looks_at_the_clock(self, engine, sandbox, way):
        """Two quiet hours, and then an event of now."""
        now = datetime(2026, 10, 1, tzinfo=UTC).timestamp()
        with engine() as run:
            run._server_clock._clock = lambda: now
            run.look_at_the_clock()
            loading = run.stream("orders", schema=SCHEMA, key=KEY)
            now += 7_200
            record = {**records(1)[0], "created_at": "2026-10-01T02:00:00Z"}
            getattr(loading, way)(record if way == "load" else json.dumps(record).encode())
            run.finish()

        assert len(sandbox.raw()) == 1

    def test_nor_does_a_door_that_reads_lines(self, engine, sandbox):
        now = datetime(2026, 10, 1, tzinfo=UTC).timestamp()
        line = json.dumps(order(1, created_at="2026-10-01T02:00:00Z")).encode()
        with engine() as run:
            run._server_clock._clock = lambda: now
            run.look_at_the_clock()
            stream = run.open_stream(SchemaMessage("orders", SCHEMA, ("id",), b"{}"))
            now += 7_200
            if not stream.load_line(line):
                stream.load(json.loads(line)["record"], line)
            run.finish()

        assert len(sandbox.raw()) == 1

    def test_whoever_leaves_without_finish_is_told(self, engine):
        with (
            pytest.raises(UnfinishedRunError, match=r"without finish\(\): 3 records are pending"),
            engine() as run,
        ):
            load(run, 3)

    def test_also_without_records(self, engine):
        with pytest.raises(UnfinishedRunError), engine():
            pass

    def test_an_exception_of_the_callers_stays_what_it_is(self, engine, sandbox, tmp_path):
        """What was read before it is sent; the report shows nothing of its words."""
        path, safe = tmp_path / "report.json", []

        def fail():
            with engine(safe.append, report_path=str(path)) as run:
                load(run, 3)
                run.checkpoint(b"3")
                raise KeyError("canary")

        with pytest.raises(KeyError):
            fail()
        report = json.loads(path.read_bytes())

        assert (len(sandbox.raw()), safe) == (3, [b"3"])
        assert (report["verdict"], report["error"]) == ("failed", "ended by KeyError")
        assert report["streams"]["orders"]["pending"] == 0

    def test_a_finished_engine_takes_nothing_more(self, engine):
        with engine() as run:
            loading = run.stream("orders", schema=SCHEMA, key=KEY)
            run.finish()
            for call in (
                lambda: loading.load(records(1)[0]),
                lambda: loading.load_json(b"{}"),
                lambda: run.checkpoint(b"1"),
                run.finish,
                lambda: run.stream("orders", schema=SCHEMA),
            ):
                with pytest.raises(RuntimeError, match="is not open"):
                    call()

    def test_a_failure_while_nobody_calls_reaches_the_next_call(self, config):
        with Sandbox() as sandbox:
            wrong = {**config, "api_url": sandbox.url, "project_token": "wrong"}
            settings = parse_settings({**wrong, "batch_wait_limit_seconds": 0.01})

            def go_on():
                with Engine(settings) as run:
                    load(run)
                    wait_until(lambda: run.stop.has_failed)
                    load(run)

            with pytest.raises(CredentialsError):
                go_on()

    def test_what_does_not_fit_is_said_when_the_stream_is_opened(self, engine):
        with (
            pytest.raises(StreamSchemaError, match='"created_at" is not in the stream'),
            engine() as run,
        ):
            run.stream("orders", schema={"properties": {"id": {}, "user_id": {}}}, key=KEY)

    def test_a_schema_that_is_no_json_is_refused(self, engine):
        with (
            pytest.raises(StreamSchemaError, match="SCHEMA of orders: is no JSON"),
            engine() as run,
        ):
            run.stream("orders", schema={"properties": {"id": {"default": object()}}}, key=KEY)


class TestOneAfterAnother:
    def test_neither_threads_nor_descriptors_grow(self, engine, config):
        def one_run(**more):
            with engine(**more) as run:
                load(run, 10)
                run.finish()

        def one_that_fails():
            with pytest.raises(CredentialsError):
                one_run(project_token="wrong")

        def held():
            return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

        one_run()
        one_that_fails()
        wait_until(lambda: not any(t.name.startswith("sender") for t in threading.enumerate()))
        before = held()
        for _ in range(5):
            one_run()
            one_that_fails()
        # The sandbox is in this process, too: some of its connections were still closing before.
        wait_until(lambda: all(now <= then for now, then in zip(held(), before, strict=True)))
