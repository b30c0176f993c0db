"""What does a profile update do to a profile?"""

from __future__ import annotations

from typing import Any, Final, TypeAlias, cast

from target_mixpanel.sandbox.settings import MAX_PROFILE_PROPERTIES

ProfileId: TypeAlias = tuple[str, ...]
"""(distinct_id,) of a user, (group key, group id) of a group."""

Properties: TypeAlias = dict[str, Any]

USER_OPERATIONS: Final = frozenset(
    {"$set", "$set_once", "$add", "$append", "$union", "$remove", "$unset", "$delete"}
)
"""https://developer.mixpanel.com/reference/user-profiles"""

GROUP_OPERATIONS: Final = frozenset({"$set", "$set_once", "$union", "$remove", "$unset", "$delete"})
"""https://developer.mixpanel.com/reference/group-profiles"""

CREATING: Final = frozenset({"$set", "$set_once", "$add", "$append", "$union"})
"""Documented for $set, $set_once and $union; for $add and $append the documentation is silent."""


class InvalidUpdateError(ValueError):
    """An update that changes nothing, and why."""


def updated(known: Properties | None, operations: dict[str, Any]) -> Properties | None:
    """
    Return what a profile becomes; None is no profile. *known* stays as it is.

    Args:
        known: Its properties, None if there is no such profile.
        operations: Checked operands by operation, applied in the order in which they stand.

    Raises:
        InvalidUpdateError: The profile would grow too large.
    """
    for operation, operand in operations.items():
        if operation == "$delete":
            known = None
        elif known is not None or operation in CREATING:
            known = _changed(known or {}, operation, operand)
    if known is not None and len(known) > MAX_PROFILE_PROPERTIES:
        raise InvalidUpdateError(
            f"profile exceeds max limit of {MAX_PROFILE_PROPERTIES} properties"
        )
    return known


def check_operand(operation: str, operand: object) -> None:
    """
    Check what an operation is given.

    Raises:
        InvalidUpdateError: The operation cannot work with it.
    """
    match operation, operand:
        case "$delete", _:
            is_valid = True
        case "$unset", list():
            is_valid = all(isinstance(name, str) for name in operand)
        case "$add", dict():
            is_valid = all(type(value) in {int, float} for value in operand.values())
        case "$union", dict():
            is_valid = all(map(_is_list_of_scalars, operand.values()))
        case "$append" | "$remove" | "$set" | "$set_once", dict():
            is_valid = True
        case _:
            is_valid = False
    if not is_valid:
        raise InvalidUpdateError(f"{operation}, invalid value")


def _is_list_of_scalars(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(type(item) in {str, int, float} for item in value)
    )


def _changed(known: Properties, operation: str, operand: Any) -> Properties:
    match operation:
        case "$set":
            return {**known, **operand}
        case "$set_once":
            return {**operand, **_there(known)}
        case "$unset":
            return {name: value for name, value in known.items() if name not in operand}
        case "$add":
            return {
                **known,
                **{name: _added(_there(known).get(name, 0), by) for name, by in operand.items()},
            }
        case "$append":
            return {**known, **{name: [*_list(known, name), one] for name, one in operand.items()}}
        case "$union":
            return {**known, **{name: _union(known, name, new) for name, new in operand.items()}}
        case _:
            return {**known, **_removed(known, operand)}


def _added(value: object, by: float) -> object:
    # Undocumented: a value that is no number stays as it is.
    return cast("float", value) + by if type(value) in {int, float} else value


def _there(known: Properties) -> Properties:
    # A null is "(not set)": https://docs.mixpanel.com/docs/data-structure/property-reference/data-type
    return {name: value for name, value in known.items() if value is not None}


def _list(known: Properties, name: str) -> list[Any]:
    # Undocumented: a value that is no list becomes the first of one.
    value = _there(known).get(name, [])
    return value if isinstance(value, list) else [value]


def _union(known: Properties, name: str, new: list[Any]) -> list[Any]:
    merged = list(_list(known, name))
    for value in new:
        if not _holds(merged, value):
            merged.append(value)
    return merged


def _removed(known: Properties, operand: Properties) -> Properties:
    lists = {name: known[name] for name in operand if isinstance(known.get(name), list)}
    return {
        name: [value for value in values if not _is_same(value, operand[name])]
        for name, values in lists.items()
    }


def _holds(values: list[Any], value: object) -> bool:
    if value in (0, 1):
        return any(_is_same(value, other) for other in values)
    return value in values


def _is_same(one: object, other: object) -> bool:
    # Python's True equals its 1; JSON's does not.
    return one == other and isinstance(one, bool) == isinstance(other, bool)
