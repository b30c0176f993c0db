"""Signals, pipes and disks: the rows of the fault matrix that only a real process shows."""

import json
import os
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

from target_mixpanel.sandbox import Sandbox
from tests.conftest import COMMAND, ORDERS_SCHEMA, Command, order, orders, singer, state
from tests.waiting import wait_until


def test_fault_33_sigterm_while_the_tap_says_nothing(command: Command, sandbox: Sandbox):
    """It wakes up, sends what it has, prints the STATE, and exits at once."""
    with command.start(batch_size_rows=10) as running:
        running.write(ORDERS_SCHEMA, orders(10))
        wait_until(lambda: len(sandbox.raw()) == 10)
        running.write(orders(5, start=10), state(14))
        running.wait_until_read()
        asked_at = time.monotonic()
        running.send_signal(signal.SIGTERM)
        done = running.finish()
        took_s = time.monotonic() - asked_at

    assert (done.code, done.states) == (143, [state(14)["value"]])
    assert len(sandbox.report()) == 15
    assert took_s < 20  # it does not go to the end of shutdown_timeout_seconds, 25


def test_fault_34_sigterm_with_a_request_under_way(command: Command, sandbox: Sandbox):
    """The reply is waited for, and its STATE printed."""
    sandbox.script({"delay_s": 1.0})
    with command.start(batch_size_rows=10) as running:
        running.write(ORDERS_SCHEMA, orders(10), state(9))
        wait_until(lambda: len(sandbox.raw()) == 10)
        running.send_signal(signal.SIGTERM)
        done = running.finish()

    assert (done.code, done.states) == (143, [state(9)["value"]])


def test_fault_34_sigterm_during_a_backoff(command: Command, sandbox: Sandbox):
    """The wait ends, and the request is repeated now instead of in a minute."""
    sandbox.script({"status": 503})
    with command.start(
        batch_size_rows=10,
        retry_initial_seconds=60,
        retry_max_seconds=60,
        retry_max_elapsed_seconds=900,
    ) as running:
        running.write(ORDERS_SCHEMA, orders(10), state(9))
        running.wait_until_logged("attempt=1 next_in_seconds=6")
        time.sleep(0.2)  # from the log's line to the wait
        running.send_signal(signal.SIGTERM)
        done = running.finish()

    assert (done.code, done.states) == (143, [state(9)["value"]])
    assert len(sandbox.report()) == 10


def test_fault_34_sigterm_while_the_reader_waits_for_room(command: Command, sandbox: Sandbox):
    """What was read when the signal came is settled; the rest of the pipe is the next run's."""
    sandbox.script({"delay_s": 0.3, "times": -1})
    with command.start(batch_size_rows=1, max_parallel_requests=1) as running:
        running.write(ORDERS_SCHEMA)
        for number in range(100):
            running.write(order(number), state(number))
        wait_until(lambda: len(sandbox.raw()) >= 2)
        running.send_signal(signal.SIGTERM)
        done = running.finish()
    newest = done.states[-1]["bookmarks"]["orders"]["id"]
    arrived = {event["properties"]["id"] for event in sandbox.report()}

    assert done.code == 143
    # The signal may come between a record and the STATE behind it.
    assert arrived in (set(range(newest + 1)), set(range(newest + 2)))
    assert newest < 20


def test_fault_35_sigint_then_sigterm_is_one_drain(command: Command, sandbox: Sandbox):
    """Meltano sends both, 300 ms apart."""
    sandbox.script({"delay_s": 1.0})
    with command.start(batch_size_rows=10) as running:
        running.write(ORDERS_SCHEMA, orders(10), state(9))
        wait_until(lambda: len(sandbox.raw()) == 10)
        running.send_signal(signal.SIGINT)
        time.sleep(0.3)
        running.send_signal(signal.SIGTERM)
        done = running.finish()

    assert (done.code, done.states) == (130, [state(9)["value"]])


@pytest.mark.parametrize(
    "second", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM-again", "then-SIGINT"]
)
def test_a_second_signal_stops_at_once_without_state(
    command: Command, sandbox: Sandbox, second: signal.Signals
):
    """What was read is not settled, and the exit code says so."""
    sandbox.script({"delay_s": 60})
    with command.start(batch_size_rows=10) as running:
        running.write(ORDERS_SCHEMA, orders(10), state(9))
        wait_until(lambda: len(sandbox.raw()) == 10)
        asked_at = time.monotonic()
        running.send_signal(signal.SIGTERM)
        time.sleep(1)  # at once they would be one wish
        running.send_signal(second)
        done = running.finish()
        took_s = time.monotonic() - asked_at

    assert (done.code, done.states) == (75, [])
    assert took_s < 20  # and not the 25 of an orderly end, nor the 60 of the reply


def test_fault_36_sigterm_while_the_api_is_down(command: Command, sandbox: Sandbox):
    """The deadline holds, no STATE passes what is pending, and the exit code is not 0."""
    sandbox.script({"reset": "before_ingest", "times": -1})
    with command.start(
        batch_size_rows=10,
        shutdown_timeout_seconds=1,
        retry_max_elapsed_seconds=900,
    ) as running:
        running.write(ORDERS_SCHEMA, orders(10), state(9))
        wait_until(lambda: len(sandbox.requests) >= 2)
        asked_at = time.monotonic()
        running.send_signal(signal.SIGTERM)
        done = running.finish()
        took_s = time.monotonic() - asked_at

    assert (done.code, done.states) == (75, [])
    assert command.report()["pending"] == 10
    assert 1 <= took_s < 30  # and not the 900 that retries are allowed


def test_fault_38_stdout_is_closed(command: Command, sandbox: Sandbox):
    """One line says so; what was loaded stays loaded."""
    with command.start(batch_size_rows=10) as running:
        running.process.stdout.close()
        running.process.stdout = None
        running.write(ORDERS_SCHEMA, orders(10), state(9))
        wait_until(lambda: running.process.poll() is not None)
        done = running.finish()

    assert done.code == 1
    assert "stdout: STATE cannot be written (Broken pipe)" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert len(sandbox.report()) == 10


def test_fault_39_a_state_line_is_one_write(command: Command, tmp_path: Path):
    """Whoever reads the pipe sees a line whole or not at all, even one larger than any buffer."""
    large = {"type": "STATE", "value": {"bookmarks": {"orders": {"id": 9, "pad": "x" * 50_000}}}}
    trace = tmp_path / "writes"
    input_path = tmp_path / "input.singer"
    input_path.write_bytes(singer(ORDERS_SCHEMA, orders(10), state(8), large))
    wrapper = tmp_path / "count_writes.py"
    wrapper.write_text(
        "import io, os, sys\n"
        "class Raw(io.FileIO):\n"
        "    def write(self, data):\n"
        f"        open({str(trace)!r}, 'a').write(f'{{len(data)}}\\n')\n"
        "        return super().write(data)\n"
        "sys.stdout = io.TextIOWrapper(io.BufferedWriter(Raw(1, 'w', closefd=False)))\n"
        "from target_mixpanel.singer.cli import main\n"
        "main()\n",
    )
    done = subprocess.run(
        [
            COMMAND[0].replace("target-mixpanel", "python"),
            str(wrapper),
            *command.arguments(),
            "--input",
            str(input_path),
        ],
        capture_output=True,
        check=True,
    )
    lines = done.stdout.splitlines(keepends=True)

    assert [len(line) for line in lines] == [int(size) for size in trace.read_text().split()]
    assert json.loads(lines[-1]) == large["value"]


class TestFault73DeadLettersCannotBeWritten:
    def bad(self) -> list:
        return [*orders(3), order(3, user_id=None), *orders(3, start=4)]

    def refused(self, command: Command, folder: Path) -> str:
        """Run with *folder*; return the error after checking that nothing moved on."""
        done = command.run(ORDERS_SCHEMA, self.bad(), state(9), dead_letter_path=str(folder))

        assert (done.code, done.states) == (1, [])
        (error,) = done.errors
        return error

    def test_a_folder_that_cannot_be_made(self, command: Command, tmp_path: Path):
        assert "dead_letter_path" in self.refused(command, tmp_path / "no" / "such")

    def test_a_file_in_its_place(self, command: Command, tmp_path: Path):
        (tmp_path / "file").write_text("")

        assert "dead_letter_path" in self.refused(command, tmp_path / "file")

    def test_a_symbolic_link(self, command: Command, tmp_path: Path):
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "real")

        assert "symbolic link" in self.refused(command, tmp_path / "link")

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_a_disk_that_is_full(self, command: Command, tmp_path: Path):
        """What cannot be written whole is not there at all, and STATE does not pass it."""
        folder = tmp_path / "rejected"
        limited = [
            "bash",
            "-c",
            'ulimit -f 0; trap "" XFSZ; exec "$@"',
            "limited",
            *COMMAND,
            *command.arguments(dead_letter_path=str(folder), report_path=None),
        ]
        done = subprocess.run(
            limited,
            input=singer(ORDERS_SCHEMA, self.bad(), state(9)),
            capture_output=True,
            check=False,
        )

        assert (done.returncode, done.stdout) == (1, b"")
        assert b"dead_letter_path" in done.stderr
        assert [path.stat().st_size for path in folder.iterdir()] == [0]

    def test_nobody_else_may_read_them(self, command: Command, tmp_path: Path):
        folder = tmp_path / "rejected"
        command.run(ORDERS_SCHEMA, self.bad(), dead_letter_path=str(folder))
        (file,) = folder.iterdir()

        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def test_two_processes_write_two_files(self, command: Command, tmp_path: Path):
        folder = tmp_path / "rejected"
        with (
            command.start(dead_letter_path=str(folder)) as one,
            command.start(dead_letter_path=str(folder)) as other,
        ):
            for running in (one, other):
                running.write(ORDERS_SCHEMA, self.bad())
            codes = [running.finish().code for running in (one, other)]

        assert codes == [0, 0]
        assert [len(path.read_text().splitlines()) for path in folder.iterdir()] == [2, 2]


def test_fault_83_memory_is_bounded_by_a_hard_limit(command: Command, tmp_path: Path):
    """A quarter of a million records pass through a process that may not have 600 MB."""
    input_path = tmp_path / "input.singer"
    with input_path.open("wb") as file:
        file.write(singer(ORDERS_SCHEMA))
        for start in range(0, 250_000, 10_000):
            file.write(singer(orders(10_000, start=start), state(start)))
    done = subprocess.run(
        [
            "bash",
            "-c",
            'ulimit -v 900000; exec "$@"',
            "limited",
            *COMMAND,
            *command.arguments(dry_run=True),
            "--input",
            str(input_path),
        ],
        capture_output=True,
        check=False,
        env={**os.environ, "MALLOC_ARENA_MAX": "2"},
    )

    assert done.returncode == 0, done.stderr[-500:]
    assert command.report()["accepted"] == 250_000


def test_fault_84_a_slow_tap_does_not_hold_rows_back(command: Command, sandbox: Sandbox):
    """A batch goes out at its age, though no further record comes."""
    with command.start(batch_wait_limit_seconds=0.5) as running:
        running.write(ORDERS_SCHEMA, order(1), state(1))
        printed = running.read_state()  # as long as the tap writes nothing more

    assert printed == state(1)["value"]
    assert len(sandbox.raw()) == 1
