"""Rows 69 to 72: a BATCH is read below `batch_roots` alone, and no STATE runs ahead of it."""

import gzip
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from target_mixpanel.files import compression
from target_mixpanel.sandbox import Sandbox
from tests.batch.batches import Batches, batch
from tests.conftest import ORDERS_SCHEMA, Command, Running, order, orders, state
from tests.load.loads import json_lines, rows
from tests.waiting import wait_until

CANARY = "canary-5d1e"


def contents(folder: Path) -> dict[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}


def ids(sandbox: Sandbox) -> list[int]:
    return sorted(event["properties"]["id"] for event in sandbox.report())


REFUSED_WITHOUT_ROOTS = {
    "missing-file": "file://{folder}/missing/part.jsonl.gz",
    "truncated-gzip": "file://{folder}/cut.jsonl.gz",
    "parent": "file://{folder}/../../etc/passwd",
    "host": "file://host/etc/passwd",
    "http": "http://127.0.0.1:9/part.jsonl.gz",
    "chained": "simplecache::memory://part.jsonl.gz",
    "device": "file:///dev/zero",
}


@pytest.mark.parametrize("url", REFUSED_WITHOUT_ROOTS.values(), ids=REFUSED_WITHOUT_ROOTS)
@pytest.mark.parametrize("roots", [None, []], ids=["unset", "empty"])
def test_fault_69_without_roots_a_batch_is_refused(command: Command, tmp_path: Path, url, roots):
    """One line says what to do; nothing is read, nothing is made."""
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(json_lines(rows(1)))[:-9])
    work = tmp_path / "work"
    work.mkdir()
    arguments = command.arguments(batch_roots=roots)
    before = contents(tmp_path)
    with Running(arguments, cwd=work) as running:
        running.write(ORDERS_SCHEMA, batch(url.format(folder=tmp_path)), state(1))
        done = running.finish()
    (error,) = done.errors

    assert (done.code, done.states) == (1, [])
    assert error.startswith("line 2: BATCH messages are not taken; unset batch_config")
    assert "batch_roots" in error
    assert contents(tmp_path).keys() - before.keys() == {command.report_path}


def below_a_root(folder: Path) -> dict[str, tuple[str, str]]:
    """Return what a manifest may name that is not to be read, and the words for it."""
    root, outside = folder / "root", folder / "outside"
    (root / "sub").mkdir(parents=True)
    outside.mkdir()
    (folder / "root-too").mkdir()
    lines = json_lines([{**row, "note": CANARY} for row in rows(5)])
    for path in (outside / "a.jsonl", root / "a.jsonl", folder / "root-too" / "a.jsonl"):
        path.write_bytes(lines)
    (root / "link.jsonl").symlink_to(outside / "a.jsonl")
    (root / "linked").symlink_to(outside, target_is_directory=True)
    (root / "loop.jsonl").symlink_to(root / "loop.jsonl")
    (root / "device.jsonl").symlink_to("/dev/zero")
    os.mkfifo(root / "fifo.jsonl")
    not_below = "is not below batch_roots"
    return {
        "missing": (f"file://{root}/missing.jsonl", "is not there"),
        "climbing": (f"file://{root}/../outside/a.jsonl", not_below),
        "climbing-percent": (f"file://{root}/%2e%2e/outside/a.jsonl", not_below),
        "climbing-slash": (f"file://{root}/..%2Foutside%2Fa.jsonl", not_below),
        "climbing-twice-percent": (f"file://{root}/%252e%252e/outside/a.jsonl", "is not there"),
        "sibling": (f"file://{folder}/root-too/a.jsonl", not_below),
        "link": (f"file://{root}/link.jsonl", not_below),
        "linked-folder": (f"file://{root}/linked/a.jsonl", not_below),
        "loop": (f"file://{root}/loop.jsonl", "is not there|cannot be read|not below"),
        "device": ("file:///dev/zero", not_below),
        "device-linked": (f"file://{root}/device.jsonl", not_below),
        "environment": ("file:///proc/self/environ", not_below),
        "fifo": (f"file://{root}/fifo.jsonl", "is no regular file"),
        "folder": (f"file://{root}/sub", "is no regular file"),
        "root": (f"file://{root}/", not_below),
        "host": (f"file://otherhost{root}/a.jsonl", "names no file of this machine"),
        "http": ("http://127.0.0.1:9/a.jsonl", "names no file of this machine"),
        "memory": ("memory://a.jsonl", "names no file of this machine"),
        "chained": (f"simplecache::file://{root}/a.jsonl", "names no file of this machine"),
        "chained-bucket": ("simplecache::s3://bucket/a.jsonl", "names no file of this machine"),
        "chained-path": (f"simplecache::{root}/a.jsonl", not_below),
        "zip": (f"zip://a.jsonl::file://{root}/a.zip", "names no file of this machine"),
        "bucket": ("s3://bucket/a.jsonl", not_below),
        "odd-host": (f"file://[{root}/a.jsonl", "names no file of this machine"),
        "odd-bucket": ("s3://[/a.jsonl", not_below),
        "nul": (f"file://{root}/a.jsonl%00", "names no file of this machine"),
        "empty": ("", "names no file of this machine"),
        "relative": ("a.jsonl", not_below),
        "home": ("~/a.jsonl", not_below),
        "nobodys-home": ("~nobody-of-this-name/a.jsonl", not_below),
        "long": (f"file://{root}/{'x' * 5_000}", "cannot be read"),
        "signed": (f"https://host/a.jsonl?signature={CANARY}", "names no file of this machine"),
        "with-password": (f"s3://key:{CANARY}@bucket/a.jsonl?token={CANARY}", not_below),
        "wildcard": (f"file://{root}/*.jsonl", "is not there"),
        "two-lines": (f"file://{root}/a\nb.jsonl", "is not there"),
    }


def test_fault_71_what_is_not_to_be_read(command: Command, sandbox: Sandbox, tmp_path: Path):
    """
    A device, a link, another host, a bucket, a pipe: one line each, and nothing hangs.

    What was read before is in, and its STATE out; none is ahead.
    """
    cases = below_a_root(tmp_path)
    root = tmp_path / "root"
    wrong = {}
    for number, (name, (url, expected)) in enumerate(cases.items()):
        before = contents(root) | contents(tmp_path / "outside")
        done = command.run(
            ORDERS_SCHEMA,
            order(number),
            state(1),
            batch(f"file://{root}/a.jsonl", url, kind="jsonl"),
            state(2),
            batch_roots=[f"file://{root}/"],
        )
        is_said = len(done.errors) == 1 and any(
            words in done.errors[0] for words in expected.split("|")
        )
        is_clean = CANARY not in done.stderr and "Traceback" not in done.stderr
        is_there = number in ids(sandbox) and {0, 1, 2, 3, 4} <= set(ids(sandbox))
        is_untouched = before == contents(root) | contents(tmp_path / "outside")
        ended = (done.code, done.states) == (1, [state(1)["value"]])
        if not (is_said and is_clean and is_there and is_untouched and ended):
            wrong[name] = (done.code, done.states, done.errors)

    assert wrong == {}


def test_fault_71_a_link_that_stays_within_is_read(command: Command, sandbox, tmp_path: Path):
    (tmp_path / "real" / "sub").mkdir(parents=True)
    (tmp_path / "real" / "a.jsonl").write_bytes(json_lines(rows(5)))
    (tmp_path / "real" / "sub" / "link.jsonl").symlink_to(tmp_path / "real" / "a.jsonl")
    (tmp_path / "root").symlink_to(tmp_path / "real")
    url = f"file://localhost{tmp_path}/root/sub/link.jsonl"
    done = command.run(
        ORDERS_SCHEMA, batch(url, kind="jsonl"), state(1), batch_roots=[f"{tmp_path}/root"]
    )

    assert (done.code, ids(sandbox)) == (0, [0, 1, 2, 3, 4]), done.stderr


def test_fault_71_the_bucket_must_be_named(command: Command, bucket, sandbox: Sandbox):
    for key in ("in/a.jsonl", "in/sub/b.jsonl", "in-too/c.jsonl"):
        bucket.put(key, json_lines(rows(5)))
    roots = [f"{bucket.url}in"]
    done = {
        key: command.run(
            ORDERS_SCHEMA, batch(f"{bucket.url}{key}", kind="jsonl"), state(1), batch_roots=roots
        )
        for key in (
            *("in/a.jsonl", "in/sub/b.jsonl", "in-too/c.jsonl", "in/../in-too/c.jsonl"),
            *("in/./a.jsonl", "in//a.jsonl", "in", "in/", "in/none.jsonl"),
        )
    }

    assert [key for key, each in done.items() if each.code == 0] == ["in/a.jsonl", "in/sub/b.jsonl"]
    assert all(
        len(each.errors) == 1 and bucket.name in each.errors[0]
        for each in done.values()
        if each.code
    )
    assert ids(sandbox) == [0, 1, 2, 3, 4]


GOOD = json_lines(rows(3_000))

BROKEN = {
    "cut": ("jsonl.gz", gzip.compress(GOOD)[:-20], "is cut off"),
    "cut-in-half": ("jsonl.gz", gzip.compress(GOOD, 0)[:200_000], "is cut off"),
    "crc": ("jsonl.gz", gzip.compress(GOOD)[:-8] + b"\1" * 8, "is damaged"),
    "no-gzip": ("jsonl.gz", b"\x1f\x8b" + b"x" * 100, "is damaged"),
    "no-json": ("jsonl", GOOD + b'{"id": 3, ' + CANARY.encode() + b"}\n", "row 3,001: "),
    "no-object": ("jsonl", GOOD + b"[1]\n", "row 3,001: "),
    "two-objects": ("jsonl", GOOD + b'{"id": 3001},{"id": 3002}\n', "row 3,001: "),
    "more-keys": (
        "jsonl",
        GOOD + b'{"id": 3001},"stream":"other","record":{"id":3002}\n',
        "row 3,001: ",
    ),
    "cut-line": ("jsonl", GOOD[:-5], "row 3,000: "),
    "giant-line": ("jsonl", GOOD + b"S" * 17_000_000, "line 3,001 has more than"),
    "utf-16": ("jsonl", '{"id":1}\n'.encode("utf-16"), "row 1: "),
    "no-parquet": ("parquet", GOOD, "is no whole Parquet file"),
    "cut-parquet": ("parquet", b"PAR1" + b"\0" * 100, "is no whole Parquet file"),
}


@pytest.mark.parametrize(("kind", "content", "expected"), BROKEN.values(), ids=BROKEN)
def test_fault_70_a_broken_file(
    command: Command, sandbox: Sandbox, tmp_path: Path, kind: str, content: bytes, expected: str
):
    """What came before is in and its STATE out; the next STATE waits for the file to be whole."""
    path = tmp_path / "root" / f"a.{kind}"
    path.parent.mkdir()
    path.write_bytes(content)
    done = command.run(
        ORDERS_SCHEMA,
        orders(20, start=5_000),
        state(1),
        batch(path.as_uri(), kind=kind),
        state(2),
        batch_roots=[path.parent.as_uri()],
    )
    (error,) = done.errors

    assert (done.code, done.states) == (1, [state(1)["value"]])
    assert error.startswith("line 23: ")
    assert "a." in error
    assert expected in error
    assert CANARY not in done.stderr
    assert set(range(5_000, 5_020)) <= set(ids(sandbox))
    rows_before = 3_000 if "3,001" in expected else 0
    assert set(range(rows_before)) <= set(ids(sandbox))
    assert len(sandbox.raw()) == command.report()["accepted"]


def test_fault_70_several_members_of_gzip_are_one_file(command: Command, sandbox, tmp_path: Path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(json_lines(rows(50))) + gzip.compress(json_lines(rows(50, 50))))
    done = command.run(
        ORDERS_SCHEMA, batch(path.as_uri()), state(1), batch_roots=[tmp_path.as_uri()]
    )

    assert (done.code, len(done.states), ids(sandbox)) == (0, 1, list(range(100))), done.stderr


def test_fault_70_a_bomb(command: Command, sandbox: Sandbox, tmp_path: Path):
    """Some hundred kB that say more than their share end the run, in bounded memory."""
    path = tmp_path / "a.jsonl.gz"
    line = json.dumps({**rows(1)[0], "note": "x" * 900_000}).encode() + b"\n"
    assert len(line) * 100 > compression._RATIO_FROM_BYTES
    path.write_bytes(gzip.compress(line * 100, 9))
    arguments = command.arguments(
        batch_roots=[tmp_path.as_uri()],
        streams={"orders": {"time": "created_at", "distinct_id": "user_id", "properties": ["id"]}},
    )
    with Running(arguments) as running:
        done = running.finish(ORDERS_SCHEMA, batch(path.as_uri()), state(1))
        peak_mb = running.process.peak_rss / (1_024 if sys.platform == "linux" else 1_048_576)
    (error,) = done.errors

    assert (done.code, done.states) == (1, [])
    assert "decompression bomb" in error
    assert peak_mb < 200


def test_fault_70_a_file_that_changes_while_it_is_read(command: Command, sandbox, tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(json_lines(rows(60_000)))
    sandbox.script(*({"delay_s": 0.2} for _ in range(200)))
    arguments = command.arguments(batch_roots=[str(tmp_path)], max_parallel_requests=1)
    with Running(arguments) as running:
        running.write(ORDERS_SCHEMA, batch(path.as_uri(), kind="jsonl"), state(1))
        wait_until(lambda: sandbox.project.requests.arrived)
        with path.open("ab") as file:
            file.write(b"more")
        done = running.finish()
    (error,) = done.errors

    assert (done.code, done.states) == (1, [])
    assert "changed while it was read" in error
    arrived = ids(sandbox)
    assert 0 < len(arrived) < 60_000
    assert arrived == list(range(len(arrived)))


SHAPES = {
    "no-encoding": {"type": "BATCH", "stream": "orders", "manifest": []},
    "no-manifest": {"type": "BATCH", "stream": "orders", "encoding": {"format": "jsonl"}},
    "no-stream": {"type": "BATCH", "encoding": {"format": "jsonl"}, "manifest": []},
    "no-format": {"type": "BATCH", "stream": "orders", "encoding": {}, "manifest": []},
    "manifest-no-list": batch() | {"manifest": "file:///a"},
    "manifest-of-numbers": batch() | {"manifest": [1]},
    "manifest-of-null": batch() | {"manifest": [None]},
    "format": batch() | {"encoding": {"format": "csv"}},
    "format-of-a-number": batch() | {"encoding": {"format": 1}},
    "compression": batch() | {"encoding": {"format": "jsonl", "compression": "bz2"}},
    "parquet-compression": batch() | {"encoding": {"format": "parquet", "compression": "zip"}},
    "stream": batch(stream="unknown"),
}


@pytest.mark.parametrize("message", SHAPES.values(), ids=SHAPES)
def test_fault_69_a_batch_that_nobody_knows(command: Command, sandbox, tmp_path: Path, message):
    done = command.run(
        ORDERS_SCHEMA, order(1), state(1), message, state(2), batch_roots=[str(tmp_path)]
    )
    (error,) = done.errors

    assert (done.code, done.states, ids(sandbox)) == (1, [state(1)["value"]], [1])
    assert error.startswith("line 4: ")


def test_fault_69_parquet_without_its_extra(command: Command, tmp_path: Path):
    """As where pyarrow is not installed: one line with the command that installs it."""
    batches = Batches(tmp_path / "root", "parquet")
    message = batches.batch(rows(5))
    lacking = tmp_path / "lacking" / "pyarrow"
    lacking.mkdir(parents=True)
    (lacking / "__init__.py").write_text("raise ImportError\n")
    arguments = command.arguments(batch_roots=[batches.root])
    environment = {**os.environ, "PYTHONPATH": str(lacking.parent)}
    with Running(arguments, env=environment, is_warm=False) as running:
        done = running.finish(ORDERS_SCHEMA, message, state(1))
    (error,) = done.errors

    assert (done.code, done.states) == (1, [])
    assert "pip install 'target-mixpanel[parquet]'" in error


def test_fault_69_nothing_is_made_or_deleted(command: Command, sandbox: Sandbox, tmp_path: Path):
    """The tap's files are read-only to us, in a folder that is."""
    batches = Batches(tmp_path / "root")
    message = batches.batch(rows(20), rows(20, 20))
    work = tmp_path / "work"
    work.mkdir()
    arguments = command.arguments(batch_roots=[batches.root])
    before = contents(tmp_path)
    with Running(arguments, cwd=work) as running:
        done = running.finish(ORDERS_SCHEMA, message, state(1))

    assert (done.code, ids(sandbox)) == (0, list(range(40))), done.stderr
    assert contents(tmp_path).items() >= before.items() - {
        (path, at) for path, at in before.items() if stat.S_ISDIR(path.stat().st_mode)
    }
    assert contents(tmp_path).keys() - before.keys() == {command.report_path}


def test_fault_72_a_batch_after_records(command: Command, sandbox: Sandbox, tmp_path: Path):
    """RECORDs, BATCHes and STATEs keep their order, profile by profile and STATE by STATE."""
    users = {"type": "users", "distinct_id": "user_id", "properties": ["id"]}
    batches = Batches(tmp_path / "root")
    messages = [ORDERS_SCHEMA]
    for first in range(0, 120, 40):
        messages += [order(number, user_id="ada") for number in range(first, first + 10)]
        of_ada = [{**row, "user_id": "ada"} for row in rows(30, first + 10)]
        messages += [state(first), batches.batch(of_ada[:15], of_ada[15:]), state(first + 39)]
    done = command.run(
        *messages, streams={"orders": users}, batch_roots=[batches.root], batch_size_rows=7
    )
    sent = [row["$set"]["id"] for row in sandbox.user_updates()]

    assert done.code == 0, done.stderr
    assert sent == list(range(120))
    assert done.states[-1] == state(119)["value"]
    assert command.report()["accepted"] == 120


def test_fault_72_a_batch_that_is_refused_after_records(command: Command, sandbox: Sandbox):
    """The records before it are in; the STATE after it is not out."""
    batch = {"type": "BATCH", "stream": "orders", "encoding": {}, "manifest": []}
    done = command.run(ORDERS_SCHEMA, order(1), state(1), batch, state(2))

    assert (done.code, ids(sandbox)) == (1, [1])
    assert done.states == [state(1)["value"]]
