"""What is in the shop's database, and which of it does a load have to send?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import shop

if TYPE_CHECKING:
    from postgres import Postgres

COMPANIES: Final = 300
USERS: Final = 12_000
ORDERS: Final = 60_000
NEW_USERS: Final = 150
NEW_ORDERS: Final = 800
CHANGE_EVERY: Final = 200
"""Of the history's users and orders, every so many-th changes later."""
DELETED_EVERY: Final = 500
"""Of the history's users, every so many-th leaves later."""
GROWN: Final = 15
"""Companies that buy a seat later."""

ADDED: Final = NEW_USERS + NEW_ORDERS
CHANGED: Final = USERS // CHANGE_EVERY + ORDERS // CHANGE_EVERY + GROWN + 1
DELETED: Final = USERS // DELETED_EVERY + 1

_GAP: Final = timedelta(minutes=5)
"""The history ends this long before now: what is new or changed is later beyond doubt."""

_CHANGE: Final = """
UPDATE users SET plan = 'pro', updated_at = now()
    WHERE id <= :users AND id % :every = 0;
UPDATE users SET deleted_at = now(), updated_at = now()
    WHERE id <= :users AND id % :deleted_every = 1;
UPDATE orders SET status = 'returned', updated_at = now()
    WHERE id <= :orders AND id % :every = 0;
UPDATE companies SET seats = seats + 1, updated_at = now()
    WHERE id IN (SELECT id FROM companies ORDER BY id LIMIT :grown);
UPDATE products SET price = price + 1 WHERE sku = 'POT-GLASS';
DELETE FROM products WHERE sku = 'SCALE-01';
"""


@dataclass(frozen=True)
class Destination:
    """
    What rows of the shop become in Mixpanel, and which rows these are.

    Attributes:
        title: Of an event its name.
        there: SQL that counts what there is when all of it has arrived.
        senders: Tables, each with the condition of the rows that are sent.
    """

    title: str
    there: str
    senders: tuple[tuple[str, str], ...]


ORDER_EVENTS: Final = Destination(
    "Order Placed", "SELECT count(*) FROM orders", (("orders", "true"),)
)
SIGN_UPS: Final = Destination("Signed Up", "SELECT count(*) FROM users", (("users", "true"),))
USER_PROFILES: Final = Destination(
    "User profiles",
    "SELECT count(*) FROM users WHERE deleted_at IS NULL",
    (("users", "true"), ("orders", "user_id IS NOT NULL")),
)
COMPANY_PROFILES: Final = Destination(
    "Company profiles", "SELECT count(*) FROM companies", (("companies", "true"),)
)
PRODUCT_TABLE: Final = Destination(
    "Products, a lookup table", "SELECT count(*) FROM products", (("products", "true"),)
)
DESTINATIONS: Final = (ORDER_EVENTS, SIGN_UPS, USER_PROFILES, COMPANY_PROFILES, PRODUCT_TABLE)

INCREMENTAL: Final = ("orders", "users", "companies")
"""Tables of which only what is new is read; of the others, all of it each time."""

VALUES: Final = {
    USER_PROFILES: """
        SELECT id, jsonb_strip_nulls(jsonb_build_object(
            '$name', full_name,
            '$email', email,
            '$created', to_char(signed_up_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS'),
            'company', company,
            'Plan', plan,
            'Newsletter', newsletter,
            'Interests', interests,
            'Bought', bought
        ))
        FROM users LEFT JOIN (
            SELECT user_id, array_agg(DISTINCT sku ORDER BY sku) AS bought
            FROM orders, unnest(skus) AS sku GROUP BY user_id
        ) AS purchases ON user_id = id
        WHERE deleted_at IS NULL
    """,
    COMPANY_PROFILES: """
        SELECT id, jsonb_build_object(
            '$name', name, 'Country', country, 'Seats', seats, 'Since', customer_since
        )
        FROM companies
    """,
    PRODUCT_TABLE: """
        SELECT sku, jsonb_build_object(
            'sku', sku, 'name', name, 'category', category, 'price', price
        )
        FROM products
    """,
}
"""What Mixpanel must know, by id: the mappings of meltano.yml once more, in PostgreSQL's words."""


@dataclass(frozen=True)
class ShopDatabase:
    """The shop's tables in a running PostgreSQL."""

    server: Postgres
    since: datetime
    until: datetime
    companies: list[shop.Company]
    buyers: list[shop.User]

    @classmethod
    def opened(cls, server: Postgres) -> ShopDatabase:
        """Create the tables, and the history of the last weeks in them."""
        until = datetime.now(UTC) - _GAP
        since = until - shop.WINDOW
        companies = shop.companies(COMPANIES, since=since, until=until)
        buyers = shop.users(USERS, companies, since=since, until=until)
        orders = shop.orders(ORDERS, buyers, since=since, until=until)
        server.query(shop.SCHEMA)
        server.copy("products", shop.copy_text(shop.PRODUCTS))
        server.copy("companies", shop.copy_text(companies))
        server.copy("users", shop.copy_text(buyers))
        server.copy("orders", shop.copy_text(orders))
        return cls(server, since, until, companies, buyers)

    def go_on(self) -> None:
        """Add the users and orders of the minutes since, and change some of the old rows."""
        now = datetime.now(UTC)
        users = shop.users(
            NEW_USERS, self.companies, since=self.until, until=now, first_id=USERS + 1
        )
        orders = shop.orders(
            NEW_ORDERS, self.buyers + users, since=self.until, until=now, first_id=ORDERS + 1
        )
        self.server.copy("users", shop.copy_text(users))
        self.server.copy("orders", shop.copy_text(orders))
        self.server.query(
            _CHANGE,
            users=USERS,
            orders=ORDERS,
            every=CHANGE_EVERY,
            deleted_every=DELETED_EVERY,
            grown=GROWN,
        )

    def there(self, destination: Destination) -> int:
        """Count what there must be in Mixpanel once all is loaded."""
        return int(self._value(destination.there))

    def to_send(self, destination: Destination, bookmarks: dict[str, str]) -> int:
        """
        Count what the next load sends.

        Args:
            destination: Where to.
            bookmarks: What Singer remembers, by table. It reads the rows that are later, and
                those equal to it; a table without one it reads as a whole.
        """
        return sum(
            int(self._value(_rows_from(table, condition, bookmarks.get(table))))
            for table, condition in destination.senders
        )

    def bookmarks(self) -> dict[str, str]:
        """Return what Singer remembers once all is loaded."""
        return {
            table: self._value("SELECT max(updated_at) FROM :table", table=table)
            for table in INCREMENTAL
        }

    def values(self, destination: Destination) -> dict[str, str]:
        """Return what Mixpanel must know, by id, each as a JSON object's text."""
        return {row[0]: row[1] for row in self.server.query(VALUES[destination])}

    def revenue(self) -> Decimal:
        """Add up all orders."""
        return Decimal(self._value("SELECT sum(amount) FROM orders"))

    def _value(self, sql: str, **variables: str) -> str:
        return self.server.query(sql, **variables)[0][0]


def _rows_from(table: str, condition: str, bookmark: str | None) -> str:
    newer = "" if bookmark is None else f" AND updated_at >= '{bookmark}'"
    return f"SELECT count(*) FROM {table} WHERE {condition}{newer}"  # noqa: S608 - all ours
