"""What does one run cost, and did all of it arrive?"""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import server
from paths import BENCH, HOME, REPO

_RSS_UNIT: Final = 1 if sys.platform == "darwin" else 1_024
_SHOWN_LOG_LINES: Final = 8


class RunError(Exception):
    """A contestant did not do what it was asked to."""


@dataclass(frozen=True)
class Process:
    """What a process and its children used, as the kernel counted it."""

    wall_s: float
    cpu_s: float
    """User and system."""
    peak_rss_bytes: int
    """Never less than this process has, some 27 MB, because the kernel counts from the fork on."""


@dataclass(frozen=True)
class Job:
    """What is to be done, and how it shows that it was."""

    command: Sequence[str | Path]
    source: Path
    """Its standard input."""
    records: int
    log: str
    """The name of the files for what it says."""
    last_state: Mapping[str, Any] | None = None
    """What its last line has to say; None if it writes no STATE."""
    env: Mapping[str, str] | None = None
    """Variables beyond the caller's own."""
    rows_per_record: int = 1
    """As many events or updates have to arrive for each record: no fewer, no more."""


@dataclass(frozen=True)
class Run:
    """One whole load."""

    process: Process
    arrived: server.Counts
    records: int

    @property
    def cpu_us(self) -> float:
        """CPU time that one record took."""
        return self.process.cpu_s / self.records * 1e6

    @property
    def records_per_s(self) -> float:
        return self.records / self.process.wall_s


@dataclass(frozen=True)
class Receiver:
    """The server, while it runs."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def counts(self) -> server.Counts:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", server.COUNTS_PATH)
            return server.Counts(**json.load(connection.getresponse()))
        finally:
            connection.close()


@contextmanager
def receiving(reply_delay_ms: float) -> Iterator[Receiver]:
    """Run the server in a process of its own."""
    command = [sys.executable, BENCH / "server.py", "--reply-delay-ms", str(reply_delay_ms)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Receiver(int(process.stdout.readline() if process.stdout else 0))
        finally:
            process.terminate()


def load(job: Job, receiver: Receiver) -> Run:
    """
    Run *job* and count what arrives.

    Raises:
        RunError: It failed, or not everything arrived exactly once.
    """
    before = receiver.counts()
    stdout, stderr = logs(job.log)
    process = spend(job.command, job.source, stdout, stderr, env=job.env)
    after = receiver.counts()
    arrived = server.Counts(
        **{name: value - getattr(before, name) for name, value in after.__dict__.items()},
    )
    expected = job.records * job.rows_per_record
    if arrived.events != expected:
        raise RunError(
            f"{job.log}: {expected:,} events expected, {arrived.events:,} arrived; its words "
            f"are in {stderr.relative_to(REPO)}",
        )
    if job.last_state is not None and _last_line(stdout) != job.last_state:
        raise RunError(
            f"{job.log}: its last STATE is not the input's, see {stdout.relative_to(REPO)}",
        )
    return Run(process, arrived, job.records)


def spend(
    command: Sequence[str | Path],
    source: Path,
    stdout: Path,
    stderr: Path,
    *,
    env: Mapping[str, str] | None = None,
) -> Process:
    """
    Run *command* to its end and return what it used.

    Raises:
        RunError: It failed.
    """
    with source.open("rb") as given, stdout.open("wb") as said, stderr.open("wb") as told:
        started_at = time.perf_counter()
        child = subprocess.Popen(
            command,
            stdin=given,
            stdout=said,
            stderr=told,
            env=environment() | dict(env or {}),
            cwd=HOME,
        )
        try:
            _, status, used = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            raise
        wall_s = time.perf_counter() - started_at
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        last = stderr.read_text(errors="replace").splitlines()[-_SHOWN_LOG_LINES:]
        raise RunError("\n".join([f"{stderr.name}: exit code {child.returncode}", *last]))
    return Process(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss * _RSS_UNIT)


def environment() -> dict[str, str]:
    """Return the variables of this process, without settings of the target."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith("TARGET_MIXPANEL")
    }


def start_up(command: Sequence[str | Path], log: str) -> Process:
    """Return what *command* uses with nothing to read."""
    return spend(command, Path(os.devnull), *logs(log))


def logs(name: str) -> tuple[Path, Path]:
    """Return the files for what *name* says: stdout, stderr."""
    folder = HOME / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.out", folder / f"{name}.err"


def _last_line(path: Path) -> Any:
    lines = path.read_bytes().splitlines()
    try:
        return json.loads(lines[-1]) if lines else None
    except ValueError:
        return None
