"""How does a caller without Singer load the records of one stream?"""

import threading
from collections.abc import Callable, Mapping
from datetime import date, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from target_mixpanel.engine.stream import Stream

if TYPE_CHECKING:
    from target_mixpanel.model import JsonObject

_SCALARS: Final = frozenset({bool, Decimal, float, int, str, type(None)})
"""What JSON has, and passes as it is."""


class RecordLoader:
    """Load the records of one stream; made by `Engine.stream`."""

    def __init__(self, stream: Stream, turn: threading.RLock, check: Callable[[], None]) -> None:
        self._stream = stream
        self._turn = turn
        self._check = check

    def load(self, record: Mapping[str, Any]) -> None:
        """
        Load one record: its columns by name.

        Besides what JSON has, values may be `datetime` (one without a zone is in the mapping's),
        `date`, `time`, `Decimal` and `UUID`, also in lists and dicts. The record is copied: the
        caller may use it again.

        Raises:
            TargetMixpanelError: The run cannot go on.
        """
        values: JsonObject = {str(name): plain(value) for name, value in record.items()}
        with self._turn:
            self._check()
            self._stream.load(values, values)

    def load_json(self, record: bytes) -> None:
        """
        Load one record: a JSON object in UTF-8. The fast way, where the schema has one.

        Raises:
            InputError: It is no JSON object.
            TargetMixpanelError: The run cannot go on.
        """
        with self._turn:
            self._check()
            self._stream.load_json(record)


def plain(value: Any) -> Any:
    """Return *value* as a JSON reader would have read it; what JSON does not know as it is."""
    if type(value) in _SCALARS:
        return value
    match value:
        case date() | time():  # a datetime is a date
            return value.isoformat()
        case UUID():
            return str(value)
        case Mapping():
            return {str(name): plain(item) for name, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value
