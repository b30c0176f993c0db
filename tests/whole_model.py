"""What tests of users, groups and lookup tables share: a tap's messages, mappings, a sandbox."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from target_mixpanel.sandbox import Sandbox, SandboxSettings
from tests.conftest import ORDERS_MAPPING, Command

TABLE_ID = "11111111-2222-4333-8444-555555555555"
OTHER_TABLE_ID = "66666666-7777-4888-9999-000000000000"
SANDBOX = SandboxSettings(
    events_per_second=None,
    bytes_per_minute=None,
    lookup_tables={TABLE_ID: "Products", OTHER_TABLE_ID: "Shops"},
)
ACCOUNT = {
    "service_account_username": SANDBOX.service_account,
    "service_account_secret": SANDBOX.secret,
    "project_id": SANDBOX.project_id,
}


def schema(stream: str, key: str, **columns: Any) -> dict[str, Any]:
    """Return a SCHEMA; a column is a JSON Schema, or the name of its type besides null."""
    properties = {
        name: {"type": ["null", column]} if isinstance(column, str) else column
        for name, column in columns.items()
    }
    return {
        "type": "SCHEMA",
        "stream": stream,
        "key_properties": [key],
        "schema": {"type": "object", "properties": properties},
    }


def record(stream: str, **values: Any) -> dict[str, Any]:
    return {"type": "RECORD", "stream": stream, "record": values}


WHEN = {"type": ["null", "string"], "format": "date-time"}

USERS_SCHEMA = schema("users", "id", id="string", name="string", email="string", gone_at=WHEN)
USERS_MAPPING = {
    "type": "users",
    "distinct_id": "id",
    "properties": {"$name": "name", "$email": "email"},
    "nulls": "keep",
    "delete_when": "gone_at",
}
ACCOUNTS_SCHEMA = schema("accounts", "id", id="string", size="integer", gone_at=WHEN)
ACCOUNTS_MAPPING = {
    "type": "groups",
    "group_key": "company",
    "group_id": "id",
    "properties": {"Size": "size"},
    "delete_when": "gone_at",
}
PRODUCTS_SCHEMA = schema(
    "products", "sku", sku="string", name="string", price="number", made_at=WHEN
)
PRODUCTS_MAPPING = {
    "type": "lookup_table",
    "lookup_table_id": TABLE_ID,
    "key": "sku",
    "properties": ["name", "price", "made_at"],
}
ALL_MAPPINGS = {
    "orders": ORDERS_MAPPING,
    "users": USERS_MAPPING,
    "accounts": ACCOUNTS_MAPPING,
    "products": PRODUCTS_MAPPING,
}


def user(user_id: str, name: str = "Ada", **more: Any) -> dict[str, Any]:
    return record("users", **{"id": user_id, "name": name, "email": None, "gone_at": None, **more})


def account(account_id: str, size: int = 1, **more: Any) -> dict[str, Any]:
    return record("accounts", **{"id": account_id, "size": size, "gone_at": None, **more})


def product(number: int, **more: Any) -> dict[str, Any]:
    """Return a RECORD of the stream products; the same number has the same key."""
    values = {"sku": f"sku-{number}", "name": f"Bolt {number}", "price": number / 4}
    return record("products", **{**values, "made_at": None, **more})


def products(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [product(number) for number in range(start, start + count)]


def reached(place: int) -> dict[str, Any]:
    """Return a STATE that is not one of the stream orders."""
    return {"type": "STATE", "value": {"bookmarks": {"all": place}}}


@pytest.fixture
def project() -> Iterator[Sandbox]:
    with Sandbox(settings=SANDBOX) as running:
        yield running


@pytest.fixture
def loads_all(tmp_path: Path, project: Sandbox) -> Command:
    """A command with a mapping of each type."""
    command = Command(tmp_path, project.url)
    command.config |= {**ACCOUNT, "streams": ALL_MAPPINGS}
    return command
