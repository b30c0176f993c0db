"""What does a load of files look like, from a bucket to Mixpanel's sandbox, killed in between?"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import bucket
import processes
import sandbox
from console import Console, StepError
from environments import REPO, clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterable

EVENT: Final = "Order Placed"

ROWS: Final = 20_000
"""Of each object."""

_OBJECTS: Final = ("orders/01.jsonl.gz", "orders/02.csv.gz", "orders/03.parquet")
_ADDED: Final = "orders/04.jsonl"
_BEGINNING: Final = datetime(2026, 10, 1, tzinfo=UTC)
_KILL_AFTER_ROWS: Final = ROWS // 2

_SETTINGS: Final = {
    "project_token": "sandbox-token",
    "files": [{"match": "s3://shop/orders/**", "stream": "orders", "key": ["id"]}],
    "files_state": "s3://shop/state/",
    "batch_size_rows": 500,
    "streams": {
        "orders": {
            "event": EVENT,
            "time": "at",
            "distinct_id": "user_id",
            "properties": {"*": "*", "amount": {"column": "amount", "as": "number"}},
        }
    },
}

Row = dict[str, str]


@dataclass(frozen=True)
class _Stage:
    console: Console
    mixpanel: sandbox.Sandbox
    store: bucket.Bucket
    config: Path

    @property
    def command(self) -> list[str | Path]:
        target = Path(sys.executable).with_name("target-mixpanel")
        return [target, "load", "--config", self.config, "s3://shop/orders/"]

    @property
    def environment(self) -> dict[str, str]:
        return clean_environment() | self.store.variables


def demonstrate(console: Console) -> bool:
    """Load objects of three formats, killed once and run again; say whether all of it is there."""
    console.say("A bucket -> target-mixpanel load -> a Mixpanel sandbox, all local\n")
    with ExitStack() as parts:
        stage = _set(console, parts)
        _killed(stage)
        _loaded(stage, "target-mixpanel load, again")
        is_complete = _show(stage, ROWS * len(_OBJECTS))
        with console.step(f"One more object: {_ADDED}"):
            stage.store.put(_ADDED, _json_lines(_rows(len(_OBJECTS))))
        _loaded(stage, "target-mixpanel load, once more: only what is new")
        is_complete = _show(stage, ROWS * (len(_OBJECTS) + 1)) and is_complete
    if is_complete:
        console.say("    Everything arrived, and what came twice is counted once.")
    return is_complete


def _set(console: Console, parts: ExitStack) -> _Stage:
    folder = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="mixpanel-demo-")))
    python = Path(sys.executable)
    with console.step("Start a bucket of our own") as step:
        store = parts.enter_context(bucket.running(python, log=step.log, cwd=REPO))
    with console.step(f"Fill it: JSON lines, CSV, Parquet, {ROWS:,} rows each"):
        for number, key in enumerate(_OBJECTS):
            store.put(key, _content(key, _rows(number)))
    with console.step("Start the sandbox") as step:
        mixpanel = parts.enter_context(sandbox.running(python, log=step.log, cwd=REPO))
        step.result = mixpanel.url
    config = folder / "config.json"
    config.write_text(json.dumps({**_SETTINGS, "api_url": mixpanel.url}))
    return _Stage(console, mixpanel, store, config)


def _killed(stage: _Stage) -> None:
    """Load until a part of it is there; then no more than the kernel is asked to end it."""
    with (
        stage.console.step("target-mixpanel load s3://shop/orders/, killed") as step,
        processes.started(stage.command, log=step.log, cwd=REPO, env=stage.environment) as process,
    ):
        while stage.mixpanel.events(EVENT).received < _KILL_AFTER_ROWS:
            if process.poll() is not None:
                raise StepError(f"it ended with status {process.returncode} before that")
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        step.result = f"kill -9 after {stage.mixpanel.events(EVENT).received:,} rows were received"


def _loaded(stage: _Stage, title: str) -> None:
    with stage.console.step(title) as step:
        processes.run(stage.command, log=step.log, cwd=REPO, env=stage.environment)


def _show(stage: _Stage, rows: int) -> bool:
    arrived = stage.mixpanel.events(EVENT)
    agree = arrived.there == arrived.compacted == rows <= arrived.received
    stage.console.table(
        [
            ("", "in the bucket", "received", "in reports", "compacted", ""),
            (
                EVENT,
                *(
                    f"{count:,}"
                    for count in (rows, arrived.received, arrived.there, arrived.compacted or 0)
                ),
                "agree" if agree else "DIFFER",
            ),
        ]
    )
    return agree


# Objects


def _rows(number: int) -> list[Row]:
    """Return the rows of an object; texts, so that they are the same ones in CSV."""
    first = number * ROWS
    return [
        {
            "id": str(each),
            "at": (_BEGINNING + timedelta(seconds=30 * each)).isoformat(),
            "user_id": f"u-{each % 997}",
            "amount": f"{each % 19_900 / 100:.2f}",
        }
        for each in range(first, first + ROWS)
    ]


def _content(key: str, rows: list[Row]) -> bytes:
    if ".parquet" in key:
        return _parquet(rows)
    return gzip.compress(_csv(rows) if ".csv" in key else _json_lines(rows))


def _json_lines(rows: Iterable[Row]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def _csv(rows: list[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _parquet(rows: list[Row]) -> bytes:
    import pyarrow as pa  # noqa: PLC0415 (slow to import)
    import pyarrow.parquet as pq  # noqa: PLC0415

    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=5_000)
    return sink.getvalue()
