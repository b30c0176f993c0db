"""Each kind of row finds its way: packed as its endpoint takes it, within the limits, in order."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_mixpanel.credentials import ProjectToken
from target_mixpanel.delivery.batches import Batch, BatchBuilder, SizeLimit
from target_mixpanel.delivery.events import import_route
from target_mixpanel.delivery.profiles import engage_route, groups_route
from target_mixpanel.model import Record, Row, Span

URL = "https://api.mixpanel.com"
TOKEN = 'canary"\\token-é'
RECORD = Record(b"{}", Span(0))
ROUTES = [engage_route(URL, TOKEN), groups_route(URL, TOKEN), engage_route(URL, "t")]


def rows_of(updates):
    return [Row(msgspec.json.encode(update), "", RECORD) for update in updates]


@pytest.mark.parametrize(
    ("route", "url"),
    [
        (import_route(URL, ProjectToken("t")), "/import?strict=1"),
        (engage_route(URL, "t"), "/engage?ip=0&verbose=1&strict=1"),
        (groups_route(URL, "t"), "/groups?ip=0&verbose=1&strict=1"),
    ],
    ids=["import", "engage", "groups"],
)
def test_where_it_goes(route, url):
    assert route.endpoint.url == URL + url
    assert route.endpoint.method == "POST"
    assert route.max_rows == 2_000


@pytest.mark.parametrize("make", [engage_route, groups_route])
def test_the_token_shows_nowhere_but_in_the_body(make):
    """Neither in a log line that shows a route or a batch, nor in what is redacted too late."""
    route = make(URL, TOKEN)
    batch = Batch(rows_of([{"$distinct_id": "u"}]), None, 0.0, route)

    assert "canary" not in repr(route)
    assert "canary" not in repr(batch)
    assert "canary" not in route.endpoint.url
    assert route.endpoint.auth is None


def test_an_update_gets_its_token():
    updates = [
        {"$distinct_id": "u", "$ip": "0", "$set": {"a": 1}},
        {"$distinct_id": "v", "$unset": ["]},{"]},
    ]
    payload = engage_route(URL, "tok").pack(rows_of(updates))

    assert payload.body == (
        b'[{"$token":"tok","$distinct_id":"u","$ip":"0","$set":{"a":1}},'
        b'{"$token":"tok","$distinct_id":"v","$unset":["]},{"]}]'
    )
    assert payload.raw_bytes == payload.body_bytes == len(payload.body)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
UPDATES = st.dictionaries(st.text(), VALUES, max_size=3).map(
    lambda more: {"$distinct_id": "u", **{key: more[key] for key in more if key != "$token"}}
)


@given(
    st.lists(UPDATES, min_size=1, max_size=6),
    st.sampled_from(list(zip(ROUTES, (TOKEN, TOKEN, "t"), strict=True))),
)
@settings(deadline=None)
def test_packing_is_the_array_of_the_updates_each_with_the_token(updates, route_and_token):
    route, token = route_and_token

    assert json.loads(route.pack(rows_of(updates)).body) == [
        {"$token": token, **update} for update in updates
    ]


@given(
    st.lists(st.integers(0, 60)),
    st.integers(1, 5),
    st.integers(40, 400),
    st.sampled_from([*ROUTES, import_route(URL, ProjectToken("t"))]),
)
@settings(deadline=None)
def test_a_batch_is_within_its_limits_once_packed(sizes, max_rows, max_bytes, route):
    builder = BatchBuilder(
        None,
        route=route,
        max_rows=max_rows,
        size_limit=SizeLimit(max_bytes),
        max_age_s=60.0,
        clock=lambda: 0.0,
        lane=3,
    )
    rows = rows_of([{"$distinct_id": "x" * size} for size in sizes])
    batches = [batch for batch in [*map(builder.add, rows), builder.take()] if batch is not None]

    assert [row for batch in batches for row in batch.rows] == rows
    assert {(batch.route, batch.lane) for batch in batches} <= {(route, 3)}
    for batch in batches:
        assert len(batch.rows) <= max_rows
        assert len(batch.rows) == 1 or route.pack(batch.rows).raw_bytes <= max_bytes


def test_a_batch_is_filled_to_the_last_byte():
    """What packing adds is neither forgotten nor counted twice."""
    route = engage_route(URL, "tok")
    rows = rows_of([{"$distinct_id": "u"}] * 5)
    limit = SizeLimit(route.pack(rows).raw_bytes)
    builder = BatchBuilder(
        None, route=route, max_rows=9, size_limit=limit, max_age_s=60.0, clock=lambda: 0.0
    )
    assert [builder.add(row) for row in rows] == [None] * 5
    limit.max_bytes -= 1
    builder.take()
    full = [batch for batch in map(builder.add, rows) if batch]

    assert [len(batch.rows) for batch in full] == [4]


def test_a_request_has_at_most_what_its_endpoint_takes():
    builder = BatchBuilder(
        None,
        route=engage_route(URL, "tok"),
        max_rows=5_000,
        size_limit=SizeLimit(10**9),
        max_age_s=60.0,
        clock=lambda: 0.0,
    )
    row = Row(b'{"$distinct_id":"u"}', "", RECORD)
    full = [batch for batch in (builder.add(row) for _ in range(4_500)) if batch]

    assert [len(batch.rows) for batch in full] == [2_000, 2_000]
