"""How is a value spelled as JSON, a text or an id, so that equal values alone are spelled alike?"""

from datetime import date
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any, Final

import msgspec

from target_mixpanel.limits import DISTINCT_ID_MAX_CHARS, RESERVED_IDS
from target_mixpanel.mapping.refusal import refuse

_EXACT: Final = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""Decimal arithmetic that does not round: the default context keeps 28 digits."""

_MAX_WHOLE_DIGITS: Final = 4_300
"""Python reads no longer integer from JSON, so beyond this a number stays an exponent: a short one
may mean megabytes of digits."""

_MAX_PLAIN_DIGITS: Final = 300
"""Before or behind the point, about as far as doubles reach; beyond, an exponent stays."""

_TOO_LONG: Final = f"has more than {DISTINCT_ID_MAX_CHARS} characters"

canonical_json: Final = msgspec.json.Encoder(order="deterministic", decimal_format="number").encode
"""Spell what `canonical` returned, as UTF-8 JSON."""


def canonical(value: Any, field: str) -> Any:
    """
    Return *value* such that `canonical_json` spells equal values, nested ones too, alike.

    What is NaN or infinite is refused; *field* is what the refusal calls it.
    """
    if isinstance(value, dict):
        return {name: canonical(item, field) for name, item in value.items()}
    if isinstance(value, list):
        return [canonical(item, field) for item in value]
    if isinstance(value, (Decimal, float)):
        number = _normal(value, field)
        exponent = number.as_tuple().exponent
        is_whole = isinstance(exponent, int) and exponent >= 0
        return int(number) if is_whole and number.adjusted() < _MAX_WHOLE_DIGITS else number
    return value


def plain_text(value: Any, field: str) -> str:
    """Return the text that *value* is or, for what is no text, its one spelling as JSON."""
    return value if isinstance(value, str) else canonical_json(canonical(value, field)).decode()


def scalar_text(value: Any, field: str) -> str | None:
    """Return the plain text of a text, number, boolean or date; None for whatever else."""
    if type(value) is str:
        return value
    if value is True or value is False:
        return "true" if value else "false"
    if type(value) is int:
        return str(value)
    if type(value) is Decimal or type(value) is float:
        return _number_text(value, field)
    return value.isoformat() if isinstance(value, date) else None


def id_text(value: Any, field: str) -> str:
    """
    Return *value* as the text of a distinct_id; numbers are texts to Mixpanel.

    The empty text is an id, too: that of events without a user.
    """
    if type(value) is str:
        text = value
    elif type(value) is int:
        text = str(value)
    elif type(value) is Decimal or type(value) is float:
        text = _number_text(value, field)
        if "E" in text:
            refuse("invalid_distinct_id", field, _TOO_LONG, stage="limit")
    elif value is None:
        refuse("missing_distinct_id", field, "is null or missing, and the mapping has no default")
    else:
        refuse("invalid_distinct_id", field, "is neither a text nor a number")
    if text.lower() in RESERVED_IDS:
        refuse("invalid_distinct_id", field, "is an id that Mixpanel refuses", stage="limit")
    if len(text) > DISTINCT_ID_MAX_CHARS:
        refuse("invalid_distinct_id", field, _TOO_LONG, stage="limit")
    return text


def _number_text(value: Decimal | float, field: str) -> str:
    """Return a number's one plain spelling: 1.50 and 1.5 are the same."""
    normal = _normal(value, field)
    return format(normal, "f") if abs(normal.adjusted()) < _MAX_PLAIN_DIGITS else str(normal)


def _normal(value: Decimal | float, field: str) -> Decimal:
    number = Decimal(repr(value)) if isinstance(value, float) else value
    if not number.is_finite():
        refuse("not_a_number", field, "is NaN or infinite")
    return _EXACT.normalize(number) if number else Decimal(0)
