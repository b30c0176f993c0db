"""Promise 5 for users, groups and lookup tables: no secret and no record content is shown."""

from pathlib import Path
from typing import Any

import pytest

from target_mixpanel.sandbox import Sandbox, SandboxSettings
from tests.conftest import Finished
from tests.faults.canaries import FORMS, PERSON, SECRET, TOKEN, USERNAME, Canary, echo
from tests.faults.canaries import leaks as leaks_in
from tests.whole_model import (
    ACCOUNTS_MAPPING,
    ACCOUNTS_SCHEMA,
    PRODUCTS_MAPPING,
    PRODUCTS_SCHEMA,
    TABLE_ID,
    USERS_MAPPING,
    USERS_SCHEMA,
    account,
    product,
    reached,
    record,
    schema,
    user,
)

KEY = "canary-key-5500990077"
PATHS = ["/engage", "/lookup-tables"]
"""What judges /engage judges /groups."""
STREAMS = {
    "users": {
        **USERS_MAPPING,
        "properties": {"$name": "name", "hashed": {"column": "email", "hash": True}},
    },
    "visits": {
        "type": "users",
        "distinct_id": "id",
        "operation": "append",
        "properties": {"Pages": "page"},
    },
    "accounts": {**ACCOUNTS_MAPPING, "properties": {"Size": "size", "Owner": "owner"}},
    "products": PRODUCTS_MAPPING,
}
VISITS_SCHEMA = schema("visits", "id", id="string", page="string")
OWNED_SCHEMA = {
    **ACCOUNTS_SCHEMA,
    "schema": {
        "type": "object",
        "properties": {**ACCOUNTS_SCHEMA["schema"]["properties"], "owner": {"type": "string"}},
    },
}
SCHEMAS = [USERS_SCHEMA, VISITS_SCHEMA, OWNED_SCHEMA, PRODUCTS_SCHEMA]
RECORDS = [
    *(user(KEY, PERSON, email=PERSON) for _ in range(3)),
    record("visits", id=KEY, page=PERSON),
    *(account(KEY, owner=PERSON) for _ in range(3)),
    *(product(number, name=PERSON) for number in range(3)),
    product(3, sku=KEY, name="Bolt"),
]
LAST = reached(1)


def leaks(shown: str) -> list[str]:
    return leaks_in(shown, of=[*FORMS, PERSON, KEY, "Traceback"])


class CanaryOfAllTypes(Canary):
    def run(self, *messages: Any, **more: Any) -> Finished:
        done = super().run(*messages, **more)
        assert leaks(done.stdout + done.stderr) == []
        assert leaks(self.report()) == []
        assert leaks_in(self.dead_letters(), of=FORMS) == []
        return done


@pytest.fixture
def canary(tmp_path: Path):
    settings = SandboxSettings(
        token=TOKEN, service_account=USERNAME, secret=SECRET, lookup_tables={TABLE_ID: "Products"}
    )
    with Sandbox(settings=settings) as sandbox:
        canary = CanaryOfAllTypes(tmp_path, sandbox)
        canary.command.config["streams"] = STREAMS
        yield canary


def blaming(index: int, message: str) -> dict[str, Any]:
    return {
        "status": 400,
        "body": {
            "code": 400,
            "error": message,
            "status": "Bad Request",
            "failed_records": [{"index": index, "message": message}],
        },
    }


FAULTS = [
    pytest.param({"status": 503, "headers": {"Retry-After": TOKEN}}, 1, id="down"),
    pytest.param({"status": 429, "body": {"error": TOKEN}}, 1, id="rate-limit"),
    pytest.param({"reset": "before_ingest"}, 1, id="reset"),
    pytest.param({"reset": "after_ingest"}, 1, id="lost-reply"),
    pytest.param({"truncate": 9}, 1, id="cut"),
    pytest.param({"body": f"<html>{PERSON} {TOKEN}</html>"}, 1, id="page"),
    pytest.param({"body": "0"}, 0, id="zero"),
    pytest.param({"body": {"status": 0, "error": f"{PERSON} {KEY} {TOKEN}"}}, 0, id="status-0"),
    pytest.param({"body": {"status": 1, "num_good_events": 9}}, 1, id="more-than-all"),
    pytest.param({"status": 400, "body": "<html>"}, 0, id="refusal"),
    pytest.param({"status": 413, "body": {"error": f"{SECRET}"}}, 0, id="too-large"),
    pytest.param({"status": 401}, 1, id="refused-credentials"),
    pytest.param({"status": 404, "body": {"error": TOKEN}}, 1, id="not-found"),
    *(
        pytest.param(
            {"status": status, "body": {"error": f"cannot take {PERSON} of {KEY}"}},
            0 if status == 413 else 1,
            id=f"{status}-that-repeats-a-row",
        )
        for status in (401, 404, 413, 429, 503)
    ),
    pytest.param(echo(200), 1, id="echo-200"),
    pytest.param(echo(302), 1, id="echo-302"),
    pytest.param(echo(400), 0, id="echo-400"),
    pytest.param(echo(401), 1, id="echo-401"),
    pytest.param(echo(503), 1, id="echo-503"),
    pytest.param(blaming(1, f"{PERSON} of {KEY} with {SECRET}"), 0, id="blamed-row"),
    pytest.param(blaming(99, f"{PERSON} of {KEY} with {SECRET}"), 0, id="blamed-stranger"),
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("fault", "code"), FAULTS)
def test_canary_in_replies(canary: CanaryOfAllTypes, path: str, fault: dict[str, Any], code: int):
    """Refused updates are set aside; a table that is refused ends the run."""
    canary.sandbox.script({**fault, "path": path, "times": -1})
    done = canary.run_with_dead_letters(*SCHEMAS, RECORDS, LAST)

    assert done.code == (1 if path == "/lookup-tables" else code)


def test_canary_of_a_healthy_run(canary: CanaryOfAllTypes):
    done = canary.run(*SCHEMAS, RECORDS, LAST)

    assert (done.code, done.states) == (0, [LAST["value"]])
    assert canary.sandbox.users[KEY]["$name"] == PERSON
    assert canary.sandbox.table_rows()[0]["name"] == PERSON
    assert "urllib3" in done.stderr


@pytest.mark.parametrize("path", [*PATHS, "/groups"])
@pytest.mark.parametrize(
    "fault",
    [
        {"body": {"status": 0, "error": f"{PERSON} {KEY} {TOKEN}"}},
        {"status": 400, "body": {"error": f"{PERSON} {KEY} {TOKEN}"}},
    ],
    ids=["status-0", "400"],
)
def test_canary_without_a_place(canary: CanaryOfAllTypes, path: str, fault: dict[str, Any]):
    """What ends the run is told in words that repeat nothing of the row."""
    canary.sandbox.script({**fault, "path": path, "times": -1})
    done = canary.run(*SCHEMAS, RECORDS, LAST)

    assert (done.code, len(done.errors)) == (1, 1)


def test_canary_in_the_list_of_tables(canary: CanaryOfAllTypes):
    """A server that calls a table by the secret."""
    listing = {"results": [{"id": TOKEN, "name": SECRET}]}
    canary.sandbox.script(
        {"path": "/lookup-tables/", "status": 404}, {"path": "/lookup-tables", "body": listing}
    )
    done = canary.run(*SCHEMAS, RECORDS, LAST)

    assert done.code == 1
    assert "it has [redacted]" in done.errors[0]


BAD_RECORDS = [
    user("", PERSON),
    user([PERSON]),
    user(KEY, gone_at=[PERSON]),
    user("anonymous", PERSON),
    user(KEY * 50, PERSON),
    account({PERSON: KEY}),
    account(None, owner=PERSON),
    product(1, sku=" ", name=PERSON),
    product(1, sku=[PERSON]),
    product(1, sku=KEY, name={PERSON: PERSON}),
    record("visits", id=KEY, page=[PERSON]),
    user("\ud800", PERSON),
]


@pytest.mark.parametrize("validate", [True, False])
def test_canary_in_records(canary: CanaryOfAllTypes, validate: bool):
    """A record that is none of its type is told by the field that is wrong."""
    canary.run_with_dead_letters(*SCHEMAS, BAD_RECORDS, LAST, validate_records=validate)
    streams = ("users", "visits", "accounts", "products")
    rejected = sum(canary.command.report(stream)["rejected"] for stream in streams)

    assert rejected == len(BAD_RECORDS)


def test_canary_in_what_the_sandbox_logs(canary: CanaryOfAllTypes):
    """Its page shows requests, without what they authenticated with."""
    canary.run(*SCHEMAS, RECORDS, LAST)

    assert {request.path.split("/")[1] for request in canary.sandbox.requests} == {
        "engage",
        "groups",
        "lookup-tables",
    }
    assert leaks(repr(canary.sandbox.requests)) == []


def test_canary_the_token_is_in_no_dead_letter(canary: CanaryOfAllTypes):
    """It goes into every update that is sent, and into none that is set aside."""
    canary.sandbox.script({"path": "/engage", "body": "0", "times": -1})
    canary.run_with_dead_letters(*SCHEMAS, RECORDS, LAST)
    letters = canary.dead_letters()

    assert PERSON in letters
    assert leaks_in(letters, of=FORMS) == []
