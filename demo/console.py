"""How does the demo tell what it is doing?"""

from __future__ import annotations

import re
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TAIL_LINES: Final = 15
"""Lines of a failed step's log that are shown."""
LINE_LENGTH: Final = 400
"""Some lines hold a whole traceback; what went wrong stands at its end."""

_ERROR: Final = re.compile(r"\[(error|critical) *\]")

_TITLE_WIDTH: Final = 58


class StepError(Exception):
    """A step failed for a reason that its log, if any, explains."""


@dataclass
class Step:
    """One numbered step, its log and what came of it."""

    title: str
    log: Path
    result: str = ""


@dataclass
class Console:
    """Print numbered steps with their durations, and the log of the one that failed."""

    logs: Path
    out: TextIO = sys.stdout
    _count: int = field(default=0, init=False)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """
        Announce *title*, then print how long it took.

        Raises:
            StepError: As raised inside, after the tail of the step's log was printed.
        """
        self._count += 1
        step = Step(title, self.logs / f"{self._count}.log")
        step.log.write_text("")
        self._write(f"{self._count:>2}  {title:<{_TITLE_WIDTH}}")
        started = time.monotonic()
        try:
            yield step
        except StepError as error:
            self._write(f"failed after {time.monotonic() - started:.1f} s\n")
            self._show_tail(step.log)
            self.say(f"\n{error}")
            raise
        except BaseException:
            self._write("stopped\n")
            raise
        self._write(f"{time.monotonic() - started:6.1f} s\n")
        if step.result:
            self.say(f"    {step.result}")

    def say(self, line: str = "") -> None:
        """Print one line."""
        self._write(line + "\n")

    def table(self, rows: list[tuple[str, ...]]) -> None:
        """Print *rows*, the first of them the head: text left, numbers right."""
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            first, *others = (cell for cell in row)
            cells = [first.ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
            self.say("    " + "   ".join(cells).rstrip())

    def _show_tail(self, log: Path) -> None:
        lines = log.read_text(errors="replace").rstrip().splitlines()
        tail = lines[-TAIL_LINES:]
        # Meltano prints a long traceback after the line in which a plugin says what is wrong.
        errors = [line for line in lines[:-TAIL_LINES] if _ERROR.search(line)]
        if lines:
            self.say(f"\nThe end of {log}, and what it calls errors:\n")
        for line in [*errors, *tail]:
            self.say(f"    {line if len(line) <= LINE_LENGTH else '…' + line[-LINE_LENGTH:]}")

    def _write(self, text: str) -> None:
        self.out.write(text)
        self.out.flush()
