"""What does a row of a file cost, from disk and from a bucket, beside the same one of a tap?"""

import csv
import gzip
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from subprocess import PIPE, Popen, run
from typing import Any, Final

import table
from contestants import target_command
from data import STREAM, Shape, make, records, warm
from measure import Job, Receiver, Run, load, receiving
from paths import BENCH
from rounds import describe, figures, in_turns, load_singer, median_ratio

_SINGER: Final = "Singer, from a file"

_NAMES: Final = {
    "JSON lines": "jsonl",
    "JSON lines, gzip": "jsonl.gz",
    "CSV, gzip": "csv.gz",
    "Parquet": "parquet",
}

_BUCKET: Final = "bench"

_CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_REGION": "us-east-1",
}

_GROUP_ROWS: Final = 100_000
"""Of a row group, as many writers make them."""


def measure_files(shape: Shape, rounds: int, reply_delay_ms: float) -> dict[str, Any]:
    """Return what a row costs from files of each format, here and in a bucket."""
    make(shape, with_rows=False)
    for ending in _NAMES.values():
        if not _path(shape, ending).exists():
            print(f"making {_path(shape, ending).name} …", flush=True)
            command = [sys.executable, __file__, ending, json.dumps(shape.__dict__)]
            run(command, check=True)
    with receiving(reply_delay_ms) as receiver, _bucket(shape.singer.parent) as endpoint:
        target = target_command(receiver.url)
        ways = {_SINGER: partial(load_singer, target, shape, receiver, "files-singer")}
        for title, ending in _NAMES.items():
            path = _path(shape, ending)
            ways[title] = partial(_load, target, str(path), shape, receiver, {})
            env = {"AWS_ENDPOINT_URL": endpoint, **_CREDENTIALS}
            url = f"s3://{_BUCKET}/{path.name}"
            ways[f"{title}, S3"] = partial(_load, target, url, shape, receiver, env)
        runs = in_turns(ways, rounds)
    found = [
        {
            "title": title,
            **figures(each),
            "of_singer_rate": median_ratio(each, runs[_SINGER], lambda run: run.records_per_s),
            "seconds": table.spread([run.process.wall_s for run in each]),
        }
        for title, each in runs.items()
    ]
    print(f"\n{describe(shape, reply_delay_ms)}\n\n{table.files(found)}")
    return {"files": found}


def _load(
    target: Sequence[str | Path], url: str, shape: Shape, receiver: Receiver, env: dict[str, str]
) -> Run:
    if not env:
        warm(Path(url))
    program, *options = target
    command = [program, "load", *options, "--stream", STREAM, "--key", "id", url]
    return load(Job(command, Path("/dev/null"), shape.records, "files", env=env), receiver)


def _path(shape: Shape, ending: str) -> Path:
    return shape.singer.with_suffix(f".{ending}")


@contextmanager
def _bucket(folder: Path) -> Iterator[str]:
    """Serve the files of *folder* in a process of its own; yield its address."""
    command = [sys.executable, BENCH / "bucket_server.py", folder]
    with Popen(command, stdout=PIPE) as process:
        try:
            port = (process.stdout.readline() if process.stdout else b"").decode().strip()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


# Files


def _write(ending: str, shape: Shape) -> None:
    path = _path(shape, ending)
    unfinished = path.with_suffix(".unfinished")
    match ending:
        case "jsonl":
            with unfinished.open("wb") as file:
                file.writelines(record + b"\n" for record in records(shape))
        case "jsonl.gz":
            with gzip.open(unfinished, "wb", compresslevel=6) as file:
                file.writelines(record + b"\n" for record in records(shape))
        case "csv.gz":
            _write_csv(unfinished, shape)
        case _:
            _write_parquet(unfinished, shape)
    unfinished.rename(path)


def _write_csv(path: Path, shape: Shape) -> None:
    with gzip.open(path, "wt", newline="", encoding="utf-8") as file:
        writer: csv.DictWriter[str] | None = None
        for record in map(json.loads, records(shape)):
            record["tags"] = " ".join(record["tags"])
            if writer is None:
                writer = csv.DictWriter(file, record)
                writer.writeheader()
            writer.writerow(record)


def _write_parquet(path: Path, shape: Shape) -> None:
    import pyarrow as pa  # noqa: PLC0415 (an extra)
    import pyarrow.parquet as pq  # noqa: PLC0415

    moments = ("created_at", "updated_at", "paid_at")
    writer: pq.ParquetWriter | None = None
    rows = map(json.loads, records(shape))
    while chunk := [row for _, row in zip(range(_GROUP_ROWS), rows, strict=False)]:
        made = pa.Table.from_pylist(chunk)
        for name in moments:
            column = made[name].cast(pa.timestamp("us", tz="UTC"))
            made = made.set_column(made.schema.get_field_index(name), name, column)
        writer = writer or pq.ParquetWriter(path, made.schema)
        writer.write_table(made)
    if writer is not None:
        writer.close()


if __name__ == "__main__":
    _write(sys.argv[1], Shape(**json.loads(sys.argv[2])))
