"""One round: run the loader through a schedule until all is in; the oracle looks each time."""

import contextlib
import json
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import msgspec

from target_mixpanel.sandbox import Sandbox, SandboxSettings
from tests.torture.door import Door
from tests.torture.oracle import Ended, Oracle
from tests.torture.schedule import STREAMS, Run, Schedule
from tests.waiting import wait_until

SHUTDOWN_TIMEOUT_S = 20
STUCK_S = 120
"""No run takes so long; one that does is killed, and its exit code tells."""
SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "stop": signal.SIGSTOP}


class Figures(msgspec.Struct):
    """What rounds came to."""

    rounds: int = 0
    records: int = 0
    faults: Counter[str] = msgspec.field(default_factory=Counter)
    signals: Counter[str] = msgspec.field(default_factory=Counter)
    first_event_s: float = 0.0
    """The longest from the start of a run without faults to its first request."""
    ending_s: float = 0.0
    """The longest from SIGTERM to the end."""
    overshoot_s: float = 0.0
    """The most by which that went over the deadline."""
    rows_sent: int = 0
    rows_needed: int = 0

    def told(self) -> str:
        known = msgspec.to_builtins(self) | {
            "rows_sent_per_row_needed": round(self.rows_sent / max(1, self.rows_needed), 2)
        }
        return json.dumps(known, indent=2)


class Round:
    """A sandbox, a loader, and whoever keeps the STATE between runs."""

    def __init__(
        self, schedule: Schedule, door: Door, folder: Path, sandbox: Sandbox, figures: Figures
    ) -> None:
        self._schedule = schedule
        self._door = door
        self._sandbox = sandbox
        self._figures = figures
        self._letters = folder / "rejected"
        self._config = folder / "config.json"
        self._log = folder / "log"
        self._oracle = Oracle(schedule, sandbox, self._letters)
        self._start = 0
        self._config.write_text(json.dumps(self._settings()))

    def _settings(self) -> dict[str, object]:
        return {
            "api_url": self._sandbox.url,
            "project_token": "sandbox-token",
            "streams": STREAMS,
            "batch_size_rows": 7,
            "max_parallel_requests": 4,
            "dead_letter_path": str(self._letters),
            "max_rejection_rate": 1.0,
            "retry_initial_seconds": 0.02,
            "retry_max_seconds": 0.1,
            "retry_jitter_seconds": 0.05,
            "retry_max_elapsed_seconds": 60,
            "shutdown_timeout_seconds": SHUTDOWN_TIMEOUT_S,
        }

    def play(self) -> list[str]:
        """Return what promises were broken."""
        self._sandbox.script(*self._schedule.faults)
        for run in self._schedule.runs:
            broken = self._run(run)
            if broken:
                return broken
        self._count_faults()
        self._sandbox.project.faults.clear()
        broken = self._run(None) or self._oracle.at_the_end()
        self._figures.rounds += 1
        self._figures.records += len(self._schedule.items)
        self._figures.rows_needed += sum(item.kind != "bad" for item in self._schedule.items)
        self._figures.rows_sent += sum(request.rows for request in self._sandbox.requests)
        return broken

    def _count_faults(self) -> None:
        used = self._schedule.kinds[: self._sandbox.project.requests.arrived]
        self._figures.faults.update(name for name in used if name)

    def _run(self, run: Run | None) -> list[str]:
        start, arrived = self._start, self._sandbox.project.requests.arrived
        lines: list[bytes] = []
        began_at = time.monotonic()
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                self._door.arguments(self._config),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        too_late = threading.Timer(STUCK_S, process.kill)
        reader = threading.Thread(target=_read, args=[process, lines], daemon=True)
        feeder = threading.Thread(
            target=_feed, args=[process, self._door.input(self._schedule.messages(start))]
        )
        for thread in (too_late, reader, feeder):
            thread.start()
        interrupted_at = None
        if run is None:
            wait_until(
                lambda: (
                    self._sandbox.project.requests.arrived > arrived or process.poll() is not None
                )
            )
            self._figures.first_event_s = max(
                self._figures.first_event_s, time.monotonic() - began_at
            )
        else:
            wait_until(
                lambda: (
                    process.poll() is not None
                    or run.nth
                    <= (
                        len(lines)
                        if run.mark == "state"
                        else self._sandbox.project.requests.arrived - arrived
                    )
                )
            )
            if process.poll() is None:
                interrupted_at = time.monotonic()
                process.send_signal(SIGNALS[run.interruption])
                self._figures.signals[run.interruption] += 1
                if run.interruption == "stop":
                    time.sleep(0.05)
                    process.send_signal(signal.SIGCONT)
        code = process.wait()
        ended_at = time.monotonic()
        too_late.cancel()
        reader.join()
        feeder.join()
        self._settle()
        seconds = None
        if interrupted_at is not None and run is not None and run.interruption == "term":
            seconds = ended_at - interrupted_at
            self._figures.ending_s = max(self._figures.ending_s, seconds)
            over = max(self._figures.overshoot_s, seconds - SHUTDOWN_TIMEOUT_S)
            self._figures.overshoot_s = over
        states = [self._door.safe(line) for line in lines if line.endswith(b"\n")]
        self._start = states[-1] if states else start
        was = None if run is None or interrupted_at is None else run.interruption
        deadline_s = SHUTDOWN_TIMEOUT_S
        return self._oracle.after(Ended(start, states, code, was, seconds, deadline_s))

    def _settle(self) -> None:
        """Wait until the sandbox has done all that a dead process had sent."""
        for _ in range(3):
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(self._sandbox.url + "/", timeout=60).close()  # noqa: S310
        wait_until(lambda: self._sandbox.project.requests.in_flight == 0)


def _read(process: subprocess.Popen[bytes], lines: list[bytes]) -> None:
    assert process.stdout is not None
    with process.stdout as stdout:
        lines.extend(iter(stdout.readline, b""))


def _feed(process: subprocess.Popen[bytes], content: bytes) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
        stdin.write(content)


def play(schedule: Schedule, door: Door, folder: Path, figures: Figures) -> list[str]:
    """Play one round in an empty *folder*; return what promises were broken."""
    settings = SandboxSettings(events_per_second=None, bytes_per_minute=None)
    with Sandbox(settings=settings) as sandbox:
        return Round(schedule, door, folder, sandbox, figures).play()
