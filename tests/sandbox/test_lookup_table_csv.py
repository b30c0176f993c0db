"""A lookup table is replaced by a whole valid CSV, or not at all."""

import gzip

import pytest

NOT_VALID = "Some data points in the request failed validation."


@pytest.fixture
def table(sandbox):
    return lambda: sandbox.project.tables.all()[0]


def test_tables_are_listed(sandbox, http, service_account):
    url = f"{sandbox.url}/lookup-tables"
    reply = http.get(url, params={"project_id": "1"}, auth=service_account)

    [(table_id, name)] = sandbox.settings.lookup_tables.items()
    assert reply.json() == {
        "code": 200,
        "status": "OK",
        "results": [{"id": table_id, "name": name}],
    }
    assert http.get(url, auth=("sandbox-token", "")).status_code == 401


def test_a_table_is_replaced_as_a_whole(sandbox, put_table, table):
    put_table(sandbox, "sku,name\n1,old\n2,gone\n")
    reply = put_table(sandbox, 'sku,name\r\n1,"a, ""quoted""\nname"\r\n')

    assert reply.json() == {"code": 200, "status": "OK"}
    assert (table().columns, table().rows) == (["sku", "name"], [["1", 'a, "quoted"\nname']])


@pytest.mark.parametrize(
    "csv",
    [
        pytest.param('k,v\n1,5" pipe\n', id="within"),
        pytest.param('k,v\n1,pipe"\n', id="at-the-end"),
        pytest.param('k,v\n1,"5"" pipe" long\n', id="text-after-a-quoted-value"),
    ],
)
def test_a_quote_encloses_a_value_or_is_doubled(sandbox, put_table, table, csv):
    """RFC 4180, where Python's reader is generous."""
    reply = put_table(sandbox, csv)

    assert reply.status_code == 400
    assert reply.json()["error"] == "invalid CSV: a quote within a value"
    assert table().columns == []


def test_gzip_is_unpacked(sandbox, put_table, table):
    body = gzip.compress(b"sku,name\n1,a\n")
    put_table(sandbox, body, headers={"Content-Encoding": "gzip"})

    assert table().rows == [["1", "a"]]


@pytest.mark.parametrize(
    ("csv", "index", "message"),
    [
        ("k,v\n1,a\n,b\n", 2, "primary key is required and cannot be blank"),
        ("k,v\n1,a\n2\n", 2, "invalid row: wrong number of fields"),
        ("k,v\n1,a,b\n", 1, "invalid row: wrong number of fields"),
        ("k,v\n1,a\n1,b\n", 2, "invalid row: row indexes 1 and 2 have the same primary key"),
        ("k,v\n007,a\n7,b\n", 2, "invalid row: row indexes 1 and 2 have the same primary key"),
        ("k,v\n7.0,a\n7,b\n", 2, "invalid row: row indexes 1 and 2 have the same primary key"),
        ("k,v\nTRUE,a\ntrue,b\n", 2, "invalid row: row indexes 1 and 2 have the same primary key"),
        ("k,k\n1,a\n", 0, "invalid header: column names must be unique"),
        ("k\n1\n", 0, "invalid header: fewer than 2 columns"),
    ],
)
def test_a_bad_row_spoils_the_table(sandbox, put_table, table, csv, index, message):
    put_table(sandbox, "k,v\n9,z\n")
    reply = put_table(sandbox, csv)

    assert reply.status_code == 400
    assert reply.json() == {
        "code": 400,
        "error": NOT_VALID,
        "status": "Bad Request",
        "failed_records": [{"index": index, "message": message}],
    }
    assert table().rows == [["9", "z"]]


def test_keys_of_different_types_are_different(sandbox, put_table, table):
    """Of integers each digit counts."""
    keys = ["1", "true", "a", "1.10.0", "12345678901234567890", "12345678901234567891", "[1]"]
    put_table(sandbox, "k,v\n" + "".join(f"{key},x\n" for key in keys))

    assert [row[0] for row in table().rows] == keys


def test_ten_bad_rows_are_named(sandbox, put_table):
    reply = put_table(sandbox, "k,v\n" + ",a\n" * 12)

    assert list(range(1, 11)) == [failed["index"] for failed in reply.json()["failed_records"]]


@pytest.mark.parametrize("csv", [b"", b"k,v\n\xff,a\n", b'k,v\n"1,a\n'])
def test_what_is_no_csv_is_refused(sandbox, put_table, csv):
    assert put_table(sandbox, csv).status_code == 400


def test_another_content_type_is_refused(sandbox, put_table):
    reply = put_table(sandbox, "k,v\n", headers={"Content-Type": "application/json"})

    assert reply.status_code == 400


def test_only_tables_that_exist_can_be_replaced(sandbox, put_table):
    reply = put_table(sandbox, "k,v\n", table="no-such")

    assert reply.status_code == 404
    assert reply.json()["error"] == "Lookup table with id 'no-such' was not found."


@pytest.mark.parametrize(
    "changed", [{"auth": ("sandbox-token", "")}, {"project": "2"}, {"auth": ("x", "y")}]
)
def test_only_the_service_account_may(sandbox, put_table, changed):
    assert put_table(sandbox, "k,v\n", **changed).status_code == 401


def test_a_hundred_replacements_a_day(start, put_table):
    limited = start(max_table_calls=2)

    statuses = [put_table(limited, "k,v\n").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_a_table_has_a_size_uncompressed(start, put_table):
    limited = start(max_table_bytes=1_000)
    fits = b"k,v\n1," + b"a" * 994

    def status(body, **headers):
        return put_table(limited, body, headers=headers).status_code

    assert [status(fits), status(fits + b"a")] == [200, 413]
    gzipped = [gzip.compress(fits), gzip.compress(fits + b"a")]
    assert [status(body, **{"Content-Encoding": "gzip"}) for body in gzipped] == [200, 413]


def test_all_tables_together_have_a_size(start, put_table):
    limited = start(lookup_tables={"a": "A", "b": "B"}, max_table_rows=3)

    assert put_table(limited, "k,v\n1,a\n2,b\n", table="a").status_code == 200
    reply = put_table(limited, "k,v\n1,a\n2,b\n", table="b")
    assert (reply.status_code, reply.json()["error"]) == (
        400,
        "lookup tables exceed max limit of 3 rows",
    )
    assert put_table(limited, "k,v\n1,a\n2,b\n3,c\n", table="a").status_code == 200
    assert [table.row_count for table in limited.tables.values()] == [3, 0]


def test_a_refused_table_counts_as_a_replacement(start, put_table):
    limited = start(max_table_calls=1)

    assert [put_table(limited, ",\n").status_code, put_table(limited, "k,v\n").status_code] == [
        400,
        429,
    ]
