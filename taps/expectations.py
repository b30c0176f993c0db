"""What must Mixpanel have of a database's row, whichever tap brings it?"""

from typing import Any, Final

LARGEST_INTEGER: Final = 2**53


def user_id(text: str) -> str:
    """Return whose an event is, by the text of a column whose default is nobody."""
    return text.strip()


def known(row: dict[str, Any]) -> dict[str, Any]:
    """Return the properties that a row's values become: nulls are none, integers may be texts."""
    return {name: _as_double(value) for name, value in row.items() if value is not None}


def _as_double(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _as_double(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_as_double(item) for item in value]
    if type(value) is int and abs(value) > LARGEST_INTEGER:
        return str(value)
    return value
