"""How long after a record does the STATE come that covers it?"""

import json
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import IO, Any, Final

import table
from contestants import target_command
from data import STREAM, Shape, line, record_line, records, schema_message
from measure import Receiver, RunError, environment, logs, receiving
from paths import HOME

BATCH_ROWS: Final = 2_000
"""A full batch does not wait: at 100 records a second it is full after 20 seconds."""
ON_TOP_MS: Final = 250
"""What a request may take on a busy machine beyond the server's own delay."""


@dataclass(frozen=True)
class Trickle:
    """A tap that has a record now and then, and writes a STATE after each."""

    wait_limit_s: float
    """The target's `batch_wait_limit_seconds`."""
    records_per_s: int
    seconds: float
    """How long it writes: a little more than two batches need."""

    @property
    def records(self) -> int:
        return int(self.records_per_s * self.seconds)

    @property
    def limit_s(self) -> float:
        """How old a record may become before its batch is sent."""
        return min(self.wait_limit_s, BATCH_ROWS / self.records_per_s)


TRICKLES: Final = (
    Trickle(1, 100, 20),
    Trickle(5, 100, 30),
    Trickle(60, 100, 50),
    Trickle(60, 10, 130),
)
QUICK_TRICKLES: Final = (Trickle(1, 100, 5), Trickle(5, 100, 13))


@dataclass
class _Seen:
    """What came out, and when: the records that a STATE covers, and the seconds."""

    states: list[tuple[int, float]] = field(default_factory=list)
    is_ready: threading.Event = field(default_factory=threading.Event)

    def read(self, stdout: IO[bytes]) -> None:
        for text in stdout:
            at = time.perf_counter()
            covered = json.loads(text)["bookmarks"][STREAM]["replication_key_value"]
            self.states.append((covered, at))
            self.is_ready.set()
        self.is_ready.set()


def measure_latency(trickles: Sequence[Trickle], reply_delay_ms: float) -> dict[str, Any]:
    """Return how old records are when their STATE comes; all trickles run at the same time."""
    longest = max(trickle.seconds for trickle in trickles)
    print(f"{len(trickles)} taps write for up to {longest:.0f} seconds …", flush=True)
    with receiving(reply_delay_ms) as receiver, ThreadPoolExecutor(len(trickles)) as pool:
        measure = partial(_measure, receiver, reply_delay_ms)
        found = list(pool.map(measure, range(len(trickles)), trickles))
    print(f"\n{table.latency(found)}")
    return {"latency": found}


def _measure(
    receiver: Receiver, reply_delay_ms: float, number: int, trickle: Trickle
) -> dict[str, Any]:
    name = f"latency-{number}"
    settings = {"batch_wait_limit_seconds": trickle.wait_limit_s}
    command = target_command(receiver.url, settings=settings, name=name)
    seen = _Seen()
    stderr_path = logs(name)[1]
    with (
        stderr_path.open("wb") as stderr,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment(),
            cwd=HOME,
            bufsize=0,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        reader = threading.Thread(target=seen.read, args=(process.stdout,))
        reader.start()
        try:
            written_at = _write(process.stdin, trickle, seen)
            ended_at = time.perf_counter()
            process.stdin.close()
            process.wait()
        except BaseException:
            process.kill()
            raise
        finally:
            reader.join()
    if process.returncode or not seen.states or seen.states[-1][0] != trickle.records:
        raise RunError(f"{name}: not every record was covered by a STATE, see {stderr_path.name}")
    # The end of the input sends what waits; that is not what this is about.
    states = [(covered, at) for covered, at in seen.states if at < ended_at]
    ages = sorted(_ages(written_at, states))
    if not ages:
        raise RunError(f"{name}: no STATE came before the end of the input")
    over_ms = (ages[-1] - trickle.limit_s) * 1_000
    return {
        "batch_wait_limit_seconds": trickle.wait_limit_s,
        "records_per_s": trickle.records_per_s,
        "records": len(ages),
        "states": len(states) - 1,
        "limit_s": trickle.limit_s,
        "median_s": round(ages[len(ages) // 2], 3),
        "p99_s": round(ages[len(ages) * 99 // 100], 3),
        "max_s": round(ages[-1], 3),
        "max_over_limit_ms": round(over_ms, 1),
        "holds": over_ms <= reply_delay_ms + ON_TOP_MS,
    }


def _write(stdin: IO[bytes], trickle: Trickle, seen: _Seen) -> list[float]:
    """Write what the tap has to say; return when each record was written."""
    # A STATE before any record comes back at once: then the target is up.
    stdin.write(line(schema_message(STREAM, Shape(1))) + _state(0))
    seen.is_ready.wait()
    written_at: list[float] = []
    started_at = time.perf_counter()
    rows = islice(records(Shape(trickle.records)), trickle.records)
    for number, record in enumerate(rows, 1):
        due_at = started_at + number / trickle.records_per_s
        time.sleep(max(due_at - time.perf_counter(), 0))
        written_at.append(time.perf_counter())
        stdin.write(record_line(STREAM.encode(), record) + _state(number))
    return written_at


def _state(number: int) -> bytes:
    return line({"type": "STATE", "value": Shape(number).last_state})


def _ages(written_at: Sequence[float], states: Sequence[tuple[int, float]]) -> list[float]:
    """Return how old each record was when the first STATE came that covers it."""
    ages: list[float] = []
    for covered, at in states:
        ages += [at - written for written in written_at[len(ages) : covered]]
    return ages
