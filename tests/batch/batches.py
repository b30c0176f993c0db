"""What tests of BATCH share: rows in files, and the messages that name these."""

import gzip
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.load.loads import json_lines, parquet

FORMATS = ("jsonl.gz", "jsonl", "parquet")


def content_of(kind: str, records: list[dict[str, Any]]) -> bytes:
    """Return *records* as the SDK's taps write them."""
    match kind:
        case "jsonl.gz":
            return gzip.compress(json_lines(records))
        case "jsonl":
            return json_lines(records)
        case _:
            return parquet(records)


def encoding_of(kind: str) -> dict[str, Any]:
    name, _, compression = kind.partition(".")
    return {"format": name, "compression": "gzip" if compression else "none"}


def batch(*urls: str, kind: str = "jsonl.gz", stream: str = "orders", **more: Any) -> dict:
    return {
        "type": "BATCH",
        "stream": stream,
        "encoding": encoding_of(kind),
        "manifest": list(urls),
        **more,
    }


class Batches:
    """A folder that a tap writes its files to, one BATCH after the other."""

    def __init__(self, folder: Path, kind: str = "jsonl.gz", stream: str = "orders") -> None:
        self.folder, self.kind, self.stream = folder, kind, stream
        folder.mkdir(parents=True, exist_ok=True)
        self._written = 0

    @property
    def root(self) -> str:
        return self.folder.as_uri()

    def write(self, records: Iterable[Mapping[str, Any]]) -> str:
        """Write one file; return its URL."""
        self._written += 1
        path = self.folder / f"{self.stream}-{self._written}.{self.kind}"
        path.write_bytes(content_of(self.kind, [dict(each) for each in records]))
        return path.as_uri()

    def batch(self, *files: Iterable[Mapping[str, Any]], **more: Any) -> dict:
        """Write some files; return the message that names them."""
        urls = [self.write(records) for records in files]
        return batch(*urls, kind=self.kind, stream=self.stream, **more)
