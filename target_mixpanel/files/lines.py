"""Which lines do bytes hold? As many at a time as are there, none of them endless."""

from collections.abc import Iterator
from typing import Final

from target_mixpanel.errors import InputError, printable

LINE_MAX_BYTES: Final = 16 * 1024 * 1024
"""As of a Singer message: decoded, a line may take thirty times its size."""

UTF8_BOM: Final = b"\xef\xbb\xbf"


def lines_of(blocks: Iterator[bytes], url: str) -> Iterator[list[bytes]]:
    """
    Yield the lines of *blocks* without their line feeds, many at a time.

    The last one is a line even without a line feed; a byte order mark is not part of the first.

    Raises:
        InputError: A line has more than `LINE_MAX_BYTES`.
    """
    parts: list[bytes] = []
    size = seen = 0
    is_first = True
    for block in blocks:
        head, found, rest = block.partition(b"\n")
        parts.append(head)
        size += len(head)
        if size > LINE_MAX_BYTES:
            raise InputError(
                f"{printable(url)}: line {seen + 1:,} has more than {LINE_MAX_BYTES:,} bytes; look "
                "at what wrote it",
            )
        if not found:
            continue
        lines = rest.split(b"\n")
        last = lines.pop()
        lines.insert(0, b"".join(parts))
        parts, size = [last], len(last)
        if is_first:
            lines[0] = lines[0].removeprefix(UTF8_BOM)
            is_first = False
        seen += len(lines)
        yield lines
    if size:
        last = b"".join(parts)
        yield [last.removeprefix(UTF8_BOM) if is_first else last]
