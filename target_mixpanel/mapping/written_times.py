"""Which date or date-time does a text spell?"""

import re
from datetime import datetime, timedelta
from typing import Final

COMPACT_DATE_DIGITS: Final = len("20261001")
"""A text of so many digits is a date; one of more is an epoch number, which Python would take for a
compact date, any character, and a time."""

_BY_PEOPLE: Final = re.compile(
    r"(?P<day>[\dW-]{7,10})(?:\s*T\s*|\s+)(?P<clock>\d[\d:.,]*)\s*"
    r"((?P<zone>Z|UTC|GMT|[+-]\d\d(:?\d\d)?)(\[[\w/+-]*\])?)?",
    re.ASCII | re.IGNORECASE,
)
"""ISO 8601 but for blanks, small letters, and a zone by its name; Java adds that in brackets."""

_MIDNIGHT_24: Final = re.compile(r"(.+[T ])24(?::?00(?::?00(?:[.,]0+)?)?)?(Z|[+-]\d\d:?\d\d)?")
_LEAP_SECOND: Final = re.compile(r"(.+[T ]\d\d:?\d\d:?)60([.,]\d+)?(Z|[+-]\d\d:?\d\d)?")
_NO_DATE: Final = re.compile(r"[-+0:./, TZ]*|000[01]-.*|-?infinity", re.IGNORECASE)


def parse_iso(text: str) -> datetime | None:
    """
    Read an ISO 8601 date or date-time; None if it is none.

    `24:00`, `:60`, blanks around it and before the zone, ` UTC` and small letters are read, too.
    """
    moment = _parse_strict(text)
    if moment is not None:
        return moment
    trimmed = text.strip()
    by_people = _BY_PEOPLE.fullmatch(trimmed)
    if by_people is None:
        return None if trimmed == text else _parse_strict(trimmed)
    zone = (by_people["zone"] or "").upper()
    offset = "Z" if zone in {"UTC", "GMT"} else zone
    return _parse_strict(f"{by_people['day'].upper()}T{by_people['clock']}{offset}")


def parse_moment(text: str, form: str | None) -> datetime | None:
    """Read an ISO 8601 date or date-time, or one as strptime has it by *form*; None if neither."""
    if form is None:
        return parse_iso(text)
    trimmed = text.strip()
    if not trimmed.isdecimal():
        return parse_iso(text) or parse_as(trimmed, form)
    # Digits alone are what the mapping says: 01102026 is a day of the year 2026.
    return parse_as(trimmed, form) or parse_iso(text)


def parse_as(text: str, form: str) -> datetime | None:
    """Read *text* as strptime does by *form*, digits alone to the last; None if it is not so."""
    try:
        moment = datetime.strptime(text, form)  # noqa: DTZ007 (the mapping's zone is for that)
        # Of digits alone strptime takes fewer than there should be.
        return moment if not text.isdecimal() or moment.strftime(form) == text else None
    except ValueError:
        return None


def _parse_strict(text: str) -> datetime | None:
    if text[: COMPACT_DATE_DIGITS + 1].isdecimal() and len(text) != COMPACT_DATE_DIGITS:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return _parse_beyond_midnight(text)


def _parse_beyond_midnight(text: str) -> datetime | None:
    """Read the two spellings that name the start of the next day or minute."""
    if match := _MIDNIGHT_24.fullmatch(text):
        moment, step = f"{match[1]}00:00:00{match[2] or ''}", timedelta(days=1)
    elif match := _LEAP_SECOND.fullmatch(text):
        moment, step = f"{match[1]}59{match[2] or ''}{match[3] or ''}", timedelta(seconds=1)
    else:
        return None
    try:
        return datetime.fromisoformat(moment) + step
    except (ValueError, OverflowError):
        return None


def stands_for_none(text: str) -> bool:
    """Say whether *text* is what taps and databases write where there is no date."""
    return _NO_DATE.fullmatch(text.strip()) is not None
