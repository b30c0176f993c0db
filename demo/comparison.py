"""Is in Mixpanel what is in PostgreSQL?"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from shop_database import (
    COMPANY_PROFILES,
    DESTINATIONS,
    ORDER_EVENTS,
    PRODUCT_TABLE,
    SIGN_UPS,
    USER_PROFILES,
    Destination,
)

if TYPE_CHECKING:
    from console import Console
    from sandbox import Arrived, Properties, Sandbox
    from shop_database import ShopDatabase

GROUP_KEY: Final = "company"
LOOKUP_TABLE_ID: Final = "5a9db0c5-0000-4000-8000-000000000001"
"""The table that the sandbox has; both as demo/meltano.yml names them."""


@dataclass
class Comparison:
    """One load after the other, compared with what it should have done."""

    console: Console
    source: ShopDatabase
    mixpanel: Sandbox
    _sent: dict[Destination, int] = field(default_factory=lambda: dict.fromkeys(DESTINATIONS, 0))
    _bookmarks: dict[str, str] = field(default_factory=dict)

    def show(self) -> bool:
        """Show what the load that ended just now did; say whether everything agrees."""
        for destination in DESTINATIONS:
            self._sent[destination] += self.source.to_send(destination, self._bookmarks)
        self._bookmarks = self.source.bookmarks()
        agreements = [self._counts(), self._values(), self._revenue()]
        return all(agreements)

    def _counts(self) -> bool:
        head = ("", "in PostgreSQL", "to be sent", "received", "in reports", "compacted", "")
        table: list[tuple[str, ...]] = [head]
        all_agree = True
        for destination in DESTINATIONS:
            there, sent = self.source.there(destination), self._sent[destination]
            arrived = self._arrived(destination)
            agree = (arrived.received, arrived.there) == (sent, there)
            agree = agree and arrived.compacted in {None, there}
            all_agree = all_agree and agree
            counts = (there, sent, arrived.received, arrived.there, arrived.compacted)
            numbers = ("" if count is None else f"{count:,}" for count in counts)
            table.append((destination.title, *numbers, _verdict(agree=agree)))
        self.console.table(table)
        return all_agree

    def _values(self) -> bool:
        """Hold every profile, and every row of the table, against PostgreSQL's."""
        all_agree = True
        said = []
        for destination, known in (
            (USER_PROFILES, self.mixpanel.user_profiles()),
            (COMPANY_PROFILES, self.mixpanel.group_profiles(GROUP_KEY)),
            (PRODUCT_TABLE, self.mixpanel.table_rows(LOOKUP_TABLE_ID, "sku")),
        ):
            wanted = {
                key: json.loads(text, parse_float=Decimal)
                for key, text in self.source.values(destination).items()
            }
            agree = wanted == {key: in_order(properties) for key, properties in known.items()}
            all_agree = all_agree and agree
            name = destination.title.partition(",")[0].lower()
            said.append(f"{len(wanted):,} {name} {_verdict(agree=agree)}")
        self.console.say(f"    Value by value: {', '.join(said)}")
        return all_agree

    def _revenue(self) -> bool:
        revenue = self.source.revenue()
        reported = self.mixpanel.total(ORDER_EVENTS.title, "Amount")
        agree = revenue == reported
        self.console.say(
            f"    All orders: {revenue:,} EUR in PostgreSQL, {reported:,} EUR in reports: "
            f"{_verdict(agree=agree)}"
        )
        return agree

    def _arrived(self, destination: Destination) -> Arrived:
        if destination in {ORDER_EVENTS, SIGN_UPS}:
            return self.mixpanel.events(destination.title)
        if destination == USER_PROFILES:
            return self.mixpanel.users()
        return self.mixpanel.groups() if destination == COMPANY_PROFILES else self.mixpanel.table()


def _verdict(*, agree: bool) -> str:
    return "agree" if agree else "DIFFER"


def in_order(properties: Properties) -> dict[str, Any]:
    """
    Return what is set of a profile, and what `union` collected in order.

    A null is "(not set)"; and a set is the same whatever came first.
    """
    known = {name: value for name, value in properties.items() if value is not None}
    bought = {"Bought": sorted(known["Bought"])} if "Bought" in known else {}
    return {**known, **bought}
