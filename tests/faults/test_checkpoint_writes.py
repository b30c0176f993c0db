"""Row 34: a signal that comes while a STATE line is being written does not tear it."""

import os
import signal
import time

import pytest

from target_mixpanel.sandbox import Sandbox
from tests.conftest import ORDERS_SCHEMA, Command, Finished, orders
from tests.faults.test_processes import wait_until

LARGE = {"bookmarks": {"orders": {"id": 9, "pad": "x" * 1_000_000}}}
"""More than any pipe holds, so that its writing lasts until somebody reads."""


def signal_while_writing(
    command: Command, sandbox: Sandbox, number: signal.Signals, unbuffered: str
) -> Finished:
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with command.start(batch_size_rows=10, env=env) as running:
        running.write(ORDERS_SCHEMA, orders(10))
        wait_until(sandbox.raw)
        time.sleep(0.2)  # once all is settled it is the main thread, a signal's own, that writes
        running.write({"type": "STATE", "value": LARGE})
        time.sleep(0.3)
        running.send_signal(number)
        time.sleep(0.2)
        return running.finish()


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
