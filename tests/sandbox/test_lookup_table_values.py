"""A lookup table's values are what Mixpanel documents: typed by how their text looks."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from target_mixpanel.sandbox.table_values import type_name, typed

OVER_HTTP = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("7", 7, id="integer"),
        pytest.param("-7", -7, id="negative"),
        pytest.param("+7", 7, id="plus"),
        pytest.param("007", 7, id="leading-zeros-are-lost"),
        pytest.param("0.25", 0.25, id="float"),
        pytest.param(".5", 0.5, id="no-leading-digit"),
        pytest.param("1e3", 1000.0, id="exponent"),
        pytest.param("12345678901234567890", 12345678901234567890.0, id="longer-than-a-float"),
    ],
)
def test_a_number(text, value):
    assert (typed(text), type_name(typed(text))) == (value, "number")


@pytest.mark.parametrize(
    "text", ["1,5", "1_000", " 1", "1 ", "0x10", "1e999", "NaN", "Infinity", "-", ".", "\u0661"]
)
def test_what_only_resembles_a_number_is_text(text):
    assert (typed(text), type_name(typed(text))) == (text, "string")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2021-08-21T05:36:01Z", datetime(2021, 8, 21, 5, 36, 1, tzinfo=UTC)),
        ("2021-08-21T05:36:01.250Z", datetime(2021, 8, 21, 5, 36, 1, 250_000, tzinfo=UTC)),
    ],
)
def test_a_date(text, value):
    assert (typed(text), type_name(typed(text))) == (value, "datetime")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("2021-08-21T05:36:01", id="no-zone"),
        pytest.param("2021-08-21T05:36:01+02:00", id="another-zone"),
        pytest.param("2021-08-21 05:36:01Z", id="no-T"),
        pytest.param("2021-08-21", id="no-time"),
        pytest.param("2021-02-30T05:36:01Z", id="no-such-day"),
    ],
)
def test_what_only_resembles_a_date_is_text(text):
    assert (typed(text), type_name(typed(text))) == (text, "string")


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("TRUE", True), ("False", False), ("false", False)]
)
def test_a_boolean_is_written_in_any_case(text, value):
    assert typed(text) is value
    assert type_name(value) == "boolean"


@pytest.mark.parametrize("text", ["yes", "t", "true "])
def test_other_words_for_it_are_text(text):
    assert typed(text) == text


def test_nothing_is_undefined():
    assert (typed(""), type_name(None)) == (None, "undefined")


@pytest.mark.parametrize("text", ['["a","b"]', '["a", "b"]', '["é","1"]', "[]"])
def test_a_list_of_strings(text):
    assert (typed(text), type_name(typed(text))) == (json.loads(text), "list")


@pytest.mark.parametrize("text", ["[1,2]", '["a",null]', "[a,b]", '["a"', "[", '{"a":1}', "a,b"])
def test_what_only_resembles_a_list_is_text(text):
    assert (typed(text), type_name(typed(text))) == (text, "string")


@given(
    st.integers(-(10**14), 10**14)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.lists(st.text(), min_size=1)
    | st.datetimes(min_value=datetime(1000, 1, 1))  # noqa: DTZ001 - strategies take naive ones
)
def test_what_is_written_as_documented_comes_back(value):
    match value:
        case list():
            text = json.dumps(value)
        case datetime():
            value = value.replace(tzinfo=UTC)
            text = value.isoformat().replace("+00:00", "Z")
        case _:
            text = str(value)

    assert value == typed(text)


@OVER_HTTP
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n")), max_size=5))
def test_text_survives_quotes_commas_and_line_ends(sandbox, put_table, values):
    rows = [[f"k{i}", f"{value}\r\n{value}"] for i, value in enumerate(values)]
    text = io.StringIO()
    csv.writer(text).writerows([["key", "value"], *rows])

    assert put_table(sandbox, text.getvalue()).status_code == 200
    [table] = sandbox.tables.values()
    assert rows == table.rows


TABLE = 'sku,price,since,sold,tags\nA,1.5,2021-08-21T05:36:01Z,TRUE,"[""x""]"\nB,,,,plain\n'


def test_tests_get_typed_rows(sandbox, put_table):
    put_table(sandbox, TABLE)

    instant = datetime(2021, 8, 21, 5, 36, 1, tzinfo=UTC)
    first = {"sku": "A", "price": 1.5, "since": instant, "sold": True, "tags": ["x"]}
    second = {"sku": "B", "price": None, "since": None, "sold": None, "tags": "plain"}
    assert [first, second] == sandbox.table_rows()
    assert [second] == sandbox.table_rows(next(iter(sandbox.tables)), start=1, limit=1)
    with pytest.raises(KeyError):
        sandbox.table_rows("no-such")


def test_other_processes_get_them_as_json(sandbox, put_table, http):
    put_table(sandbox, TABLE)
    url = f"{sandbox.url}/sandbox/lookup_tables"
    [table] = http.get(url).json()
    one = http.get(f"{url}/{table['id']}", params={"limit": 1}).json()

    assert table == {
        "id": next(iter(sandbox.settings.lookup_tables)),
        "name": "Products",
        "row_count": 2,
        "columns": [
            {"name": "sku", "types": {"string": 2}},
            {"name": "price", "types": {"number": 1, "undefined": 1}},
            {"name": "since", "types": {"datetime": 1, "undefined": 1}},
            {"name": "sold", "types": {"boolean": 1, "undefined": 1}},
            {"name": "tags", "types": {"list": 1, "string": 1}},
        ],
    }
    assert one == {
        **table,
        "rows": [
            {
                "sku": {"type": "string", "value": "A"},
                "price": {"type": "number", "value": 1.5},
                "since": {"type": "datetime", "value": "2021-08-21T05:36:01Z"},
                "sold": {"type": "boolean", "value": True},
                "tags": {"type": "list", "value": ["x"]},
            }
        ],
    }
    [second] = http.get(f"{url}/{table['id']}", params={"start": 1}).json()["rows"]
    assert second["price"] == {"type": "undefined", "value": None}


@pytest.mark.parametrize(
    ("table", "query", "status"),
    [("no-such", {}, 404), (None, {"start": -1}, 400), (None, {"limit": "all"}, 400)],
)
def test_questions_about_tables_that_make_no_sense(sandbox, http, table, query, status):
    table = table or next(iter(sandbox.tables))
    reply = http.get(f"{sandbox.url}/sandbox/lookup_tables/{table}", params=query)

    assert reply.status_code == status
    assert list(reply.json()) == ["error"]
