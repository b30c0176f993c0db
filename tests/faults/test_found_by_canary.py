"""Fails today: to be moved into test_canary.py, test_replies.py and test_checkpoint_writes.py.

Run from /work/main: .venv/bin/pytest /tmp/w/failing_tests.py --rootdir=. -c pyproject.toml
"""

import signal
from pathlib import Path

import pytest

from target_mixpanel.sandbox import Sandbox
from tests.conftest import (
    ORDERS_SCHEMA,
    Command,
    command,  # noqa: F401
    order,
    sandbox,  # noqa: F401
    state,
)
from tests.faults.test_canary import (
    FORMS,
    LOG_CONFIG,
    PEOPLE,
    PERSON,
    TALKATIVE,
    TOKEN,
    Canary,
    canary,  # noqa: F401
    echo,
    leaks,
)
from tests.faults.test_checkpoint_writes import LARGE, signal_while_writing


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
    """To decide: may a message quote the server, who may quote the record?"""
    failed = {"index": 0, "field": "note", "message": f"'{PERSON}' is no note"}
    body = {"code": 400, "num_records_imported": 2, "failed_records": [failed]}
    canary.sandbox.script({"status": 400, "body": body})
    run = canary.run_with_dead_letters if has_place else canary.run
    run(ORDERS_SCHEMA, PEOPLE)

    assert leaks(canary.report()) == []


def test_fault_28_keys_that_collide_when_flattened(command: Command, tmp_path: Path):
    """Row 28: a reason code, or at least a line that names the stream; not an internal error."""
    columns = {
        **ORDERS_SCHEMA["schema"]["properties"],
        "a": {"type": "object", "properties": {"b": {"type": "integer"}}},
        "a__b": {"type": "integer"},
    }
    schema = {**ORDERS_SCHEMA, "schema": {"type": "object", "properties": columns}}
    done = command.run(
        schema,
        order(1, a={"b": 1}, a__b=2),
        state(1),
        flattening_enabled=True,
        flattening_max_depth=2,
    )

    assert (done.code, done.states) == (1, [])
    assert "internal error" not in done.errors[0]


def test_faults_34_39_a_signal_during_an_unbuffered_checkpoint(command: Command, sandbox: Sandbox):
    """With PYTHONUNBUFFERED, as in most container images, a write may be partial: then go on."""
    done = signal_while_writing(command, sandbox, signal.SIGTERM, unbuffered="1")

    assert (done.code, done.states) == (143, [LARGE])
