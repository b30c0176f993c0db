"""What does each part of a mapping cost?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import table
from contestants import MAPPING, target_command
from data import STREAM, Shape, make
from measure import receiving
from rounds import describe, figures, in_turns, load_singer

_PLAIN: Final = (
    *("session_id", "status", "currency", "amount", "discount"),
    *("shipping_fee", "items", "is_gift", "coupon", "market"),
)
_NULLABLE: Final = ("discount", "coupon")


@dataclass(frozen=True)
class Feature:
    """A mapping that has one thing more, or less, than the plain one."""

    title: str
    properties: Any = _PLAIN
    base: Mapping[str, Any] = field(default_factory=lambda: MAPPING)
    settings: Mapping[str, Any] = field(default_factory=dict)
    others: Sequence[Mapping[str, Any]] = ()
    """Mappings of the same stream beside it."""
    has_pattern: bool = False
    """As a shape's."""

    @property
    def mappings(self) -> list[Mapping[str, Any]]:
        """The stream's mappings, whole."""
        return [{**self.base, "properties": self.properties}, *self.others]


def _and(**more: Any) -> dict[str, Any]:
    return {name: name for name in _PLAIN} | more


def _but(other: str, **own: str) -> dict[str, Any]:
    return {name: value for name, value in MAPPING.items() if name != other} | own


FEATURES: Final = (
    Feature("10 columns as properties"),
    Feature("10 columns renamed", {name.title(): name for name in _PLAIN}),
    Feature(
        "+ 4 nested paths",
        _and(
            city="address.city",
            postcode="address.postcode",
            lat="address.geo.lat",
            lon="address.geo.lon",
        ),
    ),
    Feature(
        "2 with a default",
        _and(**{name: {"column": name, "default": "none"} for name in _NULLABLE}),
    ),
    Feature("+ 4 constants", _and(**{f"constant_{n}": {"value": "x"} for n in range(4)})),
    Feature(
        "1 hashed",
        _and(session_id={"column": "session_id", "hash": True}),
        settings={"hash_key": "not-a-key"},
    ),
    Feature("+ 1 list", _and(tags="tags")),
    Feature("+ 2 dates", _and(updated_at="updated_at", paid_at="paid_at")),
    Feature('"*" (16 columns, 2 dates, 1 list)', "*"),
    Feature(
        "user_id and device_id", base=_but("distinct_id", user_id="user_id", device_id="session_id")
    ),
    Feature("event from a column", base=_but("event", event_from="status")),
    Feature("without validation", settings={"validate_records": False}),
    Feature(
        "2 destinations, both events",
        others=[{**MAPPING, "event": "Order Seen", "properties": _PLAIN}],
    ),
    Feature(
        "2 destinations, events and users",
        others=[{"type": "users", "distinct_id": "user_id", "properties": _PLAIN}],
    ),
    Feature("a pattern in the schema: no fast path", has_pattern=True),
    Feature(
        "stream_maps, 1 expression",
        _and(gross="gross"),
        settings={"stream_maps": {STREAM: {"gross": "float(amount) * 1.2"}}},
    ),
    Feature("flattening", settings={"flattening_enabled": True, "flattening_max_depth": 3}),
)


def measure_features(shape: Shape, rounds: int, reply_delay_ms: float) -> dict[str, Any]:
    """Return what a record costs with each part of a mapping."""
    plain = replace(shape, has_address=True)
    shapes = {has: replace(plain, has_pattern=has) for has in (False, True)}
    for each in shapes.values():
        make(each, with_rows=False)
    with receiving(reply_delay_ms) as receiver:
        ways = {
            feature.title: partial(
                load_singer,
                target_command(
                    receiver.url, feature.mappings, feature.settings, name=f"feature-{number}"
                ),
                shapes[feature.has_pattern],
                receiver,
                "feature",
                rows_per_record=len(feature.mappings),
            )
            for number, feature in enumerate(FEATURES)
        }
        runs = in_turns(ways, rounds)
    found = [{"title": title, **figures(each)} for title, each in runs.items()]
    print(f"\n{describe(plain, reply_delay_ms)}\n\n{table.features(found)}")
    return {"features": found}
