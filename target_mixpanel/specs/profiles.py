"""How does a mapping say that records update user or group profiles?"""

from collections.abc import Mapping, Sequence
from typing import Final, get_args

from target_mixpanel.errors import SettingsError, listed, printable
from target_mixpanel.limits import NAME_MAX_BYTES, PARTS_OF_AN_UPDATE, is_too_long
from target_mixpanel.specs.conditions import parse_condition, parse_filters, refuse_null
from target_mixpanel.specs.keys import refuse_unknown_keys
from target_mixpanel.specs.operations import DELETE, OPERATIONS, SET, Operation
from target_mixpanel.specs.properties import forbidden_names, parse_properties, refuse_names
from target_mixpanel.specs.sources import parse_shown
from target_mixpanel.specs.spec import (
    Column,
    Condition,
    GroupSpec,
    MatchedColumns,
    Nulls,
    Place,
    ProfileProperties,
    Properties,
    PropertyNames,
    UserSpec,
    WholeProfile,
    path_name,
)
from target_mixpanel.specs.times import parse_time_format, parse_time_unit, parse_timezone
from target_mixpanel.specs.users import parse_id, parse_identity
from target_mixpanel.specs.written import Raw, as_text, is_list, kind_of, one_of

_USERS_ONLY: Final = [
    operation.name for operation in OPERATIONS.values() if not operation.is_for_groups
]

_DELETING: Final = [operation.name for operation in OPERATIONS.values() if operation.may_delete]

_NULLS: Final[tuple[Nulls, ...]] = get_args(Nulls)
"""Without another word a null clears: nothing stale or erased elsewhere survives."""

_NO_PROPERTY: Final = (
    "is part of an update or set by Mixpanel alone; give the property another name"
)
_PARTS: Final = dict.fromkeys(
    (*PARTS_OF_AN_UPDATE, *(operation.key for operation in OPERATIONS.values())), _NO_PROPERTY
)
_REFUSED_OF_USERS: Final = _PARTS | forbidden_names(
    {
        "$distinct_id": "distinct_id",
        "$ip": "ip",
        "$latitude": "latitude",
        "$longitude": "longitude",
        "$ignore_time": "updates_last_seen",
        "$ignore_alias": "ignore_alias",
    }
)
_REFUSED_OF_GROUPS: Final = _PARTS | forbidden_names(
    {"$group_key": "group_key", "$group_id": "group_id"}
)


def parse_users(raw: Raw, place: str) -> UserSpec:
    """
    Return a mapping of type `users`.

    Raises:
        SettingsError: Something in it is not understood.
    """
    refuse_unknown_keys(raw, "users", place)
    identity = parse_identity(raw, place)
    operation = _parse_operation(raw, list(OPERATIONS), place)
    for key in ("ip", "latitude", "longitude", "updates_last_seen"):
        if operation.takes == "nothing" and key in raw:
            raise SettingsError(
                f"{place}.{key}: means nothing with operation {operation.name}; leave it out"
            )
    return UserSpec(
        place=place,
        identity=identity,
        operation=operation,
        properties=_parse_properties(raw, operation, _REFUSED_OF_USERS, place),
        time_unit=parse_time_unit(raw, place),
        time_format=parse_time_format(raw, place),
        timezone=parse_timezone(raw, place),
        delete_when=_parse_delete_when(raw, operation, place),
        ignores_alias=_parse_ignores_alias(raw, operation, place),
        ip=parse_shown(raw["ip"], f"{place}.ip") if "ip" in raw else None,
        located_at=_parse_located_at(raw, place),
        updates_last_seen=_parse_flag(raw, "updates_last_seen", place, otherwise=False),
        nulls=_parse_nulls(raw, operation, place),
        filters=parse_filters(raw, place),
    )


def parse_groups(raw: Raw, place: str) -> GroupSpec:
    """
    Return a mapping of type `groups`.

    Raises:
        SettingsError: Something in it is not understood.
    """
    refuse_unknown_keys(raw, "groups", place)
    for key, what in (("group_key", "property of your events"), ("group_id", "column")):
        if key not in raw:
            raise SettingsError(
                f"{place}.{key}: is missing; name the {what} that holds the group's id"
            )
    group_key = as_text(raw["group_key"], f"{place}.group_key")
    if is_too_long(group_key):
        raise SettingsError(f"{place}.group_key: has more than {NAME_MAX_BYTES} bytes")
    operation = _parse_group_operation(raw, place)
    return GroupSpec(
        place=place,
        group_key=group_key,
        group_id=parse_id(raw["group_id"], f"{place}.group_id"),
        operation=operation,
        properties=_parse_properties(raw, operation, _REFUSED_OF_GROUPS, place),
        time_unit=parse_time_unit(raw, place),
        time_format=parse_time_format(raw, place),
        timezone=parse_timezone(raw, place),
        delete_when=_parse_delete_when(raw, operation, place),
        nulls=_parse_nulls(raw, operation, place),
        filters=parse_filters(raw, place),
    )


def _parse_group_operation(raw: Raw, place: str) -> Operation:
    operation = raw.get("operation")
    if operation in _USERS_ONLY:
        raise SettingsError(
            f"{place}.operation: {operation} is for user profiles only, says Mixpanel's page on "
            "profiles; write the whole value with set, or a list with union",
        )
    return _parse_operation(raw, [name for name in OPERATIONS if name not in _USERS_ONLY], place)


def _parse_operation(raw: Raw, offered: Sequence[str], place: str) -> Operation:
    return OPERATIONS[one_of(raw.get("operation", SET.name), offered, f"{place}.operation")]


def _parse_properties(
    raw: Raw, operation: Operation, refused: Mapping[str, str], place: str
) -> ProfileProperties:
    match operation.takes:
        case "nothing":
            for key in ("properties", "exclude", "new_columns"):
                if key in raw:
                    raise SettingsError(
                        f"{place}.{key}: means nothing with operation {operation.name}, which "
                        "removes the whole profile; leave it out",
                    )
            return WholeProfile()
        case "names":
            for key in ("exclude", "new_columns"):
                if key in raw:
                    raise SettingsError(
                        f"{place}.{key}: means nothing with operation {operation.name}"
                    )
            return _parse_names(raw.get("properties"), refused, f"{place}.properties")
        case "values":
            properties = parse_properties(raw, place, refused)
            _check_values(properties, operation, f"{place}.properties")
            return properties


def _check_values(properties: Properties, operation: Operation, place: str) -> None:
    patterns = properties.patterns if isinstance(properties, MatchedColumns) else ()
    if not properties.sources and not patterns:
        raise SettingsError(
            f"{place}: is empty, so no record would say anything; name a property, or write "
            "operation: delete",
        )
    of_patterns = [(pattern.name, pattern.column) for pattern in patterns]
    for name, source in (*properties.sources, *of_patterns):
        if operation.value == "number" and isinstance(source, Column) and source.is_hashed:
            raise SettingsError(
                f'{place}: "{printable(name)}" is hashed, and operation {operation.name} takes '
                "numbers only"
            )


def _parse_names(raw: object, refused: Mapping[str, str], place: str) -> PropertyNames:
    if not is_list(raw) or not raw or not all(isinstance(name, str) for name in raw):
        raise SettingsError(
            f"{place}: expected the list of properties to unset, by their names in Mixpanel, got "
            f"{'another list' if is_list(raw) else kind_of(raw)}",
        )
    refuse_names(raw, refused, place)
    if any(map(is_too_long, raw)):
        raise SettingsError(f"{place}: a name has more than {NAME_MAX_BYTES} bytes")
    return PropertyNames(tuple(raw))


def _parse_delete_when(raw: Raw, operation: Operation, place: str) -> Condition | None:
    here = f"{place}.delete_when"
    condition = parse_condition(raw, "delete_when", place)
    if condition is not None and not operation.may_delete:
        column = printable(path_name(condition.column.path))
        raise SettingsError(
            f"{here}: deletes the whole profile, and goes with operation {listed(_DELETING)} only, "
            f"not with {operation.name}; for some records only write only_when: {column}, as with "
            "operation remove, which takes values from a list",
        )
    refuse_null(condition, here)
    return condition


def _parse_ignores_alias(raw: Raw, operation: Operation, place: str) -> bool:
    here = f"{place}.ignore_alias"
    if "ignore_alias" not in raw:
        return True
    if "delete_when" not in raw and operation != DELETE:
        raise SettingsError(
            f"{here}: means nothing without delete_when or operation delete; leave it out"
        )
    return _parse_flag(raw, "ignore_alias", place, otherwise=True)


def _parse_flag(raw: Raw, key: str, place: str, *, otherwise: bool) -> bool:
    flag = raw.get(key, otherwise)
    if not isinstance(flag, bool):
        raise SettingsError(f"{place}.{key}: expected true or false, got {kind_of(flag)}")
    return flag


def _parse_nulls(raw: Raw, operation: Operation, place: str) -> Nulls:
    if operation != SET and "nulls" in raw:
        raise SettingsError(
            f"{place}.nulls: goes with operation set only; with {operation.name} a null says "
            "nothing, so leave it out"
        )
    return one_of(raw.get("nulls", _NULLS[0]), _NULLS, f"{place}.nulls")


def _parse_located_at(raw: Raw, place: str) -> Place | None:
    given = [key for key in ("latitude", "longitude") if key in raw]
    if not given:
        return None
    if len(given) == 1:
        raise SettingsError(
            f"{place}.{given[0]}: latitude and longitude go together; name the columns of both"
        )
    latitude, longitude = (parse_shown(raw[key], f"{place}.{key}") for key in given)
    return Place(latitude, longitude)
