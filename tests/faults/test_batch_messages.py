"""Rows 69 to 72: a BATCH message is refused, whatever it points at, and nothing is made of it."""

import gzip
from pathlib import Path

import pytest

from tests.conftest import ORDERS_SCHEMA, Command, Running, order, singer, state

MANIFESTS = {
    "69-missing-file": "file://{folder}/missing/part.jsonl.gz",
    "70-truncated-gzip": "file://{folder}/cut.jsonl.gz",
    "71-parent": "file://{folder}/../../etc/passwd",
    "71-host": "file://host/etc/passwd",
    "71-http": "http://127.0.0.1:9/part.jsonl.gz",
    "71-chained": "simplecache::memory://part.jsonl.gz",
    "71-device": "file:///dev/zero",
}


def contents(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize("url", MANIFESTS.values(), ids=MANIFESTS)
def test_faults_69_70_71_a_batch_is_refused(command: Command, tmp_path: Path, url: str):
    """One line says what to do; nothing is read, nothing is made."""
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(singer(order(1)))[:-9])
    work = tmp_path / "work"
    work.mkdir()
    message = {
        "type": "BATCH",
        "stream": "orders",
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "manifest": [url.format(folder=tmp_path)],
    }
    arguments = command.arguments()
    before = contents(tmp_path)
    with Running(arguments, cwd=work) as running:
        running.write(ORDERS_SCHEMA, message, state(1))
        done = running.finish()
    (error,) = done.errors

    assert (done.code, done.states) == (1, [])
    assert error.startswith("line 2: BATCH messages are not taken; unset batch_config")
    assert contents(tmp_path) - before == {command.report_path}


def test_fault_72_a_batch_after_records(command: Command):
    """The records before it are not yet confirmed, so no STATE says they are."""
    batch = {"type": "BATCH", "stream": "orders", "encoding": {}, "manifest": []}
    done = command.run(ORDERS_SCHEMA, order(1), state(1), batch, state(2))

    assert done.code == 1
    assert state(2)["value"] not in done.states
