"""A value arrives in Mixpanel as what it was: no integer rounded, no type it does not know."""

import math
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from target_mixpanel.mapping.refusal import UnmappableError
from target_mixpanel.mapping.stream_schema import NO_DATES
from target_mixpanel.mapping.values import converter, encode, hasher
from target_mixpanel.specs.spec import Times
from tests.mapping.making import decode

TIME = {"type": ["null", "string"], "format": "date-time"}
DATE = {"type": "string", "format": "date"}
TEXT_COLUMNS = [{}, TIME, DATE, {"type": "string"}, {"format": "date-time"}]

NUMBERS = (
    st.integers()
    | st.integers(-(2**70), 2**70)
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.decimals(allow_nan=False, allow_infinity=False, places=3)
    | st.floats(allow_nan=False, allow_infinity=False)
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=10,
)


def converted(value, column=None, *, root=None, zone=UTC, is_schema_enforced=True):
    times = Times(timezone=zone)
    convert = converter(
        column or {}, root or {}, times, "it", is_schema_enforced=is_schema_enforced
    )
    return value if convert is None else convert(value)


def reason(value, column=None):
    with pytest.raises(UnmappableError) as refusal:
        converted(value, column)
    return refusal.value.flaw.reason


def nested(depth, leaf=1):
    return {"a": nested(depth - 1, leaf)} if depth else leaf


def same(sent, value):
    """Say whether *sent*, as read by whoever uses doubles, is worth *value*."""
    if isinstance(value, (list, dict)):
        return (
            type(sent) is type(value)
            and len(sent) == len(value)
            and all(
                same(sent[key], value[key])
                for key in (value if isinstance(value, dict) else range(len(value)))
            )
        )
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        if isinstance(sent, str):  # no double is near enough
            is_large = isinstance(value, int) or math.isinf(float(value))
            return is_large and Decimal(sent) == Decimal(value)
        return float(sent) == float(value) and (isinstance(value, float) or abs(sent) < math.inf)
    return sent == value and type(sent) is type(value)


@pytest.mark.parametrize("column", [{}, {"type": "integer"}, {"type": ["null", "number"]}])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(7, "7", id="integer"),
        pytest.param(2**53, "9007199254740992", id="largest-integer-of-a-double"),
        pytest.param(2**53 + 1, '"9007199254740993"', id="one-more"),
        pytest.param(-(2**53) - 1, '"-9007199254740993"', id="one-less"),
        pytest.param(10**30, '"1' + "0" * 30 + '"', id="big"),
        pytest.param(Decimal("9.50"), "9.5", id="decimal"),
        pytest.param(Decimal("1E+3"), "1000.0", id="exponent"),
        pytest.param(Decimal("0.1"), "0.1", id="tenth"),
        pytest.param(Decimal("9007199254740993.0"), "9007199254740992.0", id="17-digits-lost"),
        pytest.param(Decimal("0.30000000000000004"), "0.30000000000000004", id="17-digits-kept"),
        pytest.param(Decimal("0.12345678901234567"), "0.12345678901234566", id="one-off"),
        pytest.param(Decimal("1234567890.1234567890"), "1234567890.1234567", id="20-digits"),
        pytest.param(Decimal("100000000000000000000.00"), "1e20", id="zeros"),
        pytest.param(Decimal("1E+400"), '"1E+400"', id="beyond-doubles"),
        pytest.param(Decimal("1E-400"), "0.0", id="below-doubles"),
        pytest.param(Decimal("1E+9999999"), '"1E+9999999"', id="beyond-arithmetic"),
        pytest.param(Decimal("0E-400"), "0.0", id="nought-with-an-exponent"),
        pytest.param(0.1, "0.1", id="float"),
        pytest.param(1e308, "1e308", id="large-float"),
    ],
)
def test_a_number_keeps_its_value(value, column, expected):
    """Fault 55: a fraction is the nearest double, an integer that no double holds its text."""
    assert expected == encode(converted(value, column)).decode().replace("e+", "e")


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("-Infinity"), math.nan, math.inf])
def test_nan_and_infinity_are_refused(value):
    """Fault 54: never a silent null."""
    assert reason(value) == reason([value]) == reason({"a": value}) == "not_a_number"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("2026-09-01T10:00:00Z", "2026-09-01T10:00:00", id="utc"),
        pytest.param("2026-09-01T10:00:00.999999+02:00", "2026-09-01T08:00:00", id="offset"),
        pytest.param("2026-09-01 10:00:00", "2026-09-01T08:00:00", id="naive-is-the-timezones"),
        pytest.param("2026-09-01T24:00:00Z", "2026-09-02T00:00:00", id="midnight-as-24"),
        pytest.param("2016-12-31T23:59:60Z", "2017-01-01T00:00:00", id="leap-second"),
        pytest.param("0999-01-01T00:00:00Z", "0999-01-01T00:00:00", id="four-digits-of-year"),
        pytest.param(" 2026-09-01t10:00:00z ", "2026-09-01T10:00:00", id="by-people"),
        pytest.param("soon", None, id="no-time"),
        pytest.param("", None, id="empty"),
        pytest.param("0000-00-00 00:00:00", None, id="zeros"),
        pytest.param("0001-01-01T00:00:00Z", None, id="first-day-of-all"),
        pytest.param("-infinity", None, id="infinity"),
        pytest.param("1712013000000", None, id="epoch"),
        pytest.param("0001-01-01T00:00:00+14:00", None, id="no-calendar"),
    ],
)
def test_a_date_time_takes_mixpanels_form(text, expected):
    assert expected == converted(text, TIME, zone=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("2026-09-01", "2026-09-01", id="day"),
        pytest.param("2026-09-01T00:00:00Z", "2026-09-01", id="with-a-midnight"),
        pytest.param("2026-09-01T23:30:00-05:00", "2026-09-01", id="in-its-own-offset"),
        pytest.param("2026-W40-4", "2026-10-01", id="week"),
        pytest.param("10/01/2026", None, id="no-date"),
        pytest.param("0000-00-00", None, id="zeros"),
        pytest.param("0001-01-01", None, id="first-day-of-all"),
        pytest.param("", None, id="empty"),
        pytest.param("1712013000000", None, id="epoch"),
    ],
)
def test_a_date_takes_mixpanels_form(text, expected):
    assert expected == converted(text, DATE)


MOMENT = "2026-10-01T14:00:00.123456+02:00"


@pytest.mark.parametrize("is_schema_enforced", [True, False])
@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        pytest.param(
            {"type": ["null", "array"], "items": TIME},
            [MOMENT, None, "", "0000-00-00"],
            ["2026-10-01T12:00:00", None],
            id="list",
        ),
        pytest.param(
            {"type": "object", "properties": {"at": TIME, "day": DATE, "n": {"type": "number"}}},
            {"at": MOMENT, "day": "2026-10-01T00:00:00", "n": 1.5, "more": MOMENT, "none": None},
            {
                "at": "2026-10-01T12:00:00",
                "day": "2026-10-01",
                "n": 1.5,
                "more": MOMENT,
                "none": None,
            },
            id="object",
        ),
        pytest.param(
            {"type": "array", "items": {"type": "object", "properties": {"at": TIME}}},
            [{"at": MOMENT}, {"at": "-infinity", "b": 1}, {"at": None}],
            [{"at": "2026-10-01T12:00:00"}, {"b": 1}, {"at": None}],
            id="list-of-objects",
        ),
        pytest.param(
            {"type": "object", "additionalProperties": TIME},
            {"a": MOMENT},
            {"a": "2026-10-01T12:00:00"},
            id="any-name",
        ),
        pytest.param(
            {"anyOf": [{"type": "array", "items": {"$ref": "#/definitions/moment"}}, {}]},
            [[MOMENT], MOMENT],
            [["2026-10-01T12:00:00"], "2026-10-01T12:00:00"],
            id="references",
        ),
        pytest.param(
            {"type": "object", "properties": {"price": {"format": "singer.decimal"}}},
            {"price": "19.90"},
            {"price": 19.9},
            id="decimal",
        ),
        pytest.param(
            {"type": "array", "prefixItems": [{"type": "string"}, TIME], "items": DATE},
            ["soon", MOMENT, "2026-10-01T00:00:00"],
            ["soon", "2026-10-01T12:00:00", "2026-10-01"],
            id="tuple",
        ),
        pytest.param(
            {"type": "array", "items": [{"type": "string"}, TIME]},
            ["soon", MOMENT, MOMENT],
            ["soon", "2026-10-01T12:00:00", MOMENT],
            id="tuple-of-older-drafts",
        ),
        pytest.param(
            {"$ref": "#/definitions/tree"},
            {"at": MOMENT, "below": [{"at": MOMENT}]},
            {"at": "2026-10-01T12:00:00", "below": [{"at": "2026-10-01T12:00:00"}]},
            id="recursive",
        ),
    ],
)
def test_dates_within_lists_and_objects_take_mixpanels_form(
    column, value, expected, is_schema_enforced
):
    tree = {"properties": {"at": TIME, "below": {"items": {"$ref": "#/definitions/tree"}}}}
    root = {"definitions": {"moment": TIME, "tree": tree}}

    assert expected == converted(value, column, root=root, is_schema_enforced=is_schema_enforced)


@pytest.mark.parametrize("form", ["date", "date-time"])
@pytest.mark.parametrize("is_schema_enforced", [True, False])
@pytest.mark.parametrize("wrap", [lambda it: it, lambda it: [it]])
def test_a_text_that_need_not_be_a_date_stays(wrap, is_schema_enforced, form):
    """Taps say so whose source holds both; what stands for no date is none all the same."""
    one = {"anyOf": [{"type": "string", "format": form}, {"type": ["null", "string"]}]}
    column = one if wrap("") == "" else {"type": "array", "items": one}
    expected = {
        "2026-10-01T14:00:00+02:00": "2026-10-01T12:00:00" if form == "date-time" else "2026-10-01",
        "soon": "soon",
        "10/01/2026": "10/01/2026",
        "": None,
        " 0000-00-00 00:00:00": None,
        "0001-01-01": None,
        "-infinity": None,
    }
    for text, found in expected.items():
        value = converted(wrap(text), column, is_schema_enforced=is_schema_enforced)
        assert value == (found if column is one else [found] if found else [])


@pytest.mark.parametrize(
    ("column", "value", "times"),
    [
        pytest.param(TIME, "0000-00-00", 1, id="column"),
        pytest.param(DATE, "soon", 1, id="day"),
        pytest.param({"format": "date"}, "", 1, id="of-any-type"),
        pytest.param({"items": TIME}, ["", "2026-10-01"], 1, id="list"),
        pytest.param({}, datetime(1, 1, 1, tzinfo=UTC), 1, id="of-a-database-driver"),
        pytest.param(TIME, MOMENT, 0, id="date"),
        pytest.param({}, "", 0, id="text"),
    ],
)
def test_a_date_that_is_none_is_told(column, value, times):
    told = []
    convert = converter(
        column,
        {},
        Times(),
        "it",
        is_schema_enforced=True,
        on_left_out=lambda *what: told.append(what),
    )
    convert(value)

    assert [("it", NO_DATES)] * times == told


@pytest.mark.parametrize(
    "column",
    [
        pytest.param({"anyOf": [TIME, {"type": "null"}]}, id="anyOf"),
        pytest.param({"oneOf": [{"type": "null"}, TIME]}, id="oneOf"),
        pytest.param({"allOf": [TIME]}, id="allOf"),
        pytest.param({"$ref": "#/definitions/moment"}, id="ref"),
        pytest.param({"format": "date-time"}, id="without-a-type"),
        pytest.param({"type": ["string", "integer"], "format": "date-time"}, id="or-a-number"),
    ],
)
def test_a_date_time_is_one_wherever_the_schema_says_so(column):
    root = {"definitions": {"moment": TIME}}

    assert converted("2026-09-01T10:00:00Z", column, root=root) == "2026-09-01T10:00:00"


TEXT = {"type": ["null", "string"]}
AMOUNT = {"type": ["null", "string"], "format": "singer.decimal"}
OTHERS = [{"type": "boolean"}, {"type": "array", "items": {}}, {"type": "object"}]


@pytest.mark.parametrize(
    ("columns", "text", "expected"),
    [
        pytest.param([TEXT, *OTHERS, AMOUNT, TIME], "10101010", "10101010", id="a-text"),
        pytest.param([AMOUNT, *OTHERS, TIME, TEXT], "20261001", 20_261_001, id="a-number"),
        pytest.param(
            [TIME, *OTHERS, AMOUNT, TEXT],
            "2026-10-01T02:00:00+02:00",
            "2026-10-01T00:00:00",
            id="a-time",
        ),
        pytest.param(
            [*OTHERS, {"allOf": [{"type": "string"}, TIME]}, TEXT],
            "2026-10-01T02:00:00+02:00",
            "2026-10-01T00:00:00",
            id="a-time-as-well",
        ),
        pytest.param(
            [{"type": "integer", "format": "int64"}, TIME],
            "2026-10-01T02:00:00+02:00",
            "2026-10-01T00:00:00",
            id="a-number-is-no-text",
        ),
        pytest.param([{"$ref": "#/definitions/text"}, TIME], "10101010", "10101010", id="a-ref"),
        pytest.param([{"oneOf": [TEXT, TIME]}, AMOUNT], "10101010", "10101010", id="further-down"),
    ],
)
def test_of_several_kinds_of_text_the_first_counts(columns, text, expected):
    """As the transformer of taps tries one after the other, so the first is what it wrote."""
    found = converted(text, {"anyOf": columns}, root={"definitions": {"text": TEXT}})

    assert (expected, type(expected)) == (found, type(found))


@pytest.mark.parametrize(
    "column",
    [
        pytest.param({"anyOf": [TIME, {}]}, id="anything-else"),
        pytest.param({"anyOf": [TIME, {"enum": [5]}]}, id="enum-without-a-type"),
        pytest.param({"$ref": "#/definitions/any", "type": "string"}, id="beside-a-ref"),
        pytest.param({"$ref": "#/nowhere"}, id="ref-to-nowhere"),
        pytest.param({"$ref": "#/definitions/self"}, id="ref-in-a-circle"),
        pytest.param({"$ref": "#/definitions/many"}, id="refs-in-many-circles"),
    ],
)
@pytest.mark.parametrize("value", [5, 2**60, Decimal("1.5"), True, [1], {"a": 1}])
def test_a_column_that_may_hold_anything_takes_anything(column, value):
    root = {
        "definitions": {
            "any": {},
            "self": {"$ref": "#/definitions/self"},
            "many": {"anyOf": [{"$ref": "#/definitions/many"}] * 50},
        },
    }

    assert same(converted(value, column, root=root), value)


def test_without_validation_a_string_column_may_hold_anything():
    assert converted(5, TIME, is_schema_enforced=False) == 5


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(nested(3), None, id="3-levels"),
        pytest.param(nested(4), "too_deep", id="4-levels"),
        pytest.param([nested(4)], "too_deep", id="4-levels-in-a-list"),
        pytest.param(list(range(254)), None, id="254-items"),
        pytest.param(list(range(255)), "array_too_long", id="255-items"),
        pytest.param({"a": [[0] * 255]}, "array_too_long", id="255-items-further-down"),
        pytest.param({str(n): n for n in range(254)}, None, id="254-keys"),
        pytest.param({str(n): n for n in range(255)}, "too_many_keys", id="255-keys"),
    ],
)
def test_the_published_limits_hold(value, expected):
    """Fault 28: caught before sending, with a reason."""
    if expected is None:
        assert value == converted(value)
    else:
        assert expected == reason(value)


def test_what_is_nested_is_converted_too():
    value = {"a": [2**60, {"b": Decimal("0.12345678901234567")}, None, True]}

    assert converted(value) == {"a": [str(2**60), {"b": 0.12345678901234566}, None, True]}


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(JSON, st.booleans())
@example(Decimal("1E-999999999999"), True)
@example(5e-324, True)
@example(Decimal("5E-324"), True)
@example(Decimal("9.999999999999999E+307"), True)
@example(-0.0, True)
def test_whatever_is_sent_reads_as_what_it_was(value, is_schema_enforced):
    try:
        body = encode(converted(value, is_schema_enforced=is_schema_enforced))
    except UnmappableError as refusal:
        assert refusal.flaw.stage in {"map", "limit"}  # noqa: PT017 (most are sent)
    else:
        assert same(msgspec.json.decode(body), value)


@settings(max_examples=200, deadline=None)
@given(st.text(), st.sampled_from(TEXT_COLUMNS))
def test_any_text_passes_any_column(text, column):
    assert type(converted(text, column)) in {str, type(None)}


@settings(max_examples=200, deadline=None)
@given(NUMBERS)
def test_a_number_from_the_reader_reads_as_what_it_was(value):
    """Through the reader's own decoder: every number but an integer is a Decimal there."""
    read = decode(encode(value))

    assert same(msgspec.json.decode(encode(converted(read))), read)


# Decimals that are spelled as text


@pytest.mark.parametrize("form", ["singer.decimal", "x-singer.decimal", "decimal"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("19.90", 19.9, id="decimal"),
        pytest.param(" 3.10 ", 3.1, id="blanks-around"),
        pytest.param("-7", -7, id="integer"),
        pytest.param("007", 7, id="noughts-before"),
        pytest.param("1E+3", 1000.0, id="exponent"),
        pytest.param("9007199254740992", 2**53, id="largest-integer-of-a-double"),
        pytest.param("9007199254740993", "9007199254740993", id="one-more"),
        pytest.param("9" * 9_000, "9" * 9_000, id="thousands-of-digits"),
        pytest.param("9007199254740993.5", 9007199254740994.0, id="nearest-double"),
        pytest.param("1e400", "1e400", id="beyond-doubles"),
        pytest.param("1e99999999999999999999", "1e99999999999999999999", id="beyond-arithmetic"),
        pytest.param("NaN", "NaN", id="no-number"),
        pytest.param("1_000", "1_000", id="no-spelling-of-json"),
        pytest.param("", None, id="empty"),
        pytest.param("n/a", "n/a", id="words"),
    ],
)
def test_a_decimal_that_is_spelled_as_text_is_a_number(form, text, expected):
    for column in (
        {"type": ["null", "string"], "format": form},
        {"anyOf": [{"type": "string", "format": form}, {"type": "number"}]},
        {"format": form},
    ):
        found = converted(text, column)

        assert (expected, type(expected)) == (found, type(found))


@pytest.mark.parametrize(
    "column", [{}, {"type": "integer"}, {"type": "number"}, {"format": "decimal"}]
)
def test_an_integer_that_becomes_text_is_told(column):
    told = []
    convert = converter(
        column, {}, UTC, "it", is_schema_enforced=True, on_large_integer=told.append
    )

    assert [convert(value) for value in (2**53, 2**53 + 1, Decimal("0.1"))][1] == str(2**53 + 1)
    assert told == ["it"]


# Hashes


def test_a_hash_is_hmac_sha256_in_hexadecimal():
    """Pinned: a change would split every user in two."""
    golden = "4ce532b85823764d34c6289edc922d770a7d605d492a7e60f4a5ea36d3fede36"

    assert golden == hasher(b"key", "email")("me@example.com")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(7, "7", id="integer"),
        pytest.param(Decimal("7.0"), "7", id="whole-decimal"),
        pytest.param(Decimal("1.50"), "1.5", id="decimal"),
        pytest.param(1.5, "1.5", id="float"),
        pytest.param(True, "true", id="true"),
        pytest.param([1, None, "a"], '[1,null,"a"]', id="list"),
        pytest.param({"b": Decimal("1.0"), "a": "x"}, '{"a":"x","b":1}', id="object"),
        pytest.param(" a\n", "a", id="blanks-around"),
    ],
)
def test_a_value_hashes_as_its_plain_text(value, text):
    assert hasher(b"key", "email")(text) == hasher(b"key", "email")(value)


def test_a_hash_without_a_key_is_that_of_other_systems():
    """Of what is left when blanks around and capitals are gone."""
    theirs = sha256(b"ada@x.example").hexdigest()

    assert theirs == hasher(None, "x")("ada@x.example ")
    assert theirs == hasher(None, "x", is_lowered=True)(" Ada@X.example")
    assert theirs != hasher(None, "x")("Ada@X.example")


def test_there_is_no_hash_of_nothing():
    assert hasher(b"key", "x")("") is hasher(None, "x")(" \n") is None


def test_another_key_is_another_hash():
    assert hasher(b"one", "email")("a") != hasher(b"two", "email")("a")
