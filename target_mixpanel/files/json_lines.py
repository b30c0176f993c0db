"""Which rows do JSON lines hold? The lines, as they are, less the blank ones."""

from collections.abc import Iterator
from typing import Final

from target_mixpanel.files.compression import decompressed
from target_mixpanel.files.lines import lines_of
from target_mixpanel.files.objects import OpenObject
from target_mixpanel.files.places import Place, RowBatch
from target_mixpanel.model import JsonObject

OPEN_SCHEMA: Final[JsonObject] = {"type": "object", "properties": {}, "additionalProperties": True}


class JsonLines:
    """The lines of one object; an uncompressed one goes on at a byte, others count lines."""

    def __init__(self, content: OpenObject) -> None:
        self.schema: JsonObject = OPEN_SCHEMA
        self._content = content

    def batches(self, start: Place) -> Iterator[RowBatch]:
        url = self._content.stored.url
        if start.offset:
            blocks, number, offset = self._content.blocks(start.offset), start.rows, start.offset
            is_compressed = False
        else:
            blocks, is_compressed = decompressed(self._content.blocks(), url)
            number = offset = 0
        for lines in lines_of(blocks, url):
            first, number = number, number + len(lines)
            if not is_compressed:
                offset += sum(map(len, lines)) + len(lines)
                offset += 3 if not first and self._has_bom() else 0
            if number > start.rows:
                behind = max(start.rows - first, 0)
                yield _batch(lines[behind:], first + behind, Place(number, offset))

    def _has_bom(self) -> bool:
        return self._content.read_at(0, 3) == b"\xef\xbb\xbf"


def _batch(lines: list[bytes], before: int, after: Place) -> RowBatch:
    numbers = range(before + 1, before + 1 + len(lines))
    if not any(not line or line.isspace() for line in lines):
        return RowBatch(lines, numbers, after)
    pairs = [pair for pair in zip(lines, numbers, strict=True) if pair[0].strip()]
    return RowBatch([line for line, _ in pairs], [number for _, number in pairs], after)
