"""Which companies, customers, orders and products does the demo's database hold?"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SEED: Final = 20
WINDOW: Final = timedelta(days=28)
"""How far back the rows reach: Mixpanel's own menus look at the last 30 days."""

GUEST_SHARE: Final = 0.12
COUPON_SHARE: Final = 0.18
GIFT_SHARE: Final = 0.07

EMPLOYED_SHARE: Final = 0.3

SCHEMA: Final = """
CREATE TABLE products (
    sku      text PRIMARY KEY,
    name     text NOT NULL,
    category text NOT NULL,
    price    numeric(10, 2) NOT NULL
);
CREATE TABLE companies (
    id             text PRIMARY KEY,
    name           text NOT NULL,
    country        text NOT NULL,
    seats          integer NOT NULL,
    customer_since date NOT NULL,
    updated_at     timestamptz NOT NULL
);
CREATE TABLE users (
    id           bigint PRIMARY KEY,
    email        text NOT NULL,
    full_name    text NOT NULL,
    company      text REFERENCES companies,
    plan         text NOT NULL,
    country      text NOT NULL,
    city         text NOT NULL,
    newsletter   boolean NOT NULL,
    interests    text[] NOT NULL,
    signed_up_at timestamptz NOT NULL,
    deleted_at   timestamptz,
    updated_at   timestamptz NOT NULL
);
CREATE TABLE orders (
    id          bigint PRIMARY KEY,
    user_id     bigint REFERENCES users,
    status      text NOT NULL,
    amount      numeric(10, 2) NOT NULL,
    currency    text NOT NULL,
    item_count  integer NOT NULL,
    skus        text[] NOT NULL,
    is_gift     boolean NOT NULL,
    coupon      text,
    shipping    jsonb NOT NULL,
    ip_address  inet NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Product:
    """One row of the table products: a thing the shop sells."""

    sku: str
    name: str
    category: str
    price: Decimal


PRODUCTS: Final = tuple(
    Product(sku, name, category, Decimal(price))
    for sku, name, category, price in (
        ("TEA-ASSAM-100", "Assam, 100 g", "tea", "7.90"),
        ("TEA-SENCHA-100", "Sencha, 100 g", "tea", "11.40"),
        ("TEA-ROOIBOS-100", "Rooibos, 100 g", "tea", "6.20"),
        ("COF-ESPRESSO-250", "Espresso, 250 g", "coffee", "9.80"),
        ("COF-FILTER-250", "Filter roast, 250 g", "coffee", "9.20"),
        ("COF-DECAF-250", "Decaf, 250 g", "coffee", "10.60"),
        ("POT-GLASS", "Glass teapot", "ware", "34.00"),
        ("CUP-STONE", "Stoneware cup", "ware", "14.50"),
        ("MILL-HAND", "Hand mill", "ware", "79.00"),
        ("SCALE-01", "Brewing scale", "ware", "49.90"),
    )
)

_PLACES: Final = (
    ("DE", "Berlin"),
    ("DE", "Köln"),
    ("FR", "Lyon"),
    ("GB", "Leeds"),
    ("IN", "Pune"),
    ("JP", "Ōsaka"),
    ("BR", "São Paulo"),
    ("US", "Portland"),
    ("US", "Austin"),
    ("ZA", "Durban"),
)
_GIVEN: Final = (
    "Ada",
    "Amir",
    "Bao",
    "Chloé",
    "Dara",
    "Emre",
    "Femi",
    "Grace",
    "Hana",
    "Ines",
    "Jürgen",
    "Kofi",
    "Lina",
    "Mei",
    "Noah",
    "Olga",
    "Priya",
    "Quinn",
    "Rosa",
    "Sven",
    "Tariq",
    "Uma",
    "Vera",
    "Wanda",
    "Xavi",
    "Yara",
    "Zoë",
)
_FAMILY: Final = (
    "Adeyemi",
    "Bauer",
    "Costa",
    "Dubois",
    "Eriksson",
    "Fischer",
    "García",
    "Haddad",
    "Ito",
    "Jansen",
    "Kumar",
    "López",
    "Müller",
    "Novák",
    "Okafor",
    "Patel",
    "Quispe",
    "Rossi",
    "Sato",
    "Turner",
    "Ueda",
    "Vargas",
    "Weber",
    "Xu",
    "Yildiz",
    "Zhang",
)
_PLANS: Final = ("free", "plus", "pro")
_STATUSES: Final = ("placed", "paid", "shipped", "delivered", "returned")
_TRADES: Final = ("Books", "Dental", "Games", "Legal", "Studios", "Yoga")
_COUPONS: Final = ("WELCOME10", "AUTUMN5", "FRIENDS")
_INTERESTS: Final = ("tea", "coffee", "ware", "recipes", "workshops")
_METHODS: Final = ("standard", "express", "pickup")
_DOCUMENTATION_NETWORKS: Final = ("192.0.2", "198.51.100", "203.0.113")
"""RFC 5737: addresses that belong to nobody."""


@dataclass(frozen=True, slots=True)
class Company:
    """One row of the table companies."""

    id: str
    name: str
    country: str
    seats: int
    customer_since: date
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class User:
    """One row of the table users."""

    id: int
    email: str
    full_name: str
    company: str | None
    plan: str
    country: str
    city: str
    newsletter: bool
    interests: list[str]
    signed_up_at: datetime
    deleted_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Order:
    """One row of the table orders."""

    id: int
    user_id: int | None
    status: str
    amount: Decimal
    currency: str
    item_count: int
    skus: list[str]
    is_gift: bool
    coupon: str | None
    shipping: dict[str, object]
    ip_address: str
    created_at: datetime
    updated_at: datetime


Row = Product | Company | User | Order


def companies(count: int, *, since: datetime, until: datetime) -> list[Company]:
    """Invent *count* companies. The same arguments give the same; nothing lies after *until*."""
    chance = random.Random(f"{SEED} companies")  # noqa: S311 - believable, not secret
    moments = _moments(chance, count, since=since, until=until)
    return [_company(chance, 1 + index, at) for index, at in enumerate(moments)]


def users(
    count: int, employers: list[Company], *, since: datetime, until: datetime, first_id: int = 1
) -> list[User]:
    """
    Invent *count* users, numbered in the order they signed up; some work for one of *employers*.

    The same arguments give the same users. Nothing lies after *until*.
    """
    chance = random.Random(f"{SEED} users {first_id}")  # noqa: S311 - believable, not secret
    signups = _moments(chance, count, since=since, until=until)
    return [
        _user(chance, first_id + index, employers, at, until) for index, at in enumerate(signups)
    ]


def orders(
    count: int, buyers: list[User], *, since: datetime, until: datetime, first_id: int = 1
) -> Iterator[Order]:
    """
    Invent *count* orders, numbered in the order they were placed.

    The same arguments give the same orders. An order without a user is a guest's; an order
    with one was placed after that user signed up. Nothing lies after *until*.

    Args:
        count: How many.
        buyers: In the order they signed up.
        since: The first may be this early.
        until: The last lies before this.
        first_id: The first order's number.
    """
    chance = random.Random(f"{SEED} orders {first_id}")  # noqa: S311 - believable, not secret
    known = 0
    for index, at in enumerate(_moments(chance, count, since=since, until=until)):
        while known < len(buyers) and buyers[known].signed_up_at < at:
            known += 1
        buyer = buyers[int(known * chance.random())] if known else None
        if chance.random() < GUEST_SHARE:
            buyer = None
        yield _order(chance, first_id + index, buyer, at, until)


def copy_text(rows: Iterable[Row]) -> Iterator[str]:
    """Render *rows* as lines of PostgreSQL's COPY text format."""
    for row in rows:
        yield "\t".join(_field(getattr(row, column.name)) for column in fields(row)) + "\n"


def _moments(
    chance: random.Random, count: int, *, since: datetime, until: datetime
) -> list[datetime]:
    return sorted(since + (until - since) * chance.random() for _ in range(count))


def _later(chance: random.Random, at: datetime, until: datetime) -> datetime:
    # A share of the time left: with a fixed delay, many rows would end on *until* itself.
    return at + min(until - at, timedelta(hours=72)) * chance.random() ** 3


def _company(chance: random.Random, number: int, at: datetime) -> Company:
    family, trade = chance.choice(_FAMILY), chance.choice(_TRADES)
    return Company(
        id=f"c-{number}",
        name=f"{family} {trade}",
        country=chance.choice(_PLACES)[0],
        seats=chance.randrange(2, 200),
        customer_since=at.date() - timedelta(days=chance.randrange(30, 900)),
        updated_at=at,
    )


def _user(
    chance: random.Random, number: int, employers: list[Company], at: datetime, until: datetime
) -> User:
    given, family = chance.choice(_GIVEN), chance.choice(_FAMILY)
    country, city = chance.choice(_PLACES)
    return User(
        id=number,
        email=f"{given}.{family}.{number}@example.com".lower(),
        full_name=f"{given} {family}",
        company=chance.choice(employers).id if chance.random() < EMPLOYED_SHARE else None,
        plan=chance.choices(_PLANS, (70, 22, 8))[0],
        country=country,
        city=city,
        newsletter=chance.random() < 1 / 3,
        interests=chance.sample(_INTERESTS, chance.randrange(4)),
        signed_up_at=at,
        deleted_at=None,
        updated_at=_later(chance, at, until),
    )


def _order(
    chance: random.Random, number: int, buyer: User | None, at: datetime, until: datetime
) -> Order:
    basket = chance.choices(PRODUCTS, k=chance.choices((1, 2, 3, 4), (45, 30, 15, 10))[0])
    coupon = chance.choice(_COUPONS) if chance.random() < COUPON_SHARE else None
    country, city = (buyer.country, buyer.city) if buyer else chance.choice(_PLACES)
    total = sum((product.price for product in basket), Decimal(0))
    return Order(
        id=number,
        user_id=buyer.id if buyer else None,
        status=chance.choices(_STATUSES, (5, 15, 25, 50, 5))[0],
        amount=(total * Decimal("0.9") if coupon else total).quantize(Decimal("0.01")),
        currency="EUR",
        item_count=len(basket),
        skus=[product.sku for product in basket],
        is_gift=chance.random() < GIFT_SHARE,
        coupon=coupon,
        shipping={
            "method": chance.choice(_METHODS),
            "address": {"country": country, "city": city},
        },
        ip_address=f"{chance.choice(_DOCUMENTATION_NETWORKS)}.{chance.randrange(1, 255)}",
        created_at=at,
        updated_at=_later(chance, at, until),
    )


def _field(cell: object) -> str:
    match cell:
        case None:
            return r"\N"
        case bool():
            return "t" if cell else "f"
        case datetime():
            return cell.astimezone(UTC).isoformat()
        case list():
            return _escaped(
                "{" + ",".join(json.dumps(item, ensure_ascii=False) for item in cell) + "}"
            )
        case dict():
            return _escaped(json.dumps(cell, ensure_ascii=False))
        case _:
            return _escaped(str(cell))


def _escaped(text: str) -> str:
    for plain, written in (("\\", r"\\"), ("\t", r"\t"), ("\n", r"\n"), ("\r", r"\r")):
        text = text.replace(plain, written)
    return text
