"""Killed at any moment and run again, `load` misses nothing, doubles nothing, and goes on."""

import json
import logging
import random
import signal
from pathlib import Path
from typing import NamedTuple

import pytest

from target_mixpanel.sandbox import Sandbox
from tests.buckets import Bucket
from tests.conftest import Command, Running
from tests.faults.test_kills import moment
from tests.load.loads import arguments, content_of, rows
from tests.waiting import wait_until

FILES = ("a.jsonl", "b.jsonl.gz", "c.parquet", "d.jsonl.zst")
BAD = 77
"""Of each file, this one has no user."""


def records(number: int, each: int) -> list[dict]:
    made = rows(each, number * each)
    return [{**row, "user_id": None} if row["id"] % each == BAD else row for row in made]


def contents(each: int) -> dict[str, bytes]:
    return {name: content_of(name, records(number, each)) for number, name in enumerate(FILES)}


def rejected_ids(folder: Path) -> set[int]:
    found = set()
    for path in folder.iterdir():
        whole = path.read_bytes().rpartition(b"\n")[0]
        messages = map(json.loads, whole.splitlines())
        found |= {each["record"]["id"] for each in messages if each["type"] == "RECORD"}
    return found


def check(sandbox: Sandbox, rejected: Path, each: int) -> None:
    every = range(each * len(FILES))
    arrived = sorted(event["properties"]["id"] for event in sandbox.report())

    assert [number for number in every if number % each != BAD] == arrived
    assert {number for number in every if number % each == BAD} == rejected_ids(rejected)


class Swept(NamedTuple):
    sent_for_each: float
    """Rows sent, for each that there is."""
    went_on: int
    """Runs that went on within a file."""


def kill_at_random(
    command: Command,
    sandbox: Sandbox,
    tmp_path: Path,
    kills: int,
    seed: int,
    bucket: Bucket | None,
    each: int = 150,
) -> Swept:
    """Load four files of *each* rows, in rounds with some kills until there were so many."""
    chance = random.Random(seed)  # noqa: S311 (the same kills again when one fails)
    made = rounds = sent = went_on = 0
    while made < kills:
        sandbox.reset()
        rounds += 1
        folder = tmp_path / f"round-{rounds}"
        (folder / "in").mkdir(parents=True)
        for name, content in contents(each).items():
            (folder / "in" / name).write_bytes(content)
            if bucket is not None:
                bucket.put(f"{rounds}/in/{name}", content)
        home = str(folder) if bucket is None else f"{bucket.url}{rounds}"
        sandbox.script(*({"delay_s": chance.uniform(0, 0.05)} for _ in range(200)))
        options = arguments(
            command,
            f"{home}/in/",
            batch_size_rows=max(each // 100, 20),
            files_state=f"{home}/state",
            dead_letter_path=str(folder / "rejected"),
            report_path=None,
        )
        while True:
            with Running(options) as running:
                kill_when = moment(sandbox, chance, within=max(each // 10, 40))
                wait_until(lambda: kill_when() or running.process.poll() is not None)  # noqa: B023
                running.process.kill()
                done = running.finish()
            went_on += "goes on behind row" in done.stderr
            if done.code != -signal.SIGKILL:
                break
            made += 1
        assert done.code == 0, done.stderr
        check(sandbox, folder / "rejected", each)
        sent += len(sandbox.raw())
    return Swept(sent / (rounds * each * len(FILES)), went_on)


@pytest.mark.parametrize("is_remote", [False, True], ids=["folder", "bucket"])
def test_killed_at_random(command, sandbox, tmp_path, bucket, is_remote):
    kill_at_random(command, sandbox, tmp_path, 6, 5, bucket if is_remote else None)


@pytest.mark.slow
@pytest.mark.parametrize("is_remote", [False, True], ids=["folder", "bucket"])
def test_killed_at_random_sixty_times(command, sandbox, tmp_path, bucket, is_remote):
    """Of files so large that a run goes on within them."""
    swept = kill_at_random(
        command, sandbox, tmp_path, 60, 1, bucket if is_remote else None, each=4_000
    )
    logging.getLogger(__name__).info("%s", swept)

    assert swept.went_on > 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_settles_and_notes_what_was_read(command, sandbox, tmp_path, number):
    path, state = tmp_path / "a.jsonl", tmp_path / "state"
    path.write_bytes(content_of("a.jsonl", rows(20_000)))
    options = arguments(command, path, batch_size_rows=50, files_state=str(state))
    sandbox.script(*({"delay_s": 0.05} for _ in range(30)))
    with Running(options) as running:
        wait_until(lambda: sandbox.project.requests.arrived > 3)
        running.send_signal(number)
        done = running.finish()
    (note,) = map(json.loads, (each.read_bytes() for each in state.iterdir()))
    arrived = len(sandbox.report())
    with Running(options) as again:
        finished = again.finish()

    assert done.code == 128 + number
    assert note["rows"] == arrived < 20_000
    assert (finished.code, len(sandbox.raw())) == (0, 20_000), finished.stderr
