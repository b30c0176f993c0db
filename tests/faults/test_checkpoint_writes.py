"""Row 34: a signal that comes while a STATE line is being written does not tear it."""

import array
import fcntl
import os
import signal
import termios
import time
from typing import IO

import pytest

from target_mixpanel.sandbox import Sandbox
from tests.conftest import ORDERS_SCHEMA, Command, Finished, Running, orders, state
from tests.waiting import wait_until

LARGE = {"bookmarks": {"orders": {"id": 9, "pad": "x" * 1_000_000}}}
"""More than any pipe holds, so that its writing lasts until somebody reads."""


def signal_while_writing(
    command: Command, sandbox: Sandbox, number: signal.Signals, unbuffered: str
) -> Finished:
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    command.config["batch_size_rows"] = 10
    with Running(command.arguments(), env=env, is_warm=not unbuffered) as running:
        running.write(ORDERS_SCHEMA, orders(10), state(9))
        # Once all is settled it is the main thread, a signal's own, that writes.
        assert running.read_state() == state(9)["value"]
        running.write({"type": "STATE", "value": LARGE})
        wait_until(lambda: bytes_in(running.process.stdout) > 0)
        time.sleep(0.1)  # until the pipe is full
        running.send_signal(number)
        time.sleep(0.2)
        return running.finish()


def bytes_in(pipe: IO[bytes]) -> int:
    """Return how many bytes wait in *pipe* to be read."""
    size = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, size)
    return size[0]


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130)],
    ids=["SIGTERM", "SIGINT"],
)
def test_fault_34_a_signal_during_a_checkpoint(
    command: Command, sandbox: Sandbox, number: signal.Signals, code: int
):
    done = signal_while_writing(command, sandbox, number, unbuffered="")

    assert (done.code, done.states) == (code, [LARGE])


def test_faults_34_39_a_signal_during_an_unbuffered_checkpoint(command: Command, sandbox: Sandbox):
    """With PYTHONUNBUFFERED, as in most container images, a write may be partial: then go on."""
    done = signal_while_writing(command, sandbox, signal.SIGTERM, unbuffered="1")

    assert (done.code, done.states) == (143, [LARGE])
