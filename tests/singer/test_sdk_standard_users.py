"""The target passes the SDK's tests for targets with user profiles, too, not with events alone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import singer_sdk.testing
from singer_sdk.testing import get_target_test_class

from target_mixpanel.sandbox import Sandbox
from target_mixpanel.singer.target import TargetMixpanel

INPUTS = Path(singer_sdk.testing.__file__).with_name("target_test_streams")

USERS: dict[str, Any] = {"type": "users", "distinct_id": "id", "properties": "*"}
STREAMS: dict[str, Any] = {
    "*": USERS,
    # Whose profile it is stands in another column.
    "TestCamelcase": {**USERS, "distinct_id": "Id"},
    "ForecastingTypeToCategory": {**USERS, "distinct_id": "Id"},
    "test:SpecialChars!in?attributes": {**USERS, "distinct_id": "_id", "properties": ["d"]},
    # Its records have no id.
    "string_formats": {**USERS, "distinct_id": "email"},
    # "*" takes no objects.
    "test_strings_in_objects": {**USERS, "properties": ["info"]},
    # These say of nobody whose they are: only an id that is the same for all of them will do.
    "test_object_schema_*": {
        **USERS,
        "distinct_id": {"value": "store"},
        "properties": ["object_store"],
    },
}
# One dict, so that the sandbox's port can be filled in once it is known.
STANDARD: dict[str, Any] = {
    "api_url": "http://127.0.0.1:1",
    "project_token": "sandbox-token",
    "streams": STREAMS,
}


@pytest.fixture(scope="module", autouse=True)
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(port=0) as running:
        STANDARD["api_url"] = running.url
        yield running


TestStandard = get_target_test_class(TargetMixpanel, config=STANDARD)


def load(name: str) -> None:
    with (INPUTS / f"{name}.singer").open("rb") as file:
        TargetMixpanel(config=STANDARD).listen(file)


def records(name: str) -> list[dict[str, Any]]:
    lines = (INPUTS / f"{name}.singer").read_text().splitlines()
    return [message["record"] for line in lines if "record" in (message := json.loads(line))]


@pytest.mark.parametrize("name", ["duplicate_records", "schema_updates", "optional_attributes"])
def test_a_profile_is_what_its_records_set_one_by_one(sandbox: Sandbox, name: str):
    """Null sets nothing, a record of nulls is no update, and "*" takes no objects."""
    sandbox.reset()
    load(name)
    expected: dict[str, dict[str, Any]] = {}
    for record in records(name):
        values = {
            column: value
            for column, value in record.items()
            if column != "id" and value is not None and not isinstance(value, dict)
        }
        if values:
            expected.setdefault(str(record["id"]), {}).update(values)

    assert sandbox.users == expected


def test_streams_that_are_all_of_one_user_are_one_profile(sandbox: Sandbox):
    sandbox.reset()
    load("schema_no_properties")

    assert list(sandbox.users) == ["store"]
