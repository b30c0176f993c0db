"""A program whose signal handler raises: at every point of an engine's run, one after the other."""

import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

import msgspec

import target_mixpanel
from target_mixpanel import Engine, parse_settings
from tests.conftest import ORDERS_SCHEMA, order
from tests.whole_model import USERS_SCHEMA, user

PACKAGE: Final = str(Path(target_mixpanel.__file__).parent)
OF_PYTHON: Final = threading.__file__
"""Whose locks and waits the engine uses."""
STUCK_S: Final = 60
RECORDS: Final = 12
"""Of each stream in one run; the fifth of every six orders is refused."""


class Interrupted(BaseException):
    """What the handler raises."""


class Sweep(msgspec.Struct):
    """What this program reads on stdin."""

    settings: dict[str, Any]
    first: int
    step: int


class Outcome(msgspec.Struct):
    """A line of what it writes: of one run."""

    nth: int
    points: int
    """So many were passed."""
    ended_by: str | None
    """A kind of exception."""
    safe: int = 0
    """So many of its records are, as it was told."""
    threads_left: list[str] = []


class Points:
    """
    The moments at which CPython runs a signal's handler: a function begins, or a C function ends.

    (It also does when a loop goes round, where nothing is half done that is not so at the others.)
    """

    def __init__(self, nth: int) -> None:
        self.passed = 0
        self._nth = nth

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        name = frame.f_code.co_filename
        is_ours = name == OF_PYTHON or name.startswith(PACKAGE)
        if is_ours and event in {"call", "c_return"}:
            self.passed += 1
            if self.passed == self._nth:
                sys.setprofile(None)
                raise Interrupted

    @contextmanager
    def watched(self) -> Iterator[None]:
        sys.setprofile(self)
        try:
            yield
        finally:
            sys.setprofile(None)


def run(settings: dict[str, Any], nth: int) -> Outcome:
    """Load a little, and be interrupted at the *nth* point; ids are of this run alone."""
    points = Points(nth)
    outcome = Outcome(nth, 0, None)

    def note(state: bytes) -> None:
        outcome.safe = int(state)

    try:
        with points.watched(), Engine(parse_settings(settings), on_safe=note) as engine:
            load(engine, nth * RECORDS)
            engine.finish()
    except BaseException as error:  # noqa: BLE001 (whatever it is: the test looks)
        outcome.ended_by = type(error).__name__
    outcome.points = points.passed
    return outcome


def load(engine: Engine, first: int) -> None:
    orders, users = (
        engine.stream(message["stream"], schema=message["schema"], key=["id"])
        for message in (ORDERS_SCHEMA, USERS_SCHEMA)
    )
    for number in range(RECORDS):
        more = {"created_at": "never"} if number % 6 == 4 else {}
        orders.load(order(first + number, **more)["record"])
        users.load(user(str(first + number))["record"])
        if number % 3 == 2:
            engine.checkpoint(str(number + 1).encode())


def threads_left() -> list[str]:
    """Return which are still there, though nothing keeps them."""
    others = [each for each in threading.enumerate() if each.is_alive()]
    others.remove(threading.current_thread())
    for thread in others:
        thread.join(STUCK_S / 4)
    return [thread.name for thread in others if thread.is_alive()]


def main() -> None:
    """Interrupt one run after the other, until one is over before its turn."""
    sweep = msgspec.json.decode(sys.stdin.buffer.read(), type=Sweep)
    logging.disable()
    points, nth = sys.maxsize, sweep.first
    while nth <= points:
        faulthandler.dump_traceback_later(STUCK_S, exit=True)
        outcome = run(sweep.settings, nth)
        outcome.threads_left = threads_left()
        faulthandler.cancel_dump_traceback_later()
        os.write(1, msgspec.json.encode(outcome) + b"\n")
        if outcome.ended_by is None:
            points = outcome.points
        nth += sweep.step


if __name__ == "__main__":
    main()
