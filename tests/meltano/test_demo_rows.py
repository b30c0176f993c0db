"""The demo's rows are believable, within Mixpanel's limits, and the same every time."""

import importlib.util
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

SHOP = Path(__file__).parents[2] / "demo" / "shop.py"
UNTIL = datetime(2026, 10, 20, 12, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=28)


@pytest.fixture(scope="module")
def shop():
    spec = importlib.util.spec_from_file_location("demo_shop", SHOP)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def companies(shop):
    return shop.companies(50, since=SINCE, until=UNTIL)


@pytest.fixture(scope="module")
def users(shop, companies):
    return shop.users(500, companies, since=SINCE, until=UNTIL)


@pytest.fixture(scope="module")
def orders(shop, users):
    return list(shop.orders(2_000, users, since=SINCE, until=UNTIL))


def test_the_same_window_gives_the_same_rows(shop, companies, users, orders):
    assert companies == shop.companies(50, since=SINCE, until=UNTIL)
    assert users == shop.users(500, companies, since=SINCE, until=UNTIL)
    assert orders == list(shop.orders(2_000, users, since=SINCE, until=UNTIL))


def test_ids_go_on_where_the_first_rows_ended(shop, companies, users):
    more = shop.users(10, companies, since=UNTIL, until=UNTIL + timedelta(minutes=5), first_id=501)

    assert list(range(1, 511)) == [user.id for user in users + more]
    assert len({user.email for user in users + more}) == 510


def test_no_row_lies_outside_the_window(users, orders):
    """Mixpanel refuses events of the future."""
    assert all(SINCE <= user.signed_up_at <= user.updated_at < UNTIL for user in users)
    assert all(SINCE <= order.created_at <= order.updated_at < UNTIL for order in orders)


def test_nobody_orders_before_signing_up(users, orders):
    signed_up = {user.id: user.signed_up_at for user in users}

    assert all(
        signed_up[order.user_id] < order.created_at for order in orders if order.user_id is not None
    )


def test_some_users_work_for_a_company_that_there_is(companies, users):
    employers = {user.company for user in users if user.company is not None}

    assert employers <= {company.id for company in companies}
    assert 0 < sum(user.company is None for user in users) < len(users)


def test_some_orders_are_guests(orders):
    guests = sum(order.user_id is None for order in orders)

    assert 0.05 < guests / len(orders) < 0.25


def test_one_row_alone_is_the_newest(companies, users, orders):
    """Singer sends what is equal to the bookmark again: one row, not a crowd."""
    for rows in (companies, users, orders):
        newest = max(row.updated_at for row in rows)

        assert [newest] == [row.updated_at for row in rows if row.updated_at == newest]


def test_addresses_belong_to_nobody(users, orders):
    networks = ("192.0.2.", "198.51.100.", "203.0.113.")

    assert all(user.email.endswith("@example.com") for user in users)
    assert all(order.ip_address.startswith(networks) for order in orders)


def test_copy_text_writes_every_kind_of_column(shop, orders):
    guest = next(order for order in orders if order.user_id is None and order.coupon is None)
    (line,) = shop.copy_text([guest])

    assert line.rstrip("\n").split("\t") == [
        str(guest.id),
        r"\N",
        guest.status,
        str(guest.amount),
        "EUR",
        str(guest.item_count),
        "{" + ",".join(f'"{sku}"' for sku in guest.skus) + "}",
        "t" if guest.is_gift else "f",
        r"\N",
        '{{"method": "{method}", "address": {{"country": "{country}", "city": "{city}"}}}}'.format(
            method=guest.shipping["method"], **guest.shipping["address"]
        ),
        guest.ip_address,
        guest.created_at.isoformat(),
        guest.updated_at.isoformat(),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a\tb", r"a\tb", id="tab"),
        pytest.param("a\nb\r", r"a\nb\r", id="line-ends"),
        pytest.param("a\\b", r"a\\b", id="backslash"),
        pytest.param(r"\N", r"\\N", id="not-null"),
    ],
)
def test_copy_text_escapes(shop, users, text, expected):
    user = shop.User(**{**_columns(users[0]), "full_name": text})
    (line,) = shop.copy_text([user])

    assert expected == line.split("\t")[2]


def _columns(row):
    return {name: getattr(row, name) for name in type(row).__slots__}
