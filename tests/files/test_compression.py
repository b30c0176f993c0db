"""Compressed bytes say what was put in, whoever wrote them; a bomb, a cut and damage are told."""

import gzip
import zlib

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from target_mixpanel.errors import InputError
from target_mixpanel.files import compression
from target_mixpanel.files.compression import decompressed

TEXT = b"".join(b'{"id": %d, "note": "%x"}\n' % (n, n * 7919) for n in range(40_000))


def blocks_of(content, size):
    return (content[start : start + size] for start in range(0, len(content), size))


def said(content, size=65_536):
    blocks, _ = decompressed(blocks_of(content, size), "a.gz")
    return b"".join(blocks)


def until_refused(content, words):
    """Return the pieces that come before *content* is refused with *words*."""
    blocks, is_compressed = decompressed(blocks_of(content, 65_536), "a")
    pieces: list[bytes] = []
    with pytest.raises(InputError, match=words):
        pieces.extend(blocks)

    assert is_compressed
    return pieces


def gzip_level_0(text):
    return gzip.compress(text, compresslevel=0)


def members(text):
    """As bgzip and logrotate write: many members, an empty one last, then padding."""
    parts = [gzip.compress(text[start : start + 9_973]) for start in range(0, len(text), 9_973)]
    return b"".join([*parts, gzip.compress(b""), b"\0" * 700])


def frames(text):
    """As pzstd writes: a frame to pass over before each of data."""
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0SKIP"
    parts = (text[start : start + 9_973] for start in range(0, len(text), 9_973))
    return b"".join(skippable + zstd.compress(part) for part in parts)


def streamed(text):
    """As who does not know the size beforehand."""
    packer = zstd.ZstdCompressor()
    return packer.compress(text) + packer.flush()


WAYS = [gzip.compress, gzip_level_0, members, zstd.compress, frames, streamed]


@pytest.mark.parametrize("size", [1 << 20, 4_096, 7])
@pytest.mark.parametrize("way", WAYS)
def test_what_was_put_in_comes_out(way, size):
    text = TEXT if size > 7 else TEXT[:30_000]

    assert said(way(text), size) == text


@given(st.lists(st.binary(max_size=3_000), max_size=6), st.integers(1, 999), st.sampled_from(WAYS))
def test_in_whatever_blocks_it_comes(parts, size, way):
    text = b"".join(parts)

    assert said(way(text), size) == text


@pytest.mark.parametrize("way", [gzip.compress, zstd.compress, streamed])
def test_a_cut_gives_what_came_before_it(way):
    before = b"".join(until_refused(way(TEXT)[:-9], "is cut off|is damaged"))

    assert TEXT.startswith(before)
    assert len(before) > len(TEXT) - 300_000


def test_damage_gives_what_came_before_it():
    """All but the piece in which it was found."""
    content = bytearray(gzip.compress(TEXT))
    content[-6] ^= 0xFF  # of its checksum
    before = b"".join(until_refused(bytes(content), "its checksum does not fit"))

    assert TEXT.startswith(before)
    assert len(before) >= len(TEXT) - compression._PIECE_BYTES


@pytest.mark.parametrize(
    "open_packer", [lambda: zlib.compressobj(9, wbits=31), zstd.ZstdCompressor]
)
def test_a_bomb_is_told_before_it_goes_off(open_packer):
    """A gigabyte of zeros in a megabyte, or in some kilobytes."""
    packer, zeros = open_packer(), bytes(1 << 20)
    content = b"".join(packer.compress(zeros) for _ in range(1_024)) + packer.flush()
    sizes = [len(piece) for piece in until_refused(content, "decompression bomb")]

    assert max(sizes) <= 1 << 19
    assert sum(sizes) <= 65 << 20


def test_a_window_that_is_too_large_is_refused():
    """A frame of zstd may ask for two gigabytes before it says a word."""
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 30})
    content = packer.compress(TEXT) + packer.flush()

    with pytest.raises(InputError, match="is damaged"):
        said(content)
