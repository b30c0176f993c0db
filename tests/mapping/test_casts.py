"""`as:` says what a value is read as; what it cannot be read as is refused, not guessed."""

from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_mixpanel.errors import StreamSchemaError
from target_mixpanel.mapping.refusal import UnmappableError
from tests.mapping.drawn import JSON
from tests.mapping.making import (
    ORDER,
    ORDERS,
    plan_of,
    profiles_of,
    properties_of,
    stream_schema_of,
    table_of,
)

TEXT = {"type": ["null", "string"]}
ABSENT = "absent"


def cast(value, kind, *, schema=None, told=None, mapping=None, **more):
    """Return what is sent of *value*, read as *kind*."""
    stream_schema = stream_schema_of(
        {**ORDERS, "x": schema or {}},
        on_left_out=lambda *what: None if told is None else told.append(what),
        hash_key=b"k",
    )
    source = {"column": "x", "as": kind, **more}
    mapping = {"properties": {"X": source}, **(mapping or {})}
    return properties_of(ORDER | {"x": value}, mapping, stream_schema).get("X", ABSENT)


def flaw_of(value, kind, **more):
    with pytest.raises(UnmappableError) as refusal:
        cast(value, kind, **more)
    return refusal.value.flaw


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("number", "19.90", 19.9),
        ("number", " -1.5e3 ", -1500),
        ("number", "+7", 7),
        ("number", ".5", 0.5),
        ("number", "007", 7),
        ("number", 7, 7),
        ("number", Decimal("0.12345678901234567"), 0.12345678901234567),
        ("number", True, 1),
        ("number", str(2**60), 2**60),
        ("number", 10**30, 1e30),
        ("number", "", ABSENT),
        ("number", " ", ABSENT),
        ("integer", "7", 7),
        ("integer", "7.0", 7),
        ("integer", Decimal("7E+2"), 700),
        ("integer", False, 0),
        ("integer", "", ABSENT),
        ("boolean", "true", True),
        ("boolean", " F ", False),
        ("boolean", "Y", True),
        ("boolean", 1, True),
        ("boolean", Decimal("0.0"), False),
        ("boolean", False, False),
        ("boolean", "", ABSENT),
        ("text", 7, "7"),
        ("text", 2**60, str(2**60)),
        ("text", Decimal("1.50"), "1.5"),
        ("text", True, "true"),
        ("text", "", ""),
        ("text", {"b": [1], "a": None}, '{"a":null,"b":[1]}'),
        ("text", date(2026, 10, 1), "2026-10-01"),
        ("texts", ["a", 7, None, True], ["a", "7", "true"]),
        ("texts", "a", ["a"]),
        ("texts", 7, ["7"]),
        ("texts", '["a", 7]', ["a", "7"]),
        ("texts", "[]", []),
        ("texts", "[a", ["[a"]),
        ("texts", "", ABSENT),
        ("json", '{"a": {"b": 1}}', {"a": {"b": 1}}),
        ("json", '[1, "a", 0.5]', [1, "a", 0.5]),
        ("json", " null ", ABSENT),
        ("json", "", ABSENT),
        ("json", '"a"', "a"),
        ("json", {"a": 1}, {"a": 1}),
        ("json", 7, 7),
        ("date", "2026-10-01", "2026-10-01"),
        ("date", "20261001", "2026-10-01"),
        ("date", "2026-10-01T14:00:00+02:00", "2026-10-01T12:00:00"),
        ("date", "2026-10-01 12:00:00 UTC", "2026-10-01T12:00:00"),
        ("date", 1790856000, "2026-10-01T12:00:00"),
        ("date", "1790856000123", "2026-10-01T12:00:00"),
        ("date", Decimal("1790856000.5"), "2026-10-01T12:00:00"),
        ("date", 1790856000123456, "2026-10-01T12:00:00"),
        ("date", 4102444800, "2100-01-01T00:00:00"),
        ("date", datetime(2026, 10, 1, 12, tzinfo=UTC), "2026-10-01T12:00:00"),
        ("date", date(2026, 10, 1), "2026-10-01"),
    ],
)
def test_a_value_is_read_as_the_mapping_says(kind, value, expected):
    """Whatever the schema says of it."""
    found = cast(value, kind)

    assert (expected, type(expected)) == (found, type(found)) or (
        type(expected) in {int, float} and float(found) == expected and type(found) is not bool
    )


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("number", "12,50", "not_number"),
        ("number", "NULL", "not_number"),
        ("number", "1e400", "not_number"),
        ("number", "1" * 500, "not_number"),
        ("number", 10**400, "not_number"),
        ("number", "1e99999999999999999999", "not_number"),
        ("number", [], "not_number"),
        ("number", Decimal("NaN"), "not_a_number"),
        ("integer", "1.5", "not_integer"),
        ("integer", 1.5, "not_integer"),
        ("integer", 2**53 + 1, "not_integer"),
        ("integer", Decimal("1E+999999"), "not_integer"),
        ("boolean", "maybe", "not_boolean"),
        ("boolean", 2, "not_boolean"),
        ("boolean", ["true"], "not_boolean"),
        ("texts", [["a"]], "not_texts"),
        ("texts", {"a": 1}, "not_texts"),
        ("texts", ["a"] * 255, "array_too_long"),
        ("json", "{a: 1}", "not_json"),
        ("json", "[NaN]", "not_json"),
        ("json", "[1e99999999999999999999]", "not_json"),
        ("json", '{"a": {"b": {"c": {"d": 1}}}}', "too_deep"),
    ],
)
def test_what_a_cast_does_not_understand_is_refused(kind, value, reason):
    """With the column's name, and without the value."""
    flaw = flaw_of(value, kind)

    assert (reason, "x") == (flaw.reason, flaw.field)
    assert flaw.detail
    assert reason == "not_a_number" or str(value) not in flaw.detail


@pytest.mark.parametrize(
    "value",
    ["", "0000-00-00", "0001-01-01", "soon", "infinity", 0, 7, True, [], -1, 202610011230, 10**40],
)
def test_a_date_that_is_none_is_left_out_and_told(value):
    told = []

    assert cast(value, "date", told=told) == ABSENT
    assert [column for column, _ in told] == ["x"]


@pytest.mark.parametrize(
    ("value", "more", "expected"),
    [
        ("01/10/2026", {"time_format": "%d/%m/%Y"}, "2026-10-01"),
        ("01/10/2026 14:00", {"time_format": "%d/%m/%Y %H:%M"}, "2026-10-01T12:00:00"),
        ("October 1, 2026", {"time_format": "%B %d, %Y"}, "2026-10-01"),
        (20261001, {"time_format": "%Y%m%d"}, "2026-10-01T00:00:00"),
        (7, {"time_unit": "s"}, "1970-01-01T00:00:07"),
        (-1, {"time_unit": "s"}, "1969-12-31T23:59:59"),
        ("2026-10-01 14:00", {}, "2026-10-01T12:00:00"),
        ("2026-10-01", {}, "2026-10-01"),
    ],
)
def test_a_date_is_read_in_the_mappings_spelling(value, more, expected):
    """A day alone is in no time zone."""
    zone = {"timezone": "Europe/Berlin"} if "T00:00:00" not in expected else {}

    assert cast(value, "date", mapping={**more, **zone}) == expected


def test_a_format_reads_the_dates_of_a_date_column_too():
    schema = {**TEXT, "format": "date-time"}
    mapping = {"properties": ["x"], "time_format": "%d/%m/%Y %H:%M"}
    found = properties_of(
        ORDER | {"x": "01/10/2026 12:00"}, mapping, stream_schema_of({**ORDERS, "x": schema})
    )

    assert found["x"] == "2026-10-01T12:00:00"


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("number", "", 9),
        ("number", None, 9),
        ("number", "0", 0),
        ("date", "0000-00-00", 9),
        ("json", "null", 9),
        ("text", "", ""),
    ],
)
def test_a_default_comes_after_the_cast(kind, value, expected):
    assert cast(value, kind, default=9) == expected


def test_a_cast_value_may_be_hashed():
    json = '{"email": " Ada@x.example "}'
    expected = sha256(b"ada@x.example").hexdigest()

    assert cast(json, "json", column="x.email", hash="sha256", lower=True) == expected
    assert cast("ada@x.example", "text", hash="sha256") == expected
    assert cast(7, "number", hash="sha256") == cast("7", "number", hash="sha256")
    assert cast("", "number", hash="sha256") == ABSENT


PAYLOAD = '{"user": {"plan": "pro", "seats": "3", "at": "2026-10-01T12:00:00Z"}, "tags": ["a"]}'


@pytest.mark.parametrize("schema", [TEXT, {}, {"type": ["object", "string"]}])
@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"Plan": {"column": "x.user.plan", "as": "json"}}, {"Plan": "pro"}),
        ({"Plan": {"column": ["x", "user", "plan"], "as": "json"}}, {"Plan": "pro"}),
        ({"Tags": {"column": "x.tags", "as": "json"}}, {"Tags": ["a"]}),
        ({"No": {"column": "x.nothing.there", "as": "json"}}, {}),
        ({"No": {"column": "x.tags.0", "as": "json", "default": 1}}, {"No": 1}),
        (
            {
                "All": {"column": "x", "as": "json"},
                "Seats": {"column": "x.user.seats", "as": "integer"},
                "At": {"column": "x.user.at", "as": "date"},
                "Plan": "x.user.plan",
            },
            {"Seats": 3, "At": "2026-10-01T12:00:00", "Plan": "pro"},
        ),
    ],
)
def test_paths_lead_into_a_text_that_is_json(properties, expected, schema):
    """Also those of other properties, once one says that the text is JSON."""
    stream_schema = stream_schema_of({**ORDERS, "x": schema})
    found = properties_of(ORDER | {"x": PAYLOAD}, {"properties": properties}, stream_schema)

    assert expected == {name: found[name] for name in properties if name in found and name != "All"}


def test_a_path_leads_into_the_text_of_an_object():
    schema = {"type": "object", "properties": {"body": TEXT}}
    mapping = {"properties": {"Plan": {"column": "x.body.user.plan", "as": "json"}}}
    record = ORDER | {"x": {"body": PAYLOAD}}

    assert (
        properties_of(record, mapping, stream_schema_of({**ORDERS, "x": schema}))["Plan"] == "pro"
    )


def test_ids_and_times_may_stand_in_json_too():
    mapping = {
        "time": {"column": "x.user.at", "as": "json"},
        "distinct_id": {"column": "x.user.plan", "as": "json"},
    }
    found = properties_of(
        ORDER | {"x": PAYLOAD.replace("10-01", "09-01")},
        {**mapping, "properties": ["amount"]},
        stream_schema_of({**ORDERS, "x": TEXT}),
    )

    assert (found["distinct_id"], found["time"]) == ("pro", 1_788_264_000_000)


def test_a_column_that_the_schema_lacks_is_named_as_ever():
    with pytest.raises(StreamSchemaError, match='"y" is not in the stream\'s schema; it has'):
        plan_of({"properties": {"A": {"column": "y.a", "as": "json"}}})


PAIRS = {"pairs": ["key", "value"]}
PARAMS = [
    {"key": "page_location", "value": {"string_value": "/x", "int_value": None}},
    {"key": "ga_session_id", "value": {"string_value": None, "int_value": 7}},
    {"key": "plain", "value": 1.5},
    {"key": "both", "value": {"a": 1, "b": 2}},
    {"key": "none", "value": {"int_value": None}},
    {"key": "$user_id", "value": "x"},
    {"key": "mp_lib", "value": "x"},
    {"key": "token", "value": "x"},
    {"key": "amount", "value": "not the column's"},
    None,
]
FROM_PARAMS = {"page_location": "/x", "ga_session_id": 7, "plain": 1.5, "both": {"a": 1, "b": 2}}


@pytest.mark.parametrize("spelled", [PARAMS, "json"])
def test_pairs_become_properties_of_their_own(spelled):
    """Names that the mapping gives win; those that mean something to Mixpanel are left out."""
    told = []
    stream_schema = stream_schema_of(
        {**ORDERS, "x": {}}, on_left_out=lambda *what: told.append(what)
    )
    record = ORDER | {"x": spelled}
    if spelled == "json":
        record["x"] = '[{"key": "page_location", "value": "/x"}, {"key": "$user_id", "value": 1}]'
    mapping = {"properties": {"amount": "amount", "Params": {"column": "x", "as": PAIRS}}}
    found = properties_of(record, mapping, stream_schema)
    own = {"amount", "distinct_id", "$insert_id", "time", "ip"}

    assert found["amount"] == 9.5
    made = {name: value for name, value in found.items() if name not in own}
    assert made == (FROM_PARAMS if spelled is PARAMS else {"page_location": "/x"})
    assert {column for column, _ in told} == {"x"}


@pytest.mark.parametrize("nothing", [None, [], ""])
def test_no_pairs_are_no_properties(nothing):
    assert "X" not in properties_of(
        ORDER | {"x": nothing},
        {"properties": {"X": {"column": "x", "as": PAIRS}}},
        stream_schema_of({**ORDERS, "x": {}}),
    )


def test_pairs_have_a_default():
    source = {"column": "x", "as": PAIRS, "default": {"medium": "none"}}
    found = properties_of(
        ORDER, {"properties": {"X": source}}, stream_schema_of({**ORDERS, "x": {}})
    )

    assert found["medium"] == "none"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"a": 1}, "not_pairs"),
        (7, "not_pairs"),
        ("text", "not_json"),
        (["a"], "not_pairs"),
        ([{"value": 1}], "not_pairs"),
        ([{"key": " ", "value": 1}], "not_pairs"),
        ([{"key": "é" * 128, "value": 1}], "name_too_long"),
        ([{"key": str(n), "value": n} for n in range(255)], "too_many_properties"),
        ([{"key": "a", "value": {"a": {"b": {"c": {}}}, "b": 1}}], "too_deep"),
    ],
)
def test_what_are_no_pairs_is_refused(value, reason):
    flaw = flaw_of(value, PAIRS)

    assert reason == flaw.reason
    assert flaw.field == "x"


USERS = {"type": "users", "distinct_id": "id"}


def test_profiles_have_casts_and_pairs():
    columns = {"id": {}, "seats": TEXT, "at": {"type": "integer"}, "params": {"type": "array"}}
    properties = {
        "Seats": {"column": "seats", "as": "number"},
        "At": {"column": "at", "as": "date"},
        "Params": {"column": "params", "as": PAIRS},
    }
    plan = profiles_of({**USERS, "properties": properties}, columns)
    record = {"id": 7, "seats": "3", "at": 1790856000, "params": PARAMS}

    update = plan.map(record).update["$set"]

    assert update.pop("amount") == "not the column's"
    assert update == {"Seats": 3, "At": "2026-10-01T12:00:00", **FROM_PARAMS}


def test_a_text_that_is_read_as_a_number_can_be_added():
    properties = {"Seats": {"column": "seats", "as": "number"}}
    mapping = {**USERS, "operation": "add", "properties": properties}
    plan = profiles_of(mapping, {"id": {}, "seats": TEXT})

    assert plan.map({"id": 7, "seats": "3"}).update["$add"] == {"Seats": 3}


TABLE = {"type": "lookup_table", "lookup_table_id": "t", "key": "id"}


def test_a_lookup_table_has_casts():
    properties = {
        "Price": {"column": "price", "as": "number"},
        "Since": {"column": "since", "as": "date"},
        "Day": {"column": "day", "as": "date"},
        "None": {"column": "none", "as": "date"},
        "Plan": {"column": "x.user.plan", "as": "json"},
    }
    columns = {name: {} for name in ("id", "price", "since", "day", "none", "x")}
    plan = table_of({**TABLE, "properties": properties}, columns)
    row = plan.map(
        {"id": 1, "price": "07.50", "since": 1790856000, "day": "20261001", "x": PAYLOAD}
        | {"none": "0000-00-00"}
    )

    assert row.line == b"1,7.5,2026-10-01T12:00:00Z,2026-10-01T00:00:00Z,,pro\r\n"


def test_a_lookup_table_has_no_pairs():
    with pytest.raises(StreamSchemaError, match="the same for all"):
        table_of({**TABLE, "properties": {"A": {"column": "x", "as": PAIRS}}}, {"id": {}, "x": {}})


KINDS = ["number", "integer", "boolean", "text", "texts", "date", "json", PAIRS]
TYPES = {
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "text": (str,),
    "texts": (list,),
    "date": (str,),
}


@settings(max_examples=500, deadline=None)
@given(JSON | st.text().map(lambda text: f'["{text}"]'), st.sampled_from(KINDS))
def test_a_cast_property_has_one_type_or_none(value, kind):
    try:
        found = cast(value, kind)
    except UnmappableError as error:
        assert error.flaw.field  # noqa: PT017 (some are sent)
        return
    if isinstance(kind, str) and kind in TYPES and found is not ABSENT:
        assert type(found) in (*TYPES[kind], Decimal)
