"""Whoever watches a terminal sees how far it is; a log file sees nothing of that."""

import json
import os
import pty
import subprocess

from tests.conftest import COMMAND, ORDERS_SCHEMA, Command, orders, singer, state


def test_a_terminal_shows_a_live_line(command: Command):
    """And the log's lines stay whole beside it."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *command.arguments()],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=follower,
        env={**os.environ, "COLUMNS": "300", "TERM": "xterm"},
    )
    os.close(follower)
    assert process.stdin is not None
    process.stdin.write(singer(ORDERS_SCHEMA, orders(100)))
    process.stdin.close()
    shown = bytearray()
    try:
        while chunk := os.read(leader, 65_536):
            shown += chunk
    except OSError:  # how Linux says that the other end is gone
        pass
    os.close(leader)

    assert process.wait(timeout=60) == 0
    assert b"accepted 0  rejected 0" in shown
    assert b"summary: complete" in shown


def test_a_terminal_that_is_closed_ends_nothing(command: Command):
    """Who watched has gone; the load goes on."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *command.arguments()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=follower,
        env={**os.environ, "TERM": "xterm"},
    ) as process:
        os.close(follower)
        assert process.stdin is not None
        process.stdin.write(singer(ORDERS_SCHEMA, orders(100)))
        process.stdin.flush()
        shown = b""
        while b"target-mixpanel" not in shown:
            shown += os.read(leader, 65_536)
        os.close(leader)
        out, _ = process.communicate(singer(orders(100), state(99)), timeout=60)

    assert process.returncode == 0
    assert [json.loads(line) for line in out.splitlines()] == [state(99)["value"]]


def test_a_file_shows_none(command: Command):
    done = command.run(ORDERS_SCHEMA, orders(100))

    assert "accepted 0  rejected 0" not in done.stderr
    assert "\x1b" not in done.stderr
