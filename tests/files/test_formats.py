"""Rows come out as they went in, and from any noted place on the same ones follow."""

import csv
import gzip
import io
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from target_mixpanel.errors import InputError
from target_mixpanel.files import csv_rows, json_lines, lines, objects
from target_mixpanel.files.formats import open_rows
from target_mixpanel.files.objects import find_object
from target_mixpanel.files.places import Place
from tests.files.reading import places, read

ENDINGS = ["jsonl", "jsonl.gz", "csv", "csv.gz", "tsv", "parquet"]

NAMES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1).filter(
        str.strip
    ),
    min_size=1,
    max_size=4,
    unique=True,
)
CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


def written(ending: str, names: list[str], rows: list[list[str]]) -> bytes:
    records = [dict(zip(names, row, strict=True)) for row in rows]
    match ending.removesuffix(".gz"):
        case "jsonl":
            content = b"".join(json.dumps(record).encode() + b"\n" for record in records)
        case "parquet":
            columns = {name: [record[name] for record in records] for name in names}
            sink = io.BytesIO()
            table = pa.table(
                {name: pa.array(values, pa.string()) for name, values in columns.items()}
            )
            pq.write_table(table, sink, row_group_size=3)
            content = sink.getvalue()
        case kind:
            text = io.StringIO()
            writer = csv.writer(
                text, delimiter="," if kind == "csv" else "\t", quoting=csv.QUOTE_ALL
            )
            writer.writerow(names)
            writer.writerows(rows)
            content = text.getvalue().encode()
    return gzip.compress(content) if ending.endswith(".gz") else content


@pytest.mark.parametrize("ending", ENDINGS)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_from_any_noted_place_on_the_rest_follows(ending, data, tmp_path: Path, monkeypatch):
    """With blocks and batches so small that there are many places."""
    names = data.draw(NAMES)
    rows = data.draw(
        st.lists(st.lists(CELLS, min_size=len(names), max_size=len(names)), max_size=9)
    )
    monkeypatch.setattr(objects, "_LOCAL_BLOCK_BYTES", data.draw(st.integers(1, 64)))
    monkeypatch.setattr(csv_rows, "_BATCH_ROWS", data.draw(st.integers(1, 4)))
    path = tmp_path / f"a.{ending}"
    path.write_bytes(written(ending, names, rows))
    is_table = ending.startswith(("csv", "tsv"))
    expected = [
        {name: (cell or None) if is_table else cell for name, cell in zip(names, row, strict=True)}
        for row in rows
    ]

    assert read(path) == expected
    for place, before in places(path):
        assert read(path, place) == expected[before:]


def test_lines_may_end_as_windows_ends_them_and_be_blank(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a":1}\r\n\r\n  \n{"a":2}')

    assert read(path) == [{"a": 1}, {"a": 2}]
    with open_rows(find_object(str(path), "test")) as rows:
        assert [number for batch in rows.batches(Place()) for number in batch.numbers] == [1, 4]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_header_says_what_divides_cells(tmp_path: Path, delimiter: str):
    path = tmp_path / "a.csv"
    path.write_text(delimiter.join(["id", "name"]) + "\n" + delimiter.join(["1", '"x\ny"']) + "\n")

    assert read(path) == [{"id": "1", "name": "x\ny"}]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has no header"),
        (b"a,,b\n1,2,3\n", "a header without a name for column 2; name it"),
        (b"a,b,a\n1,2,3\n", 'a header that names "a" twice'),
        (b"a,b\n1,2\n3\n", "row 2 has 1 cells where the header has 2"),
        (b'a,b\n1,"2\n', "row 1 cannot be read"),
        (b"a,b\n1,\xff\n", "is not UTF-8, after row 0"),
    ],
)
def test_a_table_that_is_none_is_told(tmp_path: Path, content: bytes, words: str):
    path = tmp_path / "a.csv"
    path.write_bytes(content)

    with pytest.raises(InputError, match=words):
        read(path)


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_a_giant_line_is_told_before_memory_is_gone(tmp_path: Path, monkeypatch, ending: str):
    monkeypatch.setattr(lines, "LINE_MAX_BYTES", 100_000)
    path = tmp_path / f"a.{ending}"
    path.write_bytes(b"{}\n" + b"x" * 1_000_000)

    with pytest.raises(InputError, match="line 2 has more than 100,000 bytes"):
        read(path)


def test_an_empty_file_of_lines_has_no_rows(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"")

    assert read(path) == []


def test_a_name_that_says_no_format_is_told(tmp_path: Path):
    path = tmp_path / "orders.dat"
    path.write_bytes(b"{}\n")

    with pytest.raises(InputError, match="give --format jsonl, csv, tsv or parquet"):
        read(path)


HIDE = """
import sys
from importlib.abc import MetaPathFinder

class Hide(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {hidden!r}:
            raise ImportError(name)

sys.meta_path.insert(0, Hide())
from pathlib import Path
from target_mixpanel.errors import SettingsError
from tests.files.reading import read
try:
    read(Path({path!r}))
except SettingsError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("name", "hidden", "remedy"),
    [
        ("a.parquet", ["pyarrow"], "pip install 'target-mixpanel[parquet]'"),
        ("a.jsonl.zst", ["backports", "compression"], "pip install 'target-mixpanel[files]'"),
        ("s3://bucket/a.jsonl", ["obstore"], "pip install 'target-mixpanel[files]'"),
    ],
)
def test_a_missing_extra_is_one_line_with_the_remedy(tmp_path: Path, name, hidden, remedy):
    path = tmp_path / name if "://" not in name else name
    if "://" not in name:
        Path(path).write_bytes(b"\x28\xb5\x2f\xfd" + bytes(100))
    code = HIDE.format(hidden=hidden, path=str(path)).replace("Path('s3", "str('s3")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.count("\n") == 1
    assert remedy in done.stdout


def test_json_lines_know_no_columns(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"{}\n")
    with open_rows(find_object(str(path), "test")) as rows:
        assert rows.schema == json_lines.OPEN_SCHEMA
