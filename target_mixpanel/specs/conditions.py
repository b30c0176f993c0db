"""On which condition does a mapping delete a record's profile, skip the record, or take it?"""

from collections.abc import Mapping
from math import isfinite

from target_mixpanel.errors import SettingsError
from target_mixpanel.specs.sources import parse_path
from target_mixpanel.specs.spec import Column, Condition, Filters, IsOneOf, IsSet
from target_mixpanel.specs.written import Raw, is_list, kind_of, refuse_unknown


def parse_filters(raw: Raw, place: str) -> Filters:
    """
    Return which records a mapping takes.

    Raises:
        SettingsError: Its `skip_when` or `only_when` is not understood.
    """
    return Filters(
        skip_when=parse_condition(raw, "skip_when", place),
        only_when=parse_condition(raw, "only_when", place),
    )


def parse_condition(raw: Raw, key: str, place: str) -> Condition | None:
    """
    Return the condition that a mapping has at *key*: a column, or `{column: …, is: [values]}`.

    Raises:
        SettingsError: It is not understood.
    """
    if key not in raw:
        return None
    return _condition(raw[key], f"{place}.{key}")


def _condition(raw: object, place: str) -> Condition:
    if not isinstance(raw, Mapping):
        return IsSet(Column(parse_path(raw, place)))
    if "column" not in raw or raw.keys() & {"value", "default", "hash"}:
        raise SettingsError(
            f"{place}: expected a column name, or {{column: …, is: [values]}}; there is no value, "
            "default or hash here",
        )
    refuse_unknown(raw, ("column", "is"), place)
    column = Column(parse_path(raw["column"], f"{place}.column"))
    if "is" not in raw:
        return IsSet(column)
    return IsOneOf(column, _values(raw["is"], f"{place}.is"))


def _values(raw: object, place: str) -> tuple[str | int | float | bool | None, ...]:
    if not is_list(raw):
        raise SettingsError(f"{place}: expected a list of values, got {kind_of(raw)}")
    if not raw:
        raise SettingsError(f"{place}: is empty, so no record would meet it; list the values")
    for value in raw:
        is_scalar = value is None or isinstance(value, (str, int, float))
        if not is_scalar or (isinstance(value, float) and not isfinite(value)):
            raise SettingsError(
                f"{place}: expected texts, numbers, true or false, got {kind_of(value)}"
            )
    return tuple(raw)


def refuse_null(condition: Condition | None, place: str) -> None:
    """
    Refuse a condition that records meet which say nothing.

    Raises:
        SettingsError: Null is one of its values.
    """
    match condition:
        case IsOneOf(values=values) if None in values:
            raise SettingsError(
                f"{place}.is: holds null, and would delete the profile of every record that says "
                "nothing; leave it out",
            )
        case _:
            pass
