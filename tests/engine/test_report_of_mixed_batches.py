"""A request that carries rows of several streams counts for each of them, its bytes in shares."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_mixpanel import Engine, parse_settings
from target_mixpanel.engine.settlement import shares_of

SCHEMA = {"properties": {"id": {"type": "integer"}, "name": {"type": "string"}}}
MAPPING = {"type": "users", "distinct_id": "id", "properties": {"$name": "name"}}


@pytest.fixture
def report(sandbox):
    """Load one row of stream a and 500 of stream b, and return the report."""
    settings = parse_settings(
        {
            "api_url": sandbox.url,
            "project_token": "sandbox-token",
            "streams": {"a": MAPPING, "b": MAPPING},
            "max_parallel_requests": 1,  # one lane, so one batch
        },
    )
    with Engine(settings) as run:
        run.stream("a", schema=SCHEMA, key=["id"]).load({"id": 1, "name": "Ann"})
        others = run.stream("b", schema=SCHEMA, key=["id"])
        for number in range(500):
            others.load({"id": 1_000 + number, "name": "Bob"})
        return run.finish()


def test_each_stream_has_its_share(report, sandbox):
    [request] = sandbox.requests
    one, many = report["streams"]["a"], report["streams"]["b"]

    assert (one["requests"], many["requests"], report["requests"]) == (1, 1, 1)
    assert one["bytes"] + many["bytes"] == report["bytes"] == request.wire_bytes
    assert 0 < one["bytes"] < many["bytes"] / 400
    assert (one["accepted"], many["accepted"]) == (1, 500)


@given(st.integers(0, 10**7), st.lists(st.integers(1, 10**6), min_size=1, max_size=20))
def test_shares_add_up_and_are_in_proportion(whole, sizes):
    shares = list(shares_of(whole, sizes))

    assert sum(shares) == whole
    assert all(
        abs(share - whole * size / sum(sizes)) <= 1
        for share, size in zip(shares, sizes, strict=True)
    )
