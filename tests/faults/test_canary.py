"""Promise 5 over every fault: no secret and no record content is shown, whatever goes wrong.

Each run is as talkative as it can be, and holds a secret of every kind and a person in its records.
"""

import json
from pathlib import Path

import pytest

from target_mixpanel.sandbox import Sandbox, SandboxSettings
from tests.conftest import ORDERS_SCHEMA
from tests.faults.canaries import (
    ACCOUNT,
    FORMS,
    HASH_KEY,
    PEOPLE,
    PERSON,
    SECRET,
    TALKATIVE,
    TOKEN,
    USERNAME,
    Canary,
    basic,
    echo,
    leaks,
)


@pytest.fixture
def canary(tmp_path: Path):
    settings = SandboxSettings(token=TOKEN, service_account=USERNAME, secret=SECRET)
    with Sandbox(settings=settings) as sandbox:
        yield Canary(tmp_path, sandbox)


BLAMING = {
    "status": 400,
    "body": {
        "code": 400,
        "num_records_imported": 2,
        "failed_records": [{"index": 0, "field": "note", "message": f"{SECRET} {TOKEN}"}],
    },
}
TOKEN_ALONE = dict.fromkeys(ACCOUNT)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param({}, 0, id="healthy"),
        pytest.param({"status": 503, "headers": {"Retry-After": TOKEN}}, 1, id="down"),
        pytest.param({"reset": "before_ingest"}, 1, id="reset"),
        pytest.param({"truncate": 9}, 1, id="cut"),
        pytest.param({"count_off_by": -1}, 1, id="miscount"),
        pytest.param({"body": f"<html>{PERSON} {TOKEN}</html>"}, 1, id="page"),
        pytest.param({"status": 400, "body": "<html>"}, 0, id="refusal"),
        pytest.param({"status": 413}, 0, id="too-large"),
        pytest.param({"status": 401}, 1, id="refused-credentials"),
        *(
            pytest.param(
                {"status": status, "body": {"error": f"cannot take {PERSON}"}},
                0 if status == 413 else 1,
                id=f"{status}-that-repeats-a-row",
            )
            for status in (401, 404, 413, 429, 503)
        ),
    ],
)
def test_canary_in_replies(canary: Canary, fault: dict, code: int):
    """Rows 1 to 32: neither on the screen, nor in the report, nor, of secrets, in dead letters."""
    canary.sandbox.script({**fault, "times": -1})
    done = canary.run_with_dead_letters(ORDERS_SCHEMA, PEOPLE)

    assert done.code == code
    assert leaks(canary.report()) == []
    assert leaks(canary.dead_letters(), of=FORMS) == []


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param(echo(200), 1, id="success"),
        pytest.param(echo(302), 1, id="redirect"),
        pytest.param(echo(400), 0, id="refusal"),
        pytest.param(echo(401), 1, id="refused-credentials"),
        pytest.param(echo(503), 1, id="outage"),
        pytest.param(BLAMING, 0, id="blamed-row"),
    ],
)
def test_canary_of_a_server_that_repeats_the_credentials(canary: Canary, fault: dict, code: int):
    canary.sandbox.script({**fault, "times": -1})
    done = canary.run_with_dead_letters(ORDERS_SCHEMA, PEOPLE)

    assert done.code == code
    assert "[redacted]" in done.stderr or fault == echo(200)
    assert leaks(canary.report()) == []
    assert leaks(canary.dead_letters(), of=FORMS) == []


def test_canary_of_a_token_alone(canary: Canary):
    """Without a service account it is the token that goes into Basic authentication."""
    canary.sandbox.script({"status": 401, "body": {"error": basic(f"{TOKEN}:")}})
    done = canary.run(ORDERS_SCHEMA, PEOPLE, **TOKEN_ALONE)

    assert 'HTTP 401, "[redacted]"' in done.errors[0]


LINES = {
    "invalid": '{"type":"RECORD","stream":"orders","record":{"id":"%s"}}',
    "no-key": '{"type":"RECORD","stream":"orders","record":{"note":"%s"}}',
    "no-time": '{"type":"RECORD","stream":"orders","record":{"id":1,"user_id":"%s"}}',
    "bad-time": '{"type":"RECORD","stream":"orders","record":{"id":1,"created_at":"%s"}}',
    "no-object": '{"type":"RECORD","stream":"orders","record":["%s"]}',
    "cut": '{"type":"RECORD","stream":"orders","record":{"id":1,"note":"%s',
    "nan": '{"type":"RECORD","stream":"orders","record":{"amount":NaN,"note":"%s"}}',
    "text": '"%s"',
    "no-value": '{"type":"STATE","valu":"%s"}',
    "bad-schema": '{"type":"SCHEMA","stream":"orders","schema":{"properties":{"id":"%s"}}}',
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_canary_in_lines(canary: Canary, line: str):
    """Rows 40 to 62: what a tap writes is named by its place, never shown."""
    done = canary.run(ORDERS_SCHEMA, (line % PERSON).encode())

    assert (done.code, len(done.errors)) == (1, 1)
    assert leaks(canary.report()) == []


def test_canary_in_stream_maps(canary: Canary):
    """Row 82: an expression that fails on a record says nothing of it."""
    done = canary.run_with_dead_letters(
        ORDERS_SCHEMA, PEOPLE, stream_maps={"orders": {"note": "str(int(record['note']))"}}
    )

    assert done.code == 0
    assert canary.command.report()["rejected"] == len(PEOPLE)
    assert leaks(canary.report()) == []


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(f'{{"project_token": "{TOKEN}", ', id="cut-file"),
        pytest.param(json.dumps([TOKEN]), id="list"),
        pytest.param(json.dumps({"project_token": [TOKEN]}), id="wrong-type"),
        pytest.param(json.dumps({"project_tokn": TOKEN, "hash_key": HASH_KEY}), id="typo"),
        pytest.param(json.dumps({"project_token": f"{TOKEN}\n"}), id="newline"),
        pytest.param(json.dumps({"api_url": f"https://{TOKEN}@x.test"}), id="url"),
        pytest.param(json.dumps({"streams": TOKEN}), id="streams"),
        pytest.param(json.dumps({"stream_maps": {"orders": {TOKEN: {"a": TOKEN}}}}), id="map"),
    ],
)
def test_canary_in_settings(canary: Canary, tmp_path: Path, config: str):
    """Row 76: a setting in the wrong shape or place is named, its value never shown."""
    path = tmp_path / "more.json"
    path.write_text(config)
    done = canary.run(ORDERS_SCHEMA, PEOPLE, arguments=["--config", str(path)])

    assert (done.code, len(done.errors)) == (1, 1)


@pytest.mark.parametrize("arguments", [[], ["--format=json"], ["--format=markdown"]])
def test_canary_in_about(canary: Canary, arguments: list[str]):
    environment = {
        "TARGET_MIXPANEL_PROJECT_TOKEN": TOKEN,
        "TARGET_MIXPANEL_SERVICE_ACCOUNT_SECRET": SECRET,
        "TARGET_MIXPANEL_HASH_KEY": HASH_KEY,
    }
    done = canary.run(
        arguments=["--config=ENV", "--about", *arguments], env={**TALKATIVE, **environment}
    )

    assert done.code == 0
    assert "project_token" in done.stdout


def test_canary_in_the_environment(canary: Canary):
    """A value in the wrong variable."""
    done = canary.run(
        ORDERS_SCHEMA,
        arguments=["--config=ENV"],
        env={**TALKATIVE, "TARGET_MIXPANEL_BATCH_SIZE_ROWS": TOKEN},
    )

    assert done.code == 1
    assert done.errors[0].startswith("batch_size_rows: ")


LOG_CONFIG = """
version: 1
disable_existing_loggers: false
formatters:
  structured: {{(): singer_sdk.logging.StructuredFormatter}}
handlers:
  file: {{class: logging.FileHandler, filename: {path}, formatter: structured}}
  console: {{class: logging.StreamHandler, formatter: structured}}
{loggers}
"""


def test_canary_in_structured_logs(canary: Canary, tmp_path: Path):
    """The operator's own handlers, at the most talkative level."""
    log = tmp_path / "log.json"
    config = tmp_path / "logging.yaml"
    loggers = "root: {level: DEBUG, handlers: [file, console]}"
    config.write_text(LOG_CONFIG.format(path=log, loggers=loggers))
    canary.sandbox.script({"reset": "after_ingest"}, {**echo(503), "times": 1}, echo(401))
    done = canary.run(
        ORDERS_SCHEMA,
        PEOPLE,
        env={**TALKATIVE, "SINGER_SDK_LOG_CONFIG": str(config)},
        retry_max_elapsed_seconds=5,
    )
    written = log.read_text()

    assert done.code == 1
    assert leaks(written) == []
    assert "HTTP 503" in written
    assert "HTTP 401" in written
    assert "urllib3" in written


def test_canary_in_what_the_sandbox_logs(canary: Canary):
    """Its page shows requests, without what they authenticated with."""
    canary.run(ORDERS_SCHEMA, PEOPLE)
    (request,) = canary.sandbox.requests

    assert request.status == 200
    assert leaks(repr(request)) == []


def test_canary_a_credential_for_a_field(canary: Canary):
    """A server that names the token where the blamed field should stand."""
    failed = {"index": 0, "field": TOKEN, "message": "no"}
    body = {"code": 400, "num_records_imported": 2, "failed_records": [failed]}
    canary.sandbox.script({"status": 400, "body": body})
    canary.run_with_dead_letters(ORDERS_SCHEMA, PEOPLE)

    assert leaks(canary.dead_letters(), of=FORMS) == []
    assert leaks(canary.report()) == []


def test_canary_a_repeated_credential_that_is_cut_is_no_less_one(canary: Canary):
    """A server's text is cut after 200 characters, which may be within the token."""
    canary.sandbox.script({"status": 401, "body": {"error": "x" * 180 + TOKEN}})
    done = canary.run(ORDERS_SCHEMA, PEOPLE)

    assert TOKEN[:8] not in done.stderr


def test_canary_in_the_logs_of_a_named_logger(canary: Canary, tmp_path: Path):
    """A handler that does not hang at the root."""
    log = tmp_path / "log.json"
    config = tmp_path / "logging.yaml"
    loggers = (
        "root: {level: DEBUG, handlers: [console]}\nloggers:\n"
        "  target-mixpanel: {level: DEBUG, handlers: [file], propagate: false}\n"
        "  urllib3: {level: DEBUG, handlers: [file], propagate: false}\n"
    )
    config.write_text(LOG_CONFIG.format(path=log, loggers=loggers))
    canary.sandbox.script(echo(503), echo(401))
    canary.run(
        ORDERS_SCHEMA,
        PEOPLE,
        env={**TALKATIVE, "SINGER_SDK_LOG_CONFIG": str(config)},
        retry_max_elapsed_seconds=5,
    )
    written = log.read_text()

    assert "HTTP 401" in written
    assert leaks(written) == []


@pytest.mark.parametrize("has_place", [True, False])
def test_canary_a_server_that_repeats_the_record(canary: Canary, has_place: bool):
    """Its words about a row are shown without what they repeat of the row."""
    failed = {"index": 0, "field": "note", "message": f"'{PERSON}' is no note"}
    body = {"code": 400, "num_records_imported": 2, "failed_records": [failed]}
    canary.sandbox.script({"status": 400, "body": body})
    run = canary.run_with_dead_letters if has_place else canary.run
    run(ORDERS_SCHEMA, PEOPLE)

    assert leaks(canary.report()) == []
