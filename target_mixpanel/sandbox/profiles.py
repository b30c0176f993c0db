"""What does a profile update do to a profile?"""

from __future__ import annotations

import threading
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


class Profiles:
    """
    Profiles by id, as the updates left them in order of arrival.

    One lock guards them: tests read them from their own thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        with self._lock:
            self._profiles: dict[ProfileId, Properties] = {}

    @property
    def count(self) -> int:
        return len(self._profiles)

    def all(self) -> dict[ProfileId, Properties]:
        with self._lock:
            return {profile: dict(known) for profile, known in self._profiles.items()}

    def apply(self, profile: ProfileId, operations: dict[str, Any]) -> None:
        """
        Apply one update, its operations in the order in which they stand.

        Raises:
            InvalidUpdateError: An operand is wrong, or the profile would grow too large; nothing
                was changed.
        """
        with self._lock:
            known = self._profiles.get(profile)
            for operation, operand in operations.items():
                check_operand(operation, operand)
                if operation == "$delete":
                    known = None
                elif known is not None or operation in CREATING:
                    known = _changed(known or {}, operation, operand)
            if known is None:
                self._profiles.pop(profile, None)
                return
            if len(known) > MAX_PROFILE_PROPERTIES:
                raise InvalidUpdateError(
                    f"profile exceeds max limit of {MAX_PROFILE_PROPERTIES} properties"
                )
            self._profiles[profile] = known


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
            is_valid = all(isinstance(value, list) and value for value in operand.values())
        case "$append" | "$remove" | "$set" | "$set_once", dict():
            is_valid = True
        case _:
            is_valid = False
    if not is_valid:
        raise InvalidUpdateError(f"{operation}, invalid value")


def _changed(known: Properties, operation: str, operand: Any) -> Properties:
    match operation:
        case "$set":
            return {**known, **operand}
        case "$set_once":
            return {**operand, **known}
        case "$unset":
            return {name: value for name, value in known.items() if name not in operand}
        case "$add":
            return {
                **known,
                **{name: _added(known.get(name, 0), by) for name, by in operand.items()},
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


def _list(known: Properties, name: str) -> list[Any]:
    # Undocumented: a value that is no list becomes the first of one.
    value = known.get(name, [])
    return value if isinstance(value, list) else [value]


def _union(known: Properties, name: str, new: list[Any]) -> list[Any]:
    merged = list(_list(known, name))
    merged.extend(value for i, value in enumerate(new) if value not in merged + new[:i])
    return merged


def _removed(known: Properties, operand: Properties) -> Properties:
    lists = {name: known[name] for name in operand if isinstance(known.get(name), list)}
    return {
        name: [value for value in values if value != operand[name]]
        for name, values in lists.items()
    }
