"""A condition goes by what a value means, and nothing is deleted by mistake."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from target_mixpanel.errors import SettingsError, StreamSchemaError
from target_mixpanel.pipeline.pipeline import StreamPipeline, TimeWindow, Unloadable
from tests.mapping.making import NOW_MS, decode, encode, open_columns, stream_schema_of, written

NOW = datetime.fromtimestamp(NOW_MS / 1_000, UTC)
TEXT = {"type": ["null", "string"]}
WHEN = {**TEXT, "format": "date-time"}
USERS = {"type": "users", "distinct_id": "id", "properties": ["a"]}
GROUPS = {"type": "groups", "group_key": "company", "group_id": "id", "properties": ["a"]}
EVENTS = {"type": "events", "event": "E", "time": "at", "distinct_id": "id", "properties": ["a"]}
TABLE = {"type": "lookup_table", "lookup_table_id": "t", "key": "id", "properties": ["a"]}
OF_EVERY_TYPE = [USERS, GROUPS, EVENTS, TABLE]
RECORD = {"id": "u", "a": 1, "at": "2026-09-01T10:00:00Z", "gone": None}


def pipeline_of(*mappings, columns=None, schema=None, key=("id",), window=None, **more):
    """Return the pipeline of a stream with these mappings; its columns are open ones."""
    stream_schema = stream_schema_of(
        open_columns("id", "a", "at", "gone") if columns is None else columns,
        key,
        stream="rows",
        schema=schema,
        **more,
    )
    specs = [written(mapping) for mapping in mappings]
    return StreamPipeline(specs, stream_schema, window, now_ms=lambda: NOW_MS)


def outcome(record, *mappings, **more):
    """Return what becomes of a record, by the careful way; the fast one must not say otherwise."""
    pipeline = pipeline_of(*mappings, **more)
    careful = pipeline.run(record)
    try:
        line = encode({"type": "RECORD", "stream": "rows", "record": record})
    except UnicodeEncodeError:  # half a character: no line has it
        return careful
    fast = pipeline.run_line(line)
    assert fast is None or fast == careful
    return careful


def becomes(value, condition="gone", mapping=USERS, **more):
    """Return whether a record with this value is "deleted", "kept", or why it is refused."""
    rows = outcome({**RECORD, "gone": value}, {**mapping, "delete_when": condition}, **more)
    if isinstance(rows, Unloadable):
        assert rows.flaw.field == "gone"
        return rows.flaw.reason
    (row,) = rows
    return "deleted" if "$delete" in decode(row.body) else "kept"


NOT_SET = [
    *(None, False, 0, Decimal("0.0"), "", " ", "\t", "\u200b", "0", "000", "00000000000000000000"),
    *("null", "NULL", "None", "nil", "\\N", "-", "infinity", "-infinity", "Infinity"),
    *("false", "False", "f", "no", "N", " NULL "),
    *("0000-00-00 00:00:00", "0000-00-00", "0000-00-00T00:00:00", "0000-00-00T00:00:00Z"),
    *("2026-00-00", "2026-09-00 00:00:00", "0.0"),
    *("0001-01-01T00:00:00", "1970-01-01T00:00:00Z", "1970-12-31T23:59:59Z", "9999-12-31"),
    *("9999-12-31T23:59:59.999999+00:00", "9999-12-31 23:59:59", "2026-09-21T14:13:20.001Z"),
    *("2026-09-22", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"),
]
SET = [
    *(True, 1, -1, Decimal("0.5"), "true", "TRUE", "t", "yes", "Y", "1", " 1 "),
    *("2026-09-01T10:00:00Z", "1971-01-01T00:00:00Z", "2026-09-21T14:13:20.000Z", "2026-09-21"),
    *("2026-09-01 10:00:00", "2026-09-01 10:00:00+00", "2026-09-01T10:00:00z", "20260901"),
    *(" 2026-09-01 ", "2026-09-01 10:00:00 UTC", "2026-09-01t10:00:00Z", "2026-08-31T24:00:00"),
]
UNDECIDABLE = ["maybe", "deleted", "5", "1788256800", "soon", "2026-13-01", "none of it", "x"]


@pytest.mark.parametrize("mapping", [USERS, GROUPS])
@pytest.mark.parametrize("column", [{}, WHEN])
@pytest.mark.parametrize(
    ("values", "expected"),
    [(NOT_SET, "kept"), (SET, "deleted"), (UNDECIDABLE, "invalid_delete_when")],
    ids=["not-set", "set", "undecidable"],
)
def test_what_a_value_means(values, expected, column, mapping):
    """A deletion cannot be undone, so what says no in any spelling is no."""
    columns = open_columns("id", "a") | {"gone": column}
    fitting = [value for value in values if not column or value is None or type(value) is str]

    assert {repr(value): expected for value in fitting} == {
        repr(value): becomes(value, mapping=mapping, columns=columns) for value in fitting
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("01/09/2026 10:00", "deleted"),
        ("2026-09-01", "deleted"),
        ("01/12/2026 10:00", "kept"),
        ("00/00/0000 00:00", "kept"),
        ("09/31/2026 10:00", "invalid_delete_when"),
    ],
)
def test_an_instant_may_be_spelled_as_time_format_says(value, expected):
    mapping = {**USERS, "time_format": "%d/%m/%Y %H:%M"}

    assert becomes(value, mapping=mapping) == expected


WORDS = dict.fromkeys(("true", "t", "yes", "y", "1"), True) | dict.fromkeys(
    ("", "null", "none", "nil", "\\n", "-", "infinity", "false", "f", "no", "n", "0", "0000"), False
)
BLANKS = st.sampled_from(["", " ", "  ", "\t", "\n", " \r\n"])


@st.composite
def spelled(draw):
    """Return a spelling of what a condition understands, and whether it is set."""
    word = draw(st.sampled_from(sorted(WORDS)))
    cased = "".join(draw(st.sampled_from([char.lower(), char.upper()])) for char in word)
    return draw(BLANKS) + cased + draw(BLANKS), WORDS[word]


@st.composite
def dated(draw):
    """Return a spelling of an instant, and whether it is set."""
    moment = draw(st.datetimes() | st.datetimes(datetime(1970, 12, 30), datetime(2026, 9, 24)))  # noqa: DTZ001
    offset = draw(st.none() | st.integers(-23 * 60, 23 * 60))
    text = moment.isoformat(sep=draw(st.sampled_from("T t"))).lower()
    if offset is None:
        text += draw(st.sampled_from(["", "z", "Z", "+00:00", " UTC"]))
    else:
        sign = "-" if offset < 0 else "+"
        text += f"{sign}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    past_epoch = moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    ms = (past_epoch - timedelta(minutes=offset or 0)) // timedelta(milliseconds=1)
    return draw(BLANKS) + text + draw(BLANKS), 31_536_000_000 <= ms <= NOW_MS


@settings(max_examples=500, deadline=None)
@given(spelled() | dated())
def test_the_meaning_is_what_an_independent_reading_says(made):
    text, is_set = made

    assert becomes(text) == ("deleted" if is_set else "kept")


@settings(max_examples=300, deadline=None)
@given(st.text() | st.text("0123456789-:TZ. ", max_size=12))
@example("1\x1b")
@example("yes\u200b")
def test_no_text_whatever_deletes_without_saying_yes_or_when(text):
    """What no list of ours has is neither deleted nor kept: it is refused."""
    meant = text.strip().lower()
    says_yes = meant in {"true", "t", "yes", "y", "1"}
    is_like_a_day = sum(char.isdigit() for char in meant) >= 6 and meant[:4].isdigit()

    assert says_yes or is_like_a_day or becomes(text) != "deleted"


def test_a_day_ahead_is_not_yet_there():
    """Mixpanel's clock says what now is."""
    ahead = (NOW + timedelta(milliseconds=1)).isoformat()
    pipeline = pipeline_of({**USERS, "delete_when": "gone"})
    (row,) = pipeline.run({**RECORD, "gone": ahead})

    assert "$set" in decode(row.body)


def test_a_time_is_in_the_mappings_zone():
    just_before = "2026-09-21T16:10:00"  # 14:10 in UTC, three minutes ago

    assert becomes(just_before) == "kept"
    assert becomes(just_before, mapping={**USERS, "timezone": "Europe/Berlin"}) == "deleted"


@pytest.mark.parametrize("value", [[], {}, [1], {"a": 1}])
@pytest.mark.parametrize("condition", ["gone", {"column": "gone", "is": ["x"]}])
def test_a_list_or_an_object_means_nothing(value, condition):
    assert becomes(value, condition) == "invalid_delete_when"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN")])
@pytest.mark.parametrize("condition", ["gone", {"column": "gone", "is": [1]}])
def test_a_number_that_is_none_means_nothing(value, condition):
    """JSON has no such number, but a caller from Python may."""
    pipeline = pipeline_of({**USERS, "delete_when": condition})
    flaw = pipeline.run({**RECORD, "gone": value}).flaw

    assert (flaw.reason, flaw.field) == ("invalid_delete_when", "gone")


def test_a_refusal_names_the_column_and_what_to_write():
    flaw = outcome({**RECORD, "gone": "archived"}, {**USERS, "skip_when": "gone"}).flaw

    assert (flaw.stage, flaw.reason, flaw.field) == ("map", "invalid_skip_when", "gone")
    assert "is: [" in flaw.detail
    assert "archived" not in flaw.detail


@pytest.mark.parametrize(
    ("values", "value", "is_met"),
    [
        (["archived"], "archived", True),
        (["archived"], " Archived ", True),
        (["Archived"], "archived", True),
        (["archived"], "active", False),
        (["archived"], "NULL", False),
        (["archived"], None, False),
        (["archived", "gone"], "gone", True),
        ([3], 3, True),
        ([3], Decimal("3.0"), True),
        ([3], "3", True),
        ([3], True, False),
        ([1.5], Decimal("1.50"), True),
        ([True], True, True),
        ([True], "true", True),
        ([True], "YES", True),
        ([True], 1, True),
        ([True], False, False),
        ([True], "active", False),
        ([False], 0, True),
        ([False], "n", True),
        ([False], None, False),
        (["true"], True, True),
        (["1"], 1, True),
    ],
)
def test_a_value_on_the_list(values, value, is_met):
    condition = {"column": "gone", "is": values}

    assert becomes(value, condition) == ("deleted" if is_met else "kept")


def test_null_on_the_list_is_what_is_not_there():
    current = {**USERS, "only_when": {"column": "gone", "is": [None]}}

    assert len(outcome({**RECORD, "gone": None}, current)) == 1
    assert len(outcome({"id": "u", "a": 1}, current)) == 1
    assert outcome({**RECORD, "gone": "2026-09-01"}, current) == []


def test_a_deletion_bypasses_aliases():
    """Else Mixpanel would delete the profile that the id is an alias of."""
    record = {**RECORD, "gone": True}
    (row,) = outcome(record, {**USERS, "delete_when": "gone"})
    (plain,) = outcome(record, {**USERS, "delete_when": "gone", "ignore_alias": False})
    (every,) = outcome(record, {"type": "users", "distinct_id": "id", "operation": "delete"})

    assert decode(row.body) == {"$distinct_id": "u", "$ignore_alias": True, "$delete": None}
    assert decode(plain.body) == {"$distinct_id": "u", "$delete": None}
    assert decode(every.body) == decode(row.body)


# Filters


@pytest.mark.parametrize("mapping", OF_EVERY_TYPE, ids=lambda mapping: mapping["type"])
def test_records_of_every_type_are_filtered(mapping):
    gone, there = {**RECORD, "gone": "2026-09-01"}, RECORD
    skipping, only = {**mapping, "skip_when": "gone"}, {**mapping, "only_when": "gone"}

    assert outcome(gone, skipping) == []
    assert len(outcome(there, skipping)) == 1
    assert len(outcome(gone, only)) == 1
    assert outcome(there, only) == []


def test_both_may_stand_in_one_mapping():
    mapping = {**USERS, "skip_when": "gone", "only_when": {"column": "a", "is": ["paid"]}}

    assert len(outcome({**RECORD, "a": "paid"}, mapping)) == 1
    assert outcome({**RECORD, "a": "paid", "gone": True}, mapping) == []
    assert outcome({**RECORD, "a": "open"}, mapping) == []


def test_a_condition_takes_no_property_away():
    mapping = {**USERS, "properties": "*", "only_when": {"column": "a", "is": ["paid"]}}
    (row,) = outcome({**RECORD, "a": "paid"}, mapping)

    assert decode(row.body)["$set"]["a"] == "paid"


@pytest.mark.parametrize(
    "flaw",
    [
        pytest.param({"id": None}, id="breaks-the-schema"),
        pytest.param({"id": " "}, id="no-user"),
        pytest.param({"at": "soon"}, id="no-time"),
        pytest.param({"a": {"b": "\ud800"}}, id="half-a-character"),
    ],
)
def test_what_is_filtered_is_filtered_whatever_else_is_wrong(flaw):
    columns = {**open_columns("a", "at", "gone"), "id": {"type": "string"}}
    record = {**RECORD, "gone": True, **flaw}

    assert outcome(record, {**EVENTS, "skip_when": "gone"}, columns=columns) == []


def test_a_deleted_row_of_a_log_has_its_key_alone():
    """So there is neither a time nor a user, and no event can be made of it."""
    record = {"id": 1, "_sdc_deleted_at": "2026-09-01T10:00:00Z"}
    mapping = {**EVENTS, "distinct_id": "user", "skip_when": "_sdc_deleted_at"}
    columns = open_columns("id", "user", "at", "a")

    assert outcome(record, mapping, columns=columns) == []


def test_a_filtered_record_may_lack_its_key():
    assert outcome({"gone": True}, {**USERS, "skip_when": "gone"}) == []


@pytest.mark.parametrize(
    "flaw", [{"id": None}, {"id": ""}, {"a": {"x": 1}}, {"gone": "maybe"}, {"missing": 1}]
)
@pytest.mark.parametrize("at", ["2020-01-01", "1969-12-31", "2026-09-10"])
def test_the_window_is_asked_before_anything_else(flaw, at):
    columns = {**open_columns("at", "gone"), "id": {"type": "string"}, "a": {"type": "integer"}}
    since, until = (int(datetime(2026, 9, day, tzinfo=UTC).timestamp() * 1_000) for day in (1, 10))
    record = {key: value for key, value in {**RECORD, "at": at, **flaw}.items() if key != "missing"}

    got = outcome(
        record,
        {**EVENTS, "distinct_id": {"column": "id"}, "skip_when": "gone"},
        columns=columns,
        window=TimeWindow(since, until),
        schema={"additionalProperties": False},
    )

    assert got == []


def test_a_time_that_is_none_is_refused_in_a_window_too():
    window = TimeWindow(NOW_MS - 1, None)

    assert outcome({**RECORD, "at": "soon"}, EVENTS, window=window).flaw.reason == "invalid_time"
    assert outcome({**RECORD, "at": None}, EVENTS, window=window).flaw.reason == "missing_time"


def test_each_mapping_has_its_own_condition():
    """A record that one of them skips still goes to the others."""
    mappings = [
        {**EVENTS, "skip_when": "gone"},
        {**USERS, "delete_when": "gone"},
        {**GROUPS, "only_when": "gone"},
        TABLE,
    ]

    assert [row.destination for row in outcome(RECORD, *mappings)] == [0, 1, 3]
    deleted = {"id": "u", "a": 1, "gone": "2026-09-01"}
    assert [row.destination for row in outcome(deleted, *mappings)] == [1, 2, 3]


def test_a_filtered_record_is_no_less_refused_for_the_others():
    mappings = [{**EVENTS, "skip_when": "gone"}, USERS]

    assert outcome({**RECORD, "gone": True, "id": " "}, *mappings).flaw.field == "id"


def test_members_join_and_leave():
    member = {**USERS, "properties": {"company": "a"}}
    mappings = [
        {**member, "operation": "union", "skip_when": "gone"},
        {**member, "operation": "remove", "only_when": "gone"},
    ]

    (joined,), (left,) = (
        outcome({**RECORD, "gone": when}, *mappings) for when in (None, "2026-09-01")
    )
    assert decode(joined.body)["$union"] == {"company": [1]}
    assert decode(left.body)["$remove"] == {"company": 1}


# Columns of the taps' own books


@pytest.mark.parametrize("schema", [None, {"additionalProperties": False}])
@pytest.mark.parametrize("is_schema_enforced", [True, False])
@pytest.mark.parametrize("properties", ["*", ["a", "_sdc_seen"]])
def test_a_taps_own_column_need_not_be_declared(schema, is_schema_enforced, properties):
    """Log-based taps declare it late, or never."""
    pipeline = pipeline_of(
        {**USERS, "properties": properties, "delete_when": "_sdc_deleted_at"},
        columns=open_columns("id", "a"),
        schema=schema,
        is_schema_enforced=is_schema_enforced,
    )
    line = b'{"type": "RECORD", "stream": "rows", "record": %b}'

    assert pipeline.has_fast_path
    for record, operation in (
        ({"id": "u", "a": 1}, "$set"),
        ({"id": "u", "a": 1, "_sdc_deleted_at": None}, "$set"),
        ({"id": "u", "_sdc_deleted_at": "2026-09-01T10:00:00Z"}, "$delete"),
    ):
        (row,) = pipeline.run(record)
        assert operation in decode(row.body)
        assert pipeline.run_line(line % msgspec.json.encode(record)) == [row]


def test_any_other_column_must_be_declared():
    with pytest.raises(StreamSchemaError, match='only_when: "is_curent" is not in'):
        pipeline_of({**USERS, "only_when": "is_curent"})
    with pytest.raises(StreamSchemaError, match='skip_when: "is_curent" is not in'):
        pipeline_of({**USERS, "skip_when": {"column": "is_curent", "is": [True]}})


def test_a_condition_may_look_into_an_object():
    row = {"type": "object", "properties": {"gone": WHEN}}
    columns = open_columns("id", "a") | {"row": row}
    mapping = {**USERS, "skip_when": "row.gone"}

    got = [
        outcome({"id": "u", "a": 1, "row": row}, mapping, columns=columns)
        for row in ({"gone": "2026-09-01"}, {"gone": None}, {})
    ]

    assert [len(rows) for rows in got] == [0, 1, 1]


# As an operator writes it


@pytest.mark.parametrize("operation", ["add", "append", "union", "remove", "unset"])
def test_only_what_writes_a_whole_profile_may_delete_it(operation):
    mapping = {**USERS, "operation": operation, "delete_when": "left_at"}

    with pytest.raises(SettingsError, match=rf"delete_when: .*{operation}.*only_when"):
        written(mapping)


@pytest.mark.parametrize("operation", ["set", "set_once", "delete"])
def test_what_writes_a_whole_profile_may_delete_it(operation):
    properties = None if operation == "delete" else ["a"]

    assert written(
        {**USERS, "operation": operation, "properties": properties, "delete_when": "left_at"}
    ).delete_when


@pytest.mark.parametrize(
    ("key", "mapping"),
    [
        ("delete_when", USERS),
        ("delete_when", GROUPS),
        *product(("skip_when", "only_when"), OF_EVERY_TYPE),
    ],
)
@pytest.mark.parametrize(
    ("condition", "complaint"),
    [
        ({"value": True}, "expected a column name"),
        ({"column": "gone", "default": 1}, "expected a column name"),
        ({"column": "gone", "hash": True}, "expected a column name"),
        ({"is": ["x"]}, "expected a column name"),
        ({"column": "gone", "in": ["x"]}, "in: is not known"),
        ({"column": "gone", "is": []}, "is: is empty"),
        ({"column": "gone", "is": "x"}, "is: expected a list"),
        ({"column": "gone", "is": [["x"]]}, "is: expected texts, numbers, true or false"),
        (5, "expected a column name"),
    ],
)
def test_a_condition_that_is_none_is_named(key, mapping, condition, complaint):
    with pytest.raises(SettingsError) as error:
        written({**mapping, key: condition})

    assert f"streams.rows.{key}" in str(error.value)
    assert complaint in str(error.value)


def test_nothing_is_deleted_because_it_says_nothing():
    with pytest.raises(SettingsError, match=r"delete_when\.is: holds null"):
        written({**USERS, "delete_when": {"column": "gone", "is": [None]}})


def test_aliases_matter_to_deletions_alone():
    with pytest.raises(SettingsError, match="ignore_alias: means nothing without"):
        written({**USERS, "ignore_alias": False})
    with pytest.raises(SettingsError, match="ignore_alias: expected true or false"):
        written({**USERS, "delete_when": "gone", "ignore_alias": "no"})
