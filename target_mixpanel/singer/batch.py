"""Which records does a BATCH message stand for? The rows of its files, below `batch_roots`."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal

import msgspec

from target_mixpanel.errors import InputError, SettingsError, printable
from target_mixpanel.files.formats import rows_of
from target_mixpanel.files.objects import (
    ReadingEndsError,
    StoredObject,
    below,
    find_object,
    open_object,
)
from target_mixpanel.files.places import Place, RowBatch
from target_mixpanel.singer.messages import Message
from target_mixpanel.singer.stream_maps import RecordPath
from target_mixpanel.stop import Stop

_Format = Literal["jsonl", "parquet"]

_COMPRESSIONS: Final[dict[str, frozenset[str | None]]] = {
    "jsonl": frozenset({None, "none", "gzip", "zstd"}),
    "parquet": frozenset({None, "none", "gzip", "zstd", "snappy", "brotli", "lz4"}),
}
"""What taps say; how a file is compressed is told by its own bytes."""

_BEGINNING: Final = Place()

_USER_INFORMATION: Final = re.compile(r"://[^/]*@")


class _Encoding(msgspec.Struct, frozen=True):
    format: str
    compression: str | None = None


class _Written(msgspec.Struct, frozen=True):
    """A BATCH message, as it is written."""

    stream: str
    encoding: _Encoding
    manifest: list[str]
    version: Any = None
    time_extracted: Any = None


class Batch(msgspec.Struct, frozen=True):
    """A BATCH message."""

    place: str
    """What errors call it."""
    stream: str
    format: _Format
    manifest: Sequence[str]
    """URLs of files, in order."""
    record: Message
    """Of each row, the RECORD message that says the same, up to the row."""

    def rows(
        self, folders: Sequence[str], is_over: Callable[[], bool]
    ) -> Iterator[tuple[str, RowBatch]]:
        """
        Yield the rows of its files in order, some at a time, each with its file's URL.

        Nothing is made or deleted.

        Args:
            folders: Below which files may be read.
            is_over: Says that nobody wants more of them.

        Raises:
            InputError: One may not or cannot be read; what was yielded is good.
            SettingsError: What reads it is not installed.
        """
        for url in self.manifest:
            try:
                found = _found(url, folders)
                with open_object(found, is_over, follows_links=False) as content:
                    for rows in rows_of(content, self.format).batches(_BEGINNING):
                        yield url, rows
            except ReadingEndsError:
                return
            except InputError as error:
                raise InputError(f"{self.place}: {error}") from None
            except SettingsError as error:
                raise SettingsError(f"{self.place}: {error}") from None


def batch_of(message: Message, place: str) -> Batch:
    """
    Return what *message* says.

    Raises:
        InputError: It is no BATCH that anybody could read.
    """
    try:
        written = msgspec.json.decode(message.line, type=_Written)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise InputError(
            f"{place}: is a BATCH of the wrong shape; it needs a stream, an encoding with a "
            "format, and a manifest, which is a list of URLs: mend the tap",
        ) from None
    encoding = written.encoding
    match encoding.format:
        case "jsonl" | "parquet" as known if encoding.compression in _COMPRESSIONS[known]:
            record = _record_of(written)
            return Batch(place, written.stream, known, written.manifest, record)
        case "jsonl" | "parquet":
            what = f"the compression {printable(encoding.compression or '', max_chars=40)}"
        case other:
            what = f"the format {printable(other, max_chars=40)}"
    raise InputError(
        f"{place}: is a BATCH of {what}, which is not known; let the tap's batch_config say "
        "format: jsonl or parquet, compression: gzip or none",
    )


def load_rows(batch: Batch, url: str, rows: RowBatch, path: RecordPath, stop: Stop) -> None:
    """
    Give some rows of the file *url* to *path*, as the records that they are, unless asked to stop.

    Raises:
        InputError: One is no record.
        TargetMixpanelError: The run cannot go on.
    """
    number, record, load_row = 0, batch.record, path.load_row
    try:
        for number, row in zip(rows.numbers, rows.rows, strict=True):  # noqa: B007 (for messages)
            load_row(row, record)
            if stop.is_input_over:
                return
    except InputError as error:
        raise InputError(f"{batch.place}: {printable(url)}: row {number:,}: {error}") from None


def _found(url: str, folders: Sequence[str]) -> StoredObject:
    try:
        real = below(url, folders, "manifest")
    except InputError:
        raise InputError(
            f"{_shown(url)}: names no file of this machine and no object in a bucket; only "
            "file:///…, s3://…, gs://… and az://… are read",
        ) from None
    if real is None:
        raise InputError(
            f"{_shown(url)}: is not below batch_roots, links followed; add its folder there if "
            "it is to be read",
        )
    return find_object(real, "manifest")


def _shown(url: str) -> str:
    """Return *url* less what may be a password or a signature."""
    return printable(_USER_INFORMATION.sub("://", url.partition("?")[0]))


def _record_of(written: _Written) -> Message:
    said = {"version": written.version, "time_extracted": written.time_extracted}
    known = {name: value for name, value in said.items() if value is not None}
    beginning = msgspec.json.encode({"type": "RECORD", "stream": written.stream, **known})
    return Message(
        type="RECORD",
        stream=written.stream,
        **said,
        line=beginning.removesuffix(b"}") + b',"record":',
    )
