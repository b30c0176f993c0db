"""How far is a load of files? For who watches a terminal, and for a log."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from target_mixpanel.commands.progress import NoProgress, Progress
from target_mixpanel.engine.summary import Summary
from target_mixpanel.files.objects import StoredObject

logger = logging.getLogger("target-mixpanel")

_LOG_EVERY_S: Final = 30.0

_MB: Final = 1_000_000


class Watching:
    """Counts of files, rows and bytes."""

    def __init__(
        self,
        summary: Summary,
        sizes: Sequence[int],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.line: Progress = NoProgress()
        """On a terminal; otherwise the log is told now and then."""
        self._summary = summary
        self._files, self._bytes = len(sizes), sum(sizes)
        self._files_done = self._bytes_done = self._bytes_within = self._rows = 0
        self._clock = clock
        self._started_at = self._said_at = clock()

    def on_rows(self, rows: int, bytes_within: int) -> None:
        """Take note of *rows* more, and of how much of the object is read by now."""
        self._rows += rows
        self._bytes_within = bytes_within
        self.line.update()
        if self._clock() - self._said_at >= _LOG_EVERY_S:
            self.say()

    def on_object(self, stored: StoredObject) -> None:
        """Take note that *stored* is read to its end, now or by an earlier run."""
        self._files_done += 1
        self._bytes_done += stored.size
        self._bytes_within = 0
        self.line.update()

    def say(self) -> None:
        """Log how far it is, where there is no live line."""
        self._said_at = self._clock()
        if isinstance(self.line, NoProgress):
            logger.info(self.words())

    def words(self) -> str:
        """Return how far it is, in a line."""
        done = min(self._bytes_done + self._bytes_within, self._bytes)
        seconds = max(self._clock() - self._started_at, 0.001)
        accepted = sum(counts.accepted for counts in self._summary.streams())
        left_s = seconds * (self._bytes - done) / done if done else 0.0
        return (
            f"files {self._files_done:,}/{self._files:,}  rows {self._rows:,}  "
            f"{done / _MB:,.1f}/{self._bytes / _MB:,.1f} MB  accepted {accepted:,}  "
            f"{accepted / seconds:,.0f} events/s  {left_s:,.0f} s left"
        )
