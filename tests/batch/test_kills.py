"""Killed at any moment and run again from its last STATE, a BATCH is loaded whole, and once."""

import signal
from pathlib import Path

import pytest

from target_mixpanel.sandbox import Sandbox
from tests.batch.batches import FORMATS, Batches
from tests.conftest import ORDERS_SCHEMA, Command, order, singer, state
from tests.faults.killed_at import POINTS
from tests.faults.test_kills import (
    RECORDS,
    STATE_EVERY,
    Pipeline,
    check,
    is_bad,
    kill_at_random,
)


class BatchPipeline(Pipeline):
    """A tap that writes RECORD lines and BATCHes of all formats in turn, a STATE after each."""

    def __init__(self, command: Command, folder: Path) -> None:
        self._batches = [Batches(folder / "files", kind) for kind in FORMATS]
        command.config["batch_roots"] = [(folder / "files").as_uri()]
        super().__init__(command, folder)

    def input(self) -> bytes:
        messages = [ORDERS_SCHEMA]
        for first in range(self.start, RECORDS, STATE_EVERY):
            records = [
                order(number, user_id=None) if is_bad(number) else order(number)
                for number in range(first, min(first + STATE_EVERY, RECORDS))
            ]
            way = first // STATE_EVERY % (len(FORMATS) + 1)
            if way == len(FORMATS):
                messages += records
            else:
                rows = [message["record"] for message in records]
                half = len(rows) // 2
                parts = filter(None, (rows[:half], rows[half:]))
                messages.append(self._batches[way].batch(*parts))
            messages.append(state(first + len(records) - 1))
        return singer(*messages)


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_marked_point(command: Command, sandbox: Sandbox, tmp_path: Path, point: str):
    pipeline = BatchPipeline(command, tmp_path)
    killed = pipeline.run_armed(point, 2)
    # How much is confirmed together depends on the machine: a busy one may pass a mark once alone.
    is_reached = killed == -signal.SIGKILL or not point.endswith("-send")
    finished = pipeline.run()

    assert (is_reached, finished) == (True, 0)
    check(pipeline, sandbox)


def test_killed_at_random(command: Command, sandbox: Sandbox, tmp_path: Path):
    kill_at_random(command, sandbox, tmp_path, 6, 72, BatchPipeline)


@pytest.mark.slow
def test_killed_at_random_sixty_times(command: Command, sandbox: Sandbox, tmp_path: Path):
    kill_at_random(command, sandbox, tmp_path, 60, 2, BatchPipeline)
