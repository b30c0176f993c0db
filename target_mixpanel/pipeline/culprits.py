"""Which column is at fault where a record as a whole is?"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from target_mixpanel.model import NO_SINGLE_COLUMN, JsonObject


def column_with(record: JsonObject, is_at_fault: Callable[[Any], bool]) -> str:
    """Return the first column whose name, or a part of whose value, *is_at_fault*."""
    for name, value in record.items():
        if is_at_fault(name) or any(is_at_fault(part) for part, _ in _parts(value)):
            return _spelled(name)
    return NO_SINGLE_COLUMN


def column_with_half_a_character(record: JsonObject) -> str:
    """Return the first column that UTF-8 has no bytes for."""
    return column_with(record, _is_half_a_character)


def deepest_column(record: JsonObject) -> str:
    """Return the column that nests most deeply."""
    return _most(record, lambda value: max(depth for _, depth in _parts(value)))


def largest_column(record: JsonObject) -> str:
    """Return the column that takes the most bytes."""
    return _most(record, lambda value: len(repr(value).encode("utf-8", "surrogatepass")))


def _most(record: JsonObject, measure: Callable[[Any], int]) -> str:
    return _spelled(max(record, key=lambda name: measure(record[name]), default=NO_SINGLE_COLUMN))


def _spelled(name: str) -> str:
    return name.encode("utf-8", "replace").decode()


def _is_half_a_character(part: Any) -> bool:
    return isinstance(part, str) and any("\ud800" <= char <= "\udfff" for char in part)


def _parts(value: Any) -> Iterator[tuple[Any, int]]:
    """Yield *value* and all that it holds, names too, each with its depth; however deep it is."""
    left = [(value, 0)]
    while left:
        part, depth = left.pop()
        yield part, depth
        match part:
            case dict():
                inside: Iterable[Any] = (*part, *part.values())
            case list():
                inside = part
            case _:
                continue
        left += [(each, depth + 1) for each in inside]
