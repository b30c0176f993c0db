"""Which event is valid, and which two are the same?"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

import msgspec

from target_mixpanel.sandbox.settings import (
    EARLIEST_TIME_S,
    IDENTITY_EVENTS,
    INVALID_IDS,
    MAX_AHEAD_S,
    MAX_DEPTH,
    MAX_ID_CHARACTERS,
    MAX_INSERT_ID_BYTES,
    MAX_PROPERTIES,
)

if TYPE_CHECKING:
    from target_mixpanel.sandbox.settings import SandboxSettings

EventKey: TypeAlias = tuple[str, str, int, str]
"""event, distinct_id, time in ms, $insert_id: rows equal in all four are one in reports."""

JsonObject: TypeAlias = dict[str, Any]

_INSERT_ID: Final = re.compile(rf"[A-Za-z0-9-]{{1,{MAX_INSERT_ID_BYTES}}}", re.ASCII)
_decode: Final = msgspec.json.Decoder().decode


class BrokenRuleError(ValueError):
    """The first rule that a row breaks, in Mixpanel's words where a source has them."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


class MalformedRowError(ValueError):
    """The row is no JSON, so the request is none."""


def invalid(field: str, reason: str) -> BrokenRuleError:
    """Word it in the pattern that all known messages but two follow."""
    return BrokenRuleError(field, f"'{field}' is invalid: {reason}")


def read_row(line: bytes) -> object:
    """
    Decode one row.

    Raises:
        MalformedRowError: It is not JSON.
        BrokenRuleError: It is JSON, with a value that cannot be stored.
    """
    try:
        return _decode(line)
    except RecursionError as error:
        raise invalid("properties", f"must not be nested deeper than {MAX_DEPTH}") from error
    except (UnicodeDecodeError, msgspec.DecodeError):
        _diagnose(line)


def judge(row: object, *, size: int, settings: SandboxSettings, now_s: float) -> EventKey:
    """
    Return what identifies a valid event.

    Args:
        row: The event, decoded.
        size: Its bytes of JSON.
        settings: The rules that differ between projects.
        now_s: The server's clock, in seconds since the epoch.

    Raises:
        BrokenRuleError: The first rule that the event breaks.
    """
    if not isinstance(row, dict):
        raise invalid("event", "must be an object")
    event, properties = row.get("event"), row.get("properties")
    if event is None or event == "" or (isinstance(event, str) and event.isspace()):
        raise BrokenRuleError("event", "'event' must not be missing or blank")
    if not isinstance(event, str):
        raise invalid("event", "must be a string")
    if not isinstance(properties, dict):
        raise invalid("properties", "must be an object")
    if event in IDENTITY_EVENTS:
        return loose_key(row)
    time_ms = _time_ms(properties.get("time"), now_s)
    distinct_id = _distinct_id(properties, settings)
    insert_id = _insert_id(properties.get("$insert_id"))
    _check_shape(properties)
    if size >= settings.max_event_bytes:
        raise invalid("event", f"must be smaller than {settings.max_event_bytes} bytes")
    return event, distinct_id, time_ms, insert_id


def loose_key(row: object) -> EventKey:
    """Whatever identifies an event that skipped the rules; blank where nothing does."""
    event = row if isinstance(row, dict) else {}
    properties = event.get("properties")
    known = properties if isinstance(properties, dict) else {}
    time = known.get("time")
    return (
        str(event.get("event") or ""),
        str(known.get("distinct_id") or ""),
        _in_ms(time) if type(time) is int else 0,
        str(known.get("$insert_id") or ""),
    )


def _in_ms(time: int) -> int:
    # The valid ranges of seconds and of milliseconds never overlap.
    return time * 1000 if time < EARLIEST_TIME_S * 1000 else time


def _time_ms(time: object, now_s: float) -> int:
    if time is None:
        raise invalid("properties.time", "must not be missing")
    if type(time) is not int:
        raise invalid("properties.time", "must be specified as seconds since epoch")
    time_ms = _in_ms(time)
    if time_ms < EARLIEST_TIME_S * 1000:
        raise invalid("properties.time", "must not be before 1971-01-01")
    if time_ms > (now_s + MAX_AHEAD_S) * 1000:
        raise invalid("properties.time", "must not be in the future")
    return time_ms


def _distinct_id(properties: JsonObject, settings: SandboxSettings) -> str:
    if settings.project_mode == "simplified":
        if properties.get("$user_id") is not None:
            return _valid_id("properties.$user_id", properties["$user_id"])
        if properties.get("$device_id") is not None:
            device = _valid_id("properties.$device_id", properties["$device_id"])
            return f"$device:{device.removeprefix('$device:')}"
    distinct_id = properties.get("distinct_id")
    if distinct_id is None:
        raise invalid("properties.distinct_id", "must not be missing")
    return _valid_id("properties.distinct_id", distinct_id)


def _valid_id(field: str, given: object) -> str:
    if isinstance(given, (dict, list)):
        raise invalid(field, "must be a string")
    text = given if isinstance(given, str) else str(given)
    if text.lower() in INVALID_IDS:
        raise invalid(field, "must not be a placeholder")
    if len(text) > MAX_ID_CHARACTERS:
        raise invalid(field, f"must not be longer than {MAX_ID_CHARACTERS} characters")
    return text


def _insert_id(given: object) -> str:
    field = "properties.$insert_id"
    if given is None:
        raise invalid(field, "must not be missing")
    if not isinstance(given, str):
        raise invalid(field, "must be a string")
    if not _INSERT_ID.fullmatch(given):
        raise invalid(
            field, f"must be 1 to {MAX_INSERT_ID_BYTES} alphanumeric characters or dashes"
        )
    if given.lower() in INVALID_IDS:
        raise invalid(field, "must not be a placeholder")
    return given


def _check_shape(properties: JsonObject) -> None:
    if len(properties) > MAX_PROPERTIES:
        raise invalid("properties", f"must not have more than {MAX_PROPERTIES} properties")
    for name, value in properties.items():
        if type(value) is dict or type(value) is list:
            _check_nesting(f"properties.{name}", value)


def _check_nesting(field: str, value: object) -> None:
    pending = [(value, 0)]
    while pending:
        container, depth = pending.pop()
        if isinstance(container, dict):
            inner, kind, depth = list(container.values()), "keys", depth + 1
        elif isinstance(container, list):
            inner, kind = container, "elements"
        else:
            continue
        if depth > MAX_DEPTH:
            raise invalid(field, f"must not be nested deeper than {MAX_DEPTH}")
        if len(inner) > MAX_PROPERTIES:
            raise invalid(field, f"must not have more than {MAX_PROPERTIES} {kind}")
        pending.extend((item, depth) for item in inner)


def _diagnose(line: bytes) -> NoReturn:
    try:
        # Undecodable bytes become lone surrogates, like the escapes that msgspec refuses.
        text = line.decode("utf-8", "surrogateescape")
        row = json.loads(text, parse_constant=_refuse, parse_int=float)
    except (ValueError, RecursionError) as error:
        raise MalformedRowError(str(error)) from None
    broken = _path_of_broken_text(row)
    if broken is None:
        raise invalid("properties", "number out of range")
    field = broken.encode("utf-8", "replace").decode()
    # Without quotes, as documented.
    raise BrokenRuleError(field, f"{field} is invalid: string should be valid utf8")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _path_of_broken_text(row: object) -> str | None:
    pending: list[tuple[str, object]] = [("", row)]
    while pending:
        path, value = pending.pop()
        if not _is_utf8(path) or (isinstance(value, str) and not _is_utf8(value)):
            return path
        if isinstance(value, dict):
            pending.extend((f"{path}.{key}".lstrip("."), item) for key, item in value.items())
        elif isinstance(value, list):
            pending.extend((path, item) for item in value)
    return None


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
