"""What does a column's JSON Schema say of its values, references followed?"""

from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import unquote

from target_mixpanel.model import JsonObject

_MAX_REF_HOPS: Final = 20
"""References that are followed from one schema: they may lead in circles."""

_MAX_LOOKS: Final = 200
"""Parts of a column's schema that are looked at, for the same reason."""


def alternatives(schema: object, root: JsonObject) -> Iterator[JsonObject]:
    """Yield *schema* and each schema it may also be by anyOf, oneOf, allOf or a local $ref."""
    pending = [schema]
    hops = 0
    while pending:
        here = pending.pop()
        if not isinstance(here, dict):
            continue
        yield here
        for keyword in ("anyOf", "oneOf", "allOf"):
            pending.extend(here.get(keyword) or ())
        if isinstance(here.get("$ref"), str) and hops < _MAX_REF_HOPS:
            hops += 1
            pending.append(_local(here["$ref"], root))


def types(schema: JsonObject, root: JsonObject) -> frozenset[str]:
    """Return the JSON types *schema* names, without null; empty where it names none."""
    found: set[str] = set()
    for here in alternatives(schema, root):
        found.update(own_types(here))
    return frozenset(found - {"null"})


def own_types(schema: JsonObject) -> Sequence[str]:
    """Return the JSON types that *schema* names itself."""
    kind = schema.get("type")
    return [kind] if isinstance(kind, str) else kind or ()


def certain_types(schema: object, root: JsonObject) -> frozenset[str]:
    """Return the JSON types that a valid value has, less null; empty where it may have any."""
    return _possible_types(schema, root, iter(range(_MAX_LOOKS))) - {"null"}


def string_format(schema: JsonObject, root: JsonObject) -> str | None:
    """
    Return the `format` of the texts that *schema* allows.

    Where it allows several kinds of text, the first counts: taps write what fits first.
    """
    return _text_format(schema, root, iter(range(_MAX_LOOKS))) or None


def named_columns(schema: JsonObject, root: JsonObject) -> JsonObject:
    """Return the columns that *schema* names, each with its own schema."""
    merged: JsonObject = {}
    for here in alternatives(schema, root):
        merged.update(here.get("properties") or {})
    return merged


def may_be_object(schema: JsonObject, root: JsonObject) -> bool:
    """Say whether a value may be an object, as far as types are named."""
    kinds = types(schema, root)
    return not kinds or "object" in kinds


def announces_more(schema: JsonObject, root: JsonObject) -> bool:
    """Say whether columns beyond the named ones are announced, not merely not forbidden."""
    return any(
        here.get("additionalProperties", False) is not False or here.get("patternProperties")
        for here in alternatives(schema, root)
    )


def reference_steps(ref: str) -> list[str]:
    """Return the names that lead from a stream's schema to what a local `$ref` means."""
    segments = unquote(ref).removeprefix("#").strip("/").split("/")
    return [name.replace("~1", "/").replace("~0", "~") for name in segments if name]


def _possible_types(schema: object, root: JsonObject, looks: Iterator[int]) -> frozenset[str]:
    """Return the JSON types *schema* confines a value to; empty where it does not, or too deep."""
    if not isinstance(schema, dict) or next(looks, None) is None:
        return frozenset()
    if "$ref" in schema:  # before draft 2019-09 nothing beside it counts
        return _possible_types(_local(str(schema["$ref"]), root), root, looks)
    kinds = own_types(schema)
    if kinds:
        return frozenset(kinds)
    for keyword in ("anyOf", "oneOf"):
        branches = [_possible_types(here, root, looks) for here in schema.get(keyword) or ()]
        if branches and all(branches):
            return frozenset[str]().union(*branches)
    confined = (_possible_types(here, root, looks) for here in schema.get("allOf") or ())
    return next((kinds for kinds in confined if kinds), frozenset())


def _text_format(schema: object, root: JsonObject, looks: Iterator[int]) -> str | None:
    """Return the same; a text of no format is "", and None is no text at all."""
    if not isinstance(schema, dict) or next(looks, None) is None:
        return None
    is_text = "string" in own_types(schema)
    if isinstance(schema.get("format"), str) and (is_text or not own_types(schema)):
        return str(schema["format"])
    together = [_text_format(here, root, looks) for here in schema.get("allOf") or ()]
    if isinstance(schema.get("$ref"), str):
        together.append(_text_format(_local(schema["$ref"], root), root, looks))
    for keyword in ("anyOf", "oneOf"):
        each = (_text_format(here, root, looks) for here in schema.get(keyword) or ())
        together.append(next((form for form in each if form is not None), None))
    is_text = is_text or any(form is not None for form in together)
    return next(filter(None, together), "" if is_text else None)


def _local(ref: str, root: JsonObject) -> JsonObject:
    here: Any = root
    for name in reference_steps(ref):
        if not isinstance(here, dict):
            return {}
        here = here.get(name, {})
    return here if isinstance(here, dict) else {}
