"""Parquet's types become what JSON and Mixpanel know, and no file takes memory by what it says."""

import datetime as dt
import io
import json
import random
import subprocess
import sys
import uuid
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from target_mixpanel.errors import InputError
from target_mixpanel.files.formats import open_rows
from target_mixpanel.files.objects import find_object
from target_mixpanel.files.places import Place
from tests.files.reading import read

MOMENT = dt.datetime(2026, 10, 1, 12, 30, 0, 123_456)  # noqa: DTZ001 (a column without a zone)
UTC = MOMENT.replace(tzinfo=dt.UTC)
NULLABLE_TEXT = {"type": ["null", "string"]}
DATE_TIME = {**NULLABLE_TEXT, "format": "date-time"}
NUMBER = {"type": ["null", "number"]}

TYPES = [
    (pa.bool_(), [True, None], [True, None], {"type": ["null", "boolean"]}),
    (pa.int8(), [-128, None], [-128, None], {"type": ["null", "integer"]}),
    (pa.uint64(), [2**64 - 1], [2**64 - 1], {"type": ["null", "integer"]}),
    (pa.float64(), [0.1, None], [0.1, None], NUMBER),
    (pa.float32(), [0.1, 16777216.0], [0.1, 16777216.0], NUMBER),
    (pa.float16(), [0.5], [0.5], NUMBER),
    (pa.float64(), [float("nan")], [None], NUMBER),
    (pa.decimal128(38, 18), [Decimal("12345678901234567890.123456789012345678")], None, NUMBER),
    (pa.decimal256(60, 2), [Decimal("-0.10")], [Decimal("-0.10")], NUMBER),
    (pa.string(), ["ä\n", None], ["ä\n", None], NULLABLE_TEXT),
    (pa.large_string(), ["x"], ["x"], NULLABLE_TEXT),
    (pa.binary(), [b"\xff\0"], ["/wA="], NULLABLE_TEXT),
    (pa.binary(2), [b"ab"], ["YWI="], NULLABLE_TEXT),
    (pa.date32(), [MOMENT.date(), None], ["2026-10-01", None], {**NULLABLE_TEXT, "format": "date"}),
    (pa.time64("us"), [MOMENT.time()], ["12:30:00.123456"], NULLABLE_TEXT),
    (pa.timestamp("s"), [MOMENT.replace(microsecond=0)], ["2026-10-01T12:30:00.000000"], DATE_TIME),
    (
        pa.timestamp("ms"),
        [MOMENT.replace(microsecond=123_000)],
        ["2026-10-01T12:30:00.123000"],
        DATE_TIME,
    ),
    (pa.timestamp("us"), [MOMENT], ["2026-10-01T12:30:00.123456"], DATE_TIME),
    (pa.timestamp("us", tz="UTC"), [UTC, None], ["2026-10-01T12:30:00.123456Z", None], DATE_TIME),
    (pa.timestamp("us", tz="Asia/Kolkata"), [UTC], ["2026-10-01T12:30:00.123456Z"], DATE_TIME),
    (pa.timestamp("ns", tz="UTC"), [UTC], ["2026-10-01T12:30:00.123456Z"], DATE_TIME),
    (
        pa.dictionary(pa.int8(), pa.string()),
        ["a", "b", None, "a"],
        ["a", "b", None, "a"],
        NULLABLE_TEXT,
    ),
    (
        pa.list_(pa.int64()),
        [[1, None], [], None],
        [[1, None], [], None],
        {"type": ["null", "array"], "items": {"type": ["null", "integer"]}},
    ),
    (
        pa.list_(pa.list_(pa.date32())),
        [[[MOMENT.date()]], [None]],
        [[["2026-10-01"]], [None]],
        None,
    ),
    (
        pa.struct([("a", pa.int64()), ("at", pa.timestamp("us", tz="UTC"))]),
        [{"a": 1, "at": UTC}, None],
        [{"a": 1, "at": "2026-10-01T12:30:00.123456Z"}, None],
        {
            "type": ["null", "object"],
            "properties": {"a": {"type": ["null", "integer"]}, "at": DATE_TIME},
        },
    ),
    (
        pa.map_(pa.string(), pa.float64()),
        [[("x", 1.5)], [], None],
        [{"x": 1.5}, {}, None],
        {"type": ["null", "object"], "additionalProperties": NUMBER},
    ),
    (pa.null(), [None], [None], NULLABLE_TEXT),
    (pa.uuid(), [uuid.UUID(int=5).bytes], [str(uuid.UUID(int=5))], NULLABLE_TEXT),
]


def parquet_of(path: Path, table: pa.Table, **options) -> Path:
    pq.write_table(table, path, **options)
    return path


@pytest.mark.parametrize(("kind", "values", "expected", "schema"), TYPES, ids=str)
def test_a_type(tmp_path: Path, kind, values, expected, schema):
    table = pa.table({"c": pa.array(values, kind), "n": range(len(values))})
    path = parquet_of(tmp_path / "a.parquet", table)
    with open_rows(find_object(str(path), "test")) as rows:
        shown = rows.schema["properties"]["c"]
    expected = values if expected is None else expected

    assert schema is None or shown == schema
    reader = read_decimals if pa.types.is_decimal(kind) else read
    assert [row["c"] for row in reader(path)] == expected


def read_decimals(path: Path) -> list[dict]:
    """Return the rows with every digit that their fractions have."""
    with open_rows(find_object(str(path), "test")) as rows:
        return [
            json.loads(row, parse_float=Decimal)
            for batch in rows.batches(Place())
            for row in batch.rows
        ]


def test_slices_of_nested_columns_keep_their_rows(tmp_path: Path):
    """Batches are cut out of row groups; offsets of lists and maps must follow."""
    rows = [{"l": list(range(n % 4)), "m": [(str(n), n)], "s": {"v": n}} for n in range(5_000)]
    kind = pa.schema(
        [
            ("l", pa.list_(pa.int64())),
            ("m", pa.map_(pa.string(), pa.int64())),
            ("s", pa.struct([("v", pa.int64())])),
        ]
    )
    path = parquet_of(
        tmp_path / "a.parquet", pa.Table.from_pylist(rows, kind), row_group_size=1_777
    )

    assert read(path) == [{**row, "m": dict(row["m"])} for row in rows]


def test_a_column_that_json_has_no_word_for_is_named(tmp_path: Path, caplog):
    table = pa.table({"c": pa.array([5], pa.duration("s")), "n": [1]})
    path = parquet_of(tmp_path / "a.parquet", table)

    assert read(path) == [{"n": 1}]
    assert '"c"' in caplog.text
    assert caplog.records[0].levelname == "WARNING"


@pytest.mark.parametrize("cut", [5, 100, 5_000])
def test_a_cut_file_is_told(tmp_path: Path, cut: int):
    path = parquet_of(tmp_path / "a.parquet", pa.table({"n": range(100_000)}))
    path.write_bytes(path.read_bytes()[:-cut])

    with pytest.raises(InputError, match="is no whole Parquet file"):
        read(path)


READS = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
from target_mixpanel.errors import InputError
from tests.files.reading import read
for path in map(Path, sys.argv[1:]):
    try:
        read(path)
    except InputError as error:
        assert "\\n" not in str(error)
# Not getrusage's: that begins with the size of whoever started this process.
status = Path("/proc/self/status").read_text()
print(status.partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted as Linux counts it")
def test_damaged_files_end_in_one_line_each_and_take_little(tmp_path: Path):
    """Any byte may be wrong: sizes, counts, offsets, types; in a process of its own, bounded."""
    chance = random.Random(7)  # noqa: S311 (the same damage each time)
    sink = io.BytesIO()
    rows = pa.table(
        {
            "n": range(2_000),
            "t": [f"text-{n % 50}" for n in range(2_000)],
            "l": [[n] * (n % 3) for n in range(2_000)],
        }
    )
    pq.write_table(rows, sink, row_group_size=500)
    content = sink.getvalue()
    paths = []
    for number in range(300):
        damaged = bytearray(content)
        for _ in range(chance.randint(1, 4)):
            # Half of them in the footer, where the sizes are said.
            low = 0 if number % 2 else len(content) - 1_500
            damaged[chance.randrange(low, len(content))] = chance.choice([0, 1, 0x7F, 0xFF])
        path = tmp_path / f"{number}.parquet"
        path.write_bytes(damaged)
        paths.append(str(path))
    done = subprocess.run(
        [sys.executable, "-c", READS, *paths],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2_000:]
    assert int(done.stdout) < 200_000
