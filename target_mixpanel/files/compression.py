"""What do compressed bytes say, told by their first ones, and when is it too much?"""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Final

import msgspec
from isal import igzip_lib

from target_mixpanel.errors import InputError, SettingsError, printable

MAX_RATIO: Final = 500
"""Bytes of text of one compressed byte. What people store has 5 to 50; gzip can say 1,000, zstd
20,000."""

_RATIO_FROM_BYTES: Final = 64 * 1024 * 1024
"""From here on the ratio is looked at: a small file may well be one line, over and over."""

MAX_BYTES: Final = 100 * 1024**3
"""Of text in one compressed object; Mixpanel advises objects of 200 MB."""

_GZIP: Final = b"\x1f\x8b"

_MAGIC_BYTES: Final = 4

_ZSTD: Final = b"\x28\xb5\x2f\xfd"

_ZSTD_SKIPPABLE: Final = tuple(bytes([0x50 + kind]) + b"\x2a\x4d\x18" for kind in range(16))
"""Frames to pass over, as pzstd writes them first."""

_ISAL_ERROR: Final[Any] = igzip_lib.IsalError

_BLOCK_BYTES: Final = 256 * 1024
"""Of text given away at a time."""

_PIECE_BYTES: Final = 32 * 1024
"""Of text asked of a decompressor at a time: so much is lost to a reader where it finds a fault."""

_ZSTD_MAX_WINDOW_LOG: Final = 26
"""A frame may ask for 64 MB of memory; those of `zstd --ultra` and `--long` ask for more."""


def decompressed(blocks: Iterator[bytes], url: str) -> tuple[Iterator[bytes], bool]:
    """
    Return the text that *blocks* hold, and whether they were compressed: by gzip, by zstd, or not.

    Raises (while they are read):
        InputError: They are damaged, cut off, or say far more than they should.
        SettingsError: What reads zstd is not installed.
    """
    first = b""
    while len(first) < _MAGIC_BYTES and (block := next(blocks, None)) is not None:
        first += block
    rest = _with_first(first, blocks)
    if first.startswith(_GZIP):
        return _capped(rest, _gunzipped, url), True
    if first.startswith((_ZSTD, *_ZSTD_SKIPPABLE)):
        return _capped(rest, _unzstd, url), True
    return rest, False


def _with_first(first: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
        yield from blocks


def _capped(blocks: Iterator[bytes], read: Any, url: str) -> Iterator[bytes]:
    taken = said = 0

    def counted() -> Iterator[bytes]:
        nonlocal taken
        for block in blocks:
            taken += len(block)
            yield block

    for text in _gathered(read(counted(), url)):
        said += len(text)
        if said > MAX_BYTES or (said > _RATIO_FROM_BYTES and said > taken * MAX_RATIO):
            raise InputError(
                f"{printable(url)}: says more than {MAX_RATIO} times its size, or more than "
                f"{MAX_BYTES // 1024**3} GB; it looks like a decompression bomb: if it is none, "
                "store it in parts, or uncompressed",
            )
        yield text


def _gathered(texts: Iterator[bytes]) -> Iterator[bytes]:
    """Yield *texts* in larger ones; what came before a fault is not lost to it."""
    parts: list[bytes] = []
    size = 0
    try:
        for text in texts:
            parts.append(text)
            size += len(text)
            if size >= _BLOCK_BYTES:
                yield b"".join(parts)
                parts, size = [], 0
    except InputError:
        yield b"".join(parts)
        raise
    if parts:
        yield b"".join(parts)


def _gunzipped(blocks: Iterator[bytes], url: str) -> Iterator[bytes]:
    """Yield what all members of a gzip file say; zeros after the last one are padding."""

    def open_member() -> Any:
        return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)

    return _frames(blocks, url, _Kind("gzip", open_member, _ISAL_ERROR, padding=b"\0"))


def _unzstd(blocks: Iterator[bytes], url: str) -> Iterator[bytes]:
    """Yield what all frames of a zstd file say."""
    zstd = _zstd(url)
    options = {zstd.DecompressionParameter.window_log_max: _ZSTD_MAX_WINDOW_LOG}

    def open_frame() -> Any:
        return zstd.ZstdDecompressor(options=options)

    return _frames(blocks, url, _Kind("zstd", open_frame, zstd.ZstdError))


def _zstd(url: str) -> Any:
    try:
        try:
            return import_module("compression.zstd")  # from Python 3.14 on
        except ImportError:
            return import_module("backports.zstd")
    except ImportError:
        raise SettingsError(
            f"{printable(url)}: is compressed by zstd, and that needs the extra files: "
            "pip install 'target-mixpanel[files]'"
        ) from None


class _Kind(msgspec.Struct, frozen=True):
    """A way to compress, as Python's decompressors of all kinds are used."""

    name: str
    open_frame: Callable[[], Any]
    """Makes the decompressor of one frame: `decompress(data, max_length)`, `eof`, …"""
    error: type[Exception]
    """Which it raises."""
    padding: bytes = b""
    """What may stand between frames, and says nothing."""


def _frames(blocks: Iterator[bytes], url: str, kind: _Kind) -> Iterator[bytes]:
    reader: Any = None
    for block in blocks:
        left = block
        while left or (reader is not None and not reader.needs_input and not reader.eof):
            if reader is None:
                left = left.lstrip(kind.padding) if kind.padding else left
                if not left:
                    break
                reader = kind.open_frame()
            try:
                text = reader.decompress(left, _PIECE_BYTES)
            except kind.error:
                raise _damaged(url, kind.name) from None
            left = b""
            if text:
                yield text
            if reader.eof:
                left, reader = reader.unused_data, None
    if reader is not None:
        raise _cut_off(url, kind.name)


def _damaged(url: str, kind: str) -> InputError:
    return InputError(
        f"{printable(url)}: is damaged ({kind} cannot read on, or its checksum does not fit); "
        "what could be read before is loaded: store it anew",
    )


def _cut_off(url: str, kind: str) -> InputError:
    return InputError(
        f"{printable(url)}: is cut off ({kind} ends within it); what came before is loaded: store "
        "it anew",
    )
