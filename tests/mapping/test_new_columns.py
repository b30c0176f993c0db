"""Columns that only records have are taken where the mapping asks for all, and named once."""

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from target_mixpanel.errors import StreamSchemaError, TargetMixpanelError
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.pipeline.learning import Learner
from target_mixpanel.pipeline.pipeline import StreamPipeline, Unloadable
from target_mixpanel.singer.messages import decode_message
from tests.mapping.drawn import JSON
from tests.mapping.making import NOW_MS, ORDER, ORDERS, decode, encode, written
from tests.mapping.test_fast_path import Told, check, line_of

ALL = {"event": "Order Placed", "time": "created_at", "distinct_id": "user", "properties": "*"}
USERS = {"type": "users", "distinct_id": "id", "properties": "*"}
GROUPS = {"type": "groups", "group_key": "company", "group_id": "id", "properties": "*"}
TABLE = {"type": "lookup_table", "lookup_table_id": "t", "key": "id", "properties": "*"}


class Loading:
    """A stream's pipeline, and what it says of new columns."""

    def __init__(self, *mappings, columns=None, key=("id",), schema=None, **more):
        own = {"type": "object", "properties": ORDERS if columns is None else columns}
        stream_schema = StreamSchema("orders", own | (schema or {}), key, **more)
        self.said = []
        self.pipeline = StreamPipeline(
            [written(mapping, "orders") for mapping in mappings or [ALL]],
            stream_schema,
            now_ms=lambda: NOW_MS,
            on_new_columns=self.said.extend,
            on_left_out=(told := Told()),
        )
        self.pipeline.told = told

    @property
    def taken(self):
        return [each.name for each in self.said if each.left_out is None]

    @property
    def left_out(self):
        return {each.name: each.left_out for each in self.said if each.left_out is not None}

    def outcome(self, record):
        return self.pipeline.run(decode_message(line_of(record)).record)

    def properties(self, record):
        (row,) = self.outcome(record)
        content = decode(row.body)
        own = {"time", "$insert_id", "distinct_id", "ip"}
        found = content.get("properties") or content["$set"]
        return {name: value for name, value in found.items() if name not in own}


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        pytest.param(ALL, {"id": 7, "amount": 9.5, "coupon": "X5"}, id="events"),
        pytest.param(
            {**ALL, "new_columns": "ignore"}, {"id": 7, "amount": 9.5}, id="events-ignored"
        ),
        pytest.param(
            {**ALL, "exclude": ["amount", "co*"]}, {"id": 7}, id="events-without-the-excluded"
        ),
        pytest.param(
            {**ALL, "properties": {"*": "*", "Code": {"column": "coupon", "default": "-"}}},
            {"id": 7, "amount": 9.5, "Code": "X5"},
            id="a-name-of-its-own-wins",
        ),
        pytest.param(
            {**USERS, "exclude": ["amount", "user", "*_at"]}, {"coupon": "X5"}, id="users"
        ),
        pytest.param(
            {**GROUPS, "exclude": ["amount", "user", "*_at"]}, {"coupon": "X5"}, id="groups"
        ),
    ],
)
def test_a_column_that_only_the_record_has(mapping, expected):
    schema = {"additionalProperties": True}  # else such a mapping of profiles takes nothing

    assert expected == Loading(mapping, schema=schema).properties({**ORDER, "coupon": "X5"})


def test_new_columns_may_be_of_any_kind():
    new = {"number": 5, "list": ["a", 1], "object": {"a": {"b": None}}, "flag": False, "none": None}
    found = Loading().properties({**ORDER, **new})

    assert found == {"id": 7, "amount": 9.5} | {k: new[k] for k in new if k != "none"}


def test_new_columns_are_said_once():
    loading = Loading()
    for _ in range(3):
        loading.outcome({**ORDER, "coupon": 1, "_sdc_batched_at": 1, "$os": "x", "": 0})

    assert loading.taken == ["coupon"]
    assert loading.left_out == {
        "_sdc_batched_at": "are the taps' own; add_record_metadata takes them",
        "$os": "mean something to Mixpanel; name what you need under properties",
        "": "have no name",
    }


def test_ignored_ones_are_said_once_as_well():
    loading = Loading({**ALL, "new_columns": "ignore"})
    assert loading.properties({**ORDER, "coupon": 1}) == {"id": 7, "amount": 9.5}
    assert loading.pipeline.run_line(line_of({**ORDER, "coupon": 1})) is not None
    assert loading.left_out == {"coupon": "are not in the SCHEMA, and new_columns is ignore"}


@pytest.mark.parametrize("mapping", [ALL, USERS, GROUPS, TABLE])
def test_records_with_new_columns_may_be_refused(mapping):
    loading = Loading({**mapping, "new_columns": "fail"})
    refused = loading.outcome({**ORDER, "coupon": "X5"})

    assert isinstance(refused, Unloadable)
    assert (refused.flaw.reason, refused.flaw.field) == ("new_column", "coupon")
    assert "X5" not in str(refused)
    assert loading.pipeline.run_line(line_of({**ORDER, "coupon": "X5"})) is None
    assert isinstance(loading.outcome({**ORDER, "coupon": "X5"}), Unloadable)
    assert not isinstance(loading.outcome({**ORDER, "_sdc_x": 1}), Unloadable)


def test_a_lookup_table_names_the_columns_that_it_cannot_take():
    """Its header is written before its first row."""
    loading = Loading(TABLE)
    for _ in range(2):
        (row,) = loading.outcome({**ORDER, "coupon": "X5"})

    assert row.body == b"7,2026-09-01T10:00:00Z,9.5,u-1\r\n"
    assert list(loading.left_out) == ["coupon"]
    assert [each.is_lost for each in loading.said] == [True]


def test_a_closed_schema_still_refuses_what_it_does_not_name():
    refused = Loading(schema={"additionalProperties": False}).outcome({**ORDER, "coupon": 1})

    assert (refused.flaw.reason, refused.flaw.field) == ("schema_additionalProperties", "coupon")


def test_names_that_mixpanel_would_cut_are_left_out():
    loading = Loading()

    assert loading.properties({**ORDER, "x" * 256: 1}) == {"id": 7, "amount": 9.5}
    assert [each.is_lost for each in loading.said] == [True]


@pytest.mark.parametrize(("number", "is_taken"), [(248, True), (249, False)])
def test_an_event_has_no_more_properties_than_mixpanel_takes(number, is_taken):
    new = {f"c{index}": index for index in range(number)}
    outcome = Loading().outcome({**ORDER, **new})

    assert is_taken is not isinstance(outcome, Unloadable)
    if not is_taken:
        assert outcome.flaw.reason == "too_many_properties"


def test_many_new_columns_each_in_few_records_are_all_taken():
    loading = Loading()
    for index in range(600):
        line = line_of({**ORDER, f"c{index}": index})
        assert loading.pipeline.run_line(line) is None
        assert loading.properties({**ORDER, f"c{index}": index})[f"c{index}"] == index


# The fast way


@pytest.mark.parametrize(
    "mapping",
    [
        pytest.param(ALL, id="events"),
        pytest.param({**ALL, "new_columns": "ignore"}, id="ignored"),
        pytest.param({**ALL, "exclude": ["co*"]}, id="excluded"),
        pytest.param({**ALL, "properties": {"n_*": "c*", "id": "id"}}, id="renamed"),
        pytest.param(USERS, id="users"),
        pytest.param(GROUPS, id="groups"),
        pytest.param(TABLE, id="lookup-table"),
    ],
)
def test_the_fast_way_learns_new_columns(mapping):
    loading = Loading(mapping)
    line = line_of({**ORDER, "coupon": "X5", "_sdc_x": 1, "$os": "a"})

    assert loading.pipeline.run_line(line) is None
    loading.pipeline.run(decode_message(line).record)
    assert check(loading.pipeline, line) is not None
    assert check(loading.pipeline, line_of(ORDER)) is not None
    assert loading.pipeline.run_line(line_of({**ORDER, "gift": 1})) is None


def test_a_column_that_comes_later_is_learnt_when_it_is_worth_it():
    loading = Loading()
    seen = []
    for index in range(16):
        line = line_of({**ORDER, f"c{index // 4}": 1})
        seen.append(loading.pipeline.run_line(line) is not None)
        loading.pipeline.run(decode_message(line).record)

    assert seen.count(True) >= 8


def test_what_nobody_asks_for_is_not_looked_at():
    """A mapping that names its columns goes on as fast, whatever else there is."""
    loading = Loading({**ALL, "properties": ["amount"]})

    assert check(loading.pipeline, line_of({**ORDER, "coupon": 1})) is not None
    assert loading.said == []


def test_no_more_is_learnt_than_an_event_has():
    readers = [Loading().pipeline._mappings[0].plan.new_columns]
    learner = Learner(readers)
    for index in range(2_000):
        learner.learn({f"c{index % 1_000}": 1})

    assert len(learner.learned) == 250


SOME = st.sampled_from(["coupon", "x_a", "x_b", "a", "b", "$os", "_sdc_x", "mp_lib", "token", ""])
VALUES = st.sampled_from([None, 1, "t", False, ["x"], {"k": 1}, 2**60, 0.5]) | JSON
PAYLOADS = st.dictionaries(SOME, VALUES, max_size=3) | st.sampled_from([None, 5, [1]])
RECORDS = st.lists(
    st.tuples(st.dictionaries(SOME | st.just("pay.a"), VALUES, max_size=4), PAYLOADS),
    min_size=1,
    max_size=6,
)
PROPERTIES = st.sampled_from(
    [
        "*",
        {"*": "*", "$*": "x_*"},
        {"x_*": "*", "*": "x_*"},
        {"*": "*", "p_*": "pay.*"},
        {"*": "pay.*", "q_*": "x_*"},
        {"*": "pay.*", "coupon": "coupon", "x_*": "pay.x_*"},
        {"*_id": "*", "a": {"column": "a", "default": "none"}},
        {"*": {"column": "*", "hash": True}},
    ]
)
PAY = st.sampled_from(
    [
        {},
        {"type": ["null", "object"]},
        {"type": "object", "properties": {"a": {"type": ["null", "integer"]}}},
        {"type": ["object", "null"], "properties": {"a": {}, "b": {}}},
        {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
        {"anyOf": [{"type": "object", "properties": {"a": {}}}, {"type": "null"}]},
    ]
)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    records=RECORDS,
    properties=PROPERTIES,
    pay=PAY,
    mappings=st.lists(st.sampled_from([ALL, USERS, GROUPS, TABLE]), min_size=1, max_size=2),
    more=st.sampled_from([{}, {"new_columns": "ignore"}, {"new_columns": "fail"}]),
    exclude=st.sampled_from([[], ["b"], ["*a", "pay.x_?"]]),
    is_schema_enforced=st.booleans(),
)
def test_both_ways_give_the_same_rows_whatever_columns_come(
    records, properties, pay, mappings, more, exclude, is_schema_enforced
):
    """What the fast way has learnt, the careful way takes as it comes."""
    try:
        loading = Loading(
            *(
                {**mapping, "properties": properties, "exclude": exclude} | more
                for mapping in mappings
            ),
            columns={**ORDERS, "b": {"type": ["null", "string"]}, "pay": pay},
            is_schema_enforced=is_schema_enforced,
            hash_key=b"k",
        )
    except TargetMixpanelError:
        event("no pipeline")
        return
    for new, payload in records * 2:
        line = line_of({**ORDER, **new, "pay": payload})
        rows = check(loading.pipeline, line)
        event("left" if rows is None else "fast")
        if rows is None:
            loading.pipeline.run(decode_message(line).record)


# Schemas that are open


@pytest.mark.parametrize(
    ("schema", "columns"),
    [
        pytest.param({}, {}, id="no-columns"),
        pytest.param({"additionalProperties": True}, {"scores": {}}, id="says-so"),
        pytest.param({"additionalProperties": {}}, {"scores": {}}, id="says-so-otherwise"),
        pytest.param({"patternProperties": {"^s": {}}}, {"scores": {}}, id="by-a-pattern"),
        pytest.param({}, {"scores": {}}, id="lacks-its-own-key"),
    ],
)
def test_an_open_schema_lets_mappings_name_what_it_does_not(schema, columns):
    mapping = {**ALL, "properties": ["scores", "name"]}
    loading = Loading(mapping, columns=columns, schema=schema, key=("id",))
    record = {**ORDER, "scores": [1], "name": "Ada"}

    assert loading.properties(record) == {"scores": [1], "name": "Ada"}
    assert {"created_at", "user", "name"} <= {*loading.pipeline.undeclared.from_records}
    assert loading.pipeline.undeclared.is_expected is (not columns)
    has_types_alone = "patternProperties" not in schema
    assert (check(loading.pipeline, line_of(record)) is not None) is has_types_alone


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        pytest.param(ORDERS, ("id",), id="an-ordinary-one"),
        pytest.param(ORDERS, (), id="without-a-key"),
    ],
)
def test_a_slip_of_the_pen_is_one_in_all_other_schemas(columns, key):
    with pytest.raises(StreamSchemaError, match='"created" is not in the stream\'s schema; it has'):
        Loading({**ALL, "time": "created"}, columns=columns, key=key)


def test_a_stream_without_columns_loads_whole():
    loading = Loading(ALL, columns={}, key=("id",))
    line = line_of({**ORDER, "coupon": "X5"})

    assert loading.properties({**ORDER, "coupon": "X5"}) == {"id": 7, "amount": 9.5, "coupon": "X5"}
    assert check(loading.pipeline, line) is not None


@pytest.mark.parametrize("mapping", [USERS, GROUPS])
def test_profiles_of_a_stream_without_columns(mapping):
    assert Loading(mapping, columns={}).properties({"id": 7, "name": "Ada"}) == {"name": "Ada"}


def test_a_lookup_table_of_a_stream_without_columns_names_them():
    with pytest.raises(StreamSchemaError, match="takes no column of this stream beside the key"):
        Loading(TABLE, columns={})
    table = Loading({**TABLE, "properties": ["name"]}, columns={})

    assert [row.body for row in table.outcome({"id": 7, "name": "Ada"})] == [b"7,Ada\r\n"]


@pytest.mark.parametrize(
    "kinds",
    [
        ["array", "boolean", "integer", "null", "number", "object", "string"],
        ["object", "string"],
        ["null", "array", "object"],
    ],
)
@pytest.mark.parametrize("value", [5, "t", True, ["a", {"b": 1}], {"a": 1}, None])
def test_all_takes_columns_of_several_types_whatever_they_hold(kinds, value):
    columns = {**ORDERS, "any": {"type": kinds}}
    found = Loading(columns=columns, is_schema_enforced=False).properties({**ORDER, "any": value})

    assert found.get("any") == value


# Defaults


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        pytest.param(
            {"properties": {"Plan": {"column": "plan", "default": "free"}}},
            {"Plan": "free"},
            id="property",
        ),
        pytest.param(
            {"properties": {"Plan": {"column": "user.plan", "default": 0}}}, {"Plan": 0}, id="path"
        ),
        pytest.param(
            {"properties": [], "distinct_id": {"column": "who", "default": "ada"}}, {}, id="who"
        ),
        pytest.param(
            {"properties": [], "time": {"column": "at", "default": "2026-09-01"}}, {}, id="when"
        ),
        pytest.param(
            {"properties": [], "event": None, "event_from": {"column": "e", "default": "E"}},
            {},
            id="event",
        ),
        pytest.param(
            {"properties": [], "insert_id": ["id", {"column": "line", "default": 1}]}, {}, id="id"
        ),
    ],
)
def test_a_column_that_the_schema_lacks_takes_its_default(mapping, expected):
    loading = Loading({**ALL, **mapping})

    assert expected == loading.properties(ORDER)
    assert check(loading.pipeline, line_of(ORDER)) is not None
    assert len(loading.pipeline.undeclared.defaults) == 1


def test_a_column_that_comes_after_all_is_taken_instead_of_its_default():
    loading = Loading({**ALL, "properties": {"Plan": {"column": "plan", "default": "free"}}})

    assert loading.properties({**ORDER, "plan": "pro"}) == {"Plan": "pro"}
    assert check(loading.pipeline, line_of({**ORDER, "plan": "pro"})) is not None


@pytest.mark.parametrize("mapping", [USERS, GROUPS, TABLE])
def test_defaults_of_other_types(mapping):
    properties = {"Plan": {"column": "plan", "default": "free"}}
    (row,) = Loading({**mapping, "properties": properties}).outcome(ORDER)

    assert b"free" in row.body


def test_a_default_does_not_lead_into_lists():
    columns = {**ORDERS, "lines": {"type": "array"}}
    mapping = {**ALL, "properties": {"First": {"column": "lines.0.sku", "default": "-"}}}
    with pytest.raises(StreamSchemaError, match="paths do not lead into lists"):
        Loading(mapping, columns=columns)


# Rows that Mixpanel is to ignore


@pytest.mark.parametrize(
    ("flag", "is_sent"),
    [(True, False), ("bot", False), (1, False), (False, True), ("", True), (0, True), (None, True)],
)
def test_a_row_that_mixpanel_would_ignore_is_not_sent(flag, is_sent):
    """Mixpanel counts it as imported, and drops it."""
    loading = Loading(
        {**ALL, "properties": {"$ignore": "is_bot", "id": "id"}}, columns={**ORDERS, "is_bot": {}}
    )
    record = {**ORDER, "is_bot": flag}

    assert len(loading.outcome(record)) == is_sent
    assert len(check(loading.pipeline, line_of(record))) == is_sent


def test_encoding_is_as_the_readers():
    assert encode(ORDER["amount"]) == b"9.50"


@pytest.mark.parametrize("names", [("a_1", "a_2"), ()])
def test_a_pattern_casts_whatever_it_takes(names):
    """Declared or not, the fast way or not, and hashed as well."""
    cast = {"n_*": {"column": "a_*", "as": "number"}, "h_*": {"column": "b_*", "hash": "sha256"}}
    loading = Loading(
        {**ALL, "properties": cast}, columns={**ORDERS, **{name: {} for name in names}}
    )
    record = {**ORDER, "a_1": " 7.5", "a_2": "1e3", "b_1": "x"}
    (hashed,) = {loading.properties(record)["h_1"] for _ in range(3)}

    assert len(hashed) == 64
    assert loading.properties(record) == {"n_1": 7.5, "n_2": 1000, "h_1": hashed}
    assert check(loading.pipeline, line_of(record)) is not None


def test_a_blank_in_a_new_column_may_count_as_null():
    loading = Loading(is_blank_null=True)

    assert loading.properties({**ORDER, "coupon": " "}) == {"id": 7, "amount": 9.5}
    assert check(loading.pipeline, line_of({**ORDER, "coupon": " "})) is not None
    assert loading.properties({**ORDER, "coupon": "X5"}) == {"id": 7, "amount": 9.5, "coupon": "X5"}


def test_large_values_are_told_of_where_a_column_was_learnt():
    """The fast way knows more properties than the schema names."""
    loading = Loading()
    line = line_of({**ORDER, "basket": ["x" * 9_000]})
    for _ in range(3):
        if loading.pipeline.run_line(line) is None:
            loading.pipeline.run(decode_message(line).record)
    (row,) = loading.pipeline.run_line(line)

    assert decode(row.body)["properties"]["basket"] == ["x" * 9_000]
