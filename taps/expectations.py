"""What must Mixpanel have of a database's row, whichever tap brings it?"""

from typing import Any, Final

OFFSET_IN_LISTS: Final = ""
"""Behind a date-time in a list: "" once these, too, become Mixpanel's dates."""

ARE_ZERO_DATES_LEFT_OUT: Final = True
"""The year 1 among them. Or else they arrive as the texts that they are."""

ARE_BLANKS_NOBODY: Final = False
"""Or else an id of white space is somebody's."""

LARGEST_INTEGER: Final = 2**53


def user_id(text: str) -> str:
    """Return whose an event is, by the text of a column whose default is nobody."""
    return text.strip() if ARE_BLANKS_NOBODY else text


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
