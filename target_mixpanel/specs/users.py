"""Whom does a mapping name: one distinct_id, or the ids of simplified identity merge?"""

from collections.abc import Mapping
from math import isfinite

import msgspec

from target_mixpanel.errors import SettingsError
from target_mixpanel.specs.sources import parse_needed
from target_mixpanel.specs.spec import Column, DistinctId, Identity, SimplifiedId, Source
from target_mixpanel.specs.written import Raw, is_list, kind_of


def parse_identity(raw: Raw, place: str, *, or_else: str = "") -> Identity:
    """
    Return who is meant by a mapping's `distinct_id`, or by its `user_id` and `device_id`.

    Args:
        raw: The mapping.
        place: What messages call it.
        or_else: What may be written for nobody.

    Raises:
        SettingsError: They are missing, or not understood.
    """
    has_simplified = "user_id" in raw or "device_id" in raw
    if "distinct_id" in raw:
        if has_simplified:
            raise SettingsError(
                f"{place}: has distinct_id beside user_id or device_id; keep distinct_id alone, or "
                "user_id and device_id (projects with simplified identity merge)",
            )
        return DistinctId(parse_id(raw["distinct_id"], f"{place}.distinct_id"))
    if not has_simplified:
        raise SettingsError(
            f"{place}.distinct_id: is missing; name the column that holds the user's id{or_else}",
        )
    user = raw.get("user_id")
    device = raw.get("device_id")
    return SimplifiedId(
        user=None if user is None else parse_id(user, f"{place}.user_id"),
        device=None if device is None else parse_id(device, f"{place}.device_id"),
    )


def parse_id(raw: object, place: str) -> Source:
    """
    Read the source of an id, of which `{column: …, nobody: [values]}` says what means nobody.

    Raises:
        SettingsError: It is not understood.
    """
    if not isinstance(raw, Mapping) or "nobody" not in raw:
        return parse_needed(raw, place)
    source = parse_needed({key: raw[key] for key in raw if key != "nobody"}, place)
    if not isinstance(source, Column):
        raise SettingsError(f"{place}.nobody: goes with column only; leave it out")
    return msgspec.structs.replace(source, nobody=_nobody(raw["nobody"], f"{place}.nobody"))


def _nobody(raw: object, place: str) -> tuple[str | int | float, ...]:
    if not is_list(raw):
        raise SettingsError(f"{place}: expected a list of values, got {kind_of(raw)}")
    if not raw:
        raise SettingsError(f"{place}: is empty; list the values that mean nobody, or leave it out")
    for value in raw:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not isinstance(value, str) and not (is_number and isfinite(value)):
            raise SettingsError(f"{place}: expected texts or numbers, got {kind_of(value)}")
    return tuple(raw)
