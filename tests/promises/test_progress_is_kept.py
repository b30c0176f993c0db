"""What was read before the input ended the run is sent, settled, and its STATE printed."""

import json
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_mixpanel import Engine, parse_settings
from target_mixpanel.errors import RejectedRecordError, TargetMixpanelError
from target_mixpanel.sandbox import Sandbox, SandboxSettings
from target_mixpanel.sandbox.settings import TABLE_ID
from tests.conftest import ORDERS_MAPPING, ORDERS_SCHEMA, order, orders, state

BAD = order(7_777, created_at="soon")
ENDS = {
    "a rejected record": (BAD, "orders: a record was rejected"),
    "a line that is no message": (b"{", "line 1,503: is not a JSON object"),
    "a stream without mapping": (
        {**ORDERS_SCHEMA, "stream": "others"},
        'streams: none matches the stream "others"',
    ),
    "a record before its SCHEMA": (
        {"type": "RECORD", "stream": "others", "record": {}},
        "line 1,503: a RECORD of others came before its SCHEMA",
    ),
    "a SCHEMA that does not fit": (
        {**ORDERS_SCHEMA, "schema": {"properties": {"id": {}}}},
        "streams.orders",
    ),
    "BATCH": ({"type": "BATCH"}, "line 1,503: BATCH messages are not taken"),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_came_before_it_is_in(end, command, sandbox):
    message, expected = ENDS[end]
    done = command.run(ORDERS_SCHEMA, orders(1_500), state(1_500), message, orders(5, 2_000))

    assert (done.code, done.states) == (1, [state(1_500)["value"]])
    assert len(sandbox.report()) == 1_500
    assert len(done.errors) == 1
    assert expected in done.errors[0]
    assert command.report()["pending"] == 0


def test_no_state_passes_the_record_that_ended_it(command, sandbox):
    done = command.run(
        ORDERS_SCHEMA, orders(10), state(10), orders(5, 10), BAD, state(16), orders(5, 20)
    )

    assert done.states == [state(10)["value"]]
    assert len(sandbox.report()) == 15


def test_so_it_is_where_mixpanel_refuses_a_record(command, sandbox):
    """The refusal comes while others are under way; only its own span holds STATE back."""
    refusal = {"index": 5, "message": "bad", "field": "properties.amount"}
    body = {"code": 400, "num_records_imported": 13, "failed_records": [refusal]}
    sandbox.script({"status": 400, "body": body, "ingest": True})
    done = command.run(
        ORDERS_SCHEMA,
        orders(4),
        state(4),
        orders(10, 4),
        state(14),
        max_parallel_requests=1,
    )

    assert (done.code, done.states) == (1, [state(4)["value"]])
    assert "a record was rejected" in done.errors[0]
    assert command.report()["accepted"] == 13


def test_too_many_rejections_lose_nothing(command, sandbox, tmp_path):
    """They are set aside, so STATE passes them; then the run fails."""
    bad = [order(10_000 + number, created_at="soon") for number in range(500)]
    done = command.run(
        ORDERS_SCHEMA,
        orders(1_000),
        state(1_000),
        bad,
        state(1_500),
        dead_letter_path=str(tmp_path / "rejected"),
    )

    assert done.code == 1
    assert "max_rejection_rate" in done.errors[0]
    assert done.states[0] == state(1_000)["value"]
    assert len(sandbox.report()) == 1_000


def test_dead_letters_that_cannot_be_written(command, sandbox, tmp_path):
    folder = tmp_path / "rejected"
    with command.start(dead_letter_path=str(folder)) as running:
        running.write(ORDERS_SCHEMA, orders(10), state(10))
        running.wait_until_read()
        shutil.rmtree(folder)
        running.write(BAD, state(11))
        done = running.finish()

    assert (done.code, done.states) == (1, [state(10)["value"]])
    assert "dead_letter_path" in done.errors[0]
    assert len(sandbox.report()) == 10


@pytest.mark.parametrize("token", ["wrong"])
def test_where_delivery_itself_is_impossible_it_ends_at_once(token, command, sandbox):
    done = command.run(
        ORDERS_SCHEMA, orders(10), state(10), BAD, project_token=token, batch_size_rows=5
    )

    assert (done.code, done.states) == (1, [])
    assert not sandbox.raw()


def test_what_could_not_be_sent_either_is_said(command, sandbox):
    sandbox.script({"status": 503, "times": -1})
    done = command.run(ORDERS_SCHEMA, orders(10), state(10), BAD, retry_max_elapsed_seconds=0.1)

    assert (done.code, done.states) == (1, [])
    assert "a record was rejected" in done.errors[0]
    assert "what was read before could not all be sent: " in done.errors[0]
    assert "gave up after retry_max_elapsed_seconds" in done.errors[0]


def test_a_lookup_table_that_is_not_whole_stays_what_it_was(command, sandbox):
    table = {
        "type": "lookup_table",
        "lookup_table_id": TABLE_ID,
        "key": "id",
        "properties": ["note"],
    }
    account = {
        "service_account_username": "sandbox.mp-service-account",
        "service_account_secret": "sandbox-secret",
        "project_id": "1",
    }
    done = command.run(
        ORDERS_SCHEMA, orders(10), state(10), b"{", streams={"orders": table}, **account
    )

    assert (done.code, done.states) == (1, [])
    assert not [each for each in sandbox.requests if each.path.startswith("/lookup-tables")]


STEPS = st.lists(st.sampled_from(["record", "record", "record", "state"]), max_size=40)


@pytest.fixture(scope="module")
def project():
    with Sandbox(settings=SandboxSettings(events_per_second=None, bytes_per_minute=None)) as one:
        yield one


@given(before=STEPS, after=STEPS, batch_rows=st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_whatever_came_before_and_comes_after(project, before, after, batch_rows):
    project.reset()
    config = parse_settings(
        {
            "api_url": project.url,
            "project_token": "sandbox-token",
            "streams": {"orders": ORDERS_MAPPING},
            "batch_size_rows": batch_rows,
            "max_parallel_requests": 2,
        },
    )
    safe: list[int] = []
    loaded = 0

    def play(run, steps):
        nonlocal loaded
        loading = run.stream("orders", schema=ORDERS_SCHEMA["schema"], key=["id"])
        for step in steps:
            if step == "record":
                loading.load(order(loaded)["record"])
                loaded += 1
            else:
                run.checkpoint(json.dumps(loaded).encode())

    def run_all():
        with Engine(config, on_safe=lambda text: safe.append(json.loads(text))) as run:
            play(run, before)
            run.stream("orders", schema=ORDERS_SCHEMA["schema"], key=["id"]).load(BAD["record"])
            play(run, after)
            run.finish()

    with pytest.raises(TargetMixpanelError) as ended:
        run_all()
    assert isinstance(ended.value, RejectedRecordError)
    assert len(project.report()) == loaded == before.count("record")
    assert safe[-1:] == list(_counts(before))[-1:]


def _counts(steps):
    """Yield the records before each checkpoint."""
    records = 0
    for step in steps:
        if step == "record":
            records += 1
        else:
            yield records
