"""What a message says to do is done here, and then it loads."""

from typing import Any

import pytest

from target_mixpanel.sandbox import Sandbox
from tests.conftest import ORDERS_MAPPING, ORDERS_SCHEMA, Command, order, state

USERS = {"type": "users", "distinct_id": "user_id", "properties": ["note"]}
GUEST = {"column": "user_id", "nobody": ["0"]}


def schema(key: tuple[str, ...] = ("id",), **columns: Any) -> dict[str, Any]:
    properties = {**ORDERS_SCHEMA["schema"]["properties"], **columns}
    return {**ORDERS_SCHEMA, "key_properties": list(key), "schema": {"properties": properties}}


def mapped(mapping: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"streams": {"orders": {**(mapping or ORDERS_MAPPING), **more}}}


REMEDIES = [
    pytest.param(
        schema(key=("uuid_bin",)), order(7), {}, "set insert_id", mapped(insert_id=["id"]), id="key"
    ),
    pytest.param(
        schema(note={"type": "integer"}),
        order(7, note="seven"),
        {},
        "set validate_records: false",
        {"validate_records": False},
        id="breach",
    ),
    pytest.param(
        schema(id={"type": "sting"}),
        order(7),
        {},
        "set validate_records: false",
        {"validate_records": False},
        id="no-type",
    ),
    pytest.param(
        schema(),
        order(7, created_at="01/10/2026 12:30"),
        {"validate_records": False},
        'time_format: "%d/%m/%Y %H:%M"',
        mapped(time_format="%d/%m/%Y %H:%M"),
        id="time-format",
    ),
    pytest.param(
        schema(at={"type": "integer"}),
        order(7, at=202610011230),
        mapped(time="at"),
        'time_format: "%Y%m%d%H%M"',
        mapped(time="at", time_format="%Y%m%d%H%M"),
        id="calendar",
    ),
    pytest.param(
        schema(at={"type": "integer"}),
        order(7, at=2026274),
        mapped(time="at"),
        "say how with time_format",
        mapped(time="at", time_format="%Y%j"),
        id="day-of-the-year",
    ),
    pytest.param(
        schema(),
        order(7, user_id="0"),
        {},
        "nobody: [values]",
        mapped(distinct_id=GUEST),
        id="nobody",
    ),
    pytest.param(
        schema(),
        order(7, user_id=None),
        {},
        "the mapping has no default",
        mapped(distinct_id={"column": "user_id", "default": ""}),
        id="default",
    ),
    pytest.param(
        schema(),
        order(7),
        {"streams": {"carts": ORDERS_MAPPING}},
        "set unmapped_streams: skip",
        {"unmapped_streams": "skip"},
        id="unmapped",
    ),
    pytest.param(
        schema(),
        order(7, note="perhaps"),
        mapped(skip_when="note"),
        "is: [",
        mapped(skip_when={"column": "note", "is": ["no"]}),
        id="condition",
    ),
    pytest.param(
        schema(),
        order(7, note="left"),
        mapped(USERS, operation="union", delete_when="note"),
        "only_when: note",
        mapped(USERS, operation="union", only_when={"column": "note", "is": ["left"]}),
        id="delete-when",
    ),
    pytest.param(
        schema(lines={"type": "array"}),
        order(7, lines=[{"sku": "a"}]),
        mapped(properties={"First": "lines.0"}),
        "name the whole list",
        mapped(properties={"Lines": "lines"}),
        id="path-into-a-list",
    ),
    pytest.param(
        schema(),
        order(7),
        mapped(properties={"Note": {"column": "note", "hash": True}}),
        "hash_key",
        {"hash_key": "k"},
        id="hash-key",
    ),
    pytest.param(
        schema(count={"type": "string"}),
        order(7, count="many"),
        mapped(properties={"Count": {"column": "count", "as": "number"}}),
        "leave as out",
        mapped(properties={"Count": "count"}),
        id="cast",
    ),
    pytest.param(
        schema(count={"type": "integer"}),
        order(7, count=2**60),
        mapped(properties={"Count": {"column": "count", "as": "integer"}}),
        "as: text",
        mapped(properties={"Count": {"column": "count", "as": "text"}}),
        id="integer",
    ),
    pytest.param(
        schema(),
        order(7),
        mapped(properties={"$bucket": "note"}),
        "give the property another name",
        mapped(properties={"bucket_name": "note"}),
        id="reserved",
    ),
    pytest.param(
        schema(),
        order(7, id="a b"),
        {**mapped(insert_id="id"), "validate_records": False},
        "write the column as a list",
        mapped(insert_id=["id"]),
        id="insert-id",
    ),
]


@pytest.mark.parametrize(("head", "record", "settings", "remedy", "mended"), REMEDIES)
def test_the_remedy_works(
    command: Command, sandbox: Sandbox, head, record, settings, remedy, mended
):
    messages = (head, record, state(7))
    refused = command.run(*messages, **settings)
    done = command.run(*messages, **{**settings, **mended})

    assert refused.code != 0
    assert remedy in refused.errors[0]
    assert (done.code, done.states) == (0, [state(7)["value"]]), done.stderr
