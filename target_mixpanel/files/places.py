"""Where in an object is a row?"""

from collections.abc import Sequence

import msgspec


class Place(msgspec.Struct, frozen=True):
    """How much of an object comes before; the beginning, if nothing is said."""

    rows: int = 0
    """Rows; of JSON lines the lines, blank ones too."""
    offset: int = 0
    """Bytes that a reader may pass over at once; 0: it counts rows."""


class RowBatch(msgspec.Struct, frozen=True):
    """Some rows of an object, one after another."""

    rows: Sequence[bytes]
    """Each a JSON object in UTF-8."""
    numbers: Sequence[int]
    """Of each row, for messages: 1 is the first; of JSON lines the line's."""
    after: Place
    """What comes behind them."""
