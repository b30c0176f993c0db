"""A record becomes rows that Mixpanel takes, one refusal, or nothing; it never ends the run."""

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from target_mixpanel.model import Mapped
from target_mixpanel.pipeline.pipeline import StreamPipeline, TimeWindow, Unloadable
from target_mixpanel.sandbox.rules import judge, read_row
from target_mixpanel.sandbox.settings import SandboxSettings
from tests.mapping.drawn import COLUMN_SCHEMAS, IDENTITIES, IDS, JSON, KEYS, MAPPINGS, NAMES, TIMES
from tests.mapping.making import (
    NOW_MS,
    ORDER,
    ORDERS,
    decode,
    encode,
    open_columns,
    spec_of,
    stream_schema_of,
    written,
)

NOW_S = NOW_MS / 1_000


def pipeline_of(mapping=None, stream_schema=None, window=None, **more):
    specs = mapping if isinstance(mapping, list) else [mapping]
    return StreamPipeline(
        [spec_of(each, **more) for each in specs],
        stream_schema or stream_schema_of(),
        window,
        now_ms=lambda: NOW_MS,
    )


def flaw(record, *args, **more):
    outcome = pipeline_of(*args, **more).run(record)
    assert isinstance(outcome, Unloadable)
    return outcome.flaw


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    columns=st.dictionaries(NAMES, COLUMN_SCHEMAS, max_size=4),
    values=st.dictionaries(NAMES, JSON, max_size=4),
    record=st.fixed_dictionaries(
        {"id": st.sampled_from([1, "k-1"]) | JSON, "at": TIMES, "user": IDS},
        optional={"device": IDS, "any": JSON},
    ),
    mapping=MAPPINGS,
    identity=IDENTITIES,
    key=KEYS,
    is_schema_enforced=st.booleans(),
)
def test_every_row_is_one_that_mixpanel_takes(
    columns, values, record, mapping, identity, key, is_schema_enforced
):
    """The judge is the sandbox's, which shares no code with the loader."""
    own = open_columns("id", "at", "user", "device", "any")
    stream_schema = stream_schema_of(
        {**columns, **own},
        key,
        is_schema_enforced=is_schema_enforced,
        schema={"additionalProperties": True},
        hash_key=b"key",
    )
    pipeline = pipeline_of({**mapping, **identity, "time": "at"}, stream_schema)
    outcome = pipeline.run({**values, **record})

    event(outcome.flaw.reason if isinstance(outcome, Unloadable) else "sent")
    if isinstance(outcome, Unloadable):
        assert outcome.flaw.field in {*columns, *values, *own}
        assert outcome.flaw.detail
        return
    (row,) = outcome
    for mode in ("simplified", "original"):
        verdict = judge(
            read_row(row.body),
            size=len(row.body),
            settings=SandboxSettings(project_mode=mode),
            now_s=NOW_S,
        )
        assert verdict[3] == row.key
    assert b"\n" not in row.body
    assert pipeline.run({**values, **record}) == outcome


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["id", "created_at", "amount", "user"]), JSON | TIMES))
@example({"id": 1, "created_at": "2026-09-01", "amount": Decimal("1E+400"), "user": "u"})
def test_no_flaw_holds_a_value_of_the_record(record):
    """Promise 5: what a flaw says comes from the configuration, the schema or Mixpanel."""
    marked = _mark(record)
    outcome = pipeline_of().run(marked)

    assert isinstance(outcome, list) or "CANARY" not in repr(outcome)


def test_a_row_is_the_event_as_json():
    (row,) = pipeline_of().run(decode(b'{"id":7,"created_at":"2026-09-01","amount":1.50}') | USER)

    assert json.loads(row.body) == {
        "event": "orders",
        "properties": {
            "time": 1_788_220_800_000,
            "$insert_id": row.key,
            "distinct_id": "u",
            "ip": 0,
            "id": 7,
            "amount": 1.5,
        },
    }
    assert b'"amount":1.5' in row.body


def test_a_stream_with_two_mappings_makes_a_row_for_each():
    rows = pipeline_of([{"event": "Paid"}, {"event": "Shipped"}]).run(ORDER)

    events = [(row.destination, msgspec.json.decode(row.body)["event"]) for row in rows]

    assert events == [(0, "Paid"), (1, "Shipped")]
    assert rows[0].key != rows[1].key


def test_a_record_goes_out_whole_or_not_at_all():
    stream_schema = stream_schema_of({**ORDERS, "email": {}})
    outcome = pipeline_of([{}, {"distinct_id": "email"}], stream_schema).run(ORDER)

    assert isinstance(outcome, Unloadable)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        pytest.param(TimeWindow(), 1, id="open"),
        pytest.param(TimeWindow(since_ms=1_788_256_800_000), 1, id="since-is-within"),
        pytest.param(TimeWindow(since_ms=1_788_256_800_001), 0, id="before-since"),
        pytest.param(TimeWindow(until_ms=1_788_256_800_000), 0, id="until-is-without"),
        pytest.param(TimeWindow(until_ms=1_788_256_800_001), 1, id="before-until"),
    ],
)
def test_events_outside_the_window_are_filtered(window, expected):
    assert expected == len(pipeline_of(window=window).run(ORDER))


@pytest.mark.parametrize("schema", [{}, {"required": ["id"]}])
def test_a_missing_key_property_is_called_so(schema):
    """Fault 49: also where the schema requires it, which says less."""
    missing = flaw(
        {"created_at": "2026-09-01", "user": "u"}, stream_schema=stream_schema_of(schema=schema)
    )

    assert (missing.stage, missing.reason, missing.field) == ("validate", "missing_key", "id")


@pytest.mark.parametrize(
    "mapping",
    [
        pytest.param({"insert_id": ["user"]}, id="other-columns"),
        pytest.param({"insert_id": "user"}, id="verbatim"),
        pytest.param({"insert_id": [{"value": "x"}]}, id="a-value"),
        pytest.param({"type": "users", "time": None}, id="users"),
        pytest.param({"type": "users", "time": None, "distinct_id": "id"}, id="users-by-a-column"),
    ],
)
def test_a_key_that_nothing_uses_may_be_missing(mapping):
    """Of types that a tap leaves out, or names that it spells otherwise, in schema and records."""
    pipeline = pipeline_of(mapping, stream_schema=stream_schema_of(key=("uuid",)))

    assert len(pipeline.run(ORDER)) == 1
    assert len(pipeline.run_line(encode(ORDER), is_bare=True)) == 1


def test_a_key_that_one_of_several_mappings_uses_must_be_there():
    specs = [spec_of(insert_id=["user"]), spec_of()]
    pipeline = StreamPipeline(specs, stream_schema_of(), now_ms=lambda: NOW_MS)
    record = {name: value for name, value in ORDER.items() if name != "id"}

    assert pipeline.run(record).flaw.reason == "missing_key"
    assert pipeline.run_line(encode(record), is_bare=True) is None


@pytest.mark.parametrize(
    "mapping",
    [
        pytest.param({"type": "users", "distinct_id": "id", "properties": "*"}, id="users"),
        pytest.param(
            {"type": "groups", "group_key": "g", "group_id": "id", "properties": "*"}, id="groups"
        ),
        pytest.param(
            {"type": "lookup_table", "lookup_table_id": "t", "key": "id", "properties": "*"},
            id="lookup-table",
        ),
    ],
)
def test_a_missing_key_by_which_a_profile_or_a_row_is_told_is_called_so(mapping):
    spec = written(mapping, "orders")
    pipeline = StreamPipeline([spec], stream_schema_of(), now_ms=lambda: NOW_MS)

    assert pipeline.run({"user": "u"}).flaw.reason == "missing_key"


def test_of_several_missing_keys_the_first_is_named():
    """The same one in every run."""
    names = [f"key-{number}" for number in range(20)]
    stream_schema = stream_schema_of({**ORDERS, **{name: {} for name in names}}, key=names)

    assert flaw(ORDER, stream_schema=stream_schema).field == "key-0"


def test_a_null_key_is_refused():
    """Fault 50."""
    assert (
        flaw({**ORDER, "id": None}, stream_schema=stream_schema_of({**ORDERS, "id": {}})).reason
        == "null_key"
    )


def test_a_record_that_breaks_its_schema_is_refused():
    assert flaw({**ORDER, "id": "seven"}).reason == "schema_type"


def test_without_validation_the_schema_is_not_looked_at():
    rows = pipeline_of(stream_schema=stream_schema_of(is_schema_enforced=False)).run(
        {**ORDER, "id": "seven"}
    )

    assert isinstance(rows[0], Mapped)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("x" * 999_700, "list", id="just-fits"),
        pytest.param("x" * 999_999, "too_large", id="a-megabyte"),
        pytest.param("é" * 500_000, "too_large", id="in-bytes-not-characters"),
    ],
)
def test_an_event_of_a_megabyte_is_refused(text, expected):
    """Fault 28."""
    outcome = pipeline_of(stream_schema=stream_schema_of({**ORDERS, "note": {}})).run(
        {**ORDER, "note": text}
    )

    assert expected == ("list" if isinstance(outcome, list) else outcome.flaw.reason)


@pytest.mark.parametrize(
    ("name", "is_taken"),
    [("x" * 255, True), ("x" * 256, False), ("é" * 127, True), ("é" * 128, False)],
)
def test_an_event_name_that_mixpanel_would_cut_is_refused(name, is_taken):
    """It counts bytes."""
    stream_schema = stream_schema_of({**ORDERS, "kind": {}})
    outcome = pipeline_of({"event_from": "kind"}, stream_schema).run({**ORDER, "kind": name})

    assert is_taken == isinstance(outcome, list)


@pytest.mark.parametrize("where", ["amount", "user", "id", "kind"])
def test_half_a_character_is_refused(where):
    """Fault 56: a stream map may make one, though the reader lets none pass."""
    stream_schema = stream_schema_of(open_columns(*ORDERS, "kind"), is_schema_enforced=False)
    record = {**ORDER, "kind": "Sale", where: "\ud800"}

    assert flaw(record, {"event_from": "kind"}, stream_schema).reason == "lone_surrogate"


@pytest.mark.parametrize("depth", [60, 400, 900])
@pytest.mark.parametrize("key", [(), ("id",)])
@pytest.mark.parametrize("is_hashed", [True, False])
def test_a_deep_record_never_ends_the_run(depth, key, is_hashed):
    """Fault 58: lists in lists, as deep as the reader lets them be."""
    deep = 1
    for _ in range(depth):
        deep = [deep]
    mapping = {"properties": {"A": {"column": "amount", "hash": is_hashed}}}
    stream_schema = stream_schema_of(open_columns(*ORDERS), key, hash_key=b"key")
    outcome = pipeline_of(mapping, stream_schema).run({**ORDER, "amount": deep})

    assert isinstance(outcome, list) or outcome.flaw.reason == "too_deep"


USER = {"user": "u"}


def _mark(value):
    """Put a canary into every text of a record's values, and into the names inside them."""
    if isinstance(value, dict):
        return {name: _mark_inner(item) for name, item in value.items()}
    return value


def _mark_inner(value):
    if isinstance(value, str):
        return f"CANARY{value}"
    if isinstance(value, list):
        return [_mark_inner(item) for item in value]
    if isinstance(value, dict):
        return {f"CANARY{name}": _mark_inner(item) for name, item in value.items()}
    return value
