"""
What does a tap's schema mean?

Taps write every draft of JSON Schema, two drafts in one schema, and what no draft knows. Whatever
has one meaning is read for it, here and once; the rest of the code sees draft 6 and later. What has
none is left out and named: who needs the column decides whether that ends the run.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from functools import cached_property
from typing import Any, Final, TypeAlias
from urllib.parse import quote, unquote

import jsonschema_rs
import msgspec
from jsonschema import Draft202012Validator, validators

from target_mixpanel.errors import StreamSchemaError, printable
from target_mixpanel.model import JsonObject
from target_mixpanel.pipeline.schema_guard import follow, is_hard_for_jsonschema

_Path: TypeAlias = tuple[str, ...]
"""The columns that lead to a schema. One behind a definition begins with "", its name follows."""

_TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")

_OTHER_WORDS: Final = {
    **dict.fromkeys(("bigint", "int", "long", "serial", "smallint"), "integer"),
    **dict.fromkeys(("bool",), "boolean"),
    **dict.fromkeys(("decimal", "double", "float", "money", "numeric", "real"), "number"),
    **dict.fromkeys(("dict", "json", "jsonb", "map", "record", "struct"), "object"),
    **dict.fromkeys(("list", "set", "tuple"), "array"),
    **dict.fromkeys(("char", "date", "date-time", "datetime", "enum", "str", "text"), "string"),
    **dict.fromkeys(("time", "timestamp", "uri", "url", "uuid", "varchar"), "string"),
    **dict.fromkeys(("nil", "none", "undefined"), "null"),
}
"""What other languages call the types: too far from them to be told by its letters."""

_DRAFT: Final = re.compile(r"https?://json-schema\.org/draft[-/](0\d|2019-09|2020-12)/")
_DRAFT_7: Final = "http://json-schema.org/draft-07/schema#"
_KNOWN_DRAFTS: Final = {
    **dict.fromkeys(("00", "01", "02", "03", "04", "05", "07"), _DRAFT_7),
    "06": "http://json-schema.org/draft-06/schema#",
    "2019-09": "https://json-schema.org/draft/2019-09/schema",
    "2020-12": "https://json-schema.org/draft/2020-12/schema",
}
"""Once their own spellings are translated, the older ones say what draft 7 says."""

_SCHEMAS: Final = frozenset(
    {"additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if"}
    | {"items", "not", "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"},
)
_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_BY_NAME: Final = frozenset(
    {"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"},
)
_BOUNDS: Final = frozenset({"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"})
_COUNTS: Final = frozenset(
    {"maxContains", "maxItems", "maxLength", "maxProperties"}
    | {"minContains", "minItems", "minLength", "minProperties"},
)
_TEXTS: Final = frozenset(
    {"$anchor", "$comment", "contentEncoding", "contentMediaType", "description", "format"}
    | {"pattern", "title"},
)
_BOOLEANS: Final = frozenset({"deprecated", "readOnly", "uniqueItems", "writeOnly"})
_IN_REFERENCES: Final = "#/~!$&'()*+,;=:@"
"""What may stand in a reference as it is, besides letters and digits. RFC 3986, 3.5"""

_ANCHORS: Final = ("$anchor", "$dynamicAnchor")
_VALUES: Final = frozenset({"const", "default"})
"""Keywords of which null is a value like others."""


class SchemaReading(msgspec.Struct, frozen=True):
    """A schema as the rest of the code may take it."""

    schema: JsonObject
    defects: Mapping[str, str]
    """What has no meaning, in words: by its column, or by "" where it is no one column's."""
    is_hard: bool = False
    """Whether only a validator that runs in linear time may see its records."""


class _MeaninglessError(Exception):
    """A keyword has a value of which nothing can be made; says which, in words."""


def read_schema(schema: JsonObject, stream: str) -> SchemaReading:
    """
    Return what *schema* means, in time linear in its size.

    *schema* is not changed. What was read reads as itself.

    Raises:
        StreamSchemaError: Its columns are no map; or it would do harm, whatever it means.
    """
    place = f"SCHEMA of {printable(stream)}"
    if not schema.get("properties"):
        schema = {**schema, "properties": {}}
    if not isinstance(schema["properties"], dict):
        raise StreamSchemaError(f"{place}: has properties that are no map of columns; mend the tap")
    is_hard = is_hard_for_jsonschema(schema, place)
    reader = _Reader(schema)
    read = reader.record(schema)
    _drop_what_no_draft_takes(read, reader.defects)
    return SchemaReading(read, reader.defects, is_hard)


class _Reader:
    """Reads one schema, and notes the first defect of each column."""

    def __init__(self, root: JsonObject) -> None:
        self._root = root
        self._draft = _declared_draft(root)
        self.defects: dict[str, str] = {}

    def schema(self, said: Any, path: _Path) -> JsonObject | bool:
        """Return what stands where a schema belongs."""
        written = _written_out(said)
        return written if isinstance(written, bool) else self.record(written, path)

    def record(self, written: JsonObject, path: _Path = ()) -> JsonObject:
        """Return what the keywords of a schema mean."""
        read: JsonObject = {}
        for keyword, value in written.items():
            try:
                found = self._keyword(keyword, value, path)
            except _MeaninglessError as error:
                self.defects.setdefault(path[0] if path else "", str(error))
            else:
                if found is not None or keyword in _VALUES:
                    read[keyword] = found
        _translate(read, has_tuples=self._draft is None or "2020-12" in self._draft)
        _require(written, read)
        return read

    def _keyword(self, keyword: str, value: Any, path: _Path) -> Any:
        """
        Return what *value* means there, None where it says nothing.

        Raises:
            _MeaninglessError: It should have said something.
        """
        if keyword == "$schema":
            return None if path else self._draft
        if keyword == "type":
            return _types(value, path)
        if value is None:
            return {} if keyword == "properties" else None
        if keyword == "$ref":
            return self._reference(value, path)
        if keyword in _BY_NAME:
            return self._by_name(keyword, value, path)
        if keyword in _LISTS or (keyword == "items" and isinstance(value, list)):
            branches = value if isinstance(value, list) else [value]
            return [
                self.schema("null" if each is None else each, path) for each in branches
            ] or None
        if keyword in _SCHEMAS:
            return self.schema(_boolean(value, otherwise=value), path)
        for keywords, read in _SIMPLE_READERS:
            if keyword in keywords:
                try:
                    return read(value)
                except (TypeError, ValueError, InvalidOperation):
                    raise _MeaninglessError(_wrong(keyword, path)) from None
        return value

    def _by_name(self, keyword: str, value: Any, path: _Path) -> JsonObject:
        if value == []:  # an empty object, as PHP writes it
            return {}
        if not isinstance(value, dict):
            raise _MeaninglessError(_wrong(keyword, path))
        if keyword == "dependencies":
            return {name: self._dependency(said, path) for name, said in value.items()}
        here = path
        if keyword in {"$defs", "definitions"} and not path:
            here = ("",)
        is_path = keyword == "properties" or here == ("",)
        return {
            name: self._named(said, (*here, name) if is_path else here)
            for name, said in value.items()
        }

    def _dependency(self, said: Any, path: _Path) -> list[str] | JsonObject | bool:
        if not isinstance(said, (str, list)):
            return self.schema(said, path)
        try:
            return _names(said)
        except TypeError:
            raise _MeaninglessError(_wrong("dependencies", path)) from None

    def _named(self, said: Any, path: _Path) -> JsonObject | bool:
        if isinstance(said, (int, float, Decimal)) and not isinstance(said, bool):
            self.defects.setdefault(path[0], f"{_place(path)} has a number for a schema")
            return {}
        return self.schema(said, path)

    def _reference(self, value: Any, path: _Path) -> str:
        if not isinstance(value, str):
            raise _MeaninglessError(_wrong("$ref", path))
        if value.startswith("#/"):
            is_there = isinstance(follow(value, self._root), (bool, dict))
        else:
            is_there = value == "#" or value[1:] in self._anchors
        if not is_there:
            raise _MeaninglessError(f'"$ref" of {_place(path)} leads nowhere')
        return quote(unquote(value), safe=_IN_REFERENCES)

    @cached_property
    def _anchors(self) -> frozenset[str]:
        """The names that references may have beside paths."""
        return frozenset(_anchors(self._root))


def _anchors(said: Any) -> Iterator[str]:
    if isinstance(said, dict):
        yield from (said[key] for key in _ANCHORS if isinstance(said.get(key), str))
    if isinstance(said, (dict, list)):
        for part in said.values() if isinstance(said, dict) else said:
            yield from _anchors(part)


def _declared_draft(root: JsonObject) -> str | None:
    declared = root.get("$schema")
    known = _DRAFT.match(declared) if isinstance(declared, str) else None
    return None if known is None else _KNOWN_DRAFTS.get(known[1])


def _written_out(said: Any) -> JsonObject | bool:
    """Return a schema that is written as nothing, or as its type alone, in full."""
    if isinstance(said, (bool, dict)):
        return said
    if said is None or said in ("", []):
        return {}
    return {"type": said}


def _types(value: Any, path: _Path) -> str | list[str] | None:
    """Return the types that *value* names; one word that is none makes them all uncertain."""
    if value is None or value == "":
        return None
    found: list[str] = []
    for word in value if isinstance(value, list) else [value]:
        if not isinstance(word, (str, type(None))):
            raise _MeaninglessError(f"the type of {_place(path)} is no word, nor a list of words")
        plain = "null" if word is None else word.strip().lower()
        if plain == "any":  # draft 3's
            return None
        if plain not in _TYPES:
            raise _MeaninglessError(_no_type(str(word), plain, path))
        found.append(plain)
    if isinstance(value, str):
        return found[0]
    return list(dict.fromkeys(found)) or None


def _no_type(word: str, plain: str, path: _Path) -> str:
    close = [_OTHER_WORDS[plain]] if plain in _OTHER_WORDS else get_close_matches(plain, _TYPES, 1)
    guess = f'; did you mean "{close[0]}"?' if close else ""
    return f'"{printable(word, max_chars=40)}" of {_place(path)} is no JSON type{guess}'


def _translate(read: JsonObject, *, has_tuples: bool) -> None:
    """Put what older drafts say into words of the later ones."""
    for bound in ("maximum", "minimum"):
        exclusive = f"exclusive{bound.capitalize()}"
        if isinstance(read.get(exclusive), bool) and read.pop(exclusive) and bound in read:
            read[exclusive] = read.pop(bound)
        if isinstance(read.get(bound), bool):
            del read[bound]
    if "divisibleBy" in read:
        read.setdefault("multipleOf", read.pop("divisibleBy"))
    if has_tuples and isinstance(read.get("items"), list):
        read["prefixItems"] = read.pop("items")
        if "additionalItems" in read:
            read["items"] = read.pop("additionalItems")


def _require(written: JsonObject, read: JsonObject) -> None:
    """Require the columns that say so themselves, as in draft 3."""
    columns = written.get("properties")
    for name, column in columns.items() if isinstance(columns, dict) else ():
        if isinstance(column, dict) and column.get("required") in (True, "true"):
            read["required"] = [*read.get("required", ()), name]
    if "required" in read:
        read["required"] = list(dict.fromkeys(read["required"]))


def _required(value: Any) -> list[str] | None:
    if isinstance(value, bool) or value in ("true", "false"):
        return None  # draft 3's: see _require
    return _names(value)


def _names(value: Any) -> list[str]:
    names = value if isinstance(value, list) else [value]
    if not all(isinstance(name, str) for name in names):
        raise TypeError
    return list(dict.fromkeys(names))


def _number(value: Any) -> int | float | Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal, str)):
        raise TypeError
    number = Decimal(value.strip()) if isinstance(value, str) else value
    if not Decimal(number).is_finite():
        raise ValueError
    return int(number) if isinstance(value, str) and number == int(number) else number


def _bound(value: Any) -> bool | int | float | Decimal:
    return value if isinstance(value, bool) else _number(value)


def _count(value: Any) -> int | None:
    """Return a number of things; where it is below nought, there is no limit."""
    number = _number(value)
    if number != int(number):
        raise ValueError
    return int(number) if number >= 0 else None


def _divisor(value: Any) -> int | float | Decimal | None:
    number = _number(value)
    return number if number > 0 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _boolean(value: Any, otherwise: Any = None) -> Any:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value, otherwise) if _text(value) else otherwise


def _enum(value: Any) -> list[Any] | None:
    return (value if isinstance(value, list) else [value]) or None


def _id(value: Any) -> str | None:
    return value if isinstance(value, str) and "#" not in value else None


def _examples(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


_SIMPLE_READERS: Final[tuple[tuple[frozenset[str], Callable[[Any], Any]], ...]] = (
    (_BOUNDS, _bound),
    (_COUNTS, _count),
    (_TEXTS, _text),
    (_BOOLEANS, _boolean),
    (frozenset({"divisibleBy", "multipleOf"}), _divisor),
    (frozenset({"enum"}), _enum),
    (frozenset({"required"}), _required),
    (frozenset({"examples"}), _examples),
    (frozenset({"$id"}), _id),
)


def _drop_what_no_draft_takes(schema: JsonObject, defects: dict[str, str]) -> None:
    """See that *schema* is one by its own draft's account; a column that is not may be anything."""
    try:
        if jsonschema_rs.meta.is_valid(schema):
            return
    except ValueError:
        pass  # it cannot tell: a number that it does not know
    draft = validators.validator_for(schema, default=Draft202012Validator)
    for error in draft(draft.META_SCHEMA).iter_errors(schema):
        place = [str(step) for step in error.absolute_path]
        is_column = place[:1] == ["properties"] and len(place) > 1
        if is_column:
            schema["properties"][place[1]] = {}
        where = printable(".".join(place)) or "its top"
        words = f"is no JSON Schema, at {where} ({error.validator})"
        defects.setdefault(place[1] if is_column else "", words)


def _wrong(keyword: str, path: _Path) -> str:
    return f'"{keyword}" of {_place(path)} has a value that means nothing there'


def _place(path: _Path) -> str:
    if not path:
        return "the record"
    kind, names = ("definition", path[1:]) if path[0] == "" else ("column", path)
    return f'{kind} "{printable(".".join(names))}"'
