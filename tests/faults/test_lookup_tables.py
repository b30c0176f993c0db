"""Whatever goes wrong, Mixpanel has a lookup table whole: the old one or the new one."""

import json
import os
import signal
import stat
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from target_mixpanel.sandbox import Sandbox
from tests.conftest import COMMAND, Command, Finished, singer
from tests.waiting import wait_until
from tests.whole_model import (
    ACCOUNT,
    OTHER_TABLE_ID,
    PRODUCTS_MAPPING,
    PRODUCTS_SCHEMA,
    SANDBOX,
    TABLE_ID,
    USERS_SCHEMA,
    product,
    products,
    reached,
    user,
)

OLD_ROWS = 5
PLACE = "streams.products"


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A folder for temporary files that nobody else uses."""
    folder = tmp_path / "room"
    folder.mkdir()
    return folder


@pytest.fixture
def filled(loads_all: Command, project: Sandbox) -> Command:
    """The command; the table has rows of an earlier run."""
    done = loads_all.run(PRODUCTS_SCHEMA, products(OLD_ROWS), reached(0))
    assert (done.code, len(project.table_rows(TABLE_ID))) == (0, OLD_ROWS)
    project.project.requests.clear()
    return loads_all


def puts(project: Sandbox) -> list[Any]:
    return [each for each in project.requests if each.path.startswith("/lookup-tables/")]


def in_room(folder: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder)}


def assert_untouched(project: Sandbox, done: Finished, *, states: list[Any] | None = None) -> str:
    """Check that the run failed, in one line, with the old table in place; return the line."""
    assert (done.code, done.states) == (1, states or [])
    assert [row["sku"] for row in project.table_rows(TABLE_ID)] == [
        f"sku-{number}" for number in range(OLD_ROWS)
    ]
    assert "Traceback" not in done.stderr
    [error] = done.errors
    assert "\n" not in error
    return error


class TestATableIsReplacedOnceAtTheEnd:
    def test_state_waits_for_it(self, filled: Command, project: Sandbox):
        """What came before the table's first row may be printed; the rest waits."""
        with filled.start(batch_size_rows=1) as running:
            running.write(USERS_SCHEMA, user("ada"), reached(1))
            assert running.read_state() == reached(1)["value"]
            running.write(PRODUCTS_SCHEMA, products(3), reached(2), user("bob"), reached(3))
            wait_until(lambda: "bob" in project.users)
            running.wait_until_read()
            assert (puts(project), len(project.table_rows(TABLE_ID))) == ([], OLD_ROWS)
            done = running.finish()

        assert (done.code, done.states) == (0, [reached(3)["value"]])
        assert len(puts(project)) == 1
        assert len(project.table_rows(TABLE_ID)) == 3

    def test_state_waits_for_the_reply(self, filled: Command, project: Sandbox):
        project.script({"path": "/lookup-tables", "delay_s": 1.0})
        started_at = time.monotonic()
        with filled.start() as running:
            running.write(PRODUCTS_SCHEMA, products(3), reached(1))
            running.end_input()
            assert running.read_state() == reached(1)["value"]
            waited_s = time.monotonic() - started_at
            assert running.finish().code == 0

        assert waited_s >= 1.0

    def test_the_last_row_of_a_key_wins(self, filled: Command, project: Sandbox):
        rows = [product(n % 7, price=n) for n in range(30_000)]
        done = filled.run(PRODUCTS_SCHEMA, rows, reached(1))
        prices = {row["sku"]: row["price"] for row in project.table_rows(TABLE_ID)}
        last = {f"sku-{n % 7}": n for n in range(30_000)}

        assert done.code == 0
        assert prices == last
        assert filled.report("products")["accepted"] == 30_000

    def test_keys_that_are_one_to_mixpanel_are_one_row(self, filled: Command, project: Sandbox):
        """It types 007 as a number, and refuses a table that has a key twice."""
        rows = [
            {"type": "RECORD", "stream": "products", "record": {"sku": sku, "price": price}}
            for price, sku in enumerate(["7", "b", "007", "07.0"])
        ]
        done = filled.run(PRODUCTS_SCHEMA, rows, reached(1))
        warning = next(line for line in done.stderr.splitlines() if "several ways" in line)

        assert done.code == 0
        assert [row["price"] for row in project.table_rows(TABLE_ID)] == [3, 1]
        assert "digits are a number (007 and 7); the last row of each counts" in warning
        assert done.stderr.count("several ways") == 1

    def test_a_lost_reply_is_asked_for_again(self, filled: Command, project: Sandbox):
        project.script(
            {"path": "/lookup-tables", "reset": "after_ingest"},
            {"path": "/lookup-tables", "status": 503},
        )
        done = filled.run(PRODUCTS_SCHEMA, products(3), reached(1))

        assert (done.code, done.states) == (0, [reached(1)["value"]])
        assert len({request.digest for request in puts(project)}) == 1
        assert len(project.table_rows(TABLE_ID)) == 3

    def test_without_rows_it_is_left_alone(self, filled: Command, project: Sandbox):
        """An empty stream is more often a mistake than an empty table."""
        done = filled.run(USERS_SCHEMA, user("ada"), PRODUCTS_SCHEMA, reached(1))

        assert (done.code, done.states) == (0, [reached(1)["value"]])
        assert (puts(project), len(project.table_rows(TABLE_ID))) == ([], OLD_ROWS)

    def test_two_tables_of_one_run(self, filled: Command, project: Sandbox):
        streams = {
            "products": PRODUCTS_MAPPING,
            "shops": {**PRODUCTS_MAPPING, "lookup_table_id": OTHER_TABLE_ID},
        }
        shop = {**product(8), "stream": "shops"}
        done = filled.run(
            PRODUCTS_SCHEMA,
            {**PRODUCTS_SCHEMA, "stream": "shops"},
            products(2),
            shop,
            reached(1),
            streams=streams,
        )

        assert (done.code, done.states) == (0, [reached(1)["value"]])
        assert [len(project.table_rows(table)) for table in (TABLE_ID, OTHER_TABLE_ID)] == [2, 1]


class TestHalfATable:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    @pytest.mark.parametrize("has_state", [True, False])
    def test_a_signal_while_it_is_read(
        self,
        filled: Command,
        project: Sandbox,
        room: Path,
        number: signal.Signals,
        has_state: bool,
    ):
        """Even a STATE behind the rows so far does not say that no more would have come."""
        with filled.start(env=in_room(room), batch_size_rows=1) as running:
            running.write(PRODUCTS_SCHEMA, products(3), USERS_SCHEMA, user("ada"))
            running.write(*([reached(1)] if has_state else []))
            wait_until(lambda: "ada" in project.users)
            running.wait_until_read()
            running.send_signal(number)
            done = running.finish()

        error = assert_untouched(project, done)
        assert error.startswith(f"{PLACE}: the run was stopped before the whole lookup table")
        assert puts(project) == []
        assert list(room.iterdir()) == []
        assert filled.report("products")["pending"] == 3

    def test_a_signal_before_its_first_row_is_no_failure(self, filled: Command, project: Sandbox):
        with filled.start(batch_size_rows=1) as running:
            running.write(PRODUCTS_SCHEMA, USERS_SCHEMA, user("ada"), reached(1))
            assert running.read_state() == reached(1)["value"]
            running.send_signal(signal.SIGTERM)
            done = running.finish()

        assert (done.code, puts(project)) == (143, [])

    def test_a_signal_while_it_is_sent(self, filled: Command, project: Sandbox):
        """All of it is under way: the reply is waited for, and STATE may go on."""
        project.script({"path": "/lookup-tables", "delay_s": 1.0})
        with filled.start() as running:
            running.write(PRODUCTS_SCHEMA, products(3), reached(1))
            running.end_input()
            wait_until(lambda: len(project.table_rows(TABLE_ID)) == 3)
            running.send_signal(signal.SIGTERM)
            done = running.finish()

        assert (done.code, done.states) == (143, [reached(1)["value"]])

    @pytest.mark.parametrize(
        "rest",
        [
            pytest.param([], id="no-state-at-all"),
            pytest.param([reached(1), product(9)], id="a-row-after-the-last-state"),
        ],
    )
    def test_a_tap_that_ends_without_state(
        self, filled: Command, project: Sandbox, room: Path, rest: list[Any]
    ):
        done = filled.run(PRODUCTS_SCHEMA, products(3), rest, env=in_room(room))

        error = assert_untouched(project, done)
        assert error.startswith(f"{PLACE}: the tap wrote no STATE after the table's last row")
        assert (puts(project), list(room.iterdir())) == ([], [])

    def test_an_empty_state_is_enough(self, filled: Command, project: Sandbox):
        """A tap that reads all each time says so by a STATE, though it marks no place."""
        done = filled.run(PRODUCTS_SCHEMA, products(3), {"type": "STATE", "value": {}})

        assert (done.code, done.stdout, len(project.table_rows(TABLE_ID))) == (0, "", 3)

    def test_the_other_table_may_not_be_whole(self, filled: Command, project: Sandbox):
        """Then neither is replaced: which of them Mixpanel has would be chance."""
        streams = {
            "products": PRODUCTS_MAPPING,
            "shops": {**PRODUCTS_MAPPING, "lookup_table_id": OTHER_TABLE_ID},
        }
        done = filled.run(
            PRODUCTS_SCHEMA,
            {**PRODUCTS_SCHEMA, "stream": "shops"},
            products(2),
            reached(1),
            {**product(8), "stream": "shops"},
            streams=streams,
        )

        error = assert_untouched(project, done)
        assert error.startswith("streams.shops: the tap wrote no STATE")
        assert puts(project) == []

    def test_its_columns_change(self, filled: Command, project: Sandbox, room: Path):
        columns = PRODUCTS_SCHEMA["schema"]["properties"]
        wider = {"type": "object", "properties": {**columns, "color": {"type": "string"}}}
        done = filled.run(
            PRODUCTS_SCHEMA,
            products(3),
            {**PRODUCTS_SCHEMA, "schema": wider},
            product(3, color="red"),
            reached(1),
            streams={"products": {**PRODUCTS_MAPPING, "properties": "*"}},
            env=in_room(room),
        )

        error = assert_untouched(project, done)
        assert error.startswith(f"{PLACE}: the columns of products changed")
        assert (puts(project), list(room.iterdir())) == ([], [])

    def test_its_schema_changes_but_its_columns_do_not(self, filled: Command, project: Sandbox):
        columns = PRODUCTS_SCHEMA["schema"]["properties"]
        wider = {"type": "object", "properties": {**columns, "color": {"type": "string"}}}
        done = filled.run(
            PRODUCTS_SCHEMA,
            products(3),
            {**PRODUCTS_SCHEMA, "schema": wider},
            product(3, color="red"),
            reached(1),
        )

        assert (done.code, len(project.table_rows(TABLE_ID))) == (0, 4)

    def test_two_streams_fill_it(self, filled: Command, project: Sandbox, room: Path):
        done = filled.run(
            PRODUCTS_SCHEMA,
            products(3),
            {**PRODUCTS_SCHEMA, "stream": "products_eu"},
            reached(1),
            streams={"products*": PRODUCTS_MAPPING},
            env=in_room(room),
        )

        error = assert_untouched(project, done)
        assert "products_eu and products would both fill this lookup table" in error
        assert (puts(project), list(room.iterdir())) == ([], [])

    def test_two_mappings_fill_it(self, filled: Command, project: Sandbox):
        """This is seen before stdin is read: no SCHEMA has come."""
        streams = {"products": PRODUCTS_MAPPING, "shops": PRODUCTS_MAPPING}
        done = filled.run(streams=streams)

        assert "is that of streams.products, too" in assert_untouched(project, done)


class TestMixpanelTakesNoTable:
    def test_it_refuses_the_rows(self, filled: Command, project: Sandbox, room: Path):
        failed = [{"index": 2, "message": "invalid row: wrong number of fields"}]
        body = {"code": 400, "error": "Some data points failed.", "failed_records": failed}
        project.script({"path": "/lookup-tables", "status": 400, "body": body, "times": -1})
        done = filled.run(
            USERS_SCHEMA, user("ada"), reached(1), PRODUCTS_SCHEMA, products(3), reached(2),
            env=in_room(room),
        )  # fmt: skip

        error = assert_untouched(project, done, states=[reached(1)["value"]])
        assert error.startswith(f"{PLACE}: Mixpanel refused the table and keeps the old one: ")
        assert "row 2: invalid row: wrong number of fields" in error
        assert len(puts(project)) == 1
        assert list(room.iterdir()) == []
        report = json.loads(filled.report_path.read_bytes())
        assert (report["verdict"], report["error"]) == ("failed", error)
        assert report["streams"]["products"]["pending"] == 3
        assert report["streams"]["users"]["pending"] == 0

    def test_it_does_not_know_the_table(self, filled: Command, project: Sandbox, room: Path):
        """The message lists those there are."""
        unknown = {**PRODUCTS_MAPPING, "lookup_table_id": "not-there"}
        done = filled.run(
            PRODUCTS_SCHEMA,
            products(3),
            reached(1),
            streams={"products": unknown},
            env=in_room(room),
        )

        error = assert_untouched(project, done)
        assert error == (
            f'{PLACE}: Mixpanel has no lookup table not-there; it has {TABLE_ID} ("Products"), '
            f'{OTHER_TABLE_ID} ("Shops"); correct lookup_table_id, or create the table in '
            "Mixpanel's Lexicon"
        )
        assert list(room.iterdir()) == []

    def test_it_is_down(self, filled: Command, project: Sandbox, room: Path):
        project.script({"path": "/lookup-tables", "status": 503, "times": -1})
        done = filled.run(
            PRODUCTS_SCHEMA,
            products(3),
            reached(1),
            retry_max_elapsed_seconds=0.3,
            env=in_room(room),
        )

        assert "gave up after retry_max_elapsed_seconds" in assert_untouched(project, done)
        assert list(room.iterdir()) == []

    @pytest.mark.parametrize("missing", ACCOUNT)
    def test_there_is_no_service_account(self, filled: Command, project: Sandbox, missing: str):
        """The run ends before stdin is read: nothing was written to it."""
        with filled.start(**{missing: None}) as running:
            wait_until(lambda: running.process.poll() is not None)
            done = running.finish()

        assert missing in assert_untouched(project, done)

    def test_the_service_account_is_refused(self, filled: Command, project: Sandbox):
        done = filled.run(PRODUCTS_SCHEMA, products(3), reached(1), service_account_secret="wrong")

        assert "401" in assert_untouched(project, done)


def open_files(pid: int, folder: Path) -> list[Path]:
    """Return the process's open files that are or were in *folder*."""
    descriptors = Path(f"/proc/{pid}/fd").iterdir()
    return [each for each in descriptors if each.readlink().is_relative_to(folder)]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
class TestWhereTheRowsWait:
    def test_their_file_has_no_name_and_is_nobody_elses(
        self, filled: Command, project: Sandbox, room: Path
    ):
        """Killed at that moment, the process leaves nothing."""
        with filled.start(env=in_room(room), batch_size_rows=1) as running:
            # Enough that rows are on disk already.
            large = [product(number, name="x" * 1_000) for number in range(25_000)]
            running.write(PRODUCTS_SCHEMA, large, USERS_SCHEMA, user("ada"))
            wait_until(lambda: "ada" in project.users)
            files = [path.stat() for path in open_files(running.process.pid, room)]
            named = list(room.iterdir())
            running.send_signal(signal.SIGKILL)
            running.process.wait()

        assert named == []
        assert [(file.st_nlink, stat.S_IMODE(file.st_mode)) for file in files] == [(0, 0o600)]
        assert files[0].st_size > 1_000_000
        assert list(room.iterdir()) == []
        assert len(project.table_rows(TABLE_ID)) == OLD_ROWS

    def test_nor_while_the_table_is_sent(self, filled: Command, project: Sandbox, room: Path):
        project.script({"path": "/lookup-tables", "delay_s": 60})
        with filled.start(env=in_room(room)) as running:
            running.write(PRODUCTS_SCHEMA, products(100), reached(1))
            running.end_input()
            wait_until(lambda: len(project.table_rows(TABLE_ID)) == 100)
            links = [path.stat().st_nlink for path in open_files(running.process.pid, room)]
            named = list(room.iterdir())
            running.send_signal(signal.SIGKILL)
            running.process.wait()

        assert (named, set(links)) == ([], {0})
        assert list(room.iterdir()) == []

    def test_there_is_no_room(self, filled: Command, project: Sandbox, room: Path):
        """A disk that is full ends the run; the message says which, and how to have another."""
        limited = [
            "bash",
            "-c",
            'ulimit -f 1000; trap "" XFSZ; exec "$@"',
            "limited",
            *COMMAND,
            *filled.arguments(),
        ]
        large = [product(number, name="x" * 1_000) for number in range(25_000)]
        done = subprocess.run(
            limited,
            input=singer(PRODUCTS_SCHEMA, large, reached(1)),
            capture_output=True,
            check=False,
            env=in_room(room),
        )
        finished = Finished(done.returncode, done.stdout.decode(), done.stderr.decode())

        error = assert_untouched(project, finished)
        assert error.startswith(f"{PLACE}: the table's rows cannot be kept in {room} (")
        assert "set TMPDIR to where there is some" in error
        assert list(room.iterdir()) == []


ROWS_OF_A_LARGE_TABLE = 2_000_000
MAX_RSS_MB = 200


@pytest.mark.slow
def test_a_large_table_takes_no_more_memory_than_a_small_one(tmp_path: Path):
    """Two million rows wait on disk."""
    settings = replace(SANDBOX, max_table_rows=ROWS_OF_A_LARGE_TABLE)
    with Sandbox(settings=settings) as project:
        command = Command(tmp_path, project.url)
        command.config |= {
            **ACCOUNT,
            "streams": {"products": PRODUCTS_MAPPING},
            "request_timeout_seconds": 600,
        }
        with command.start() as running:
            # A process cannot write two million rows into a pipe and read another's end of it.
            feeder = threading.Thread(target=feed, args=(running,))
            feeder.start()
            printed = running.read_state()
            feeder.join()
            running.process.wait()
        rows = project.tables[TABLE_ID].row_count
    peak_mb = running.process.peak_rss / 1024
    print(f"peak RSS {peak_mb:.0f} MB")  # noqa: T201 (shown with -s: the number behind the bound)

    assert (running.process.returncode, printed, rows) == (
        0,
        reached(1)["value"],
        ROWS_OF_A_LARGE_TABLE,
    )
    assert peak_mb < MAX_RSS_MB


def feed(running: Any) -> None:
    running.write(PRODUCTS_SCHEMA)
    for start in range(0, ROWS_OF_A_LARGE_TABLE, 20_000):
        running.process.stdin.write(singer(products(20_000, start=start)))
    running.write(reached(1))
    running.end_input()
