"""Which texts in a column, its lists and objects does the schema call dates or numbers?"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

from target_mixpanel.mapping.json_schema import alternatives, own_types, string_format
from target_mixpanel.model import JsonObject

DECIMAL_FORMATS: Final = frozenset({"decimal", "numeric", "singer.decimal", "x-singer.decimal"})
"""Of texts that spell numbers. https://github.com/MeltanoLabs/Singer-Working-Group/issues/32"""

_FORMATS: Final = DECIMAL_FORMATS | {"date", "date-time"}

_WITHIN: Final = ("items", "prefixItems", "additionalProperties")
"""Keywords whose value says what stands in a list or an object."""


class Formats:
    """What a schema says of the texts at one place, and of those below it."""

    def __init__(self, schema: object, root: JsonObject) -> None:
        self._root = root
        self._said = [here for here in alternatives(schema, root) if here]
        self._columns: dict[str, Formats] = {}
        self._places: dict[int, Formats] = {}
        form = string_format(schema, root) if isinstance(schema, dict) else None
        self.form: str | None = form if form in _FORMATS else None
        """The format of a text there, if it matters."""
        self.is_or_text: bool = any(map(_is_any_text, _branches(self._said)))
        """Whether a text without it is as good: a tap's way to say that not all of them have it."""

    @cached_property
    def items(self) -> "Formats":
        """Of what a list there holds: as the list itself where nothing else is said."""
        found = [here["items"] for here in self._said if isinstance(here.get("items"), dict)]
        return self._of(found) or self

    def item(self, place: int) -> "Formats":
        """Return what is said of one place in a list there."""
        schemas = [each[place] for each in self._tuples if place < len(each)]
        if not schemas:
            return self.items
        if place not in self._places:
            self._places[place] = Formats({"anyOf": schemas}, self._root)
        return self._places[place]

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
    def _tuples(self) -> list[list[Any]]:
        said = [here.get(keyword) for here in self._said for keyword in ("items", "prefixItems")]
        return [each for each in said if isinstance(each, list)]

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


def _branches(said: list[JsonObject]) -> Iterator[Any]:
    for here in said:
        for keyword in ("anyOf", "oneOf"):
            yield from here.get(keyword) or ()


def _is_any_text(branch: object) -> bool:
    return isinstance(branch, dict) and "string" in own_types(branch) and "format" not in branch


def _says_something(column: JsonObject, root: JsonObject) -> bool:
    pending: list[Any] = [column]
    seen: set[int] = set()
    while pending:
        for here in alternatives(pending.pop(), root):
            if here.get("format") in _FORMATS:
                return True
            if id(here) in seen:
                continue
            seen.add(id(here))
            for keyword in _WITHIN:
                within = here.get(keyword)
                pending += within if isinstance(within, list) else [within]
            pending += (here.get("properties") or {}).values()
    return False
