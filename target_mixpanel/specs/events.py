"""How does a mapping say that records become events?"""

import math
from typing import Final

import msgspec

from target_mixpanel.errors import SettingsError
from target_mixpanel.limits import IDENTITY_EVENTS, IGNORE, NAME_MAX_BYTES, is_too_long
from target_mixpanel.specs.conditions import parse_filters
from target_mixpanel.specs.identity_events import identity_flaw
from target_mixpanel.specs.keys import refuse_unknown_keys
from target_mixpanel.specs.properties import forbidden_names, parse_properties
from target_mixpanel.specs.sources import parse_path, parse_shown
from target_mixpanel.specs.spec import (
    Column,
    Constant,
    EventSpec,
    InsertId,
    KeyColumns,
    KeyProperties,
    Properties,
    SimplifiedId,
    Source,
    StreamName,
    VerbatimInsertId,
)
from target_mixpanel.specs.times import parse_time_format, parse_time_unit, parse_timezone
from target_mixpanel.specs.users import parse_identity
from target_mixpanel.specs.written import Raw, as_text, is_list, kind_of, one_of

_REFUSED_NAMES: Final = forbidden_names(
    {
        "time": "time",
        "distinct_id": "distinct_id",
        "$insert_id": "insert_id",
        "$user_id": "user_id",
        "$device_id": "device_id",
        "ip": "ip",
    }
) | dict.fromkeys(
    ("$bucket", "$distinct_id", "$event_name", "$time", "bucket"),
    "means something else to Mixpanel, which would drop or redirect the event; give the property "
    "another name",
)


def parse_event(raw: Raw, place: str) -> EventSpec:
    """
    Return a mapping of type `events`.

    Raises:
        SettingsError: Something in it is not understood.
    """
    refuse_unknown_keys(raw, "events", place)
    if "time" not in raw:
        raise SettingsError(
            f"{place}.time: is missing; name the column that holds the event's time",
        )
    spec = EventSpec(
        place=place,
        event=_parse_event_name(raw, place),
        time=parse_shown(raw["time"], f"{place}.time"),
        identity=parse_identity(
            raw, place, or_else=', or write {value: ""} for events without a user'
        ),
        properties=parse_properties(raw, place, _REFUSED_NAMES),
        time_unit=parse_time_unit(raw, place),
        time_format=parse_time_format(raw, place),
        timezone=parse_timezone(raw, place),
        insert_id=_parse_insert_id(raw.get("insert_id"), f"{place}.insert_id"),
        ip=parse_shown(raw["ip"], f"{place}.ip") if "ip" in raw else None,
        is_original_identity=_parse_is_original(raw, place),
        filters=parse_filters(raw, place),
    )
    if spec.is_original_identity and isinstance(spec.identity, SimplifiedId):
        raise SettingsError(
            f"{place}.identity: is original, and user_id and device_id are of simplified identity "
            "merge; name distinct_id instead",
        )
    _check_ignored(spec.properties, f"{place}.properties")
    here = f"{place}.event" if "event" in raw else f"{place}.event_from"
    _check_identity_event(spec.event, spec.properties, here, is_original=spec.is_original_identity)
    return spec


def _check_ignored(properties: Properties, place: str) -> None:
    """Refuse what would have Mixpanel drop every event without a word."""
    for name, source in properties.sources:
        if name == IGNORE and isinstance(source, Constant) and source.value:
            raise SettingsError(
                f'{place}: "{IGNORE}" has a value, and Mixpanel would ignore every event; name a '
                "column, or leave it out",
            )


def _parse_event_name(raw: Raw, place: str) -> Source | StreamName:
    if "event" in raw and "event_from" in raw:
        raise SettingsError(f"{place}: has both event and event_from; keep one")
    if "event_from" in raw:
        return parse_shown(raw["event_from"], f"{place}.event_from")
    if "event" in raw:
        event = as_text(raw["event"], f"{place}.event")
        if is_too_long(event):
            raise SettingsError(f"{place}.event: has more than {NAME_MAX_BYTES} bytes")
        return Constant(event)
    return StreamName()


def _parse_is_original(raw: Raw, place: str) -> bool:
    merge = one_of(
        raw.get("identity", "simplified"), ("simplified", "original"), f"{place}.identity"
    )
    return merge == "original"


def _check_identity_event(
    event: Source | StreamName,
    properties: Properties,
    place: str,
    *,
    is_original: bool,
) -> None:
    match event:
        case Constant(value=name) | Column(default=name):
            if isinstance(name, str) and name in IDENTITY_EVENTS:
                flaw = identity_flaw(name, properties, is_original=is_original)
                if flaw is not None:
                    raise SettingsError(f"{place}: {flaw}")
        case StreamName():
            pass  # known when the stream is


def _parse_insert_id(raw: object, place: str) -> InsertId:
    if raw is None:
        return KeyProperties()
    if isinstance(raw, str):
        return VerbatimInsertId(parse_path(raw, place))
    if is_list(raw) and raw:
        return KeyColumns(tuple(_parse_member(member, place) for member in raw))
    raise SettingsError(
        f"{place}: expected a column name (used as it is) or a list of columns (hashed), "
        f"got {kind_of(raw)}",
    )


def _parse_member(raw: object, place: str) -> Source:
    member = parse_shown(raw, place)
    if isinstance(member, Column) and member.cast is not None:
        raise SettingsError(f"{place}.as: means nothing here; name a column, or leave as out")
    match member:
        case Constant(value=value):
            _check_key(value, f"{place}.value")
        case Column(default=default) if default is not None and default is not msgspec.UNSET:
            _check_key(default, f"{place}.default")
        case Column():
            pass
    return member


def _check_key(value: object, place: str) -> None:
    is_number = isinstance(value, (int, float)) and math.isfinite(value)
    if not isinstance(value, str) and not is_number:
        raise SettingsError(
            f"{place}: expected a text, a number, true or false, got {kind_of(value)}",
        )
