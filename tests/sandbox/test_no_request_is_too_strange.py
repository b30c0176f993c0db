"""Whatever is sent, the sandbox judges it: it never fails itself."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ANSWERS = {200, 400, 413}

SETTINGS = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30
)

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
NAMES = ["time", "distinct_id", "$insert_id", "$user_id", "$device_id", "\ud800"]
EVENTS = JSON | st.fixed_dictionaries(
    {"event": JSON, "properties": JSON | st.dictionaries(st.sampled_from(NAMES), JSON)}
)
OPERATIONS = ["$set", "$set_once", "$add", "$append", "$union", "$remove", "$unset", "$delete"]
OPERANDS = JSON | st.dictionaries(st.sampled_from("ab"), JSON)
UPDATES = st.fixed_dictionaries(
    {"$token": st.just("sandbox-token"), "$distinct_id": st.sampled_from("uv")},
    optional=dict.fromkeys(OPERATIONS, OPERANDS),
)


@SETTINGS
@given(st.lists(EVENTS))
def test_any_event_is_judged(sandbox, http, rows):
    body = json.dumps(rows).encode()
    headers = {"Content-Type": "application/json"}
    reply = http.post(
        f"{sandbox.url}/import", body, headers=headers, auth=("sandbox-token", ""), timeout=60
    )

    assert reply.status_code in ANSWERS


@SETTINGS
@given(st.binary())
def test_any_bytes_are_judged(sandbox, import_, body):
    assert import_(sandbox, body).status_code in ANSWERS
    assert import_(sandbox, body, headers={"Content-Encoding": "gzip"}).status_code in ANSWERS


@SETTINGS
@given(st.lists(UPDATES, min_size=1))
def test_any_update_is_judged(sandbox, http, rows):
    body = json.dumps(rows).encode()
    headers = {"Content-Type": "application/json"}
    reply = http.post(f"{sandbox.url}/engage", body, headers=headers, timeout=60)

    assert reply.status_code in ANSWERS


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"9" * 5_000, id="digits"),
        pytest.param(b"[" * 900 + b"]" * 900, id="lists-in-lists"),
        pytest.param(b'{"a":' * 900 + b"1" + b"}" * 900, id="objects-in-objects"),
        pytest.param(b'{"a":' * 900 + b'"\xff"' + b"}" * 900, id="broken-text-far-down"),
    ],
)
def test_a_strange_value_spoils_its_event_only(sandbox, event, ndjson, import_, value):
    strange = b'{"event":"A","properties":{"x":' + value + b"}}"
    reply = import_(sandbox, ndjson([event()]) + strange)

    assert reply.status_code == 400
    assert reply.json()["num_records_imported"] == 1
