"""How do objects become columns? As the SDK flattens them, but a list stays a list."""

from collections.abc import Iterator
from typing import Any

from singer_sdk.helpers._flattening import FlatteningOptions, flatten_key
from singer_sdk.singerlib.json import serialize_json

from target_mixpanel.errors import StreamSchemaError, printable
from target_mixpanel.model import JsonObject


class Flattening:
    """What one stream's records and schema become."""

    def __init__(self, options: FlatteningOptions, schema: JsonObject, stream: str) -> None:
        """
        Args:
            options: The operator's.
            schema: The stream's, each column's type said by the word `type` if it is said.
            stream: Its name.

        Raises:
            StreamSchemaError: Two columns would have one name.
        """
        self._options = options
        self._below: dict[str, list[str]] = {}
        """The columns that an object becomes, by the name that it would have itself."""
        columns: JsonObject = {}
        for name, column in self._flat_columns(schema.get("properties", {})):
            if name in columns:
                raise StreamSchemaError(
                    f"SCHEMA of {printable(stream)}: flattening makes two columns of the name "
                    f'"{printable(name)}"; set another flattening_separator',
                )
            columns[name] = column
        self.schema = {**schema, "properties": columns}
        if "required" in schema:
            self.schema["required"] = [name for name in schema["required"] if name in columns]

    def record(self, record: JsonObject) -> JsonObject:
        """Return *record*, flattened; an object that lies deeper is its JSON, as a text."""
        return dict(self._flat_values(record))

    def _flat_columns(
        self, columns: JsonObject, parents: tuple[str, ...] = ()
    ) -> Iterator[tuple[str, Any]]:
        for name, column in columns.items():
            kinds = _kinds(column)
            if "object" not in kinds:
                yield self._name(name, parents), column
            elif "properties" in column and len(parents) < self._options.max_level:
                below = list(self._flat_columns(column["properties"], (*parents, name)))
                self._below[self._name(name, parents)] = [flat for flat, _ in below]
                if "null" in kinds:
                    below = [(flat, _nullable(column)) for flat, column in below]
                yield from below
            else:
                others = [kind for kind in kinds if kind not in {"object", "string"}]
                yield self._name(name, parents), {"type": ["string", *others]}

    def _flat_values(
        self, values: JsonObject, parents: tuple[str, ...] = ()
    ) -> Iterator[tuple[str, Any]]:
        columns = self.schema["properties"]
        for name, value in values.items():
            flat = self._name(name, parents)
            if value is None and flat in self._below and flat not in columns:
                yield from dict.fromkeys(self._below[flat]).items()  # they are null, too
            elif type(value) is not dict:
                yield flat, value
            elif flat not in columns and len(parents) < self._options.max_level:
                yield from self._flat_values(value, (*parents, name))
            elif flat in columns and not _kinds(columns[flat]):
                yield flat, value  # of any type, so it may be what it is
            else:
                yield flat, serialize_json(value)

    def _name(self, name: str, parents: tuple[str, ...]) -> str:
        options = self._options
        return flatten_key(
            name, list(parents), options.separator, max_key_length=options.max_key_length
        )


def _nullable(column: Any) -> Any:
    """Return the schema of a column that is null as well where its object is."""
    kinds = _kinds(column)
    if not kinds or not column.keys().isdisjoint({"const", "enum"}):
        return {"anyOf": [column, {"type": "null"}]}
    return column if "null" in kinds else {**column, "type": [*kinds, "null"]}


def _kinds(column: Any) -> list[str]:
    kinds = column.get("type", []) if isinstance(column, dict) else []
    return kinds if isinstance(kinds, list) else [kinds]
