"""A rejection is in the bucket before the STATE that covers it, and loads again from there."""

import gzip
import json
import random
import re
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import obstore
import pytest

from target_mixpanel.engine.dead_letters.bucket import HELD_BYTES, PART_BYTES, BucketLetters
from target_mixpanel.errors import StorageError
from target_mixpanel.model import Flaw, Record, Rejection, Span
from target_mixpanel.sandbox import Sandbox
from target_mixpanel.stop import Stop
from tests.buckets import Bucket, GcsBucket
from tests.conftest import ORDERS_SCHEMA, Command, order, orders, singer, state
from tests.faults.canaries import TALKATIVE
from tests.faults.test_kills import Pipeline, kill_at_random
from tests.waiting import wait_until

KEY_ID, KEY = "c4narykeyid", "c4nary/bucket/key"


def contents(bucket: Bucket) -> dict[str, bytes]:
    listed = [each["path"] for chunk in obstore.list(bucket.store) for each in chunk]
    return {path: bytes(obstore.get(bucket.store, path).bytes()) for path in sorted(listed)}


def messages(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def ids(parts: dict[str, bytes]) -> list[int]:
    every = [each for content in parts.values() for each in messages(content)]
    return [each["record"]["id"] for each in every if each["type"] == "RECORD"]


def bad(number: int) -> dict[str, Any]:
    return order(number, user_id=None)


class Gate(ThreadingHTTPServer):
    """A bucket that lets nobody through, answers as it is told, and notes who came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.status = 200
        self.page = ""
        self.may_put = threading.Event()
        self.puts: list[str] = []
        self.stored: dict[str, bytes] = {}

    @property
    def environment(self) -> dict[str, str]:
        return {
            **TALKATIVE,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.server_port}",
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_REGION": "us-east-1",
        }

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=[0.05], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.may_put.set()
        self.shutdown()
        self.server_close()


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Gate

    def do_GET(self) -> None:
        self._answer(200, b"<ListBucketResult></ListBucketResult>")

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.puts.append(self.path)
        self.server.may_put.wait()
        if self.server.status == 200:
            self.server.stored[self.path] = content
        said = f"{self.server.page}{self.headers['Authorization']} {content.decode()}"
        self._answer(self.server.status, b"" if self.server.status == 200 else said.encode())

    def _answer(self, status: int, body: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"1"')
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # nobody waits for it
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base's word)
        """Say nothing."""


@pytest.fixture
def gate() -> Iterator[Gate]:
    with Gate() as gate:
        yield gate


LETTERS = {"dead_letter_path": "s3://shop/rejected", "max_rejection_rate": 1.0}


class TestTheCommand:
    def test_a_run_s_rejections_load_again_with_the_command_that_it_names(
        self, command: Command, sandbox: Sandbox, bucket: Bucket
    ):
        letters = LETTERS | {"dead_letter_path": f"{bucket.url}rejected/"}
        given = [ORDERS_SCHEMA, orders(3), bad(3), bad(4), state(4)]
        done = command.run(*given, **letters)
        parts = contents(bucket)
        (told,) = json.loads(command.report_path.read_bytes())["dead_letters"]
        # What was wrong is mended: nobody needs a user any more.
        mapping = command.config["streams"]["orders"] | {"distinct_id": {"value": "x"}}
        source = told["load_again"].rpartition(" --input ")[2]
        again = command.run(arguments=["--input", source], streams={"orders": mapping})

        assert (done.code, done.states) == (0, [state(4)["value"]]), done.stderr
        assert ids(parts) == [3, 4]
        assert all(messages(part)[0]["type"] == "SCHEMA" for part in parts.values())
        assert source == told["path"]
        assert re.fullmatch(rf"{bucket.url}rejected/orders-[^/]+/", source)
        assert f"set aside in {source}" in done.stderr
        assert again.code == 0, again.stderr
        assert sorted(each["properties"]["id"] for each in sandbox.report()) == [0, 1, 2, 3, 4]

    def test_state_waits_for_the_bucket_and_good_rows_do_not(
        self, command: Command, sandbox: Sandbox, gate: Gate
    ):
        options: dict[str, Any] = {**LETTERS, "batch_size_rows": 1}
        with command.start(env=gate.environment, **options) as running:
            running.write(ORDERS_SCHEMA, bad(0), state(0))
            running.wait_until_read()
            wait_until(lambda: gate.puts)
            running.write(orders(5, 1), state(5))
            running.wait_until_read()
            wait_until(lambda: len(sandbox.raw()) == 5)
            stored = dict(gate.stored)
            # A STATE that was too early would be in the pipe by now: it goes before any row.
            is_silent = not _is_readable(running.process.stdout)
            gate.may_put.set()
            first = running.read_state()
            done = running.finish()

        assert (stored, is_silent) == ({}, True)
        assert ids(gate.stored) == [0]
        assert [first, *done.states][-1] == state(5)["value"]
        assert done.code == 0

    def test_sigterm_while_the_bucket_hangs_ends_in_time(self, command: Command, gate: Gate):
        with command.start(
            env=gate.environment, shutdown_timeout_seconds=0.5, **LETTERS
        ) as running:
            running.write(ORDERS_SCHEMA, bad(0), state(0))
            wait_until(lambda: gate.puts)
            running.send_signal(signal.SIGTERM)
            wait_until(lambda: running.process.poll() is not None)
            done = running.finish()

        assert (done.code, done.states) == (75, [])

    @pytest.mark.parametrize("status", [403, 503])
    def test_a_bucket_that_fails_ends_the_run_in_one_line_without_a_secret(
        self, command: Command, gate: Gate, status: int
    ):
        gate.status = status
        gate.may_put.set()
        done = command.run(
            ORDERS_SCHEMA,
            order(0, user_id=None, note="c4nary person"),
            state(0),
            env=gate.environment,
            retry_max_elapsed_seconds=0.3,
            **LETTERS,
        )
        shown = done.stdout + done.stderr + command.report_path.read_text()

        assert (done.code, done.states, len(done.errors)) == (1, [], 1)
        assert done.errors[0].startswith("dead_letter_path: s3://shop/rejected ")
        assert len(gate.puts) == 1 if status == 403 else len(gate.puts) > 1
        assert [each for each in (KEY, KEY_ID, "c4nary", "Traceback") if each in shown] == []

    def test_a_bucket_that_is_not_there_ends_it_before_anything_is_read(
        self, command: Command, sandbox: Sandbox, bucket: Bucket
    ):
        letters = LETTERS | {"dead_letter_path": f"s3://not-{bucket.name}/rejected"}
        done = command.run(ORDERS_SCHEMA, orders(3), state(3), **letters)

        assert (done.code, sandbox.raw(), len(done.errors)) == (1, [], 1)
        assert done.errors[0].endswith("is not there")

    def test_googles_bucket_takes_rejections_and_the_report(
        self, command: Command, sandbox: Sandbox, gcs_bucket: GcsBucket
    ):
        done = command.run(
            ORDERS_SCHEMA,
            orders(3),
            bad(3),
            state(3),
            dead_letter_path=f"{gcs_bucket.url}rejected",
            report_path=f"{gcs_bucket.url}reports/last.json",
            max_rejection_rate=1.0,
        )
        kept = gcs_bucket.contents()
        report = json.loads(kept.pop("reports/last.json"))

        assert done.code == 0, done.stderr
        assert ids(kept) == [3]
        assert report["streams"]["orders"]["rejected"] == 1

    def test_a_report_that_no_bucket_takes_is_one_line(self, command: Command, gate: Gate):
        gate.status = 403
        gate.may_put.set()
        done = command.run(
            ORDERS_SCHEMA, state(0), env=gate.environment, report_path="s3://shop/report.json"
        )

        assert (done.code, done.states, len(done.errors)) == (1, [state(0)["value"]], 1)
        assert done.errors[0].startswith("report_path: s3://shop/report.json ")
        assert KEY not in done.stderr


def _is_readable(stdout: Any) -> bool:
    import select  # noqa: PLC0415 (here alone)

    return bool(select.select([stdout], [], [], 0)[0])


class TestInput:
    def test_objects_are_read_by_name_each_beginning_a_line(
        self, command: Command, sandbox: Sandbox, bucket: Bucket
    ):
        bucket.put("in/1.singer", singer(ORDERS_SCHEMA, orders(3)).rstrip())
        bucket.put("in/2.singer", singer(orders(3, 3), state(5)))
        done = command.run(arguments=["--input", f"{bucket.url}in/"])

        assert (done.code, done.states) == (0, [state(5)["value"]]), done.stderr
        assert len(sandbox.report()) == 6

    def test_folders_globs_and_compressed_files_are_an_input_too(
        self, command: Command, sandbox: Sandbox, tmp_path: Path
    ):
        folder = tmp_path / "in"
        folder.mkdir()
        (folder / "1.singer.gz").write_bytes(gzip.compress(singer(ORDERS_SCHEMA, orders(3))))
        (folder / "2.singer").write_bytes(singer(orders(3, 3), state(5)))
        for source, rows in ((folder / "1.singer.gz", 3), (folder, 6), (folder / "*.singer*", 6)):
            sandbox.reset()
            done = command.run(arguments=["--input", str(source)])

            assert done.code == 0, done.stderr
            assert len(sandbox.report()) == rows

    def test_one_that_is_not_there_is_one_line(self, command: Command, bucket: Bucket):
        done = command.run(arguments=["--input", f"{bucket.url}gone.singer"])

        assert (done.code, len(done.errors)) == (1, 1)
        assert done.errors[0].startswith(f"{bucket.url}gone.singer: is not there")


# Killed


class BucketPipeline(Pipeline):
    def __init__(self, command: Command, folder: Path, bucket: Bucket) -> None:
        super().__init__(command, folder)
        self._bucket = bucket
        self._home = f"{folder.name}/rejected"
        command.config |= {"dead_letter_path": f"{bucket.url}{self._home}"}
        self.arguments = command.arguments(
            batch_size_rows=7, report_path=None, max_rejection_rate=1.0
        )

    def dead_letters(self) -> Iterator[int]:
        parts = contents(self._bucket)
        yield from ids({name: each for name, each in parts.items() if name.startswith(self._home)})


def _sweep(command: Command, sandbox: Sandbox, bucket: Bucket, folder: Path, kills: int) -> None:
    def opened(command: Command, folder: Path) -> Pipeline:
        return BucketPipeline(command, folder, bucket)

    kill_at_random(command, sandbox, folder, kills, seed=12, open_pipeline=opened)


def test_killed_at_random(command, sandbox, bucket, tmp_path):
    _sweep(command, sandbox, bucket, tmp_path, 6)


@pytest.mark.slow
def test_killed_at_random_sixty_times(command, sandbox, bucket, tmp_path):
    _sweep(command, sandbox, bucket, tmp_path, 60)


# The parts


class Shelf:
    """What stands for a bucket: it takes parts once it may, in a moment of its own."""

    url = "s3://shop/rejected"

    def __init__(self) -> None:
        self.may_put = threading.Event()
        self.parts: dict[str, bytes] = {}
        self.error: StorageError | None = None

    def put(self, name: str, content: bytes, wait: Any) -> None:
        self.may_put.wait()
        if self.error is not None:
            raise self.error
        assert name not in self.parts, "a part was overwritten"
        self.parts[name] = content


SCHEMAS = [singer({**ORDERS_SCHEMA, "key_properties": [key]}).rstrip() for key in ("id", "note")]


def rejection(number: int, size: int = 0) -> Rejection:
    line = json.dumps(bad(number) | {"pad": "x" * size}).encode()
    return Rejection(Record(line, Span(0)), Flaw("map", "missing_id", "user_id", None))


class TestParts:
    def test_thousands_are_few_objects_and_each_replays_alone(self):
        shelf, written = Shelf(), []
        chance = random.Random(1)  # noqa: S311 (the same each time)
        shelf.may_put.set()
        stop = Stop(1)
        with BucketLetters(shelf, "run-1", stop) as letters:  # type: ignore[arg-type]
            for number in range(3_000):
                schema = chance.choice(SCHEMAS)
                letters.post(
                    "orders", schema, [rejection(number)], lambda n=number: written.append(n)
                )
            letters.drain()
        stop.close()

        assert sorted(written) == sorted(ids(shelf.parts)) == list(range(3_000))
        assert len(shelf.parts) < 20
        assert {messages(each)[0]["type"] for each in shelf.parts.values()} == {"SCHEMA"}

    def test_memory_is_bounded_while_the_bucket_hangs(self):
        shelf, posted = Shelf(), []
        stop = Stop(1)
        with BucketLetters(shelf, "run-1", stop) as letters:  # type: ignore[arg-type]

            def post() -> None:
                for number in range(100):
                    letters.post("orders", SCHEMAS[0], [rejection(number, 2**20)], lambda: None)
                    posted.append(number)

            poster = threading.Thread(target=post)
            poster.start()
            try:
                wait_until(lambda: letters._hurried or len(posted) == 100)
                held = len(posted)
            finally:
                shelf.may_put.set()
            poster.join()
            letters.drain()
        stop.close()

        assert held <= HELD_BYTES / 2**20
        assert len(ids(shelf.parts)) == 100
        assert max(map(len, shelf.parts.values())) < PART_BYTES + HELD_BYTES

    def test_what_is_not_written_is_never_said_to_be(self):
        shelf, written = Shelf(), []
        shelf.error = StorageError("is away")
        shelf.may_put.set()
        stop = Stop(1)
        with BucketLetters(shelf, "run-1", stop) as letters:  # type: ignore[arg-type]
            letters.post("orders", SCHEMAS[0], [rejection(1)], lambda: written.append(1))
            letters.drain()
        with pytest.raises(Exception, match="is away"):
            stop.raise_if_input_is_over()
        stop.close()

        assert written == []
