"""What stream maps and flattening make of a record arrives as what it is."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from singer_sdk.helpers._flattening import FlatteningOptions, flatten_record, flatten_schema

from target_mixpanel.sandbox import Sandbox
from target_mixpanel.singer.expressions import definitions_of
from target_mixpanel.singer.flattening import Flattening
from tests.conftest import ORDERS_MAPPING, ORDERS_SCHEMA, Command, order, state

CANARY = "canary-7f3a"


def properties(sandbox: Sandbox):
    (event,) = sandbox.report()
    return event["properties"]


class TestWhatAnExpressionMakes:
    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            pytest.param("id + 0.5", 7.5, id="number-where-the-sdk-says-text"),
            pytest.param("[id, 'a']", [7, "a"], id="list"),
            pytest.param("{'a': id}", {"a": 7}, id="object"),
            pytest.param("id > 5", True, id="boolean"),
            pytest.param("None", None, id="nothing"),
            pytest.param(
                "datetime.datetime.fromtimestamp(1790856000, datetime.timezone.utc)",
                "2026-10-01T12:00:00",
                id="datetime",
            ),
            pytest.param(
                "(datetime.datetime.fromisoformat(created_at) + datetime.timedelta(hours=1))",
                "2026-10-01T01:00:07",
                id="datetime-that-the-sdk-does-not-see",
            ),
            pytest.param("datetime.date(2026, 10, 1)", "2026-10-01", id="date"),
            pytest.param("datetime.time(12, 30)", "12:30:00", id="time"),
            pytest.param("'20261001'", "20261001", id="text-that-looks-like-a-day"),
        ],
    )
    @pytest.mark.parametrize("name", ["note", "amount", "new"])
    def test_it_is_what_arrives(
        self, command: Command, sandbox: Sandbox, name, expression, expected
    ):
        """In a column that is a text by its schema, in one that is a number, and in a new one."""
        done = command.run(
            ORDERS_SCHEMA, order(7), state(7), stream_maps={"orders": {name: expression}}
        )

        assert (done.code, done.states) == (0, [state(7)["value"]]), done.stderr
        assert properties(sandbox).get(name) == expected

    def test_it_may_be_the_time_and_the_id(self, command: Command, sandbox: Sandbox):
        made = "datetime.datetime.fromtimestamp(1790856000 + id, datetime.timezone.utc)"
        done = command.run(
            ORDERS_SCHEMA,
            order(7),
            streams={"orders": ORDERS_MAPPING | {"time": "at", "distinct_id": "who"}},
            stream_maps={"orders": {"at": made, "who": "id * 2"}},
        )

        assert done.code == 0
        assert properties(sandbox)["time"] == 1_790_856_007_000
        assert properties(sandbox)["distinct_id"] == "14"

    def test_a_column_under_a_new_name_keeps_its_type(self, command: Command, sandbox: Sandbox):
        done = command.run(
            ORDERS_SCHEMA,
            order(7, created_at="2026-10-01T12:00:00.25+02:00"),
            stream_maps={"orders": {"paid": "created_at"}},
        )
        refused = command.run(
            ORDERS_SCHEMA, order(8, amount="x"), stream_maps={"orders": {"sum": "amount"}}
        )

        assert done.code == 0
        assert properties(sandbox)["paid"] == "2026-10-01T10:00:00"
        assert '"sum"' in refused.errors[0] or '"amount"' in refused.errors[0]

    def test_an_alias_has_expressions_of_its_own(self, command: Command, sandbox: Sandbox):
        done = command.run(
            ORDERS_SCHEMA,
            order(7),
            streams={"orders": ORDERS_MAPPING, "copies": ORDERS_MAPPING | {"event": "Copied"}},
            stream_maps={
                "copies": {"__source__": "orders", "note": "id"},
                "orders": {"note": "'text'"},
            },
        )

        assert done.code == 0
        assert {event["event"]: event["properties"]["note"] for event in sandbox.report()} == {
            "Order Placed": "text",
            "Copied": 7,
        }


class TestAnExpressionThatFails:
    @pytest.mark.parametrize(
        ("expression", "words"),
        [
            pytest.param("nope(1)", "calls nope, which is no function there", id="function"),
            pytest.param("nope + 1", 'names "nope", which the record does not have', id="name"),
            pytest.param(
                "note.nope", 'asks for "nope", which a value does not have', id="attribute"
            ),
            pytest.param("note + 1", "meets a value of a type that it cannot take", id="type"),
            pytest.param("int(note)", "meets a value that it cannot take", id="value"),
            pytest.param("_['nope']", "asks a value for a part that it does not have", id="key"),
            pytest.param("1 / 0", "divides by zero", id="zero"),
            pytest.param("(lambda: 1)()", "uses what expressions may not", id="lambda"),
        ],
    )
    @pytest.mark.parametrize("name", ["km", "__filter__"])
    def test_its_property_and_what_is_wrong_are_named(
        self, command: Command, name, expression, words
    ):
        done = command.run(
            ORDERS_SCHEMA, order(7, note=CANARY), stream_maps={"orders": {name: expression}}
        )

        assert done.errors[0].startswith(f'orders: a record was rejected: "{name}" is made by ')
        assert words in done.errors[0]
        assert f"rejected: stream_map_failed ({name}) x 1" in done.stderr
        assert CANARY not in done.stderr

    def test_so_does_the_dead_letter(self, command: Command, tmp_path):
        done = command.run(
            ORDERS_SCHEMA,
            order(7),
            state(7),
            dead_letter_path=str(tmp_path / "rejected"),
            stream_maps={"orders": {"km": "nope(1)"}},
        )
        (letters,) = (tmp_path / "rejected").iterdir()
        rejection = json.loads(letters.read_text().splitlines()[1])["rejection"]

        assert (done.code, done.states) == (0, [state(7)["value"]])
        assert rejection["field"] == "km"
        assert "nope" in rejection["detail"]


NESTED = {
    "tags": {"type": ["null", "array"], "items": {"type": "string"}},
    "meta": {
        "type": ["null", "object"],
        "properties": {
            "n": {"type": ["null", "number"]},
            "list": {"type": "array", "items": {"type": "integer"}},
            "either": {"anyOf": [{"type": "string"}, {"type": "number"}]},
            "deep": {"type": "object", "properties": {"x": {"type": "integer"}}},
        },
    },
}
FLAT = {"flattening_enabled": True, "flattening_max_depth": 1}


def nested(schema=None):
    columns = {**ORDERS_SCHEMA["schema"]["properties"], **NESTED}
    return ORDERS_SCHEMA | {"schema": {"properties": columns, **(schema or {})}}


class TestFlattening:
    def test_a_list_stays_a_list(self, command: Command, sandbox: Sandbox):
        meta = {"n": 1.5, "list": [1, 2], "either": 3, "deep": {"x": 1}}
        done = command.run(nested(), order(7, tags=["a", "b"], meta=meta), **FLAT)
        arrived = properties(sandbox)

        assert done.code == 0, done.stderr
        assert arrived["tags"] == ["a", "b"]
        assert (arrived["meta__n"], arrived["meta__list"]) == (1.5, [1, 2])
        assert arrived["meta__either"] == 3
        assert json.loads(arrived["meta__deep"]) == {"x": 1}

    def test_a_list_stays_one_for_profiles_and_tables(self, command: Command, sandbox: Sandbox):
        table_id = "5a9db0c5-0000-4000-8000-000000000001"
        done = command.run(
            nested(),
            order(7, tags=["a", "b"]),
            state(7),
            streams={
                "orders": [
                    {
                        "type": "users",
                        "distinct_id": "user_id",
                        "operation": "union",
                        "properties": ["tags"],
                    },
                    {
                        "type": "lookup_table",
                        "lookup_table_id": table_id,
                        "key": "id",
                        "properties": ["tags"],
                    },
                ]
            },
            project_id="1",
            service_account_username="sandbox.mp-service-account",
            service_account_secret="sandbox-secret",
            **FLAT,
        )

        assert (done.code, done.states) == (0, [state(7)["value"]]), done.stderr
        assert next(iter(sandbox.users.values()))["tags"] == ["a", "b"]
        assert sandbox.table_rows(table_id)[0]["tags"] == ["a", "b"]

    def test_an_object_that_is_required_is_not_missed(self, command: Command):
        """It is no column any more."""
        schema = nested({"required": ["id", "meta"]})

        assert command.run(schema, order(7, meta={"n": 1}), **FLAT).code == 0

    def test_an_object_that_is_null_is_null_in_its_columns(
        self, command: Command, sandbox: Sandbox
    ):
        """Or else a profile would keep what it had."""
        mapping = {"type": "users", "distinct_id": "user_id", "properties": "*"}
        meta = {"n": 1.5, "list": [1], "either": 3, "deep": {"x": 1}}
        done = command.run(
            nested(),
            order(7, user_id="ada", meta=meta),
            order(7, user_id="ada", meta=None),
            streams={"orders": mapping},
            **FLAT,
        )
        ada = sandbox.users["ada"]

        assert done.code == 0, done.stderr
        assert {ada[name] for name in ada if name.startswith("meta")} == {None}
        assert "new_columns" not in done.stderr

    def test_two_columns_of_one_name(self, command: Command):
        columns = {**NESTED, "meta__n": {"type": "string"}}
        done = command.run(ORDERS_SCHEMA | {"schema": {"properties": columns}}, **FLAT)

        assert '"meta__n"; set another flattening_separator' in done.errors[0]

    def test_what_an_expression_makes_is_flattened_and_untyped(
        self, command: Command, sandbox: Sandbox
    ):
        done = command.run(
            nested(),
            order(7, meta={"n": 1}),
            stream_maps={"orders": {"meta": "{'n': 'text', 'list': 3}"}},
            **FLAT,
        )

        assert done.code == 0, done.stderr
        assert properties(sandbox)["meta__n"] == "text"
        assert properties(sandbox)["meta__list"] == 3


NAMES = st.sampled_from(["a", "b", "aLongName", "c__d"])
TYPES = st.sampled_from(["string", "integer", ["null", "number"], "boolean"])
COLUMNS = st.recursive(
    st.builds(lambda kind: {"type": kind}, TYPES),
    lambda inner: st.builds(
        lambda columns, null: {"type": ["object", *null], "properties": columns},
        st.dictionaries(NAMES, inner, min_size=1, max_size=3),
        st.sampled_from([[], ["null"]]),
    ),
    max_leaves=6,
)
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(
    columns=st.dictionaries(NAMES, COLUMNS, max_size=3),
    record=st.dictionaries(NAMES, VALUES, max_size=3),
    depth=st.integers(1, 3),
    key_length=st.sampled_from([6, 255]),
)
def test_what_has_no_list_is_flattened_as_the_sdk_does(columns, record, depth, key_length):
    options = {"max_level": depth, "separator": "__", "max_key_length": key_length}
    schema = {"type": "object", "properties": columns}
    try:
        flattened = flatten_schema(schema, **options)
    except ValueError:
        return  # two columns of one name
    flattening = Flattening(FlatteningOptions(enabled=True, **options), schema, "s")

    assert {name: _as_set(column) for name, column in flattening.schema["properties"].items()} == {
        name: _as_set(column) for name, column in flattened["properties"].items()
    }
    ours, theirs = flattening.record(record), flatten_record(record, flattened, **options)
    assert _said(ours) == _said(theirs)


def _said(record):
    """Return what is not null: of an object that is, the SDK makes a column of its own."""
    return {name: value for name, value in record.items() if value is not None}


def _as_set(column):
    """Return the types but null: the columns of an object that may be null may be so, too."""
    kinds = column["type"]
    return {kinds} - {"null"} if isinstance(kinds, str) else {*kinds} - {"null"}


@pytest.mark.parametrize(
    ("stream_maps", "expected"),
    [
        ({}, [{}]),
        ({"orders": {"a": "1"}}, [{"a": "1"}]),
        ({"ord*": {"a": "1"}, "other": {"b": "2"}}, [{"a": "1"}]),
        (
            {"x": {"__source__": "orders", "a": "1"}, "orders": None},
            [{}, {"__source__": "orders", "a": "1"}],
        ),
    ],
)
def test_which_definition_is_whose(stream_maps, expected):
    assert definitions_of("orders", stream_maps) == expected
