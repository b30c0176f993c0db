"""Which texts in a column, its lists and objects does the schema call dates or numbers?"""

from functools import cached_property
from typing import Any, Final

from target_mixpanel.mapping.json_schema import alternatives
from target_mixpanel.model import JsonObject

DECIMAL_FORMATS: Final = frozenset({"decimal", "numeric", "singer.decimal", "x-singer.decimal"})
"""Of texts that spell numbers. https://github.com/MeltanoLabs/Singer-Working-Group/issues/32"""

_FORMATS: Final = DECIMAL_FORMATS | {"date", "date-time"}

_WITHIN: Final = ("items", "additionalProperties")
"""Keywords whose value says what stands in a list or an object."""


class Formats:
    """What a schema says of the texts at one place, and of those below it."""

    def __init__(self, schema: object, root: JsonObject) -> None:
        self._root = root
        self._said = [here for here in alternatives(schema, root) if here]
        self._columns: dict[str, Formats] = {}
        self.form: str | None = next(
            (here["format"] for here in self._said if here.get("format") in _FORMATS), None
        )
        """The format of a text there, if it matters."""

    @cached_property
    def items(self) -> "Formats":
        """Of what a list there holds: as the list itself where nothing else is said."""
        return self._of([here["items"] for here in self._said if "items" in here]) or self

    def column(self, name: str) -> "Formats":
        """Return what is said of *name* in an object there."""
        found = self._columns.get(name)
        if found is not None:
            return found
        schemas = [columns[name] for columns in self._named if name in columns]
        if not schemas:
            return self._others
        self._columns[name] = made = Formats({"anyOf": schemas}, self._root)
        return made

    @cached_property
    def _named(self) -> list[JsonObject]:
        return [here["properties"] for here in self._said if here.get("properties")]

    @cached_property
    def _others(self) -> "Formats":
        """Of the names in an object of which nothing is said one by one."""
        schemas = [here.get("additionalProperties") for here in self._said]
        return self._of(schemas) or Formats({}, self._root)

    def _of(self, schemas: list[Any]) -> "Formats | None":
        return Formats({"anyOf": schemas}, self._root) if schemas else None


def formats_of(column: JsonObject, root: JsonObject) -> Formats | None:
    """Return what *column*'s schema says of formats that matter, None where it says nothing."""
    return Formats(column, root) if _says_something(column, root) else None


def _says_something(column: JsonObject, root: JsonObject) -> bool:
    pending: list[Any] = [column]
    seen: set[int] = set()
    while pending:
        for here in alternatives(pending.pop(), root):
            if here.get("format") in _FORMATS:
                return True
            if id(here) not in seen:
                seen.add(id(here))
                pending += [here.get(keyword) for keyword in _WITHIN]
                pending += (here.get("properties") or {}).values()
    return False
