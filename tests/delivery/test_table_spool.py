"""A table's rows wait in bounded memory, the last line of each key, and leave nothing behind."""

import csv
import gzip
import io
import os
import signal
import subprocess
import sys
import tempfile
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_mixpanel.delivery import table_spool
from target_mixpanel.delivery.table_spool import TableSpool
from target_mixpanel.errors import LookupTableError

HEADER = b"sku,name\r\n"
PLACE = "streams.products"


def unzipped(payload):
    payload.body.seek(0)
    return gzip.decompress(payload.body.read())


def line_of(*fields):
    text = io.StringIO()
    csv.writer(text).writerow(fields)
    return text.getvalue().encode()


def put_many(spool, rows):
    for key in range(rows):
        spool.put(str(key), b"%d,1\r\n" % key)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of its own for temporary files."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield tmp_path
    tempfile.tempdir = None


def test_the_last_line_of_a_key_in_the_order_of_the_first():
    with TableSpool(PLACE) as spool:
        for key, name in [("b", "1"), ("a", "2"), ("b", "3"), ("c", "4"), ("a", "5")]:
            spool.put(key, line_of(key, name))
        payload = spool.csv(HEADER)

        assert unzipped(payload) == b"sku,name\r\nb,3\r\na,5\r\nc,4\r\n"
        assert payload.raw_bytes == len(b"sku,name\r\nb,3\r\na,5\r\nc,4\r\n")
        assert payload.body_bytes == os.fstat(payload.body.fileno()).st_size
        assert spool.rows == 3


@given(
    st.lists(st.tuples(st.sampled_from("abcde") | st.text(max_size=3), st.text()), max_size=40),
    st.integers(1, 7),
)
@settings(deadline=None)
def test_it_is_a_dictionary_whenever_it_writes(rows, held):
    """In an order that does not depend on what is written when."""
    before, table_spool._HELD_ROWS = table_spool._HELD_ROWS, held
    try:
        expected = {}
        with TableSpool(PLACE) as spool:
            for key, value in rows:
                expected[key] = line_of(key, value)
                spool.put(key, line_of(key, value))
            content = unzipped(spool.csv(HEADER))
            assert spool.rows == len(expected)
    finally:
        table_spool._HELD_ROWS = before

    assert content == HEADER + b"".join(expected.values())


@pytest.mark.parametrize("held", [1, 100])
@pytest.mark.parametrize(
    ("spellings", "expected"),
    [
        (["7", "7"], False),
        (["007", "007"], False),
        (["7", "007"], True),
        (["007", "7"], True),
        (["7.0", "007", "007"], True),
        (['7,"x', '7,"x'], False),
    ],
)
def test_it_knows_whether_one_key_was_spelled_in_several_ways(
    spellings, expected, held, monkeypatch
):
    monkeypatch.setattr(table_spool, "_HELD_ROWS", held)
    with TableSpool(PLACE) as spool:
        for spelling in spellings:
            spool.put("7", line_of(spelling, "x"))
        content = unzipped(spool.csv(HEADER))

        assert content == HEADER + line_of(spellings[-1], "x")
        assert spool.has_merged is expected


def test_it_may_be_asked_again():
    """What came meanwhile is there, too."""
    with TableSpool(PLACE) as spool:
        spool.put("a", b"a,1\r\n")
        spool.csv(HEADER)
        spool.put("b", b"b,1\r\n")

        assert unzipped(spool.csv(HEADER)) == HEADER + b"a,1\r\nb,1\r\n"


def test_a_table_without_rows_is_its_header():
    with TableSpool(PLACE) as spool:
        assert unzipped(spool.csv(HEADER)) == HEADER


class TestLimits:
    def test_more_rows_than_mixpanel_keeps(self):
        with TableSpool(PLACE, max_rows=3) as spool:
            for key in "abcab":
                spool.put(key, b"x,y\r\n")
            spool.csv(HEADER)
            spool.put("d", b"x,y\r\n")
            with pytest.raises(LookupTableError, match=r"^streams.products: has more than 3 rows"):
                spool.csv(HEADER)

    def test_more_bytes_than_mixpanel_takes(self):
        with TableSpool(PLACE, max_bytes=len(HEADER) + 10) as spool:
            spool.put("a", b"a,1\r\n")
            spool.put("b", b"b,1\r\n")
            assert spool.csv(HEADER).raw_bytes == len(HEADER) + 10
            spool.put("a", b"a,12\r\n")
            words = r"^streams.products: has 21 bytes or more as CSV, and Mixpanel takes 20; select"
            with pytest.raises(LookupTableError, match=words):
                spool.csv(HEADER)

    def test_the_disk_holds_no_more_than_a_table_and_what_replaced_it(self, monkeypatch):
        """Ten thousand times the same key is fine; ten thousand keys end the run on the way."""
        monkeypatch.setattr(table_spool, "_HELD_ROWS", 10)
        with TableSpool(PLACE, max_bytes=1_000) as spool:
            for _ in range(10_000):
                spool.put("a", b"a,1\r\n")
        with TableSpool(PLACE, max_bytes=1_000) as spool:
            with pytest.raises(LookupTableError, match="as CSV"):
                put_many(spool, 10_000)

            assert spool.rows < 500

    def test_a_message_shows_no_row(self):
        with TableSpool(PLACE, max_bytes=10) as spool:
            spool.put("canary", b"canary,1\r\n")
            with pytest.raises(LookupTableError) as raised:
                spool.csv(HEADER)

        assert "canary" not in str(raised.value)


class TestDisk:
    def test_no_room(self):
        with TableSpool(PLACE) as spool:
            spool._rows.execute("PRAGMA max_page_count=20")
            with pytest.raises(LookupTableError, match=r"cannot be kept .* is full.*TMPDIR"):
                put_many(spool, 50_000)

    def test_no_folder(self, monkeypatch):
        monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
        with pytest.raises(LookupTableError, match=r"^streams.products: .*/nowhere/at/all"):
            TableSpool(PLACE)

    def test_nothing_of_it_has_a_name(self, folder):
        with TableSpool(PLACE) as spool:
            put_many(spool, 30_000)
            payload = spool.csv(HEADER)
            names = list(folder.iterdir())
            mode = os.fstat(payload.body.fileno()).st_mode & 0o777

        assert names == []
        assert mode == 0o600
        assert payload.body.closed

    def test_its_database_is_for_this_user_only(self, folder, monkeypatch):
        modes = []
        unlink = table_spool.Path.unlink

        def noting(path):
            modes.append(path.stat().st_mode & 0o777)
            unlink(path)

        monkeypatch.setattr(table_spool.Path, "unlink", noting)
        with TableSpool(PLACE):
            assert modes == [0o600]

    def test_a_kill_leaves_nothing(self, folder):
        program = """
            import os, signal
            from target_mixpanel.delivery.table_spool import TableSpool
            spool = TableSpool("streams.products")
            for key in range(30_000):
                spool.put(str(key), b"%d,1\\r\\n" % key)
            spool.csv(b"sku,name\\r\\n")
            os.kill(os.getpid(), signal.SIGKILL)
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            env={**os.environ, "TMPDIR": str(folder)},
            check=False,
        )

        assert done.returncode == -signal.SIGKILL
        assert list(folder.iterdir()) == []


def test_memory_does_not_grow_with_the_rows():
    """300,000 rows and 30,000 need about the same: in a process of its own, by its peak."""
    program = """
        import random, resource, sys
        from target_mixpanel.delivery.table_spool import TableSpool
        rows, chance = int(sys.argv[1]), random.Random(1)
        with TableSpool("streams.products") as spool:
            for _ in range(rows):
                key = f"{chance.getrandbits(64):016x}"
                spool.put(key, b"%s,a name of a product,12.5,true\\r\\n" % key.encode())
            spool.csv(b"sku,name,price,is_sold\\r\\n")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    """
    peaks_mib = [
        int(
            subprocess.run(
                [sys.executable, "-c", textwrap.dedent(program), rows],
                capture_output=True,
                check=True,
            ).stdout
        )
        for rows in ("30000", "300000")
    ]

    assert peaks_mib[1] - peaks_mib[0] < 16
