"""Through what do the records go in: how is it started, and how does it say what is safe?"""

import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from tests.conftest import COMMAND, singer
from tests.torture.interruptions import Interruption

KILLED: Final = -signal.SIGKILL


class Given(msgspec.Struct, frozen=True):
    """What one run is to load."""

    folder: Path
    """The round's own, the same in all its runs: for files of records, or notes of what is done."""
    config: Path
    messages: list[Any]
    """SCHEMA, RECORD and STATE, in order; a STATE's position says how many records come before."""


class Begun(msgspec.Struct, frozen=True):
    """What starts a run, and what it reads on stdin."""

    arguments: list[str]
    stdin: bytes


class Door(Protocol):
    """A process that loads what it is given, and says what is safe."""

    codes: Mapping[Interruption | None, set[int]]
    """The exit codes that may follow an interruption where there is time to settle what was read.
    0 is always one: it came when all was done; the oracle sees whether it was."""
    can_be_unread: bool
    """Whether it ends in time though nobody reads its stdout."""

    def begin(self, given: Given) -> Begun:
        """Make ready what the run needs."""

    def safe(self, given: Given, said: list[bytes]) -> list[int]:
        """Return the positions that a run called safe, in that order; *said* is its stdout."""


class SingerDoor:
    """The real command, or one with a fault built in."""

    can_be_unread = True
    codes: Mapping[Interruption | None, set[int]] = {
        None: {0},
        "kill": {KILLED, 0},
        "stop": {0},
        "term": {143, 0},
        "int": {130, 0},
        "stop, term": {143, 0},
        "term, term": {143, 75, 0},
        "int, term": {143, 130, 0},
    }

    def __init__(self, mutant: str | None = None) -> None:
        mutated = [sys.executable, str(Path(__file__).with_name("mutants.py")), str(mutant)]
        self._command = COMMAND if mutant is None else mutated

    def begin(self, given: Given) -> Begun:
        return Begun([*self._command, "--config", str(given.config)], singer(given.messages))

    def safe(self, given: Given, said: list[bytes]) -> list[int]:
        return _positions(said)


class EngineDoor:
    """A program that uses the Engine, and ends at a signal without more ado."""

    can_be_unread = False
    # Python's own way out gives signals back their power to kill.
    codes: Mapping[Interruption | None, set[int]] = {
        **SingerDoor.codes,
        "term, term": {143, -signal.SIGTERM, 0},
        "int, term": {143, 130, -signal.SIGTERM, 0},
    }

    def begin(self, given: Given) -> Begun:
        driver = str(Path(__file__).with_name("engine_driver.py"))
        return Begun([sys.executable, driver, str(given.config)], singer(given.messages))

    def safe(self, given: Given, said: list[bytes]) -> list[int]:
        return _positions(said)


DOORS: Final[Mapping[str, type[SingerDoor | EngineDoor]]] = {
    "singer": SingerDoor,
    "engine": EngineDoor,
}


def _positions(said: list[bytes]) -> list[int]:
    """Return those of whole lines: a killed run's last one may be torn."""
    return [int(json.loads(line)["position"]) for line in said if line.endswith(b"\n")]
