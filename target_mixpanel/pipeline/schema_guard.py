"""Can a tap's schema be applied to its records without harm: no fetching, no hanging?"""

from collections.abc import Iterator
from typing import Any, Final

from target_mixpanel.errors import StreamSchemaError, printable
from target_mixpanel.mapping.json_schema import reference_steps

SCHEMA_MAX_DEPTH: Final = 200
"""A deeper SCHEMA is an attack or a mistake; the validators would run out of stack."""

_MAX_EXPANDED_SCHEMAS: Final = 100_000
"""Schemas that one record is held against when every reference is followed: references that double
a few dozen times would take for ever."""

_NOT_SCHEMAS: Final = frozenset({"const", "default", "enum", "examples"})
"""Keywords whose value is none, whatever it looks like."""

_BY_NAME: Final = frozenset(
    {"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"},
)
"""Keywords whose value holds schemas by a name of the tap's choice, which is no keyword."""

_HARD: Final = frozenset({"pattern", "patternProperties", "uniqueItems"})
"""Where jsonschema backtracks, or compares each with each."""


def is_hard_for_jsonschema(schema: dict[str, Any], place: str) -> bool:
    """
    Say whether only a validator that runs in linear time may see records of *schema*.

    Raises:
        StreamSchemaError: No validator may: it refers to elsewhere, or nests without end.
    """
    _refuse_references_elsewhere(schema, place)
    _Expansion(schema, place).size(schema)
    # A reference may lead anywhere, into a default or an example, so every key counts.
    return any(key in _HARD for key in _keys(schema))


def follow(ref: str, root: dict[str, Any]) -> object:
    """Return what a local `$ref` means; None where it leads nowhere."""
    here: Any = root
    for name in reference_steps(ref):
        if isinstance(here, list) and name.isdecimal() and int(name) < len(here):
            here = here[int(name)]
        elif isinstance(here, dict):
            here = here.get(name)
        else:
            return None
    return here


def _refuse_references_elsewhere(schema: object, place: str, depth: int = 0) -> None:
    if depth > SCHEMA_MAX_DEPTH:
        raise StreamSchemaError(f"{place}: nests more than {SCHEMA_MAX_DEPTH} levels")
    if isinstance(schema, list):
        for item in schema:
            _refuse_references_elsewhere(item, place, depth + 1)
    if not isinstance(schema, dict):
        return
    for keyword, value in schema.items():
        if keyword in _BY_NAME and isinstance(value, dict):
            _refuse_references_elsewhere(list(value.values()), place, depth + 1)
            continue
        is_reference = keyword in {"$ref", "$dynamicRef", "$recursiveRef"}
        if is_reference and isinstance(value, str) and not value.startswith("#"):
            raise StreamSchemaError(
                f"{place}: refers to {printable(value)}, and nothing is fetched; the tap must "
                "send its schema whole",
            )
        if keyword not in _NOT_SCHEMAS:
            _refuse_references_elsewhere(value, place, depth + 1)


class _Expansion:
    """Count schemas as if every reference were replaced by what it refers to."""

    def __init__(self, root: dict[str, Any], place: str) -> None:
        self._root = root
        self._place = place
        self._known: dict[int, int] = {}
        self._open: set[int] = set()

    def size(self, schema: object) -> int:
        if not isinstance(schema, (dict, list)):
            return 0
        if id(schema) in self._open:
            return 1  # a circle ends where the record does
        if id(schema) not in self._known:
            self._open.add(id(schema))
            parts = schema.values() if isinstance(schema, dict) else schema
            total = 1 + sum(self.size(part) for part in parts)
            if isinstance(schema, dict) and isinstance(schema.get("$ref"), str):
                total += self.size(follow(schema["$ref"], self._root))
            self._open.discard(id(schema))
            self._known[id(schema)] = total
        if self._known[id(schema)] > _MAX_EXPANDED_SCHEMAS:
            raise StreamSchemaError(
                f"{self._place}: its references lead to more than {_MAX_EXPANDED_SCHEMAS:,} "
                "schemas; the tap must send a plainer one",
            )
        return self._known[id(schema)]


def _keys(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from schema
        for value in schema.values():
            yield from _keys(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _keys(item)
