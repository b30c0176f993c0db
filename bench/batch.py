"""What do the files of BATCH messages cost, beside RECORD lines of the same records?"""

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import table
from contestants import MAPPING, target_command
from data import STATE_EVERY, STREAM, Shape, make, records, schema_message, warm
from measure import Job, Receiver, Run, load, receiving
from rounds import describe, figures, in_turns, load_singer, median_ratio

_LINES: Final = "RECORD lines"
_KINDS: Final = {
    "BATCH, jsonl": "jsonl",
    "BATCH, jsonl with gzip": "jsonl.gz",
    "BATCH, parquet": "parquet",
}


def measure_batch(shape: Shape, rounds: int, reply_delay_ms: float) -> dict[str, Any]:
    """Return what a record costs in each kind of file, and on a line."""
    make(shape, with_rows=False)
    for kind in _KINDS.values():
        _make(shape, kind)
    with receiving(reply_delay_ms) as receiver:
        command = target_command(receiver.url, MAPPING, name="lines")
        ways = {_LINES: partial(load_singer, command, shape, receiver, "lines")}
        for title, kind in _KINDS.items():
            ways[title] = partial(_load, shape, kind, receiver)
        runs = in_turns(ways, rounds)
    found = [
        {
            "title": title,
            **figures(each),
            "of_lines_rate": median_ratio(each, runs[_LINES], lambda run: run.records_per_s),
        }
        for title, each in runs.items()
    ]
    print(f"\n{describe(shape, reply_delay_ms)}\n\n{table.batch(found)}")
    return {"batch": found}


def _load(shape: Shape, kind: str, receiver: Receiver) -> Run:
    folder = _folder(shape, kind)
    for path in folder.iterdir():
        warm(path)
    settings = {"batch_roots": [folder.as_uri()]}
    command = target_command(receiver.url, MAPPING, settings, name=f"batch-{kind}")
    source = _messages(folder)
    return load(Job(command, source, shape.records, f"batch-{kind}", shape.last_state), receiver)


def _folder(shape: Shape, kind: str) -> Path:
    return shape.singer.with_suffix(f".batch-{kind}")


def _messages(folder: Path) -> Path:
    return folder / "messages.singer"


def _make(shape: Shape, kind: str) -> None:
    """See to it that the files exist; made in a process of their own, as all others are."""
    folder = _folder(shape, kind)
    if _messages(folder).exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(f"making {folder.name} …", flush=True)
    settings = json.dumps(shape.__dict__)
    subprocess.run([sys.executable, __file__, settings, kind], check=True)


def _write(shape: Shape, kind: str) -> None:
    folder = _folder(shape, kind)
    unfinished = folder / "messages.unfinished"
    with unfinished.open("w") as file:
        file.writelines(json.dumps(message) + "\n" for message in _written(shape, kind))
    unfinished.rename(_messages(folder))


def _written(shape: Shape, kind: str) -> Iterator[dict[str, Any]]:
    """Write the files, as many rows in each as the SDK's taps write; yield the messages."""
    name, _, compression = kind.partition(".")
    encoding = {"format": name, "compression": "gzip" if compression else "none"}
    yield schema_message(STREAM, shape)
    number = 0
    left = records(shape)
    while rows := tuple(islice(left, STATE_EVERY)):
        number += len(rows)
        path = _folder(shape, kind) / f"{number:09d}.{kind}"
        path.write_bytes(_content(rows, kind))
        manifest = [path.as_uri()]
        yield {"type": "BATCH", "stream": STREAM, "encoding": encoding, "manifest": manifest}
        yield {"type": "STATE", "value": Shape(number).last_state}


def _content(rows: tuple[bytes, ...], kind: str) -> bytes:
    lines = b"".join(row + b"\n" for row in rows)
    if kind == "jsonl.gz":
        return gzip.compress(lines)
    if kind == "jsonl":
        return lines
    import pyarrow as pa  # noqa: PLC0415 (only the process that writes should be large)
    import pyarrow.parquet as pq  # noqa: PLC0415

    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([json.loads(row) for row in rows]), sink)
    return sink.getvalue().to_pybytes()


if __name__ == "__main__":
    _write(Shape(**json.loads(sys.argv[1])), sys.argv[2])
