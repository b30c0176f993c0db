"""Which columns that a schema does not name should the fast way know?"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from target_mixpanel.mapping.new_columns import NewColumnReader
from target_mixpanel.model import JsonObject

_LEARNED_AT_MOST: Final = 250
"""Columns: an event has no more, and each makes a record's type larger."""


class Learner:
    """
    Collects columns that records have and their schema does not name.

    The fast way leaves records to the careful one that have a column it does not know. It is made
    anew when the 1st, 2nd, 4th, 8th … of them was seen, so that a column in many records costs
    little, and columns that come and go cost no more than the careful way does.
    """

    def __init__(self, readers: Sequence[NewColumnReader]) -> None:
        self._readers = readers
        self._declared: dict[tuple[str, ...], set[str]] = {}
        for reader in readers:
            for parent, names in reader.declared.items():
                self._declared.setdefault(parent, set()).update(names)
        self._found: set[tuple[str, ...]] = set()
        self._records = 0
        self.learned: frozenset[tuple[str, ...]] = frozenset()
        """The columns that the fast way is to know."""

    def learn(self, record: JsonObject) -> bool:
        """Look at a record that took the careful way; say whether `learned` is new."""
        beyond = [path for path in self._beyond(record) if path not in self.learned]
        for path in beyond:
            is_full = len(self._found) == _LEARNED_AT_MOST
            if path not in self._found and not is_full and self._is_learnable(path):
                self._found.add(path)
        if self._found.isdisjoint(beyond):
            return False
        self._records += 1
        if self._records.bit_count() > 1:
            return False
        self.learned = frozenset(self._found)
        return True

    def _beyond(self, record: JsonObject) -> Iterator[tuple[str, ...]]:
        """Yield the columns of *record* that the schema does not name."""
        for parent, declared in self._declared.items():
            columns = _columns(record, parent)
            if not columns.keys() <= declared:
                yield from ((*parent, name) for name in columns if name not in declared)

    def _is_learnable(self, path: tuple[str, ...]) -> bool:
        return all(reader.is_learnable(path) for reader in self._readers)


def _columns(record: JsonObject, parent: tuple[str, ...]) -> Mapping[str, Any]:
    here: Any = record
    for name in parent:
        here = here.get(name) if type(here) is dict else None
    return here if type(here) is dict else {}
