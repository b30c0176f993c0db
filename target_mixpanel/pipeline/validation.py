"""Is a record what its stream's schema says, and a row what Mixpanel takes?"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import jsonschema
import jsonschema_rs
from jsonschema import validators

from target_mixpanel.errors import StreamSchemaError, printable
from target_mixpanel.limits import EVENT_MAX_BYTES, NAME_MAX_CHARS, PROFILE_UPDATE_MAX_BYTES
from target_mixpanel.model import Flaw, JsonObject
from target_mixpanel.pipeline.schema_guard import is_hard_for_jsonschema

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


class RecordValidator:
    """
    Say whether a record fits its stream's schema.

    `jsonschema` decides, and only what the much faster `jsonschema_rs` refuses is shown to it.
    Formats are annotations, as in the SDK: a bad date-time is the mapping's to refuse.
    """

    def __init__(self, schema: JsonObject, stream: str) -> None:
        """
        Compile *schema*.

        Raises:
            StreamSchemaError: It is no JSON Schema of an object, or refers to elsewhere.
        """
        place = f"SCHEMA of {printable(stream)}"
        schema = dict(schema, properties=schema.get("properties"))
        if not isinstance(schema["properties"], dict):
            raise StreamSchemaError(f"{place}: has no properties; the tap must name its columns")
        if not isinstance(schema.get("$schema", ""), str):
            raise StreamSchemaError(
                f"{place}: is no JSON Schema, at $schema; the tap must be mended"
            )
        needs_only_the_fast = is_hard_for_jsonschema(schema, place)
        draft = validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        try:
            draft.check_schema(schema)
        except jsonschema.SchemaError as error:
            raise StreamSchemaError(
                f"{place}: is no JSON Schema, at {_dotted(error.absolute_path) or 'its top'} "
                f"({error.validator}); the tap must be mended",
            ) from None
        self._names = frozenset(_column_names(schema))
        self._fast = _compile_fast(schema, draft, place)
        self._exact = None if needs_only_the_fast else _exact(schema, draft)

    def flaw(self, record: JsonObject) -> Flaw | None:
        """Return why *record* does not fit, None if it does; without its values."""
        try:
            if self._fast.is_valid(record):
                return None
        except ValueError:
            pass  # it does not go down as far as the record does
        return self._second_look(record)

    def _second_look(self, record: JsonObject) -> Flaw | None:
        if self._exact is not None:
            try:
                error = next(self._exact.iter_errors(record), None)
            except (ArithmeticError, TypeError, RecursionError):
                error = None  # of arithmetic, or a depth, that jsonschema cannot do
            else:
                if error is None:
                    return None
            if error is not None:
                return _schema_flaw(
                    str(error.validator or "false"),
                    error.validator_value,
                    self._field([*error.absolute_path, *_missing(error)]),
                )
        try:
            refusal = next(iter(self._fast.iter_errors(record)))
        except ValueError:
            return Flaw("limit", "too_deep", detail="nests too deeply")
        keyword = str(list(refusal.schema_path)[-1])
        return _schema_flaw(keyword, None, self._field(refusal.instance_path))

    def _field(self, path: Sequence[object]) -> str | None:
        """Name a place in a record; names that are not the schema's are the record's content."""
        known = [step if step in self._names else "*" for step in path if isinstance(step, str)]
        return _dotted(known) or None


def row_flaw(event: str, body: bytes) -> Flaw | None:
    """Return why /import would refuse the encoded event *body*, as far as its size tells."""
    if len(body) <= EVENT_MAX_BYTES and len(event) <= NAME_MAX_CHARS:
        return None
    if len(body) > EVENT_MAX_BYTES:
        return Flaw("limit", "too_large", detail="is an event of 1 MB or more")
    return Flaw("limit", "event_too_long", "event", f"has more than {NAME_MAX_CHARS} characters")


def update_flaw(body: bytes) -> Flaw | None:
    """Return why /engage or /groups would refuse the encoded update *body*, the token not in it."""
    if len(body) > PROFILE_UPDATE_MAX_BYTES:
        return Flaw("limit", "too_large", detail="is a profile update of 1 MB or more")
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

    checker = draft.TYPE_CHECKER.redefine("integer", is_integer)
    return validators.extend(draft, type_checker=checker)(schema)  # type: ignore[no-untyped-call]


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


def _schema_flaw(keyword: str, value: object, field: str | None) -> Flaw:
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
