"""
Do ten loaders that share one limit keep to it, and does each get its share?

`.venv/bin/python bench/shared_limit.py`: a Redis, a sandbox that answers 429 to what is more than
the limit in a rolling minute, and as many loaders as there are to be, all at once.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from contestants import target_command
from data import Shape, line, make
from measure import environment, logs
from paths import HOME, REPO

from target_mixpanel.delivery.shared_rate import SharedRate, costs_of
from target_mixpanel.sandbox import Sandbox, SandboxSettings
from target_mixpanel.sandbox.request_log import LoggedRequest

sys.path.append(str(REPO))
from taps import redis_server

OK: Final = 200
RATE_LIMITED: Final = 429
WINDOW_S: Final = 60.0
MOST_ROWS: Final = 2_000
LIKE_US: Final = (MOST_ROWS, MOST_ROWS * 530)


@dataclass(frozen=True)
class Found:
    """One round."""

    events_per_s: float
    """While all of them were loading."""
    shares: Sequence[float]
    """Of each loader, beside an equal share: 1.0 is just that."""
    busiest_minute: int
    """Events in the rolling minute that had most."""
    refused: int
    """Requests answered 429."""
    calls_ms: Sequence[float]
    """What Redis took to answer, meanwhile."""


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through every `with`, as Ctrl-C
    # Not a whole number of batches, for whoever loads: its last one tells that it is at its end.
    shape = Shape(int(options.limit / options.loaders * options.seconds) + 7)
    HOME.mkdir(exist_ok=True)
    make(shape, with_rows=False)
    print(
        f"{options.loaders} loaders, {options.limit:,} events/s together, {shape.records:,} "
        "records each\n\n"
        "events/s   of the limit   least and greatest share   busiest minute   429   "
        "call, median and p99"
    )
    for _ in range(options.runs):
        found = _round(options.loaders, options.limit, shape)
        calls = sorted(found.calls_ms)
        print(
            f"{found.events_per_s:8,.0f} {found.events_per_s / options.limit:13.1%} "
            f"{min(found.shares):17.1%} {max(found.shares):8.1%} {found.busiest_minute:16,} "
            f"{found.refused:5} {median(calls):12.2f} ms {calls[len(calls) * 99 // 100]:6.2f} ms",
            flush=True,
        )


def _round(loaders: int, limit: int, shape: Shape) -> Found:
    settings = SandboxSettings(events_per_second=limit, keep_rows=0)
    with (
        tempfile.TemporaryDirectory() as folder,
        redis_server.running(Path(folder), password="not-a-secret") as server,
        _warm_sandbox(settings) as sandbox,
        _loading(loaders, limit, shape, sandbox.url, server.url) as processes,
        SharedRate(server.url, "bench", costs_of(limit)) as rate,
    ):
        calls_ms = []
        while any(process.poll() is None for process in processes):
            began_at = time.perf_counter()
            rate.reserve(*LIKE_US)
            calls_ms.append((time.perf_counter() - began_at) * 1_000)
            time.sleep(0.05)
        requests = sandbox.requests
    failed = [process.args for process in processes if process.returncode]
    if failed:
        sys.exit(f"{len(failed)} loaders failed, see {logs('shared-0')[1].parent}")
    return _found(loaders, requests, calls_ms)


@contextmanager
def _warm_sandbox(settings: SandboxSettings) -> Iterator[Sandbox]:
    """Start the sandbox; its first request takes a second, which would be the loaders' first."""
    shape = Shape(MOST_ROWS)
    make(shape, with_rows=False)
    with Sandbox(settings=settings) as sandbox:
        command = target_command(
            sandbox.url, settings={"project_token": "sandbox-token"}, name="shared-warm"
        )
        with shape.singer.open("rb") as source:
            subprocess.run(command, stdin=source, capture_output=True, check=True, cwd=HOME)
        sandbox.reset()
        yield sandbox


@contextmanager
def _loading(
    loaders: int, limit: int, shape: Shape, url: str, redis_url: str
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start the loaders, and once all of them are up give each its input."""
    with ExitStack() as opened:
        processes = []
        for number in range(loaders):
            settings = {
                "rate_limit_url": redis_url,
                "max_events_per_second": limit,
                "project_token": "sandbox-token",
                # By its size it is known whose a request is.
                "batch_size_rows": MOST_ROWS - number,
            }
            name = f"shared-{number}"
            process = subprocess.Popen(
                target_command(url, settings=settings, name=name),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=opened.enter_context(logs(name)[1].open("wb")),
                env=environment(),
                cwd=HOME,
                bufsize=0,
            )
            opened.callback(process.wait)
            opened.callback(process.kill)
            processes.append(process)
        for process in processes:
            _await_ready(process)
        for process in processes:
            source = opened.enter_context(shape.singer.open("rb"))
            tap = subprocess.Popen(["cat"], stdin=source, stdout=process.stdin)
            opened.callback(tap.wait)
            opened.callback(tap.kill)
            if process.stdin is not None:
                process.stdin.close()
        yield processes


def _await_ready(process: subprocess.Popen[bytes]) -> None:
    """Wait for a STATE before any record: it comes back at once, when the loader is up."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError
    process.stdin.write(line({"type": "STATE", "value": {"bookmarks": {}}}))
    process.stdout.readline()


def _found(loaders: int, requests: Sequence[LoggedRequest], calls_ms: Sequence[float]) -> Found:
    taken = sorted((one.at, one.rows) for one in requests if one.status == OK)
    whole = [(at, MOST_ROWS - rows) for at, rows in taken if MOST_ROWS - rows < loaders]
    began_at = max(min(at for at, whose in whole if whose == one) for one in range(loaders))
    # What is left over for a loader's last batch takes a turn, too, and is no measure of its share.
    ended_at = min(at for at, rows in taken if MOST_ROWS - rows >= loaders)
    seconds = ended_at - began_at
    events: Counter[int] = Counter()
    for at, whose in whole:
        if began_at < at <= ended_at:
            events[whose] += MOST_ROWS - whose
    rate = sum(rows for at, rows in taken if began_at < at <= ended_at) / seconds
    equal = sum(events.values()) / loaders
    return Found(
        rate,
        [events[one] / equal for one in range(loaders)],
        _busiest(taken),
        sum(one.status == RATE_LIMITED for one in requests),
        calls_ms,
    )


def _busiest(taken: Sequence[tuple[float, int]]) -> int:
    """Return the events of the rolling minute that had most of them."""
    most = within = first = 0
    for at, rows in taken:
        within += rows
        while taken[first][0] <= at - WINDOW_S:
            within -= taken[first][1]
            first += 1
        most = max(most, within)
    return most


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    add = parser.add_argument
    add("--loaders", type=int, default=10, help="how many (10)")
    add("--limit", type=int, default=10_000, help="events a second, of all of them (10,000)")
    add("--seconds", type=int, default=90, help="how long each loads (90)")
    add("--runs", type=int, default=3, help="rounds (3)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
