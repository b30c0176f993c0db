"""The rows of a BATCH are the RECORDs that say the same: same ids, same events, same refusals."""

import gzip
import json
import os
import signal
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from singer_sdk.batch import BaseBatcher
from singer_sdk.contrib.batch_encoder_jsonl import JSONLinesBatcher
from singer_sdk.contrib.batch_encoder_parquet import ParquetBatcher
from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig, StorageTarget
from singer_sdk.singerlib.json import serialize_json

from target_mixpanel.sandbox import Sandbox
from target_mixpanel.singer.batch import batch_of
from target_mixpanel.singer.messages import Message
from tests.batch.batches import FORMATS, Batches, batch, encoding_of
from tests.conftest import (
    ORDERS_MAPPING,
    ORDERS_SCHEMA,
    Command,
    Running,
    order,
    orders,
    singer,
    state,
)
from tests.load.loads import json_lines, rows
from tests.waiting import wait_until

USERS = {"type": "users", "distinct_id": "user_id", "properties": {"Last": "amount", "At": "id"}}
TABLE = {
    "type": "lookup_table",
    "lookup_table_id": "5a9db0c5-0000-4000-8000-000000000001",
    "key": "id",
    "properties": ["amount", "user_id"],
}
SERVICE_ACCOUNT = {
    "project_id": "1",
    "service_account_username": "sandbox.mp-service-account",
    "service_account_secret": "sandbox-secret",
}
NESTED = {
    **ORDERS_SCHEMA,
    "schema": {
        "type": "object",
        "properties": {
            **ORDERS_SCHEMA["schema"]["properties"],
            "address": {
                "type": ["null", "object"],
                "properties": {"city": {"type": ["null", "string"]}},
            },
        },
    },
}


def nested(count: int) -> list[dict[str, Any]]:
    return [{**row, "address": {"city": f"City {row['id'] % 7}"}} for row in rows(count)]


LESS_METADATA = {**ORDERS_MAPPING, "exclude": ["_sdc_*"]}
"""It says when each record came, to the millisecond."""

WAYS: dict[str, dict[str, Any]] = {
    "straight": {},
    "stream-maps": {
        "stream_maps": {
            "orders": {"twice": "amount * 2", "__filter__": "id % 3 != 0", "note": None}
        }
    },
    "flattening": {"flattening_enabled": True, "flattening_max_depth": 3},
    "aliases": {
        "stream_maps": {
            "orders": {"big": "amount > 10"},
            "copies": {"__source__": "orders", "id": "id"},
        },
        "streams": {
            "orders": ORDERS_MAPPING,
            "copies": {**ORDERS_MAPPING, "event": "Copy"},
        },
    },
    "metadata": {"add_record_metadata": True, "streams": {"orders": LESS_METADATA}},
    "salted": {"insert_id_salt": "again"},
    "no-validation": {"validate_records": False},
    "events-and-users": {"streams": {"orders": [ORDERS_MAPPING, USERS]}},
    "users": {"streams": {"orders": USERS}},
    "table": {"streams": {"orders": TABLE}, **SERVICE_ACCOUNT},
    "events-and-table": {"streams": {"orders": [ORDERS_MAPPING, TABLE]}, **SERVICE_ACCOUNT},
    "whole-record": {"streams": {"orders": {**ORDERS_MAPPING, "insert_id": ["id", "amount"]}}},
    "window": {"since": "2026-10-01T00:01:00Z", "until": "2026-10-01T00:03:00Z"},
    "dry-run": {"dry_run": True},
}


def arrived(sandbox: Sandbox) -> dict[str, Any]:
    events = sorted(sandbox.raw(), key=lambda event: event["properties"]["$insert_id"])
    tables = {name: sandbox.table_rows(name) for name in sandbox.tables}
    return {"events": events, "users": sandbox.users, "tables": tables}


def counted(command: Command) -> dict[str, Any]:
    streams = json.loads(command.report_path.read_bytes())["streams"]
    names = ("read", "accepted", "rejected", "filtered", "rejected_by_reason", "columns_left_out")
    return {stream: {name: said.get(name) for name in names} for stream, said in streams.items()}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_same_rows_are_the_same_events(
    command: Command, sandbox: Sandbox, tmp_path: Path, kind: str, way: dict[str, Any]
):
    """Equal ids and values, profiles, tables, counts and STATEs, through RECORD lines and BATCH."""
    records = nested(300)
    messages = [{**order(0), "record": record} for record in records]
    by_lines = command.run(NESTED, messages[:200], state(1), messages[200:], state(2), **way)
    through_lines, counts = arrived(sandbox), counted(command)
    sandbox.reset()
    batches = Batches(tmp_path / "root", kind)
    by_files = command.run(
        NESTED,
        batches.batch(records[:120], records[120:200]),
        state(1),
        batches.batch(records[200:]),
        state(2),
        batch_roots=[batches.root],
        **way,
    )

    assert (by_lines.code, by_files.code) == (0, 0), by_lines.stderr + by_files.stderr
    assert through_lines == arrived(sandbox)
    assert counts == counted(command)
    assert by_lines.states[-1:] == by_files.states[-1:]
    assert by_lines.stderr.count("WARNING") == by_files.stderr.count("WARNING")


@pytest.mark.parametrize(
    ("batcher", "kind"), [(JSONLinesBatcher, "jsonl.gz"), (ParquetBatcher, "parquet")]
)
def test_files_as_the_sdk_writes_them(
    command: Command, sandbox: Sandbox, tmp_path: Path, batcher: type[BaseBatcher], kind: str
):
    """Below a folder whose name a URL has to spell with percent signs."""
    root = tmp_path / "ä folder, 100%"
    config = BatchConfig(
        encoding=BaseBatchFileEncoding(**encoding_of(kind)),
        storage=StorageTarget(root=str(root), prefix="shop-"),
        batch_size=100,
    )
    given = [
        {**row, "amount": Decimal(row["id"]) / 4, "note": "é" * (row["id"] % 3)}
        for row in rows(250)
    ]
    lines = [
        b'{"type":"RECORD","stream":"orders","record":%b}' % serialize_json(row).encode()
        for row in given
    ]
    command.run(ORDERS_SCHEMA, lines)
    through_lines = arrived(sandbox)
    sandbox.reset()
    manifests = list(batcher("tap-shop", "orders", config).get_batches(iter(given)))
    done = command.run(
        ORDERS_SCHEMA,
        *(batch(*manifest, kind=kind) for manifest in manifests),
        state(1),
        batch_roots=[f"{root.as_uri()}/"],
    )

    assert (done.code, len(manifests), len(done.states)) == (0, 3, 1), done.stderr
    assert through_lines == arrived(sandbox)


def test_metadata_is_that_of_records(command: Command, sandbox: Sandbox, tmp_path: Path):
    batches = Batches(tmp_path / "root")
    mapping = {**ORDERS_MAPPING, "properties": ["_sdc_extracted_at", "_sdc_table_version"]}
    said = {"version": 7, "time_extracted": "2026-10-02T00:00:00Z"}
    done = command.run(
        ORDERS_SCHEMA,
        order(0) | said,
        batches.batch(rows(1, 1), **said),
        add_record_metadata=True,
        streams={"orders": mapping},
        batch_roots=[batches.root],
    )
    first, second = (event["properties"] for event in sandbox.report())
    names = ("_sdc_extracted_at", "_sdc_table_version")

    assert done.code == 0, done.stderr
    assert [first[name] for name in names] == [second[name] for name in names]
    assert first["_sdc_table_version"] == 7


ODD = [
    json_lines([{**rows(1)[0], "user_id": None}]),  # no user
    json_lines([{**rows(1, 1)[0], "amount": "a lot"}]),  # not as its schema says
    b'{"id": 2, "user_id": "u", "created_at": "2026-10-01T00:00:00Z", "amount": NaN}\n',
    b'{"id": 3, "user_id": "\\ud800", "created_at": "2026-10-01T00:00:00Z"}\n',
    b'{"user_id": "u", "created_at": "2026-10-01T00:00:00Z"}\n',  # no key
    b'{"id": 5, "user_id": "u", "created_at": "never"}\n',
    b'{"id": 6, "user_id": "u", "created_at": "2026-10-01T00:00:00Z", "amount": 1e999}\n',
]


@pytest.mark.parametrize("way", ["straight", "stream-maps", "metadata"])
def test_a_rejected_row_is_a_dead_letter_that_loads_again(
    command: Command, sandbox: Sandbox, tmp_path: Path, way: str
):
    """As RECORD lines would be rejected, with the RECORD lines that were never there."""
    path = tmp_path / "root" / "a.jsonl"
    path.parent.mkdir()
    path.write_bytes(b"".join(ODD) + json_lines(rows(20, 10)))
    more = WAYS[way] | {"max_rejection_rate": 1.0}
    lines = [b'{"type":"RECORD","stream":"orders","record":%b}' % row.rstrip() for row in ODD]
    by_lines = command.run(
        ORDERS_SCHEMA, lines, state(1), dead_letter_path=str(tmp_path / "of-lines"), **more
    )
    reasons = command.report()["rejected_by_reason"]
    sandbox.reset()
    done = command.run(
        ORDERS_SCHEMA,
        batch(path.as_uri(), kind="jsonl"),
        state(1),
        dead_letter_path=str(tmp_path / "of-batch"),
        batch_roots=[path.parent.as_uri()],
        **more,
    )
    (of_lines,), (of_batch,) = ((tmp_path / name).iterdir() for name in ("of-lines", "of-batch"))
    loaded = len(sandbox.report())

    assert (by_lines.code, done.code, len(done.states)) == (0, 0, 1), done.stderr
    assert reasons == command.report()["rejected_by_reason"]
    assert without_times(of_lines) == without_times(of_batch)
    mended = of_batch.read_text().replace('"user_id":null', '"user_id":"u"')
    of_batch.write_text(mended.replace('"user_id": null', '"user_id":"u"'))
    again = command.run(
        arguments=["--input", str(of_batch)], dead_letter_path=str(tmp_path / "again"), **more
    )
    assert again.code == 0, again.stderr
    assert len(sandbox.report()) == loaded + (way != "stream-maps")  # which filters number 0


def without_times(path: Path) -> list[str]:
    """Return the messages of a dead-letter file, but for when they were written."""
    return [line.partition('"at":"')[0] for line in path.read_text().splitlines()]


def test_without_dead_letters_a_rejected_row_ends_the_run(
    command: Command, sandbox: Sandbox, tmp_path: Path
):
    """What was read before is in, no STATE is ahead, and a missing key is what the SDK calls it."""
    batches = Batches(tmp_path / "root")
    bad, keyless = {**rows(1, 50)[0], "user_id": None}, dict(rows(1, 50)[0])
    del keyless["id"]
    for row in (bad, keyless):
        sandbox.reset()
        done = command.run(
            ORDERS_SCHEMA,
            batches.batch([*rows(50), row, *rows(50, 60)]),
            state(1),
            batch_roots=[batches.root],
        )

        assert (done.code, done.states, len(done.errors)) == (1, [], 1)
        assert len(sandbox.report()) == 50


def test_a_stream_that_is_skipped(command: Command, sandbox: Sandbox, tmp_path: Path):
    batches = Batches(tmp_path / "root", stream="others")
    done = command.run(
        ORDERS_SCHEMA | {"stream": "others"},
        batches.batch(rows(30)),
        state(1),
        batch_roots=[batches.root],
        unmapped_streams="skip",
    )
    said = command.report("others")

    assert (done.code, len(done.states), len(sandbox.raw())) == (0, 1, 0), done.stderr
    assert (said["read"], said["filtered"]) == (30, 30)


def test_a_schema_that_changes_between_batches(command: Command, sandbox: Sandbox, tmp_path: Path):
    batches = Batches(tmp_path / "root")
    as_text = json.loads(json.dumps(ORDERS_SCHEMA))
    as_text["schema"]["properties"]["amount"] = {"type": "string"}
    done = command.run(
        ORDERS_SCHEMA,
        batches.batch(rows(30)),
        as_text,
        batches.batch([{**row, "amount": "x"} for row in rows(30, 30)]),
        state(1),
        batch_roots=[batches.root],
    )

    assert (done.code, len(sandbox.report())) == (0, 60), done.stderr


def test_a_replay_follows_the_same_rule(command: Command, sandbox: Sandbox, tmp_path: Path):
    """`--input` of a file that has BATCH messages: read below `batch_roots`, or refused."""
    batches = Batches(tmp_path / "root")
    written = tmp_path / "kept.singer"
    written.write_bytes(singer(ORDERS_SCHEMA, batches.batch(rows(30)), state(1)))
    refused = command.run(arguments=["--input", str(written)])
    outside = command.run(arguments=["--input", str(written)], batch_roots=[f"{tmp_path}/other"])
    loaded = command.run(arguments=["--input", str(written)], batch_roots=[batches.root])

    assert (refused.code, outside.code, loaded.code) == (1, 1, 0), loaded.stderr
    assert "batch_roots" in refused.errors[0]
    assert "is not below batch_roots" in outside.errors[0]
    assert len(sandbox.report()) == 30


def test_roots_from_the_environment_are_a_json_list(
    command: Command, sandbox: Sandbox, tmp_path: Path
):
    batches = Batches(tmp_path / "root")
    environment = {**os.environ, "TARGET_MIXPANEL_BATCH_ROOTS": json.dumps([batches.root])}
    done = command.run(
        ORDERS_SCHEMA, batches.batch(rows(3)), arguments=["--config", "ENV"], env=environment
    )

    assert (done.code, len(sandbox.report())) == (0, 3), done.stderr


def test_a_bucket(command: Command, sandbox: Sandbox, bucket, tmp_path: Path):
    batches = Batches(tmp_path / "made")
    urls = []
    for number in range(3):
        batches.write(rows(40, number * 40))
        path = max(batches.folder.iterdir(), key=lambda each: each.name)
        urls.append(bucket.put(f"in/{path.name}", path.read_bytes()))
    done = command.run(ORDERS_SCHEMA, batch(*urls), state(1), batch_roots=[f"{bucket.url}in/"])

    assert (done.code, len(done.states), len(sandbox.report())) == (0, 1, 120), done.stderr


def test_a_manifest_of_a_hundred_thousand_files(command: Command, sandbox: Sandbox, tmp_path: Path):
    """Each is read, in order; memory stays."""
    batches = Batches(tmp_path / "root", "jsonl")
    urls = [batches.write(rows(1, number)) for number in range(20)]
    arguments = command.arguments(batch_roots=[batches.root])
    with Running(arguments) as running:
        done = running.finish(ORDERS_SCHEMA, batch(*urls * 5_000, kind="jsonl"), state(1))
        peak_mb = running.process.peak_rss / (1_024 if sys.platform == "linux" else 1_048_576)

    assert (done.code, len(done.states)) == (0, 1), done.stderr
    assert command.report()["read"] == 100_000
    assert len(sandbox.report()) == 20
    assert peak_mb < 250


def test_an_empty_manifest_and_empty_files(command: Command, tmp_path: Path):
    (tmp_path / "a.jsonl").write_bytes(b"")
    (tmp_path / "b.jsonl").write_bytes(b"\n\n")
    (tmp_path / "c.jsonl").write_bytes(gzip.compress(b""))
    urls = [(tmp_path / name).as_uri() for name in ("a.jsonl", "b.jsonl", "c.jsonl")]
    done = command.run(
        ORDERS_SCHEMA, batch(), batch(*urls), state(1), batch_roots=[tmp_path.as_uri()]
    )

    assert (done.code, done.states) == (0, [state(1)["value"]]), done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_heard_within_a_batch(
    command: Command, sandbox: Sandbox, tmp_path: Path, number: signal.Signals
):
    """What was read is settled; the STATE after the BATCH is not out, that before it is."""
    batches = Batches(tmp_path / "root")
    message = batches.batch(*(rows(20_000, start) for start in range(10_000, 90_000, 20_000)))
    sandbox.script(*({"delay_s": 0.05} for _ in range(400)))
    arguments = command.arguments(batch_roots=[batches.root], batch_size_rows=500)
    with Running(arguments) as running:
        running.write(ORDERS_SCHEMA, orders(20), state(1), message, state(2))
        wait_until(lambda: sandbox.project.requests.arrived > 5)
        running.send_signal(number)
        done = running.finish()
    said = command.report()

    assert (done.code, done.states) == (128 + number, [state(1)["value"]]), done.stderr
    assert 20 < said["read"] < 80_020
    assert said["read"] == said["accepted"] == len(sandbox.report())


def test_a_signal_within_a_batch_leaves_a_lookup_table_as_it_was(
    command: Command, sandbox: Sandbox, tmp_path: Path
):
    """A table is replaced only when it is whole."""
    batches = Batches(tmp_path / "root")
    message = batches.batch(*(rows(50_000, start) for start in range(0, 200_000, 50_000)))
    events = {**ORDERS_MAPPING, "properties": ["id"]}
    sandbox.script(*({"delay_s": 0.2} for _ in range(400)))
    arguments = command.arguments(
        batch_roots=[batches.root],
        streams={"orders": [events, TABLE]},
        max_parallel_requests=1,
        **SERVICE_ACCOUNT,
    )
    before = sandbox.table_rows()
    with Running(arguments) as running:
        running.write(ORDERS_SCHEMA, message, state(2))
        wait_until(lambda: sandbox.project.requests.arrived > 2)
        running.send_signal(signal.SIGTERM)
        done = running.finish()

    assert (done.code, done.states) == (1, []), done.stderr
    assert "it keeps its old rows" in done.errors[0]
    assert before == sandbox.table_rows()


def test_what_waits_is_sent_though_a_batch_goes_on(
    command: Command, sandbox: Sandbox, tmp_path: Path
):
    """A stream's last rows do not wait for another stream's file to end."""
    others = ORDERS_SCHEMA | {"stream": "others"}
    batches = Batches(tmp_path / "root", stream="others")
    message = batches.batch(*(rows(20_000, start) for start in range(0, 400_000, 20_000)))
    sandbox.script(*({"delay_s": 0.1} for _ in range(400)))
    slow = {"batch_wait_limit_seconds": 0.2, "max_parallel_requests": 1}
    mapping = {**ORDERS_MAPPING, "event": "Other"}
    arguments = command.arguments(
        batch_roots=[batches.root], streams={"orders": ORDERS_MAPPING, "others": mapping}, **slow
    )
    with Running(arguments) as running:
        running.write(ORDERS_SCHEMA, orders(3), others, message)
        wait_until(lambda: sandbox.report("Order Placed") or running.process.poll() is not None)
        left = running.process.poll() is None
        running.process.kill()

    assert left
    assert len(sandbox.report("Other")) < 400_000


PARTS = st.lists(
    st.tuples(st.sampled_from(["records", "batch", "files", "state"]), st.integers(0, 30)),
    max_size=12,
)


@settings(max_examples=12, deadline=None)
@given(parts=PARTS, kind=st.sampled_from(FORMATS))
def test_any_order_of_records_batches_and_states(tmp_path_factory, parts, kind):
    """Promise 1: the rows of a profile in order, and the last STATE out."""
    folder = tmp_path_factory.mktemp("order")
    with Sandbox() as sandbox:
        command = Command(folder, sandbox.url)
        batches = Batches(folder / "root", kind)
        messages: list[Any] = [ORDERS_SCHEMA]
        count = states = 0
        for what, size in parts:
            made = [{**row, "user_id": "ada"} for row in rows(size, count)]
            match what:
                case "records":
                    messages += [{**order(0), "record": row} for row in made]
                case "batch" if made:
                    messages.append(batches.batch(made))
                case "files" if len(made) > 1:
                    messages.append(batches.batch(made[:1], made[1:]))
                case "state":
                    states += 1
                    messages.append(state(states))
                    continue
                case _:
                    continue
            count += size
        done = command.run(
            *messages,
            streams={"orders": USERS},
            batch_roots=[batches.root],
            batch_size_rows=5,
        )
        sent = [update["$set"]["At"] for update in sandbox.user_updates()]

    assert done.code == 0, done.stderr
    assert sent == list(range(count))
    assert done.states[-1:] == ([state(states)["value"]] if states else [])


def test_the_record_of_a_row_is_a_message():
    at = datetime(2026, 10, 1, tzinfo=UTC).isoformat()
    line = json.dumps(batch(stream='a "b" ü', version=3, time_extracted=at)).encode()
    made = batch_of(Message("BATCH", line=line), "line 1").record

    assert json.loads(made.line + b'{"id":1}}') == {
        "type": "RECORD",
        "stream": 'a "b" ü',
        "version": 3,
        "time_extracted": at,
        "record": {"id": 1},
    }
