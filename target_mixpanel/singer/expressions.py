"""What do the expressions in stream_maps make of a record, and what of its schema?"""

from collections.abc import Mapping
from datetime import datetime
from fnmatch import fnmatch
from typing import Any, Final

import simpleeval
from singer_sdk.mapper import NULL_STRING, CustomStreamMap, StreamMap

from target_mixpanel.engine.record_loader import plain
from target_mixpanel.errors import printable
from target_mixpanel.model import Flaw, JsonObject

_SOURCE: Final = "__source__"
_FILTER: Final = "__filter__"

_FAILURES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (simpleeval.FeatureNotAvailable, "uses what expressions may not"),
    (simpleeval.InvalidExpression, "cannot be evaluated"),
    (ZeroDivisionError, "divides by zero"),
    (LookupError, "asks a value for a part that it does not have"),
    (AttributeError, "asks a value for a part that it does not have"),
    (TypeError, "meets a value of a type that it cannot take"),
    (ValueError, "meets a value that it cannot take"),
    (ArithmeticError, "meets a number that it cannot take"),
)
"""In words that repeat no value, unlike those of the exceptions; the first that fits."""


class ExpressionError(Exception):
    """An expression failed on a record; its flaw says which one, and how."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.reason)
        self.flaw = flaw


class Expressions:
    """The expressions of one stream map."""

    def __init__(
        self, stream_map: StreamMap, definition: Mapping[str, Any], schema: JsonObject
    ) -> None:
        """
        Args:
            stream_map: The SDK's, whose expressions say from now on which of them failed.
            definition: As the operator wrote it.
            schema: The stream's, before the stream map.
        """
        self._map = stream_map
        written = {
            name: made
            for name, made in definition.items()
            if isinstance(made, str) and not name.startswith("__") and made != NULL_STRING
        }
        columns = schema.get("properties", {})
        self._renamed = {name: columns[made] for name, made in written.items() if made in columns}
        """Columns that are another one under a new name, with that one's type."""
        self._made: Final = written.keys() - self._renamed
        if isinstance(stream_map, CustomStreamMap):
            self._evaluate = stream_map._eval  # noqa: SLF001 (where a property's name is known)
            stream_map._eval = self._eval_named  # type: ignore[method-assign]  # noqa: SLF001

    def typed(self, schema: JsonObject) -> JsonObject:
        """Return what the stream map makes of *schema*, each new name of a column with its type."""
        if not self._renamed:
            return schema
        return {**schema, "properties": schema.get("properties", {}) | self._renamed}

    def untyped(self, schema: JsonObject, separator: str) -> JsonObject:
        """
        Return *schema*, flattened, less the types of what expressions make: the SDK guesses them.

        Where it says that a text is a date or a time, it still is one.
        """
        if not self._made:
            return schema
        beginnings = tuple(f"{name}{separator}" for name in self._made)
        columns = schema.get("properties", {})
        bare = {
            name: {word: column[word] for word in ("format",) if word in column}
            for name, column in columns.items()
            if isinstance(column, dict) and (name in self._made or name.startswith(beginnings))
        }
        return {**schema, "properties": columns | bare}

    def record(self, record: JsonObject) -> JsonObject | None:
        """
        Return what the stream map makes of *record*, None if it filters it.

        Raises:
            ExpressionError: It fails.
        """
        made = self._map.transform(record)
        if made is None:
            return None
        columns = self._map.transformed_schema.get("properties", {})
        for name in self._made & made.keys():
            # Of a column that is no date-time by its schema, only the type tells what it is.
            if type(made[name]) is not datetime or "format" in columns.get(name, {}):
                made[name] = plain(made[name])
        return made

    def _eval_named(
        self, expr: str, expr_parsed: Any, record: JsonObject, property_name: str | None
    ) -> Any:
        try:
            return self._evaluate(expr, expr_parsed, record, property_name)
        except Exception as error:  # noqa: BLE001 (an operator's expression met a value)
            raise ExpressionError(_flaw(error, property_name or _FILTER)) from None


def definitions_of(stream: str, stream_maps: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what is written of each of *stream*'s stream maps, in the SDK's order."""
    definitions: list[Mapping[str, Any]] = [{}]
    for key, definition in stream_maps.items():
        written = definition if isinstance(definition, Mapping) else {}
        source = str(written.get(_SOURCE, key))
        if stream != source and not fnmatch(stream, source):
            continue
        if _SOURCE in written:
            definitions.append(written)
        else:
            definitions[0] = written
    return definitions


def _flaw(error: Exception, field: str) -> Flaw:
    cause = error.__cause__ or error
    match cause:
        case simpleeval.FunctionNotDefined(func_name=name):
            words = f"calls {printable(str(name))}, which is no function there"
        case simpleeval.NameNotDefined(name=name):
            words = f'names "{printable(str(name))}", which the record does not have'
        case simpleeval.AttributeDoesNotExist(attr=name):
            words = f'asks for "{printable(str(name))}", which a value does not have'
        case _:
            named = (words for kind, words in _FAILURES if isinstance(cause, kind))
            words = next(named, f"fails with {type(cause).__name__}")
    return Flaw(
        "map", "stream_map_failed", field, f"is made by an expression in stream_maps that {words}"
    )
