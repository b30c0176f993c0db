"""Through what do the records go in: how is it started, and how does it say what is safe?"""

import json
import sys
from pathlib import Path
from typing import Any, Protocol

from tests.conftest import COMMAND, singer


class Door(Protocol):
    """A process that reads messages on stdin, and says on stdout what is safe."""

    def arguments(self, config: Path) -> list[str]:
        """Return what starts it."""

    def input(self, messages: list[Any]) -> bytes:
        """Return *messages* as it reads them."""

    def safe(self, line: bytes) -> int:
        """Return the position that a whole line of its stdout calls safe."""


class SingerDoor:
    """The real command, or one with a fault built in."""

    def __init__(self, mutant: str | None = None) -> None:
        mutated = [sys.executable, str(Path(__file__).with_name("mutants.py")), str(mutant)]
        self._command = COMMAND if mutant is None else mutated

    def arguments(self, config: Path) -> list[str]:
        return [*self._command, "--config", str(config)]

    def input(self, messages: list[Any]) -> bytes:
        return singer(messages)

    def safe(self, line: bytes) -> int:
        return int(json.loads(line)["position"])
