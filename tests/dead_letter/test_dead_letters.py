"""A rejected record is on the disk, whole, private and replayable, or the run fails."""

import errno
import json
import os
import resource
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from target_mixpanel.engine.dead_letters.folder import DeadLetters
from target_mixpanel.errors import DeadLetterError
from target_mixpanel.model import Flaw, Record, Rejection, Span

SCHEMA = (
    b'{"type":"SCHEMA","stream":"orders","schema":{"properties":{"id":{}}},"key_properties":[]}'
)
OTHER_SCHEMA = SCHEMA.replace(b"id", b"no")
FLAW = Flaw("map", "missing_time", "created_at", "the column is null")


def line(number=1, **more):
    record = {"type": "RECORD", "stream": "orders", "record": {"id": number, **more}}
    return json.dumps(record, separators=(",", ":")).encode()


def rejection(body=None, flaw=FLAW, insert_id=None):
    return Rejection(Record(body or line(), Span(0)), flaw, insert_id)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "rejected"


@pytest.fixture
def letters(folder):
    with DeadLetters(folder, "run-1") as letters:
        yield letters


def lines(path):
    text = path.read_bytes()
    assert text.endswith(b"\n")
    return text.split(b"\n")[:-1]


class TestContent:
    def test_a_schema_then_the_record_with_its_rejection(self, letters, folder):
        path = letters.write("orders", SCHEMA, [rejection(insert_id="abc")])
        schema, record = map(json.loads, lines(path))

        assert path == folder / "orders-run-1.singer"
        assert schema == {**json.loads(SCHEMA), "dead_letter": True}
        at = record["rejection"].pop("at")
        assert at.endswith("+00:00")
        assert record == {
            **json.loads(line()),
            "rejection": {
                "stage": "map",
                "reason": "missing_time",
                "field": "created_at",
                "insert_id": "abc",
                "detail": "the column is null",
            },
        }

    def test_the_record_is_kept_byte_for_byte(self, letters):
        inside = b'{"b": 1.10, "a":"\\u00e9\\/ \xc3\xa9", "big":123456789012345678901234567890}'
        body = b'{"type":"RECORD","stream":"orders","record":' + inside + b',"time_extracted":"x"}'
        _, record = lines(letters.write("orders", SCHEMA, [rejection(body)]))

        assert inside in record

    @pytest.mark.parametrize("body", [b'{"record":{"a":NaN}}', b'{"record":{"a":NaN} } \r'])
    def test_what_json_does_not_know_is_kept_too(self, letters, body):
        _, record = lines(letters.write("orders", SCHEMA, [rejection(body)]))

        assert record.startswith(b'{"record":{"a":NaN}')
        assert json.loads(record)["rejection"]["stage"] == "map"

    def test_fault_74_a_replayed_record_holds_its_newest_rejection_only(self, letters):
        _, once = lines(letters.write("orders", SCHEMA, [rejection()]))
        path = letters.write("orders", SCHEMA, [rejection(once, Flaw("refused", "bad", "*"))])
        again = lines(path)[-1]

        assert again.count(b'"rejection"') == 1
        assert json.loads(again)["rejection"]["reason"] == "bad"

    def test_each_schema_stands_once_before_its_records(self, letters):
        for schema in (SCHEMA, SCHEMA, OTHER_SCHEMA):
            path = letters.write("orders", schema, [rejection(), rejection()])
        kinds = [json.loads(each)["type"] for each in lines(path)]

        assert kinds == ["SCHEMA", *["RECORD"] * 4, "SCHEMA", *["RECORD"] * 2]

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=10,
        ),
        st.booleans(),
    )
    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_any_record_comes_back_equal(self, letters, value, is_ascii):
        message = {"type": "RECORD", "stream": "s", "record": {"value": value}}
        body = json.dumps(message, ensure_ascii=is_ascii).encode("utf-8", "replace")
        path = letters.write("s", SCHEMA, [rejection(body)])
        written = json.loads(lines(path)[-1])
        del written["rejection"]

        assert json.dumps(json.loads(body)) == json.dumps(written)

    @pytest.mark.parametrize("hostile", ["a\nb", 'a"b', "a\u2028b", "a\\b", "\0"])
    def test_a_servers_words_stay_in_their_string(self, letters, hostile):
        path = letters.write("s", SCHEMA, [rejection(flaw=Flaw("refused", hostile, hostile))])
        _, record = lines(path)

        assert json.loads(record)["rejection"]["reason"] == hostile


class TestPrivacy:
    def test_files_are_the_owners(self, letters, folder):
        before = os.umask(0)
        try:
            path = letters.write("orders", SCHEMA, [rejection()])
        finally:
            os.umask(before)

        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_fault_73_a_symlink_is_not_followed(self, letters, folder, tmp_path):
        (folder / "orders-run-1.singer").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(DeadLetterError, match=os.strerror(errno.ELOOP)):
            letters.write("orders", SCHEMA, [rejection()])

        assert not (tmp_path / "elsewhere").exists()

    def test_fault_73_the_folder_is_no_symlink(self, folder, tmp_path):
        folder.symlink_to(tmp_path)
        with pytest.raises(DeadLetterError, match="is a symbolic link"):
            DeadLetters(folder, "run-1")

    @pytest.mark.parametrize("is_file", [True, False], ids=["is-a-file", "no-parent"])
    def test_fault_73_a_folder_that_cannot_be(self, tmp_path, is_file):
        if is_file:
            (tmp_path / "a").touch()
        with pytest.raises(DeadLetterError, match=r"^dead_letter_path: "):
            DeadLetters(tmp_path / "a" if is_file else tmp_path / "a" / "b", "run-1")

    def test_an_existing_folder_is_used(self, folder):
        folder.mkdir()
        with DeadLetters(folder, "run-1") as letters:
            assert letters.write("orders", SCHEMA, [rejection()]).exists()


NAMES = ["orders", "a/b", "a_b", "../x", "..", ".", "", "/etc/passwd", "a\\b", "a b", "a\0b", "é"]
NAMES += ["日本", "x" * 300, "x" * 301, ".hidden", "-rf", "a\nb", "\ud800", "a%2fb", "public-a"]


class TestNames:
    @pytest.mark.parametrize("stream", NAMES, ids=ascii)
    def test_any_stream_has_a_file_in_the_folder(self, letters, folder, stream):
        path = letters.write(stream, SCHEMA, [rejection()])

        assert path.parent == folder
        assert path in folder.iterdir()
        assert not path.name.startswith(".")
        assert len(path.name) < 200

    def test_no_two_streams_share_one(self, letters):
        paths = [letters.write(stream, SCHEMA, [rejection()]) for stream in NAMES]

        assert len(set(paths)) == len(NAMES)
        assert all(len(lines(path)) == 2 for path in paths)

    def test_no_two_runs_share_one(self, folder):
        for run in ("run-1", "run-2"):
            with DeadLetters(folder, run) as letters:
                letters.write("orders", SCHEMA, [rejection()])

        assert len(list(folder.iterdir())) == 2


class TestDurability:
    def test_it_is_on_the_disk_when_write_returns(self, letters, folder, monkeypatch):
        """The file is synced after its last byte, and the folder once, for the file's name."""
        synced = []
        real = os.fsync

        def fsync(descriptor):
            real(descriptor)
            file = Path(f"/proc/self/fd/{descriptor}").readlink()
            synced.append((file, os.fstat(descriptor).st_size))

        monkeypatch.setattr(os, "fsync", fsync)
        path = letters.write("orders", SCHEMA, [rejection()])
        first = path.stat().st_size
        letters.write("orders", SCHEMA, [rejection()])

        assert [file for file, _ in synced] == [folder, path, path]
        assert [size for _, size in synced[1:]] == [first, path.stat().st_size]

    @pytest.mark.parametrize("failing", ["write", "fsync"])
    def test_fault_73_a_failed_write_leaves_whole_lines(self, letters, monkeypatch, failing):
        path = letters.write("orders", SCHEMA, [rejection()])
        before = path.read_bytes()
        real = os.write

        def fail(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def write_some(descriptor, rest):
            if len(rest) < 100:
                fail()
            return real(descriptor, rest[:50])

        monkeypatch.setattr(os, failing, write_some if failing == "write" else fail)
        with pytest.raises(DeadLetterError, match="No space left on device") as raised:
            letters.write("orders", OTHER_SCHEMA, [rejection(line(n)) for n in range(9)])
        monkeypatch.undo()

        assert path.read_bytes() == before
        assert raised.value.__cause__ is None
        # What could not be written does not count as said: the schema comes with the next.
        letters.write("orders", OTHER_SCHEMA, [rejection()])
        assert len(lines(path)) == 4

    def test_fault_73_a_full_disk(self, folder):
        """A real one, as far as a process may have its own: no file larger than 4,000 bytes."""
        script = f"""
import resource, signal, sys
sys.path[:0] = {sys.path!r}
from tests.dead_letter.test_dead_letters import *
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000))
letters = DeadLetters(Path({str(folder)!r}), "run-1")
written = 0
try:
    while True:
        letters.write("orders", SCHEMA, [rejection(line(n)) for n in range(5)])
        written += 5
except DeadLetterError as error:
    print(written, error)
"""
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
        )
        written, _, message = done.stdout.partition(" ")
        [path] = folder.iterdir()

        assert "File too large" in message
        assert 5 <= int(written) == len(lines(path)) - 1
        assert all(json.loads(each) for each in lines(path))

    def test_two_threads_write_whole_lines(self, letters):
        def write(number):
            for _ in range(50):
                letters.write("orders", SCHEMA, [rejection(line(number))] * 3)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        written = lines(letters.write("orders", SCHEMA, [rejection()]))
        kinds = [json.loads(each)["type"] for each in written]

        assert kinds == ["SCHEMA", *["RECORD"] * (4 * 50 * 3 + 1)]

    def test_two_writers_of_one_file_write_whole_lines(self, folder):
        with DeadLetters(folder, "run-1") as one, DeadLetters(folder, "run-1") as two:
            for writer in (one, two) * 20:
                path = writer.write("orders", SCHEMA, [rejection()])

        assert len([json.loads(each) for each in lines(path)]) == 42


def test_what_comes_after_the_end_is_refused(folder, tmp_path):
    """A failed run does not wait for its senders; a late one must not meet another's file."""
    with DeadLetters(folder, "run-1") as letters:
        path = letters.write("orders", SCHEMA, [rejection()])
    before = path.read_bytes()
    with (tmp_path / "other").open("wb"), pytest.raises(DeadLetterError, match="the run is over"):
        letters.write("orders", SCHEMA, [rejection()])

    assert path.read_bytes() == before
    assert (tmp_path / "other").read_bytes() == b""


def test_a_failure_shows_no_record(letters, folder):
    (folder / "orders-run-1.singer").mkdir()
    with pytest.raises(DeadLetterError) as raised:
        letters.write("orders", SCHEMA, [rejection(line(email="canary@example.com"))])

    assert "canary" not in str(raised.value)
    assert raised.value.__suppress_context__


def test_no_descriptor_is_left_open(folder):
    before = set(Path("/proc/self/fd").iterdir())
    with DeadLetters(folder, "run-1") as letters:
        for stream in NAMES:
            letters.write(stream, SCHEMA, [rejection()])

    assert len(set(Path("/proc/self/fd").iterdir())) == len(before)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > len(before)
