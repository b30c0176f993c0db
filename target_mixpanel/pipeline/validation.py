"""Is a record what its stream's schema says, and a row what Mixpanel takes?"""

import json
from collections.abc import Callable, Container, Iterator, Sequence
from decimal import Decimal, localcontext
from functools import cached_property
from typing import Any, Final

import jsonschema
import jsonschema_rs
import msgspec
from jsonschema import validators

from target_mixpanel.errors import StreamSchemaError, printable
from target_mixpanel.limits import (
    EVENT_MAX_BYTES,
    NAME_MAX_BYTES,
    PROFILE_UPDATE_MAX_BYTES,
    is_too_long,
)
from target_mixpanel.mapping.stream_schema import METADATA_PREFIX
from target_mixpanel.model import NO_SINGLE_COLUMN, Flaw, JsonObject
from target_mixpanel.pipeline.culprits import deepest_column
from target_mixpanel.pipeline.schema_reading import SchemaReading

_FAST_DRAFTS: Final[dict[Any, Any]] = {
    jsonschema.Draft4Validator: jsonschema_rs.Draft4Validator,
    jsonschema.Draft6Validator: jsonschema_rs.Draft6Validator,
    jsonschema.Draft7Validator: jsonschema_rs.Draft7Validator,
    jsonschema.Draft201909Validator: jsonschema_rs.Draft201909Validator,
    jsonschema.Draft202012Validator: jsonschema_rs.Draft202012Validator,
}
_LINEAR_TIME: Final = jsonschema_rs.RegexOptions()
"""A regular-expression engine without backtracking: a `pattern` cannot hang the run."""

_SHOWN_KEYWORDS: Final = frozenset(
    {"exclusiveMaximum", "exclusiveMinimum", "maxItems", "maxLength", "maximum", "minItems"}
    | {"minLength", "minimum", "multipleOf", "type"},
)
"""Keywords whose value says what is wrong, and nothing of the data, unlike an enum's."""

_MAX_WORDS_CHARS: Final = 80
"""Of that value, as a message shows it."""

_OF_SINGLE_COLUMNS: Final = frozenset(
    {"additionalProperties", "patternProperties", "properties", "unevaluatedProperties"},
)
_OF_COLUMNS: Final = _OF_SINGLE_COLUMNS | {"$defs", "$id", "$schema", "definitions"}
"""What is said of a record's columns one by one, and what that may refer to."""

_UNUSED_TOLD_APART: Final = 20
"""Columns of one record that are looked for one after the other."""

_STEPS_DIGITS: Final = 60
"""More than any database's numeric has: its largest value is whole in its smallest step."""
EVENT_TOO_LONG: Final = "event_too_long"

_TOO_DEEP: Final = "too deep"
"""Stands for the keyword where no validator goes down as far as the record does."""


class ColumnUse(msgspec.Struct, frozen=True):
    """Which columns of a stream's records some mapping, or the stream's key, makes use of."""

    names: frozenset[str]
    takes_undeclared: bool
    """Whether columns are used that the schema does not name."""

    def includes(self, name: str, declared: Container[str]) -> bool:
        """Say whether a column is used, in a schema that names the *declared* ones."""
        if name in self.names:
            return True
        is_of_the_books = name.startswith(METADATA_PREFIX)
        return self.takes_undeclared and name not in declared and not is_of_the_books


class _Breach(msgspec.Struct, frozen=True):
    """What a record has that its schema does not allow."""

    keyword: str
    value: object = None
    """What the schema says there, where that is known."""
    path: tuple[object, ...] = ()
    """The place in the record; empty where it is the record itself."""

    @property
    def column(self) -> str | None:
        return str(self.path[0]) if self.path else None


class RecordValidator:
    """
    Say whether a record fits its stream's schema, as far as somebody makes use of it.

    `jsonschema` decides, and only what the much faster `jsonschema_rs` refuses is shown to it.
    Formats are annotations, as in the SDK: a bad date-time is the mapping's to refuse.
    """

    def __init__(
        self,
        reading: SchemaReading,
        stream: str,
        use: ColumnUse | None = None,
        on_unused: Callable[[str, Flaw], None] = lambda _column, _flaw: None,
    ) -> None:
        """
        Compile a schema.

        Args:
            reading: What the schema means.
            stream: Whose it is.
            use: Which columns matter; None: all of them.
            on_unused: Told of each column that does not fit and does not matter, and why not.

        Raises:
            StreamSchemaError: What is used of it has no meaning.
        """
        self._place = f"SCHEMA of {printable(stream)}"
        schema = reading.schema
        self._columns = schema["properties"]
        for column, words in reading.defects.items():
            if not column or use is None or use.includes(column, self._columns):
                mend = " Mend" if words.endswith("?") else "; mend"
                raise StreamSchemaError(
                    f"{self._place}: {words}{mend} the tap, or set validate_records: false",
                )
        self._reading = reading
        self._use = use
        self._on_unused = on_unused
        self._names = frozenset(_column_names(schema))
        self._whole = self._judge(schema)

    def flaw(self, record: JsonObject) -> Flaw | None:
        """Return why *record* does not fit, None if it does; without its values."""
        if self._whole.is_valid(record):
            return None
        breach = (
            self._whole.breach(record) if self._use is None else self._breach_that_matters(record)
        )
        return None if breach is None else self._flaw_of(breach)

    def _breach_that_matters(self, record: JsonObject) -> _Breach | None:
        """Look at what is used, at the rest, and at what is said of neither alone."""
        used = {name: value for name, value in record.items() if self._is_used(name)}
        unused = {name: value for name, value in record.items() if name not in used}
        missing = [name for name in self._reading.schema.get("required", ()) if name not in record]
        breach = self._columns_alone.breach(used)
        for name in missing:
            if breach is None and self._is_used(name):
                breach = _Breach("required", [name], (name,))
        if breach is not None:
            return breach
        found = [_Breach("required", [name], (name,)) for name in missing]
        found += self._breaches(unused)
        breach = (self._beside_columns if found else self._whole).breach(record)
        if breach is not None and (breach.column is None or self._is_used(breach.column)):
            return breach
        if breach is not None and not found:
            found = [breach]
        for each in found:
            self._on_unused(str(each.column), self._flaw_of(each))
        return None

    def _breaches(self, columns: JsonObject) -> list[_Breach]:
        """Return a breach for each column that has one, as far as they are told apart."""
        found: list[_Breach] = []
        left = dict(columns)
        while len(found) < _UNUSED_TOLD_APART:
            breach = self._columns_alone.breach(left)
            if breach is None or breach.column is None:
                break
            found.append(breach)
            left.pop(breach.column, None)
        return found

    def _is_used(self, name: str) -> bool:
        return self._use is None or self._use.includes(name, self._columns)

    @cached_property
    def _columns_alone(self) -> "_Judge":
        """Judges any part of a record by what is said of single columns."""
        kept = {name: said for name, said in self._reading.schema.items() if name in _OF_COLUMNS}
        return self._judge(kept)

    @cached_property
    def _beside_columns(self) -> "_Judge":
        """Judges a record by what is said of it as a whole."""
        left_out = _OF_SINGLE_COLUMNS | {"required"}
        kept = {name: said for name, said in self._reading.schema.items() if name not in left_out}
        return self._judge(kept)

    def _judge(self, schema: JsonObject) -> "_Judge":
        return _Judge(schema, self._place, is_hard=self._reading.is_hard)

    def _flaw_of(self, breach: _Breach) -> Flaw:
        if breach.keyword == _TOO_DEEP:
            return Flaw("limit", "too_deep", self._field(breach.path), "nests too deeply")
        return _schema_flaw(breach.keyword, breach.value, self._field(breach.path))

    def _field(self, path: Sequence[object]) -> str:
        """
        Name a place in a record.

        Names below its columns that are not the schema's are the record's content.
        """
        known = [
            step if depth == 0 or step in self._names else "*"
            for depth, step in enumerate(path)
            if isinstance(step, str)
        ]
        return _dotted(known) or NO_SINGLE_COLUMN


class _Judge:
    """Both validators of one schema."""

    def __init__(self, schema: JsonObject, place: str, *, is_hard: bool) -> None:
        draft = validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        self._schema = schema
        self._fast = _compile_fast(schema, draft, place)
        self._exact = None if is_hard else _exact(schema, draft)

    def is_valid(self, record: JsonObject) -> bool:
        """Say whether *record* is valid for sure."""
        try:
            return bool(self._fast.is_valid(record))
        except ValueError:
            return False  # it does not go down as far as the record does

    def breach(self, record: JsonObject) -> _Breach | None:
        """Return the first breach there is."""
        if self.is_valid(record):
            return None
        if self._exact is not None:
            try:
                error = next(self._exact.iter_errors(record), None)
            except (ArithmeticError, TypeError, RecursionError):
                pass  # of arithmetic, or a depth, that jsonschema cannot do
            else:
                return None if error is None else self._breach_of(error, record)
        try:
            refusal = next(iter(self._fast.iter_errors(record)))
        except ValueError:
            return _Breach(_TOO_DEEP, path=(deepest_column(record),))
        unexpected = getattr(refusal.kind, "unexpected", None) if not refusal.instance_path else ()
        path = (*refusal.instance_path, *(unexpected or ())[:1])
        return _Breach(str(list(refusal.schema_path)[-1]), None, path)

    def _breach_of(self, error: jsonschema.ValidationError, record: JsonObject) -> _Breach:
        path: list[object] = [*error.absolute_path, *_missing(error)]
        if not path:
            path += self._columns_meant(error, record)[:1]
        return _Breach(str(error.validator or "false"), error.validator_value, tuple(path))

    def _columns_meant(self, error: jsonschema.ValidationError, record: JsonObject) -> list[str]:
        """Return the columns that an error is of which is said to be the record's."""
        columns = self._schema.get("properties", {})
        if error.validator == "additionalProperties":
            return [name for name in record if name not in columns]
        if not error.validator:  # the schema false
            return [name for name in record if columns.get(name) is False]
        return []


def row_flaw(event: str, body: bytes) -> Flaw | None:
    """
    Return why /import would refuse the encoded event *body*, as far as its size tells.

    Which column is at fault, the record tells.
    """
    if len(body) <= EVENT_MAX_BYTES and not is_too_long(event):
        return None
    if len(body) > EVENT_MAX_BYTES:
        return Flaw("limit", "too_large", NO_SINGLE_COLUMN, "makes an event of 1 MB or more")
    detail = f"has more than {NAME_MAX_BYTES} bytes"
    return Flaw("limit", EVENT_TOO_LONG, NO_SINGLE_COLUMN, detail)


def update_flaw(body: bytes) -> Flaw | None:
    """Return why /engage or /groups would refuse the encoded update *body*, the token not in it."""
    if len(body) > PROFILE_UPDATE_MAX_BYTES:
        return Flaw(
            "limit", "too_large", NO_SINGLE_COLUMN, "makes a profile update of 1 MB or more"
        )
    return None


def _compile_fast(schema: JsonObject, draft: Any, place: str) -> Any:
    compile_with = _FAST_DRAFTS.get(draft, jsonschema_rs.Draft202012Validator)
    for candidate in (schema, _without_patterns(schema)):
        try:
            return compile_with(
                candidate,
                validate_formats=False,
                pattern_options=_LINEAR_TIME,
                offline=True,
            )
        except (ValueError, jsonschema_rs.ReferencingError):
            continue
    raise StreamSchemaError(f"{place}: cannot be compiled; look for a $ref that leads nowhere")


def _exact(schema: JsonObject, draft: Any) -> Any:
    def is_integer(checker: jsonschema.TypeChecker, value: object) -> bool:
        # Decimals, as the reader makes them, are whole if floats of the same value are.
        is_whole = draft.TYPE_CHECKER.is_type(value, "integer")
        return is_whole or (checker.is_type(value, "number") and value % 1 == 0)  # type: ignore[operator]

    def multiple_of(checker: Any, step: Any, value: Any, parent: JsonObject) -> Iterator[Any]:
        # A tap that read 350.65 into a double may spell that double out: 350.649999999999977…
        is_fraction = checker.is_type(step, "number") and step % 1
        if not (is_fraction and checker.is_type(value, "number") and _is_near(value, step)):
            yield from draft.VALIDATORS["multipleOf"](checker, step, value, parent)

    checker = draft.TYPE_CHECKER.redefine("integer", is_integer)
    keywords = {"multipleOf": multiple_of} if "multipleOf" in draft.VALIDATORS else {}
    return validators.extend(draft, keywords, type_checker=checker)(schema)  # type: ignore[no-untyped-call]


def _is_near(value: float | Decimal, step: float | Decimal) -> bool:
    """Say whether the double next to *value* is next to a multiple of *step*, too."""
    with localcontext(prec=_STEPS_DIGITS):
        size = Decimal(str(step))
        steps = (Decimal(str(value)) / size).to_integral_value()
        return float(steps * size) == float(value)


def _without_patterns(schema: Any) -> Any:
    """Return *schema* without each `pattern` the linear-time engine does not know (look-around)."""
    if isinstance(schema, list):
        return [_without_patterns(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        keyword: _without_patterns(value)
        for keyword, value in schema.items()
        if not (keyword == "pattern" and isinstance(value, str) and not _is_linear(value))
    }
    by_pattern = kept.get("patternProperties")
    if isinstance(by_pattern, dict) and not all(map(_is_linear, by_pattern)):
        kept["patternProperties"] = {
            pattern: value for pattern, value in by_pattern.items() if _is_linear(pattern)
        }
        # Which names are additional can no longer be told.
        kept.pop("additionalProperties", None)
        kept.pop("unevaluatedProperties", None)
    return kept


def _is_linear(pattern: str) -> bool:
    try:
        jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=_LINEAR_TIME)
    except ValueError:
        return False
    return True


def _column_names(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        columns = schema.get("properties")
        yield from columns if isinstance(columns, dict) else ()
        required = schema.get("required")
        yield from required if isinstance(required, list) else ()
        for value in schema.values():
            yield from _column_names(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _column_names(item)


def _missing(error: jsonschema.ValidationError) -> list[str]:
    """Return the first required column that is missing, if that is the error."""
    required = error.validator_value
    if error.validator != "required" or not isinstance(required, list):
        return []
    columns = error.instance if isinstance(error.instance, dict) else {}
    return [name for name in required if name not in columns][:1]


def _schema_flaw(keyword: str, value: object, field: str) -> Flaw:
    if keyword == "required":
        return Flaw(
            "validate",
            "schema_required",
            field,
            "is required" if value else "lacks a required column",
        )
    words = f"breaks the schema's {printable(keyword)}"
    if keyword in _SHOWN_KEYWORDS and value is not None:
        words += f" {printable(json.dumps(value, default=str), max_chars=_MAX_WORDS_CHARS)}"
    return Flaw("validate", f"schema_{printable(keyword)}", field, words)


def _dotted(path: Sequence[object]) -> str:
    return ".".join(printable(str(step)) for step in path if not isinstance(step, int))
