"""Row 37: killed at any moment and run again from its last STATE, it misses and doubles nothing."""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from target_mixpanel.sandbox import Sandbox
from tests.conftest import ORDERS_SCHEMA, Command, Running, order, singer, state
from tests.faults.killed_at import POINTS
from tests.waiting import wait_until

RECORDS = 400
STATE_EVERY = 10
BAD_EVERY = 17
KILLER = [sys.executable, str(Path(__file__).with_name("killed_at.py"))]


def is_bad(number: int) -> bool:
    return number % BAD_EVERY == BAD_EVERY - 1


def tap(start: int) -> bytes:
    """Return what a tap sends that goes on from *start*: the bookmark's row again, and the rest."""
    messages = [ORDERS_SCHEMA]
    for number in range(start, RECORDS):
        messages.append(order(number, user_id=None) if is_bad(number) else order(number))
        if number % STATE_EVERY == STATE_EVERY - 1:
            messages.append(state(number))
    return singer(messages)


def bookmark(stdout: bytes) -> int | None:
    """Return where the next run starts; a last line that was cut off does not count."""
    whole = stdout[: stdout.rfind(b"\n") + 1].splitlines()
    return json.loads(whole[-1])["bookmarks"]["orders"]["id"] if whole else None


class Pipeline:
    """A tap, the target, and whoever keeps the STATE between runs."""

    def __init__(self, command: Command, folder: Path) -> None:
        self.rejected = folder / "rejected"
        self.arguments = command.arguments(
            batch_size_rows=7,
            dead_letter_path=str(self.rejected),
            report_path=None,
            # The records at the very end are few, and one in seventeen is bad.
            max_rejection_rate=1.0,
        )
        self.start = 0

    def input(self) -> bytes:
        """Return what the tap sends from where it goes on."""
        return tap(self.start)

    def run_armed(self, point: str, nth: int) -> int:
        """Run until it kills itself at *point*; return the exit code."""
        done = subprocess.run(
            [*KILLER, point, str(nth), *self.arguments],
            input=self.input(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        self.keep(done.stdout)
        return done.returncode

    def run(self, *, kill_when: Callable[[], object] = lambda: False) -> int:
        """Run once, killed from outside when it is time to; return the exit code."""
        with Running(self.arguments) as running:
            feeder = threading.Thread(target=running.end_input, args=[self.input()])
            feeder.start()
            wait_until(lambda: kill_when() or running.process.poll() is not None)
            running.process.kill()
            feeder.join()
            done = running.finish()
        self.keep(done.stdout.encode())
        return done.code

    def keep(self, stdout: bytes) -> None:
        """Keep the STATE for the next run."""
        reached = bookmark(stdout)
        assert reached is None or reached >= self.start - 1, "STATE went back"
        self.start = self.start if reached is None else reached

    def dead_letters(self) -> Iterator[int]:
        for path in self.rejected.iterdir() if self.rejected.exists() else ():
            content = path.read_bytes()
            for line in content[: content.rfind(b"\n") + 1].splitlines():
                message = json.loads(line)
                if message["type"] == "RECORD":
                    yield message["record"]["id"]


def check(pipeline: Pipeline, sandbox: Sandbox) -> None:
    """Zero missing, zero doubled."""
    arrived = [event["properties"]["id"] for event in sandbox.report()]
    good = [number for number in range(RECORDS) if not is_bad(number)]
    bad = {number for number in range(RECORDS) if is_bad(number)}

    assert good == sorted(arrived)
    assert bad == set(pipeline.dead_letters())


@pytest.mark.parametrize("nth", [1, 2, 9])
@pytest.mark.parametrize("point", POINTS)
def test_fault_37_killed_at_a_marked_point(
    command: Command, sandbox: Sandbox, tmp_path: Path, point: str, nth: int
):
    pipeline = Pipeline(command, tmp_path)
    killed = pipeline.run_armed(point, nth)
    # How much is confirmed together depends on the machine: a busy one may pass a mark once alone.
    is_reached = killed == -signal.SIGKILL or (nth > 1 and not point.endswith("-send"))
    finished = pipeline.run()

    assert (is_reached, finished) == (True, 0)
    check(pipeline, sandbox)


def moment(sandbox: Sandbox, chance: random.Random, within: int = 40) -> Callable[[], bool]:
    """Return what says whether the moment has come, *within* so many requests."""
    requests = sandbox.project.requests.arrived + chance.randrange(within)
    pause_s = chance.uniform(0, 0.05)
    reached_at: list[float] = []

    def has_come() -> bool:
        if not reached_at and sandbox.project.requests.arrived >= requests:
            reached_at.append(time.monotonic())
        return bool(reached_at) and time.monotonic() >= reached_at[0] + pause_s

    return has_come


def kill_at_random(
    command: Command,
    sandbox: Sandbox,
    tmp_path: Path,
    kills: int,
    seed: int,
    open_pipeline: Callable[[Command, Path], Pipeline] = Pipeline,
) -> float:
    """
    Kill from outside at random moments, each run going on from the STATE of the one before.

    A moment is so long after so many requests of the run. Return how many rows were sent for each
    that there is.
    """
    chance = random.Random(seed)  # noqa: S311 (the same kills again when one fails)
    made = rounds = sent = 0
    while made < kills:
        sandbox.reset()
        folder = tmp_path / f"round-{rounds}"
        folder.mkdir()
        rounds += 1
        sandbox.script(*({"delay_s": chance.uniform(0, 0.05)} for _ in range(60)))
        pipeline = open_pipeline(command, folder)
        while pipeline.run(kill_when=moment(sandbox, chance)) == -signal.SIGKILL:
            made += 1
        check(pipeline, sandbox)
        sent += len(sandbox.raw())
    return sent / (rounds * RECORDS)


def test_fault_37_killed_at_random(command: Command, sandbox: Sandbox, tmp_path: Path):
    kill_at_random(command, sandbox, tmp_path, kills=8, seed=37)


@pytest.mark.slow
def test_fault_37_killed_at_random_two_hundred_times(
    command: Command, sandbox: Sandbox, tmp_path: Path
):
    kill_at_random(command, sandbox, tmp_path, kills=200, seed=1)
