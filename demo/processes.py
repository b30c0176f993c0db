"""How are other programs run so that none of them outlives the demo?"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from console import StepError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

STOP_TIMEOUT_S: Final = 30.0
"""Longer than the target's own shutdown_timeout_seconds, so that it may finish."""


def run(
    command: Sequence[str | Path], *, log: Path, cwd: Path, env: Mapping[str, str] | None = None
) -> None:
    """
    Run *command* to its end, its output in *log*.

    Raises:
        StepError: It ended with another status than 0.
    """
    with started(command, log=log, cwd=cwd, env=env) as process:
        status = process.wait()
    if status:
        words = [Path(command[0]).name, *map(str, command[1:])]
        raise StepError(f"`{' '.join(words)}` ended with status {status}")


@contextmanager
def started(
    command: Sequence[str | Path], *, log: Path, cwd: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start *command*, its output in *log*; end it and its children at the end, if need be."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # A session of its own: Ctrl-C reaches us alone, and we end all of it together.
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, number)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                continue
