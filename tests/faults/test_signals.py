"""SIGTERM and SIGINT are heard, whatever the process is doing, and it ends within its time."""

import array
import ctypes
import fcntl
import os
import re
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import IO

import pytest

from target_mixpanel.sandbox import Sandbox
from tests.conftest import COMMAND, ORDERS_SCHEMA, Command, orders, singer, state
from tests.waiting import wait_until

F_SETPIPE_SZ = 1031
PIPE_BYTES = 4_096

EXIT = {signal.SIGTERM: 143, signal.SIGINT: 130}


def bytes_in(pipe: IO[bytes]) -> int:
    """Return how many bytes wait in *pipe* to be read."""
    size = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, size)
    return size[0]


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def signal_a_sender(pid: int, number: signal.Signals) -> None:
    """Give *number* to a thread that is not the main one, as the kernel may."""
    other = max(int(thread.name) for thread in Path(f"/proc/{pid}/task").iterdir())
    assert other != pid
    assert ctypes.CDLL(None).tgkill(pid, other, number) == 0


def test_a_thread_other_than_the_readers_gets_the_signal_while_the_tap_is_silent(
    command: Command, sandbox: Sandbox
):
    """As after SIGSTOP and SIGCONT: the reader's own wait is not interrupted."""
    with command.start(batch_size_rows=10) as running:
        running.write(ORDERS_SCHEMA, orders(10), state(9))
        assert running.read_state() == state(9)["value"]
        signal_a_sender(running.process.pid, signal.SIGTERM)
        wait_until(lambda: running.process.poll() is not None)

        assert running.process.returncode == 143


def test_a_run_that_was_stopped_and_continued_while_the_tap_is_silent(
    command: Command, sandbox: Sandbox
):
    with command.start(batch_size_rows=10) as running:
        running.write(ORDERS_SCHEMA, orders(10), state(9))
        assert running.read_state() == state(9)["value"]
        running.send_signal(signal.SIGSTOP)
        wait_until(lambda: is_stopped(running.process.pid))
        running.send_signal(signal.SIGCONT)
        running.send_signal(signal.SIGTERM)
        wait_until(lambda: running.process.poll() is not None)

        assert running.process.returncode == 143


@pytest.mark.parametrize("pipe", ["stdout", "stderr"])
def test_nobody_reads_a_pipe(command: Command, sandbox: Sandbox, pipe: str):
    """Some thread waits in a write for ever, and others for its lock."""
    arguments = command.arguments(batch_size_rows=1, shutdown_timeout_seconds=0.5)
    with subprocess.Popen(
        COMMAND + arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE if pipe == "stdout" else subprocess.DEVNULL,
        stderr=subprocess.PIPE if pipe == "stderr" else subprocess.DEVNULL,
        env={**os.environ, "TARGET_MIXPANEL_LOGLEVEL": "DEBUG"},
    ) as process:
        unread = process.stdout if pipe == "stdout" else process.stderr
        fcntl.fcntl(unread, F_SETPIPE_SZ, PIPE_BYTES)
        process.stdin.write(singer(ORDERS_SCHEMA))
        process.stdin.flush()
        long_state = {"type": "STATE", "value": {"pad": "x" * 3 * PIPE_BYTES}}
        os.set_blocking(process.stdin.fileno(), False)
        lines = [singer(*orders(1, start=number), long_state) for number in range(2_000)]
        wait_until(
            lambda: is_full(process.stdin.fileno(), lines) and bytes_in(unread) > PIPE_BYTES / 2
        )
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        unread.close()
        os.set_blocking(process.stdin.fileno(), True)

    assert code == 75


def is_full(descriptor: int, lines: list[bytes]) -> bool:
    """Write of *lines* what the pipe takes; say whether it takes no more."""
    while lines:
        try:
            written = os.write(descriptor, lines[0])
        except BlockingIOError:
            time.sleep(0.3)
            return not _took_more(descriptor, lines)
        lines[0] = lines[0][written:]
        if not lines[0]:
            del lines[0]
    return True


def _took_more(descriptor: int, lines: list[bytes]) -> bool:
    try:
        written = os.write(descriptor, lines[0])
    except BlockingIOError:
        return False
    lines[0] = lines[0][written:]
    return True


@pytest.mark.parametrize("number", EXIT, ids=lambda number: number.name)
def test_a_signal_while_the_command_is_still_being_imported(number: signal.Signals):
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", *COMMAND],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        for line in process.stderr:
            if b"click" in line:
                break
        process.send_signal(number)
        rest = process.stderr.read().decode()
        code = process.wait(60)

    said = [line for line in rest.splitlines() if not line.startswith("import time:")]
    assert code == EXIT[number]
    assert said == [f"target-mixpanel: {number.name}: before anything was read"]


@pytest.mark.parametrize("delay_s", [0.0, 0.005, 0.02, 0.04, 0.07])
def test_a_signal_right_after_the_last_state(command: Command, sandbox: Sandbox, delay_s: float):
    """It ends as asked, or had ended; Python's way out does not let the signal kill it."""
    with command.start(batch_size_rows=10) as running:
        running.write(ORDERS_SCHEMA, orders(10), state(9))
        running.end_input()
        assert running.read_state() == state(9)["value"]
        time.sleep(delay_s)
        running.send_signal(signal.SIGTERM)
        done = running.finish()

    assert done.code in {0, 143}
    assert "Traceback" not in done.stderr


def test_no_room_for_another_thread(command: Command, sandbox: Sandbox, tmp_path: Path):
    """It says what to do, and asks for no report of it."""
    wrapper = tmp_path / "no_room.py"
    wrapper.write_text(
        "import threading\n"
        "def start(self):\n"
        '    raise RuntimeError("can\'t start new thread")\n'
        "from target_mixpanel.singer.cli import main\n"
        "threading.Thread.start = start\n"
        "main()\n",
    )
    done = subprocess.run(
        [sys.executable, wrapper, *command.arguments()],
        input=singer(ORDERS_SCHEMA, orders(10)),
        capture_output=True,
        check=False,
    )

    assert done.returncode == 1
    assert re.search(rb"threads: the machine has no room .* [(]ulimit -u", done.stderr)
    assert b"please report" not in done.stderr
    assert b"Traceback" not in done.stderr


def test_both_signals_at_once_are_one_wish(command: Command, sandbox: Sandbox):
    """Of two that wait for a process the kernel lets the later one's handler run first."""
    with command.start(batch_size_rows=10) as running:
        running.write(ORDERS_SCHEMA, orders(10), state(9))
        assert running.read_state() == state(9)["value"]
        running.send_signal(signal.SIGSTOP)
        wait_until(lambda: is_stopped(running.process.pid))
        running.write(orders(5, start=10), state(14))
        running.send_signal(signal.SIGINT)
        running.send_signal(signal.SIGTERM)
        running.send_signal(signal.SIGCONT)
        wait_until(lambda: running.process.poll() is not None)

        assert running.process.returncode in EXIT.values()
