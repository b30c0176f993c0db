"""One round: run the loader through a schedule until all is in; the oracle looks each time."""

import array
import contextlib
import fcntl
import json
import subprocess
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

from tests.torture.door import Door, Given
from tests.torture.figures import Figures, longest
from tests.torture.interruptions import asks_to_end, interrupt
from tests.torture.oracle import Ended, Oracle
from tests.torture.schedule import (
    LITTLE_TIME_S,
    RETRY_LIMIT_S,
    SHUTDOWN_LIMIT_S,
    STREAMS,
    Run,
    Schedule,
)
from tests.torture.server import Server
from tests.whole_model import ACCOUNT

REQUEST_LIMIT_S: Final = 0.5
"""In a run that is to be given up: the overshoot of a request that hangs."""
STUCK_S: Final = 120
"""No run takes so long; one that does is killed, and its exit code tells."""
LOOK_UP_S: Final = 0.005

_F_SETPIPE_SZ: Final = 1031
_PIPE_BYTES: Final = 4_096


class Round:
    """A server, a loader, and whoever keeps the STATE between runs."""

    def __init__(
        self, schedule: Schedule, door: Door, folder: Path, server: Server, figures: Figures
    ) -> None:
        self._schedule = schedule
        self._door = door
        self._folder = folder
        self._server = server
        self._figures = figures
        self._oracle = Oracle(schedule, door.codes, server.sandbox, folder / "rejected")
        self._start = 0

    def play(self) -> list[str]:
        """Return what promises were broken."""
        for run in self._schedule.runs:
            broken = self._run(run)
            if broken:
                return broken
        used = self._schedule.kinds[: self._server.faults_used]
        self._figures.faults.update(name for name in used if name)
        self._server.be_well()
        broken = self._run(None) or self._oracle.at_the_end()
        self._count()
        return broken

    def _count(self) -> None:
        schedule, figures = self._schedule, self._figures
        figures.rounds[type(self._door).__name__] += 1
        figures.records += len(schedule.items)
        figures.schema_changes += len(schedule.schema_changes)
        figures.refused_rows += sum(item.kind == "refused" for item in schedule.items)
        figures.rows_needed += sum(item.kind != "bad" for item in schedule.items)
        figures.rows_sent += sum(request.rows for request in self._server.sandbox.requests)

    def _settings(self, run: Run | None) -> dict[str, object]:
        has_table = self._schedule.has_table
        is_hurried = run is not None and run.has_little_time
        is_given_up = is_hurried and run is not None and run.interruption is None
        return {
            "api_url": self._server.sandbox.url,
            "project_token": "sandbox-token",
            **(ACCOUNT if has_table else {}),
            "streams": {name: STREAMS[name] for name in STREAMS if has_table or name != "products"},
            "batch_size_rows": 7,
            "max_parallel_requests": 4,
            "dead_letter_path": str(self._folder / "rejected"),
            "max_rejection_rate": 1.0,
            "request_timeout_seconds": REQUEST_LIMIT_S if is_given_up else 60,
            "retry_initial_seconds": 0.02,
            "retry_max_seconds": 0.1,
            "retry_jitter_seconds": 0.05,
            "retry_max_elapsed_seconds": LITTLE_TIME_S if is_given_up else RETRY_LIMIT_S,
            "shutdown_timeout_seconds": LITTLE_TIME_S if is_hurried else SHUTDOWN_LIMIT_S,
        }

    def _run(self, run: Run | None) -> list[str]:
        if run is not None and run.is_unread and not self._door.can_be_unread:
            return []
        config = self._folder / "config.json"
        config.write_text(json.dumps(self._settings(run)))
        given = Given(self._folder, config, self._schedule.messages(self._start, run))
        start = self._start
        with (self._folder / "log").open("ab") as log:
            started = _Started(self._door, given, run, log)
        marked_at = self._live(started, run)
        ended_at = started.end()
        self._server.settle()
        positions = self._door.safe(given, started.said)
        self._start = positions[-1] if positions else start
        seconds = None if marked_at is None else ended_at - marked_at
        ended = Ended(start, positions, started.process.poll() or 0, run, seconds)
        self._note(ended)
        return self._oracle.after(ended)

    def _live(self, started: "_Started", run: Run | None) -> float | None:
        """Let a run come to its end; return when what is to happen to it happened, if it did."""
        self._figures.starts += 1
        began_at, arrived = time.monotonic(), self._server.arrived
        if run is None:
            self._wait(started, lambda: self._server.arrived > arrived)
            if self._server.arrived > arrived:
                longest(self._figures.first_request_s, "from a start", time.monotonic() - began_at)
            self._wait(started, lambda: False)
            return None
        self._wait(started, lambda: started.is_at(run, self._server.arrived - arrived))
        if started.process.poll() is not None:
            return None
        if run.outage is not None:
            self._server.begin(run.outage)
            begun = self._server.arrived
            if run.outage != "down" and run.interruption is not None:
                self._wait(started, lambda: self._server.arrived > begun)
        marked_at = time.monotonic()
        if run.interruption is not None and started.process.poll() is None:
            interrupt(started.process, run.interruption)
            self._figures.signals[run.interruption] += 1
            self._figures.silent_inputs += run.silent_after is not None
            self._figures.unread_outputs += run.is_unread
        self._wait(started, lambda: False)
        return marked_at

    def _wait(self, started: "_Started", condition: Callable[[], bool]) -> None:
        """Wait until *condition* or the run's end; Mixpanel comes and goes meanwhile."""
        while started.process.poll() is None and not condition():
            self._server.look()
            time.sleep(LOOK_UP_S)

    def _note(self, ended: Ended) -> None:
        run, seconds = ended.run, ended.seconds
        if run is None or seconds is None:
            return
        if asks_to_end(run.interruption):
            limit_s = LITTLE_TIME_S if run.has_little_time else SHUTDOWN_LIMIT_S
            longest(self._figures.ending_s, str(run.interruption), seconds)
            longest(self._figures.overshoot_s, "shutdown_timeout_seconds", seconds - limit_s)
        elif run.outage is not None:
            over = seconds - LITTLE_TIME_S
            longest(self._figures.overshoot_s, "retry_max_elapsed_seconds", over)


class _Started:
    """A process, its pipes and what goes through them."""

    def __init__(self, door: Door, given: Given, run: Run | None, log: IO[bytes]) -> None:
        begun = door.begin(given)
        self.said: list[bytes] = []
        self._is_silent_at_last = run is not None and run.silent_after is not None
        self._is_fed = False
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            begun.arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
        self._ended_at = 0.0
        self._is_read_late = run is not None and run.is_unread
        if self._is_read_late:
            fcntl.fcntl(self._stdout, _F_SETPIPE_SZ, _PIPE_BYTES)
        self._too_late = threading.Timer(STUCK_S, self.process.kill)
        self._feeder = threading.Thread(target=self._feed, args=[begun.stdin])
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._too_late.start()
        self._feeder.start()
        if not self._is_read_late:
            self._reader.start()

    @property
    def _stdout(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    @property
    def _stdin(self) -> IO[bytes]:
        assert self.process.stdin is not None
        return self.process.stdin

    def is_at(self, run: Run, requests: int) -> bool:
        """Say whether it is where *run* is to be interrupted, after so many *requests*."""
        if run.is_unread:
            return _waiting(self._stdout) > _PIPE_BYTES // 2
        if self._is_fed and self._is_silent_at_last and not _waiting(self._stdin):
            return True
        return run.nth <= (len(self.said) if run.mark == "state" else requests)

    def end(self) -> float:
        """Return when it ended, once all that it said is read."""
        self.process.wait()
        ended_at = time.monotonic()
        self._too_late.cancel()
        if self._is_read_late:
            self._reader.start()
        self._feeder.join()
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        self._reader.join()
        return ended_at

    def _read(self) -> None:
        with self._stdout as stdout:
            self.said.extend(iter(stdout.readline, b""))

    def _feed(self, content: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._stdin.write(content)
            self._stdin.flush()
            self._is_fed = True
            if not self._is_silent_at_last:
                self._stdin.close()


def _waiting(pipe: IO[Any]) -> int:
    """Return how many bytes wait in *pipe* to be read."""
    size = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, size)
    return size[0]


def play(schedule: Schedule, door: Door, folder: Path, figures: Figures) -> list[str]:
    """Play one round in an empty *folder*; return what promises were broken."""
    with Server(schedule, figures) as server:
        broken = Round(schedule, door, folder, server, figures).play()
    figures.promises_broken += len(broken)
    return broken
