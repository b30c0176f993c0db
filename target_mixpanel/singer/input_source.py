"""How do Singer messages in a bucket, in a folder or compressed become an input like any other?"""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

import click

from target_mixpanel.errors import TargetMixpanelError
from target_mixpanel.files.compression import decompressed
from target_mixpanel.files.format_names import uncompressed_name
from target_mixpanel.files.globs import has_wildcard
from target_mixpanel.files.objects import find_objects, open_object
from target_mixpanel.files.stores import is_bucket_url
from target_mixpanel.stop import Stop
from target_mixpanel.threads import start

_OPTION: Final = "--input"

InputSource = IO[bytes] | str
"""A file, or a URL: an object of a bucket, a folder, a glob, a compressed file."""


class InputFile(click.File):
    """A plain file, or what a URL names."""

    def __init__(self) -> None:
        super().__init__("rb")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str) and _is_url(value):
            return value
        return super().convert(value, param, ctx)


def _is_url(given: str) -> bool:
    if is_bucket_url(given) or Path(given).is_dir():
        return True
    is_compressed = uncompressed_name(given) != given.lower()
    return is_compressed or (has_wildcard(given) and not Path(given).exists())


@contextmanager
def opened_input(source: InputSource | None, stop: Stop) -> Iterator[IO[bytes] | None]:
    """
    Open *source*; objects come one after the other, by name.

    They come through a pipe, so that nobody who waits for a bucket misses a signal or what is due.
    What is wrong with them is left with *stop*, and ends the input there.
    """
    if not isinstance(source, str):
        yield source
        return
    reader, writer = os.pipe()
    with ExitStack() as ends, os.fdopen(reader, "rb", buffering=0) as messages:
        # A daemon: a bucket that hangs must not keep the run from ending.
        thread = threading.Thread(
            target=_pump, args=[source, writer, stop], name="input", daemon=True
        )
        try:
            start(thread)
        except BaseException:
            ends.callback(os.close, writer)
            raise
        yield messages


def _pump(url: str, writer: int, stop: Stop) -> None:
    try:
        with suppress(BrokenPipeError):  # nobody reads on
            for block in _blocks(url, stop):
                _write(writer, block)
    except TargetMixpanelError as error:
        if not stop.is_input_over:
            stop.end_input(error)
    except BaseException as error:  # noqa: BLE001 (a thread's top: the main thread raises it)
        stop.fail(error)
    finally:
        os.close(writer)


def _blocks(url: str, stop: Stop) -> Iterator[bytes]:
    for stored in find_objects(url, _OPTION):
        last = b"\n"
        with open_object(stored, lambda: stop.is_input_over) as content:
            blocks, _ = decompressed(content.blocks(), stored.url)
            for block in blocks:
                yield block
                last = block[-1:] or last
        if last != b"\n":
            yield b"\n"  # the next object begins a line


def _write(descriptor: int, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
