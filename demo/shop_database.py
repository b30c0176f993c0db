"""What is in the shop's database, and which of it does a load have to send?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import shop

if TYPE_CHECKING:
    from postgres import Postgres

USERS: Final = 12_000
ORDERS: Final = 60_000
NEW_USERS: Final = 150
NEW_ORDERS: Final = 800
CHANGE_EVERY: Final = 200
"""Of the history's rows, every so many-th changes later."""

CHANGES: Final = USERS // CHANGE_EVERY + ORDERS // CHANGE_EVERY

_GAP: Final = timedelta(minutes=5)
"""The history ends this long before now: what is new or changed is later beyond doubt."""

_CHANGE: Final = """
UPDATE users SET plan = 'pro', updated_at = now()
    WHERE id <= :users AND id % :every = 0;
UPDATE orders SET status = 'returned', updated_at = now()
    WHERE id <= :orders AND id % :every = 0;
"""


@dataclass(frozen=True)
class ShopDatabase:
    """The shop's tables in a running PostgreSQL."""

    server: Postgres
    since: datetime
    until: datetime
    buyers: list[shop.User]

    @classmethod
    def opened(cls, server: Postgres) -> ShopDatabase:
        """Create the tables, and the history of the last weeks in them."""
        until = datetime.now(UTC) - _GAP
        since = until - shop.WINDOW
        buyers = shop.users(USERS, since=since, until=until)
        server.query(shop.SCHEMA)
        server.copy("users", shop.copy_text(buyers))
        server.copy("orders", shop.copy_text(shop.orders(ORDERS, buyers, since=since, until=until)))
        return cls(server, since, until, buyers)

    def go_on(self) -> None:
        """Add the users and orders of the minutes since, and change some of the old rows."""
        now = datetime.now(UTC)
        users = shop.users(NEW_USERS, since=self.until, until=now, first_id=USERS + 1)
        orders = shop.orders(
            NEW_ORDERS, self.buyers + users, since=self.until, until=now, first_id=ORDERS + 1
        )
        self.server.copy("users", shop.copy_text(users))
        self.server.copy("orders", shop.copy_text(orders))
        self.server.query(_CHANGE, users=USERS, orders=ORDERS, every=CHANGE_EVERY)

    def rows(self, table: str) -> int:
        """Count the rows of a table."""
        return int(self._value("SELECT count(*) FROM :table", table=table))

    def bookmark(self, table: str) -> str:
        """Return what Singer remembers of a table once all of it is loaded."""
        return self._value("SELECT max(updated_at) FROM :table", table=table)

    def rows_from(self, table: str, bookmark: str) -> int:
        """Count what Singer reads next: rows later than *bookmark*, and those equal to it."""
        count = "SELECT count(*) FROM :table WHERE updated_at >= :'bookmark'"
        return int(self._value(count, table=table, bookmark=bookmark))

    def revenue(self) -> Decimal:
        """Add up all orders."""
        return Decimal(self._value("SELECT sum(amount) FROM orders"))

    def _value(self, sql: str, **variables: str) -> str:
        return self.server.query(sql, **variables)[0][0]
