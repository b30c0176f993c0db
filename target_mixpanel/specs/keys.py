"""Which keys may a mapping of each type have?"""

from typing import Final, Literal, TypeAlias, get_args

from target_mixpanel.errors import SettingsError
from target_mixpanel.specs.written import Raw, refuse_unknown

MappingType: TypeAlias = Literal["events", "users", "groups", "lookup_table"]

TYPES: Final[tuple[MappingType, ...]] = get_args(MappingType)

EVENT_KEYS: Final = (
    "type",
    "event",
    "event_from",
    "time",
    "time_unit",
    "time_format",
    "timezone",
    "distinct_id",
    "user_id",
    "device_id",
    "identity",
    "insert_id",
    "ip",
    "properties",
    "exclude",
    "new_columns",
    "skip_when",
    "only_when",
)

USER_KEYS: Final = (
    "type",
    "distinct_id",
    "user_id",
    "device_id",
    "operation",
    "properties",
    "exclude",
    "new_columns",
    "nulls",
    "time_unit",
    "time_format",
    "timezone",
    "ip",
    "latitude",
    "longitude",
    "updates_last_seen",
    "delete_when",
    "ignore_alias",
    "skip_when",
    "only_when",
)

GROUP_KEYS: Final = (
    "type",
    "group_key",
    "group_id",
    "operation",
    "properties",
    "exclude",
    "new_columns",
    "nulls",
    "time_unit",
    "time_format",
    "timezone",
    "delete_when",
    "skip_when",
    "only_when",
)

LOOKUP_TABLE_KEYS: Final = (
    "type",
    "lookup_table_id",
    "key",
    "properties",
    "exclude",
    "new_columns",
    "time_unit",
    "time_format",
    "timezone",
    "skip_when",
    "only_when",
)

_KEYS: Final[dict[MappingType, tuple[str, ...]]] = {
    "events": EVENT_KEYS,
    "users": USER_KEYS,
    "groups": GROUP_KEYS,
    "lookup_table": LOOKUP_TABLE_KEYS,
}


def refuse_unknown_keys(raw: Raw, kind: MappingType, place: str) -> None:
    """
    Refuse a key that mappings of type *kind* do not have.

    Raises:
        SettingsError: It says which key was meant, or which type has that key.
    """
    for key in raw:
        others = [other for other, keys in _KEYS.items() if key in keys]
        if others and kind not in others:
            remedy = "correct type" if "type" in raw else "set type"
            raise SettingsError(
                f"{place}.{key}: goes with type {' or '.join(others)}, and this mapping is of type "
                f"{kind}; leave it out, or {remedy}",
            )
    refuse_unknown(raw, _KEYS[kind], place)
