"""`meltano config test target-mixpanel` says whether the loader would work, and loads nothing."""

import json

import pytest

from target_mixpanel.sandbox import Sandbox
from tests.conftest import ORDERS_MAPPING, ORDERS_SCHEMA, Command, order

STREAM = "meltano_test_stream"
TRIAL = [
    {
        "type": "SCHEMA",
        "stream": STREAM,
        "schema": {
            "type": "object",
            "properties": {
                "id": {"type": "integer"},
                "name": {"type": "string"},
                "created_at": {"type": "string", "format": "date-time"},
            },
        },
        "key_properties": ["id"],
    },
    {
        "type": "RECORD",
        "stream": STREAM,
        "record": {"id": 1, "name": "Meltano Test Record", "created_at": "2025-09-29T00:00:00Z"},
    },
    {"type": "STATE", "value": {"bookmarks": {STREAM: {"last_record": 1}}}},
]
"""What Meltano 4.4 writes."""

TAKES_ALL = {"time": "created_at", "distinct_id": "id", "properties": "*"}
USERS = {"type": "users", "distinct_id": "id", "properties": {"$name": "name"}}
GROUPS = {"type": "groups", "group_key": "company", "group_id": "id", "properties": ["name"]}
TABLE_ID = "5a9db0c5-0000-4000-8000-000000000001"
OTHER_ID = TABLE_ID.replace("1", "2")
TABLE = {"type": "lookup_table", "lookup_table_id": TABLE_ID, "key": "id", "properties": ["name"]}
ACCOUNT = {
    "project_id": "1",
    "service_account_username": "sandbox.mp-service-account",
    "service_account_secret": "sandbox-secret",
}


def passes(done):
    """Say whether Meltano, which reads the log for two words, takes a run for a success."""
    logged = (done.stdout + done.stderr).lower()
    return done.code == 0 and "error" not in logged and "exception" not in logged


@pytest.mark.parametrize(
    "streams",
    [
        pytest.param({"orders": ORDERS_MAPPING}, id="another-stream"),
        pytest.param({"*": TAKES_ALL}, id="all-streams"),
        pytest.param({STREAM: TAKES_ALL}, id="this-very-stream"),
        pytest.param({"a": USERS, "b": GROUPS}, id="profiles"),
        pytest.param({"a": [ORDERS_MAPPING, TABLE]}, id="lookup-table"),
    ],
)
def test_good_credentials_pass_and_nothing_is_loaded(command: Command, sandbox: Sandbox, streams):
    done = command.run(*TRIAL, streams=streams, **ACCOUNT)

    assert passes(done), done.stderr
    assert done.states == [TRIAL[-1]["value"]]
    assert sandbox.report() == []
    assert command.report(STREAM) | {"read": 1, "filtered": 1, "requests": 0} == command.report(
        STREAM
    )


@pytest.mark.parametrize(
    ("streams", "wrong", "words"),
    [
        pytest.param(
            {"a": ORDERS_MAPPING}, {"project_token": "no"}, "check project_token", id="token"
        ),
        pytest.param({"a": USERS}, {"project_token": "no"}, "check project_token", id="users"),
        pytest.param({"a": GROUPS}, {"project_token": "no"}, "check project_token", id="groups"),
        pytest.param(
            {"a": ORDERS_MAPPING, "b": USERS},
            ACCOUNT | {"project_token": "no"},
            "check project_token",
            id="users-beside-an-account",
        ),
        pytest.param(
            {"a": ORDERS_MAPPING},
            ACCOUNT | {"service_account_secret": "no"},
            "the service account",
            id="account",
        ),
        pytest.param(
            {"a": TABLE},
            ACCOUNT | {"service_account_secret": "no"},
            "the service account",
            id="table",
        ),
        pytest.param(
            {"a": TABLE | {"lookup_table_id": OTHER_ID}},
            ACCOUNT,
            f"streams.a: Mixpanel has no lookup table {OTHER_ID}; it has {TABLE_ID}",
            id="no-such-table",
        ),
    ],
)
def test_what_mixpanel_would_not_take_fails(
    command: Command, sandbox: Sandbox, streams, wrong, words
):
    """/engage and /groups say yes to any token, so /import is asked on their behalf."""
    done = command.run(*TRIAL, streams=streams, **wrong)

    assert done.code == (1 if "no lookup table" in words else 77)
    assert words in done.stderr.splitlines()[-1]
    assert (done.states, sandbox.report()) == ([], [])


def test_what_does_not_answer_fails(command: Command):
    done = command.run(*TRIAL, api_url="http://127.0.0.1:1", retry_max_elapsed_seconds=0.1)

    assert done.code != 0
    assert "127.0.0.1:1" in done.errors[0]


def test_a_mixpanel_that_takes_the_invalid_event_is_none(command: Command, sandbox: Sandbox):
    """A proxy's page with 200, say."""
    sandbox.script({"status": 200, "body": json.dumps({"num_records_imported": 1})})
    done = command.run(*TRIAL)

    assert done.code != 0
    assert "check region or api_url" in done.errors[0]


def test_a_dry_run_tries_as_well(command: Command, sandbox: Sandbox):
    assert passes(command.run(*TRIAL, dry_run=True))
    assert command.run(*TRIAL, dry_run=True, project_token="no").code != 0


def test_a_load_that_succeeds_says_so_without_the_words(command: Command):
    """Meltano's tester looks for them in every line."""
    assert passes(command.run(ORDERS_SCHEMA, order(1)))
