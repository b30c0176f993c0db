"""
Who hears SIGINT and SIGTERM, whatever the process is doing, and what ends it if nothing else does?

This file is imported before everything that takes time to import, and so imports little itself.
"""

import faulthandler
import os
import select
import signal
import socket
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Final, NoReturn

from target_mixpanel.stop import Stop
from target_mixpanel.threads import start

SIGNAL_EXIT: Final = 128
"""A process that a signal ended exits with this plus the signal's number."""

UNSETTLED_EXIT: Final = 75
"""What was read is not settled: try again. EX_TEMPFAIL of sysexits.h."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

_AT_ONCE_S: Final = 0.1
"""Two different signals no further apart are one wish, in whichever order they are heard."""

_MARGIN_S: Final = 5.0
"""After the deadline, for the report and the last log lines."""

_LAST_MARGIN_S: Final = 5.0
"""After that, for an interpreter that comes to no rest to end itself."""


def end_at_once_on_signals() -> None:
    """Until `hear_signals`, a signal ends the process: nothing was read yet."""

    def end(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
        _end(number, SIGNAL_EXIT + number, "before anything was read")

    for number in _SIGNALS:
        signal.signal(number, end)


def hear_signals(stop: Stop, timeout_s: float) -> None:
    """
    Let a signal ask *stop*; a second one, or the end of the time for it, ends the process.

    The main thread may be waiting for a lock, or in a write to a pipe that nobody reads, and the
    kernel may have given the signal to any thread. So C code writes each signal's number to a
    socket, where a thread waits that needs no lock of anybody's.

    Args:
        stop: What everything that waits looks at.
        timeout_s: Its time to settle what was read.
    """
    heard, told = socket.socketpair()
    told.settimeout(0)
    signal.set_wakeup_fd(told.detach(), warn_on_full_buffer=False)
    listening = (heard, stop, timeout_s)
    start(threading.Thread(target=_listen, args=listening, name="signals", daemon=True))

    def ask(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        # Where the main thread hears it, it does so before it reads on: a signal that comes before
        # the input's end must not be found only after it, or half a lookup table would be whole.
        stop.request(number)

    for number in _SIGNALS:
        signal.signal(number, ask)


def _listen(heard: socket.socket, stop: Stop, timeout_s: float) -> None:
    first = _next_signal(heard, None)
    if first is None:
        return
    heard_at = time.monotonic()
    stop.request(first)
    _end_without_interpreter(timeout_s + _MARGIN_S + _LAST_MARGIN_S)
    deadline = time.monotonic() + timeout_s + _MARGIN_S
    while (second := _next_signal(heard, deadline)) is not None:
        if not _is_one_wish(first, second, time.monotonic() - heard_at):
            _end(second, UNSETTLED_EXIT, "a second signal, so stopped at once; STATE stays")
    _end(first, UNSETTLED_EXIT, "the run did not come to its end in time; STATE stays")


def _is_one_wish(first: int, second: int, apart_s: float) -> bool:
    """Say whether *second* adds nothing; if not, it is impatience."""
    # Meltano sends SIGINT, then SIGTERM. Where both wait for the process, the kernel lets the
    # later one's handler run first.
    in_order = (first, second) == (signal.SIGINT, signal.SIGTERM)
    return in_order or (first != second and apart_s < _AT_ONCE_S)


def _next_signal(heard: socket.socket, deadline: float | None) -> int | None:
    """Return the next signal's number; None: there was none until *deadline*."""
    while True:
        left_s = None if deadline is None else max(deadline - time.monotonic(), 0.0)
        if not select.select([heard], [], [], left_s)[0]:
            return None
        (number,) = heard.recv(1) or (0,)
        if number in _SIGNALS:
            return number
        if not number:
            return None


def _end_without_interpreter(seconds: float) -> None:
    """In *seconds* a thread of C's ends the process, even one in which no Python runs any more."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    faulthandler.dump_traceback_later(seconds, exit=True, file=devnull)


def _end(number: int, code: int, why: str) -> NoReturn:
    line = f"target-mixpanel: {signal.Signals(number).name}: {why}\n"
    # Whoever reads stderr may have stopped to; a pipe that is writable takes a short line whole.
    with suppress(OSError):
        if select.select([], [2], [], 0)[1]:
            os.write(2, line.encode())
    os._exit(code)
