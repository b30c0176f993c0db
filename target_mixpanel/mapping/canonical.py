"""How is a value spelled as JSON or a text, so that equal values alone are spelled alike?"""

from datetime import date
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any, Final

import msgspec

from target_mixpanel.mapping.refusal import refuse

_EXACT: Final = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""Decimal arithmetic that does not round: the default context keeps 28 digits."""

_MAX_WHOLE_DIGITS: Final = 4_300
"""Python reads no longer integer from JSON, so beyond this a number stays an exponent: a short one
may mean megabytes of digits."""

_MAX_PLAIN_DIGITS: Final = 300
"""Before or behind the point, about as far as doubles reach; beyond, an exponent stays."""

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


def _number_text(value: Decimal | float, field: str) -> str:
    """Return a number's one plain spelling: 1.50 and 1.5 are the same."""
    normal = _normal(value, field)
    return format(normal, "f") if abs(normal.adjusted()) < _MAX_PLAIN_DIGITS else str(normal)


def _normal(value: Decimal | float, field: str) -> Decimal:
    number = Decimal(repr(value)) if isinstance(value, float) else value
    if not number.is_finite():
        refuse("not_a_number", field, "is NaN or infinite")
    return _EXACT.normalize(number) if number else Decimal(0)
