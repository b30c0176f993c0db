"""What tests of `load` share: rows in files of every format, and the real command."""

import csv
import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from backports import zstd

from tests.conftest import Command, Finished, Running, order


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [order(number)["record"] for number in range(start, start + count)]


def json_lines(records: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def csv_text(records: list[dict[str, Any]], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, records[0], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().encode()


def parquet(records: list[dict[str, Any]], group: int = 1_000, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(records), sink, row_group_size=group, **options)
    return sink.getvalue().to_pybytes()


def content_of(name: str, records: list[dict[str, Any]]) -> bytes:
    """Return *records* as a file of this name holds them."""
    plain, _, compression = name.partition(".")[2].partition(".")
    made = {
        "jsonl": json_lines,
        "csv": csv_text,
        "tsv": lambda given: csv_text(given, "\t"),
        "parquet": lambda given: parquet(given, 50),
    }[plain](records)
    match compression:
        case "gz":
            return gzip.compress(made)
        case "zst":
            return zstd.compress(made)
        case _:
            return made


def arguments(
    command: Command, *urls: str | Path, key: Sequence[str] = ("id",), **more: Any
) -> list[str]:
    options = ["--stream", "orders", *(word for name in key for word in ("--key", name))]
    return ["load", *command.arguments(**more), *options, *map(str, urls)]


def load(command: Command, *urls: str | Path, env: Any = None, **more: Any) -> Finished:
    with Running(arguments(command, *urls, **more), env=env) as running:
        return running.finish()
