"""A long load over a bad network: memory stays flat, every event arrives, STATE is never early.

SOAK_EVENTS=5000000 is the real thing; SOAK_REPORT names a file for its figures.
"""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from tests.conftest import COMMAND
from tests.soak.receiver import (
    COUNTS_PATH,
    FAULTS,
    FIRST_TIME_MS,
    ID_PREFIX,
    MAX_EVENT_BYTES,
    REQUEST_TIMEOUT_S,
    Counts,
)

EVENTS = int(os.environ.get("SOAK_EVENTS", "400000"))
FAULT_RATE = float(os.environ.get("SOAK_FAULT_RATE", "0.02"))
REPORT = os.environ.get("SOAK_REPORT")

STATE_EVERY = 10_000
REFUSED_EVERY = 4_999
"""Each such event is one that only Mixpanel finds too large."""

SAMPLE_S = 0.25
MOST_GROWTH = 1.2
"""Of the memory, from the first third of the run to the last: row 83 of the fault matrix."""

SCHEMA = {
    "type": "SCHEMA",
    "stream": "orders",
    "key_properties": ["id"],
    "schema": {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "user_id": {"type": "string"},
            "created_at": {"type": "integer"},
            "paid_at": {"type": ["null", "string"], "format": "date-time"},
            "amount": {"type": ["null", "number"]},
            "note": {"type": ["null", "string"]},
        },
    },
}
CONFIG = {
    "project_token": "sandbox-token",
    "streams": {
        "orders": {
            "event": "Order Placed",
            "time": "created_at",
            "time_unit": "ms",
            "distinct_id": "user_id",
            "insert_id": "id",
            "properties": "*",
        }
    },
    "batch_size_rows": 500,
    "request_timeout_seconds": REQUEST_TIMEOUT_S,
    "retry_initial_seconds": 0.05,
    "retry_max_seconds": 1,
    "retry_jitter_seconds": 0.05,
    "retry_max_elapsed_seconds": 120,
}


class Receiver:
    """The subprocess that plays Mixpanel."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def counts(self) -> Counts:
        reply = requests.get(self.url + COUNTS_PATH, timeout=60)
        return msgspec.json.decode(reply.content, type=Counts)


@contextmanager
def receiving() -> Iterator[Receiver]:
    command = [
        sys.executable,
        str(Path(__file__).with_name("receiver.py")),
        f"--events={EVENTS}",
        f"--fault-rate={FAULT_RATE}",
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Receiver(int(process.stdout.readline()))
        finally:
            process.terminate()


class Watch(threading.Thread):
    """Samples a process's memory, in MB, with the seconds since the start."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.samples: list[tuple[float, float]] = []
        self._status = Path(f"/proc/{pid}/status")
        self._over = threading.Event()

    def run(self) -> None:
        started_at = time.monotonic()
        while not self._over.wait(SAMPLE_S):
            rss = [line for line in self._status.read_text().splitlines() if "VmRSS" in line]
            if not rss:
                return  # it has ended
            self.samples.append((time.monotonic() - started_at, int(rss[0].split()[1]) / 1_024))

    def stop(self) -> None:
        self._over.set()
        self.join()

    def thirds(self) -> list[list[float]]:
        end = self.samples[-1][0]
        return [
            [rss for at, rss in self.samples if third * end < 3 * at <= (third + 1) * end]
            for third in range(3)
        ]


class StateReader(threading.Thread):
    """Reads what the target prints, and asks the receiver whether it is true."""

    def __init__(self, stdout: Any, receiver: Receiver) -> None:
        super().__init__(daemon=True)
        self.states: list[int] = []
        self.early: list[int] = []
        self._stdout = stdout
        self._receiver = receiver

    def run(self) -> None:
        for line in self._stdout:
            state = json.loads(line)["bookmarks"]["orders"]
            self.states.append(state)
            if self._receiver.counts().settled_up_to < state:
                self.early.append(state)


def blocks() -> Iterator[bytes]:
    """Yield what the tap writes, from one STATE to the next."""
    yield json.dumps(SCHEMA).encode() + b"\n"
    too_large = "x" * MAX_EVENT_BYTES
    for start in range(0, EVENTS, STATE_EVERY):
        end = min(start + STATE_EVERY, EVENTS)
        lines = [
            f'{{"type":"RECORD","stream":"orders","record":{{"id":"{ID_PREFIX}{number}",'
            f'"user_id":"user-{number % 9973}","created_at":{FIRST_TIME_MS + number},'
            f'"paid_at":"2026-10-01T10:{number % 60:02d}:00Z","amount":{number % 1000}.25,'
            f'"note":"{too_large if number % REFUSED_EVERY == 0 else "a note of no length"}"}}}}\n'
            for number in range(start, end)
        ]
        lines.append(f'{{"type":"STATE","value":{{"bookmarks":{{"orders":{end}}}}}}}\n')
        yield "".join(lines).encode()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_long_load_over_a_bad_network(tmp_path):
    letters = tmp_path / "rejected"
    config = CONFIG | {
        "dead_letter_path": str(letters),
        "report_path": str(tmp_path / "report.json"),
    }
    refused = set(range(0, EVENTS, REFUSED_EVERY))
    with receiving() as receiver, (tmp_path / "stderr").open("wb") as stderr:
        (tmp_path / "config.json").write_text(json.dumps(config | {"api_url": receiver.url}))
        command = [*COMMAND, "--config", str(tmp_path / "config.json")]
        started_at = time.monotonic()
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
        ) as process:
            watch = Watch(process.pid)
            reader = StateReader(process.stdout, receiver)
            watch.start()
            reader.start()
            try:
                for block in blocks():
                    process.stdin.write(block)
                process.stdin.close()
                process.wait()
            finally:
                process.kill()
            seconds = time.monotonic() - started_at
            reader.join()
            watch.stop()
        counts = receiver.counts()
    report = json.loads((tmp_path / "report.json").read_bytes())["streams"]["orders"]
    set_aside = [
        json.loads(line)["record"]["id"]
        for path in letters.glob("*.singer")
        for line in path.read_bytes().splitlines()[1:]
    ]
    thirds = watch.thirds()
    figures = {
        "events": EVENTS,
        "seconds": round(seconds, 1),
        "events_per_second": round(EVENTS / seconds),
        "rss_mb": [
            {"median": round(statistics.median(third), 1), "max": round(max(third), 1)}
            for third in thirds
        ],
        "states": len(reader.states),
        "missing": EVENTS - counts.accepted - counts.refused,
        "received": msgspec.to_builtins(counts),
        "reported": {name: report[name] for name in ("requests", "retries", "pending")},
    }
    print(json.dumps(figures, indent=2))  # noqa: T201 (shown by -s, or when it fails)
    if REPORT:
        Path(REPORT).write_text(json.dumps(figures | {"curve": watch.samples}))

    assert process.returncode == 0, (tmp_path / "stderr").read_text()[-2_000:]
    assert counts.settled_up_to == EVENTS
    assert (counts.accepted, counts.refused) == (EVENTS - len(refused), len(refused))
    assert not counts.altered
    assert sorted(set_aside) == sorted(f"{ID_PREFIX}{number}" for number in refused)
    assert (report["read"], report["accepted"]) == (EVENTS, EVENTS - len(refused))
    assert not reader.early
    assert reader.states == sorted(set(reader.states))
    assert reader.states[-1] == EVENTS
    assert counts.faults
    assert set(counts.faults) <= set(FAULTS)
    assert statistics.median(thirds[2]) < MOST_GROWTH * statistics.median(thirds[0])
