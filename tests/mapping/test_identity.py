"""A repeat is known as such and nothing else is; an id is an id or the record is refused."""

import re
import string
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from target_mixpanel.errors import StreamSchemaError
from target_mixpanel.limits import RESERVED_IDS
from target_mixpanel.mapping.ids import id_text
from target_mixpanel.mapping.paths import record_splitter
from target_mixpanel.mapping.refusal import UnmappableError
from target_mixpanel.mapping.stream_schema import DroppedId
from tests.mapping.making import (
    ORDER,
    ORDERS,
    decode,
    open_columns,
    plan_of,
    properties_of,
    stream_schema_of,
)

IDS = {"distinct_id", "$user_id", "$device_id"}
ANY_COLUMN = {"additionalProperties": True}

NUMBERS = st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ank", max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = st.text(max_size=8) | NUMBERS | st.booleans()
TIMES = st.builds("2026-09-01T10:00:00.{}Z".format, st.text(string.digits, min_size=1, max_size=9))


def insert_id(record, stream_schema=None, *, time_ms=1_700_000_000_000, **more):
    """Return the $insert_id alone, of records that need nothing else."""
    plan = plan_of(
        {"time": {"value": 1_700_000_000}, "distinct_id": {"value": ""}}, stream_schema, **more
    )
    return plan.read_insert_id(record_splitter(plan.slots)(record), "orders", time_ms)


def refusal(call, *args, **more):
    with pytest.raises(UnmappableError) as refused:
        call(*args, **more)
    return refused.value.flaw


def same(one, other):
    """Equality as JSON has it: numbers by value, but true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (int, Decimal)) and isinstance(other, (int, Decimal)):
        return one == other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and one == other


# $insert_id


@pytest.mark.parametrize(
    ("record", "options", "expected"),
    [
        pytest.param({"id": 7}, {}, "8d4080d0e8ddb08bb9e0933adb5fd4a0", id="integer"),
        pytest.param({"id": "7"}, {}, "d367b48d7340942ff8a1813f057e3d3d", id="text"),
        pytest.param({"id": Decimal("7.5")}, {}, "8450531e6b4c23b59e8c5af2ae336330", id="decimal"),
        pytest.param({"id": True}, {}, "312afd4f241e89143cf090dc2f448a6c", id="boolean"),
        pytest.param({"id": "Zoë 🛒"}, {}, "c2394967a609fdf95e3729f7c88b813f", id="not-ascii"),
        pytest.param({"id": 10**30}, {}, "5ca563bfebda1d2a5f5ec3d9b51019f1", id="big-integer"),
        pytest.param(
            {"id": 7, "created_at": "2026-09-01T12:00:00.000001+02:00"},
            {"key": ("id", "created_at")},
            "4c2c477a31de8a4f3b6a286f8e675fa0",
            id="composite-with-time",
        ),
        pytest.param(
            {"created_at": "2026-09-01T10:00:00.123456789Z"},
            {"key": ("created_at",)},
            "059e17ec6a980ed884b3c7af458276c1",
            id="nanoseconds",
        ),
        pytest.param(
            {"b": [1, None, {"c": Decimal("1.50")}], "a": "x", "_sdc_batched_at": "now"},
            {"key": ()},
            "ff5d2087aa8da53c867ce5087d4d7ff7",
            id="whole-record",
        ),
        pytest.param(
            {"id": 7},
            {"insert_id_salt": "2027"},
            "f875e5b5caf36d07817c768fcc35494a",
            id="salt",
        ),
    ],
)
def test_the_recipe_stays_what_it_is(record, options, expected):
    """A change of these is a new RECIPE_VERSION: every repeat would be a new event."""
    assert expected == insert_id(
        record, stream_schema=stream_schema_of(schema=ANY_COLUMN, **options)
    )


def test_an_id_is_32_hexadecimal_digits():
    assert re.fullmatch(r"[0-9a-f]{32}", insert_id({"id": 7}))


@pytest.mark.parametrize(
    "spellings",
    [
        pytest.param(["1", "1.0", "1.00", "1e0", "10E-1"], id="one"),
        pytest.param(["0", "-0", "0.0", "-0.0", "0e50", "0e-50"], id="nought"),
        pytest.param(["1.5", "1.50", "15e-1"], id="one-and-a-half"),
        pytest.param(["1e45", f"{10**45}", f"{10**45}.0"], id="big"),
        pytest.param(["1e400", f"{10**400}"], id="beyond-doubles"),
        pytest.param(["1e9999999", "10e9999998"], id="beyond-arithmetic"),
        pytest.param(["0.1e-400", "1e-401"], id="tiny"),
    ],
)
def test_a_number_is_one_key_in_every_spelling(spellings):
    ids = {insert_id({"id": decode(text)}) for text in spellings}

    assert len(ids) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(1, "1", id="number-and-text"),
        pytest.param(1, True, id="number-and-true"),
        pytest.param("true", True, id="text-and-true"),
        pytest.param(0, Decimal("1E-9999999"), id="nought-and-nearly"),
        pytest.param(2**53, 2**53 + 1, id="integers-a-double-confuses"),
        pytest.param(Decimal("0.1"), Decimal("0." + "1" * 5_001), id="many-digits"),
        pytest.param(
            Decimal("0." + "1" * 6_000), Decimal("0." + "1" * 6_000 + "2"), id="last-of-many-digits"
        ),
        pytest.param("a", "A", id="case"),
        pytest.param("a", "a ", id="blank-at-the-end"),
        pytest.param("\u00e9", "e\u0301", id="composed-and-combined"),
        pytest.param("", "\0", id="nul"),
        pytest.param("1712013000000", "1712013010000", id="epoch-texts"),
    ],
)
def test_different_keys_are_different_ids(one, other):
    column = {"id": {"format": "date-time"}}

    for stream_schema in (stream_schema_of(), stream_schema_of(column)):
        assert insert_id({"id": one}, stream_schema=stream_schema) != insert_id(
            {"id": other}, stream_schema=stream_schema
        )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(("ab", "c"), ("a", "bc"), id="moved-letter"),
        pytest.param(("a,b", ""), ("a", "b,"), id="moved-comma"),
        pytest.param(('a","b', "c"), ("a", 'b","c'), id="moved-quotes"),
        pytest.param((1, 12), (11, 2), id="moved-digit"),
        pytest.param(("a", "b"), ("b", "a"), id="order"),
    ],
)
def test_composite_keys_cannot_run_into_each_other(one, other):
    stream_schema = stream_schema_of({"a": {}, "b": {}}, key=("a", "b"))
    ids = {
        insert_id(dict(zip("ab", key, strict=True)), stream_schema=stream_schema)
        for key in (one, other)
    }

    assert len(ids) == 2


@settings(max_examples=300, deadline=None)
@given(st.tuples(KEYS, KEYS), st.tuples(KEYS, KEYS))
@example((1, "1"), ("1", 1))
@example(("", '"'), ('"', ""))
def test_keys_are_equal_exactly_if_their_ids_are(one, other):
    stream_schema = stream_schema_of({"a": {}, "b": {}}, key=("a", "b"))
    ids = [
        insert_id(dict(zip("ab", key, strict=True)), stream_schema=stream_schema)
        for key in (one, other)
    ]

    assert same(list(one), list(other)) == (ids[0] == ids[1])


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text("ab", max_size=2), JSON), st.dictionaries(st.text("ab"), JSON))
@example({"a": Decimal("1.5")}, {"a": {"n": "1.5"}})
@example({"a": "1.5"}, {"a": Decimal("1.5")})
@example({"a": None}, {})
def test_records_without_a_key_are_equal_exactly_if_their_ids_are(one, other):
    stream_schema = stream_schema_of(key=(), schema=ANY_COLUMN)

    assert same(one, other) == (
        insert_id(one, stream_schema=stream_schema) == insert_id(other, stream_schema=stream_schema)
    )


@settings(max_examples=300, deadline=None)
@given(TIMES, TIMES)
@example("2026-09-01T10:00:00.000000Z", "2026-09-01T10:00:00.000001Z")
@example("2026-09-01T10:00:00.000000001Z", "2026-09-01T10:00:00.000000002Z")
@example("2026-09-01T10:00:00.0000001Z", "2026-09-01T10:00:00.000000100Z")
@example("2026-09-01T10:00:00.0000001Z", "2026-09-01T10:00:00.0000010Z")
def test_neighbouring_times_are_different_keys(one, other):
    """A microsecond or a nanosecond later is another record; a zero more at the end is not."""
    stream_schema = stream_schema_of(key=("created_at",))
    ids = [insert_id({"created_at": text}, stream_schema=stream_schema) for text in (one, other)]

    assert (one.rstrip("0Z") == other.rstrip("0Z")) == (ids[0] == ids[1])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("2016-12-31T23:59:60.25Z", "2016-12-31T23:59:60.75Z", id="in-a-leap-second"),
        pytest.param("soon", "later", id="no-times-at-all"),
        pytest.param("", " ", id="blank"),
    ],
)
def test_texts_in_a_time_column_are_told_apart(one, other):
    stream_schema = stream_schema_of(key=("created_at",))

    assert insert_id({"created_at": one}, stream_schema=stream_schema) != insert_id(
        {"created_at": other}, stream_schema=stream_schema
    )


@settings(max_examples=300, deadline=None)
@given(st.text() | st.from_regex(r"[0-9TWZ:.,+ -]{0,30}", fullmatch=True))
def test_any_text_is_a_key(text):
    """What is no time in a time column is its text."""
    assert insert_id({"created_at": text}, stream_schema=stream_schema_of(key=("created_at",)))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        pytest.param(None, "null_key", id="null"),
        pytest.param([1], "invalid_key", id="list"),
        pytest.param({"a": 1}, "invalid_key", id="object"),
        pytest.param(Decimal("NaN"), "not_a_number", id="nan"),
        pytest.param(float("inf"), "not_a_number", id="infinity"),
    ],
)
def test_what_cannot_be_a_key_is_refused(key, expected):
    """Fault 50: records without a key never share one id."""
    assert expected == refusal(insert_id, {"id": key}).reason


def test_a_missing_key_is_refused():
    assert refusal(insert_id, {}).field == "id"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"stream": "orders"}, {"stream": "payments"}, id="stream"),
        pytest.param({"event": "Paid"}, {"event": "Refunded"}, id="event"),
    ],
)
def test_the_stream_and_the_event_are_part_of_the_id(one, other):
    ids = {
        properties_of(
            None, {"event": made.get("event")}, stream_schema_of(stream=made.get("stream", "x"))
        )["$insert_id"]
        for made in (one, other)
    }

    assert len(ids) == 2


def test_the_other_columns_are_no_part_of_the_id():
    """Fault 52."""
    changed = {**ORDER, "amount": 0, "user": "u-2"}

    assert properties_of(ORDER)["$insert_id"] == properties_of(changed)["$insert_id"]


def test_two_changes_of_a_row_have_two_ids():
    """Mixpanel's compaction merges what has one id on one day, whatever its time."""
    changed = {**ORDER, "created_at": "2026-09-01T15:00:00Z"}

    assert properties_of(ORDER)["$insert_id"] != properties_of(changed)["$insert_id"]


@pytest.mark.parametrize(
    "spelling",
    [
        pytest.param("2026-09-01T12:00:00+02:00", id="another-offset"),
        pytest.param("2026-09-01T10:00:00.000Z", id="with-a-fraction"),
        pytest.param("2026-09-01T10:00:00.000999Z", id="within-the-millisecond"),
        pytest.param("2026-09-01 10:00:00", id="without-an-offset"),
        pytest.param(" 2026-09-01 10:00 utc ", id="by-people"),
        pytest.param(1_788_256_800, id="seconds"),
        pytest.param("1788256800000", id="milliseconds-as-text"),
    ],
)
@pytest.mark.parametrize("key", [("id",), ()])
def test_an_instant_has_one_id_in_every_spelling(spelling, key):
    """As the event's time. Without a key the whole record counts, and so its spelling does."""
    columns = open_columns("id", "created_at", "amount", "user")
    ids = {
        properties_of({**ORDER, "created_at": time}, None, stream_schema_of(columns, key))[
            "$insert_id"
        ]
        for time in (ORDER["created_at"], spelling)
    }

    assert len(ids) == (1 if key else 2)


@pytest.mark.parametrize(
    "spelling",
    [
        *("2026-09-01T12:00:00+02:00", " 2026-09-01t10:00:00z", "2026-09-01 10:00 UTC"),
        "01/09/2026 10:00",
    ],
)
def test_an_instant_is_one_key_in_every_spelling(spelling):
    columns = {**ORDERS, "sent_at": {"type": "string", "format": "date-time"}}
    mapping = {"insert_id": ["sent_at"], "time_format": "%d/%m/%Y %H:%M"}
    ids = {
        properties_of({**ORDER, "sent_at": text}, mapping, stream_schema_of(columns))["$insert_id"]
        for text in ("2026-09-01T10:00:00Z", spelling)
    }

    assert len(ids) == 1


def test_a_salt_makes_other_ids():
    """What was deleted in Mixpanel and is loaded anew must not be taken for what was deleted."""
    ids = {
        insert_id({"id": 7}, stream_schema_of(insert_id_salt=salt)) for salt in (None, "2", "2027")
    }

    assert len(ids) == 3


def test_a_salt_cannot_run_into_the_stream():
    ids = {
        insert_id({"id": 7}, stream_schema_of(insert_id_salt=salt, stream=stream), event="orders")
        for salt, stream in ((None, "orders"), ("orders", "orders"), ("orders", "x"))
    }

    assert len(ids) == 3


def test_insert_id_names_other_columns_than_the_key():
    ids = {
        insert_id({"id": number, "user": "u"}, stream_schema=stream_schema_of(), insert_id=["user"])
        for number in (1, 2)
    }

    assert len(ids) == 1


def test_without_a_key_the_order_of_columns_and_bookkeeping_do_not_count():
    stream_schema = stream_schema_of(key=(), schema=ANY_COLUMN)
    one = {"a": 1, "b": {"x": 1, "y": 2}, "_sdc_extracted_at": "one"}
    other = {"_sdc_sequence": 5, "b": {"y": 2, "x": 1}, "a": Decimal("1.0")}

    assert insert_id(one, stream_schema=stream_schema) == insert_id(
        other, stream_schema=stream_schema
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("A-z-09", "A-z-09", id="text"),
        pytest.param("x" * 36, "x" * 36, id="36-characters"),
        pytest.param(42, "42", id="integer"),
        pytest.param("NULLS", "NULLS", id="reserved-only-in-part"),
    ],
)
def test_a_verbatim_id_is_used_as_it_is(value, expected):
    assert expected == insert_id(
        {"user": value}, stream_schema=stream_schema_of(), insert_id="user"
    )


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="empty"),
        pytest.param("x" * 37, id="37-characters"),
        pytest.param("evt_1", id="underscore"),
        pytest.param("é", id="not-ascii"),
        pytest.param("a\n", id="line-feed"),
        pytest.param("Null", id="reserved"),
        pytest.param(0, id="reserved-number"),
        pytest.param(1.5, id="decimal"),
        pytest.param(True, id="true"),
        pytest.param(["a"], id="list"),
    ],
)
def test_a_verbatim_id_that_mixpanel_refuses_is_refused(value):
    flaw = refusal(insert_id, {"user": value}, stream_schema=stream_schema_of(), insert_id="user")

    assert (flaw.reason, flaw.field) == ("invalid_insert_id", "user")


@pytest.mark.parametrize("key", [("id",), ("id", "created_at"), ()])
def test_where_a_verbatim_id_is_null_the_default_recipe_stands_in(key):
    """A project can be moved though its older events have no id."""
    record = {"id": 7, "created_at": "2026-09-01T10:00:00Z", "user": None}
    stream_schema = stream_schema_of(key=key)

    assert insert_id(record, stream_schema, insert_id="user") == insert_id(record, stream_schema)


def test_a_verbatim_id_needs_no_key():
    stream_schema = stream_schema_of(key=("uuid",))

    assert insert_id({"user": "u-1"}, stream_schema, insert_id="user") == "u-1"
    assert refusal(insert_id, {"user": None}, stream_schema, insert_id="user").reason == "null_key"


@pytest.mark.parametrize(
    ("members", "same"),
    [
        pytest.param([{"column": "id"}], ["id"], id="written-out"),
        pytest.param([{"column": "id", "default": 5}], ["id"], id="default-that-is-not-needed"),
        pytest.param([{"column": "amount", "default": 7}], ["id"], id="default"),
        pytest.param([{"value": 7}], ["id"], id="value"),
        pytest.param(
            [{"column": "user", "default": "2026-09-01T12:00:00+02:00"}],
            ["created_at"],
            id="default-time",
        ),
        pytest.param([{"value": 7}, "created_at"], ["id", "created_at"], id="value-and-column"),
        pytest.param(["created_at", {"value": 7.0}], ["created_at", "id"], id="column-and-value"),
    ],
)
def test_a_member_may_have_a_default_or_be_a_value(members, same):
    record = {"id": 7, "created_at": "2026-09-01T10:00:00Z"}
    time = {"type": ["null", "string"], "format": "date-time"}
    columns = {"id": {}, "created_at": time, "amount": {}, "user": time}
    ids = {insert_id(record, stream_schema_of(columns), insert_id=each) for each in (members, same)}

    assert len(ids) == 1


def test_a_member_without_a_default_is_refused_where_it_is_null():
    members = [{"column": "user", "default": None}]

    assert refusal(insert_id, {"user": None}, stream_schema_of(), insert_id=members).reason == (
        "null_key"
    )


def test_a_key_that_the_schema_lacks_is_named_before_the_first_record():
    with pytest.raises(StreamSchemaError) as error:
        plan_of(stream_schema=stream_schema_of(key=("uuid",)))

    assert str(error.value) == (
        'streams.orders.insert_id: key_properties: "uuid" is not in the stream\'s schema; it has '
        '"amount", "created_at", "id", "user"; the tap names a key that its own schema lacks, so '
        "set insert_id"
    )


# distinct_id


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("u-1", "u-1", id="text"),
        pytest.param(42, "42", id="integer"),
        pytest.param(Decimal("42.0"), "42", id="whole-decimal"),
        pytest.param(Decimal("1.50"), "1.5", id="decimal"),
        pytest.param(1e22, "1" + "0" * 22, id="float"),
        pytest.param(10**50, "1" + "0" * 50, id="big-integer"),
        pytest.param(Decimal("1E+50"), "1" + "0" * 50, id="the-same-as-exponent"),
        pytest.param("x" * 255, "x" * 255, id="255-bytes"),
        pytest.param("é" * 127, "é" * 127, id="254-bytes"),
        pytest.param(" u 1\t", "u 1", id="trimmed"),
        pytest.param("\ufeffu-1\0\u200b", "u-1", id="trimmed-of-what-nobody-sees"),
    ],
)
def test_an_id_is_a_text(value, expected):
    assert expected == id_text(value, "user")


@pytest.mark.parametrize("value", [None, "", " \t\r\n", "\0", "\u200b", "\u2003\u00a0\x7f\ufeff"])
def test_an_id_that_nobody_can_see_is_none(value):
    """White space, controls, and what has no width."""
    default = {"distinct_id": {"column": "user", "default": "u-1"}}
    columns = stream_schema_of(open_columns(*ORDER))

    assert id_text(value, "user") is None
    assert refusal(properties_of, {**ORDER, "user": value}).reason == "missing_distinct_id"
    assert properties_of({**ORDER, "user": value}, default, columns)["distinct_id"] == "u-1"


@given(st.text(max_size=6) | st.sampled_from([" null\t", "\u200b0", "x" * 255, "é" * 128]))
def test_what_is_left_of_an_id_is_trimmed_and_short_and_not_on_the_list(text):
    try:
        found = id_text(text, "user")
    except UnmappableError:
        return

    assert found is None or found == id_text(found, "user")
    assert found is None or (len(found.encode()) <= 255 and found.lower() not in RESERVED_IDS)


@pytest.mark.parametrize(
    "value",
    [
        *[pytest.param(word, id=word) for word in sorted(RESERVED_IDS)],
        *[pytest.param(word.upper(), id=f"{word}-upper") for word in sorted(RESERVED_IDS)],
        pytest.param(0, id="number-0"),
        pytest.param(-1, id="number--1"),
        pytest.param(Decimal("0.00"), id="decimal-0"),
        pytest.param(Decimal("-0.0"), id="decimal--0"),
        pytest.param(True, id="boolean"),
        pytest.param([], id="list"),
        pytest.param({}, id="object"),
        pytest.param("x" * 256, id="256-bytes"),
        pytest.param("é" * 128, id="128-characters-of-256-bytes"),
        pytest.param(" NULL ", id="null-and-blanks"),
        pytest.param(10**255, id="256-digits"),
        pytest.param(Decimal("1E+400"), id="short-for-401-digits"),
    ],
)
def test_an_id_that_mixpanel_refuses_is_refused(value):
    assert refusal(id_text, value, "user").reason == "invalid_distinct_id"


def test_a_missing_id_is_refused_unless_the_mapping_has_a_default():
    mapped = {"distinct_id": {"column": "user", "default": ""}}

    assert refusal(properties_of, {**ORDER, "user": None}).reason == "missing_distinct_id"
    assert properties_of({**ORDER, "user": None}, mapped)["distinct_id"] == ""


@pytest.mark.parametrize(
    ("user", "device", "expected"),
    [
        pytest.param("u", "d", {"distinct_id": "u", "$user_id": "u", "$device_id": "d"}, id="both"),
        pytest.param("u", None, {"distinct_id": "u", "$user_id": "u"}, id="user"),
        pytest.param(None, "d", {"distinct_id": "$device:d", "$device_id": "d"}, id="device"),
        pytest.param("", "d", {"distinct_id": "$device:d", "$device_id": "d"}, id="blank-user"),
        pytest.param(
            None, "$device:d", {"distinct_id": "$device:d", "$device_id": "d"}, id="with-prefix"
        ),
        pytest.param("\u200b", "d", {"distinct_id": "$device:d", "$device_id": "d"}, id="no-width"),
        pytest.param("u", " ", {"distinct_id": "u", "$user_id": "u"}, id="blank-device"),
        pytest.param(
            "null", "d", {"distinct_id": "$device:d", "$device_id": "d"}, id="reserved-user"
        ),
        pytest.param("u", "NIL", {"distinct_id": "u", "$user_id": "u"}, id="reserved-device"),
        pytest.param("u", "$device:0", {"distinct_id": "u", "$user_id": "u"}, id="zero-device"),
        pytest.param("u", "x" * 255, {"distinct_id": "u", "$user_id": "u"}, id="long-device"),
        pytest.param(True, "d", {"distinct_id": "$device:d", "$device_id": "d"}, id="boolean-user"),
        pytest.param("u", {}, {"distinct_id": "u", "$user_id": "u"}, id="object-for-a-device"),
        pytest.param(5, 6, {"distinct_id": "5", "$user_id": "5", "$device_id": "6"}, id="numbers"),
    ],
)
def test_simplified_identity_sends_what_mixpanel_derives(user, device, expected):
    got = simplified(user, device)

    assert expected == {name: got[name] for name in got if name in IDS}


@pytest.mark.parametrize(
    ("user", "device", "expected"),
    [
        pytest.param(None, None, "missing_distinct_id", id="neither"),
        pytest.param("", "\0", "missing_distinct_id", id="both-blank"),
        pytest.param("null", None, "invalid_distinct_id", id="reserved-user"),
        pytest.param("null", "nil", "invalid_distinct_id", id="both-reserved"),
        pytest.param("null", " ", "invalid_distinct_id", id="reserved-user-and-blank-device"),
        pytest.param(None, "NIL", "invalid_distinct_id", id="reserved-device"),
        pytest.param(None, "$device:null", "invalid_distinct_id", id="reserved-behind-the-prefix"),
        pytest.param(None, "x" * 255, "invalid_distinct_id", id="too-long-with-its-prefix"),
        pytest.param(True, None, "invalid_distinct_id", id="boolean"),
    ],
)
def test_simplified_identity_refuses_what_mixpanel_refuses(user, device, expected):
    assert expected == refusal(simplified, user, device).reason


@pytest.mark.parametrize("word", ["anonymous", "null", 0])
def test_a_hashed_id_is_refused_as_it_would_be_unhashed(word):
    """Else the hash of "anonymous" would be one user with everybody's events."""
    assert refusal(hashed_id, word).reason == "invalid_distinct_id"


def test_a_blank_id_has_no_hash():
    assert refusal(hashed_id, "").reason == "missing_distinct_id"


@pytest.mark.parametrize("listed", ["0", 0, 0.0, " 0 "])
@pytest.mark.parametrize("value", ["0", 0, Decimal("0.0"), " 0"])
@pytest.mark.parametrize("is_hashed", [False, True])
def test_listed_values_mean_no_user(listed, value, is_hashed):
    """Shops give guests the number 0, which Mixpanel refuses: these are events without a user."""
    columns = stream_schema_of(open_columns(*ORDER), hash_key=b"key")

    def user_of(value, **more):
        guest = {"column": "user", "nobody": [listed], "hash": is_hashed, **more}
        got = properties_of({**ORDER, "user": value}, {"distinct_id": guest}, columns)
        return got["distinct_id"]

    assert user_of(value) == user_of(value, default="") == user_of(None, default="") == ""
    assert user_of(value, default="shop") == "shop"
    assert user_of("7") == (hashed_id("7") if is_hashed else "7")
    assert refusal(user_of, None).reason == "missing_distinct_id"
    assert refusal(user_of, "-1").detail == (
        "is an id that Mixpanel refuses; list what means no user: {column: …, nobody: [values]}"
    )


@pytest.mark.parametrize(
    ("user", "device", "expected"),
    [
        ("0", "d", {"distinct_id": "$device:d", "$device_id": "d"}),
        ("7", "no", {"distinct_id": "7", "$user_id": "7"}),
        ("0", "no", {"distinct_id": ""}),
        ("0", None, {"distinct_id": ""}),
        (None, "no", {"distinct_id": ""}),
    ],
)
def test_listed_values_mean_no_user_and_no_device(user, device, expected):
    nobody = {
        "user_id": {"column": "user", "nobody": ["0"]},
        "device_id": {"column": "device", "nobody": ["no"]},
    }
    got = simplified(user, device, **nobody)

    assert expected == {name: got[name] for name in got if name in IDS}
    assert refusal(simplified, "0", "nil", **nobody).field == "device"


def test_ids_that_rows_go_without_are_told():
    told = []
    columns = {"id": {}, "created_at": {}, "user": {}, "device": {}}
    schema = stream_schema_of(columns, on_dropped_id=told.append)
    for user, device in (("u", "0"), ("NULL", "d"), ("guest", "d"), ("u", "d"), ("u", None)):
        simplified(user, device, schema, user_id={"column": "user", "nobody": ["guest"]})

    assert told == [
        DroppedId("device", is_meant=False),
        DroppedId("user", is_meant=False),
        DroppedId("user", is_meant=True),
    ]


def test_an_id_is_one_hash_as_a_number_and_as_a_text():
    ids = {hashed_id(value) for value in (7, "7", Decimal("7.0"))}

    assert len(ids) == 1
    assert re.fullmatch(r"[0-9a-f]{64}", ids.pop())


def simplified(user, device, schema=None, **more):
    columns = {"id": {}, "created_at": {}, "user": {}, "device": {}}
    record = {**ORDER, "user": user, "device": device}
    mapping = {"distinct_id": None, "user_id": "user", "device_id": "device", **more}
    return properties_of(record, mapping, schema or stream_schema_of(columns))


def hashed_id(value):
    mapping = {"distinct_id": {"column": "user", "hash": True}}
    stream_schema = stream_schema_of(open_columns(*ORDER), hash_key=b"key")
    return properties_of({**ORDER, "user": value}, mapping, stream_schema)["distinct_id"]
