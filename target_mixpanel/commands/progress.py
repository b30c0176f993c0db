"""How far is it? One live line for whoever watches a terminal."""

import logging
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Final, Protocol, Self, TextIO

from target_mixpanel.engine.summary import Summary

_REFRESH_S: Final = 0.2


class Progress(Protocol):
    """Something that shows counts as they change."""

    def update(self) -> None:
        """Show the counts as they are now, if it is time to."""


class NoProgress:
    """Show nothing: nobody watches."""

    def update(self) -> None:
        """Do nothing."""


def counts_line(summary: Summary) -> Callable[[], str]:
    """Return what says how far a run is, of which nobody knows how long it is."""
    started_at = time.monotonic()

    def words() -> str:
        streams = summary.streams()
        accepted = sum(counts.accepted for counts in streams)
        read = sum(counts.read for counts in streams)
        rejected = sum(counts.rejections for counts in streams)
        seconds = max(time.monotonic() - started_at, 0.001)
        return (
            f"read {read:,}  accepted {accepted:,}  rejected {rejected:,}  "
            f"{accepted / seconds:,.0f} events/s  {seconds:,.0f} s"
        )

    return words


def progress_line(words: Callable[[], str]) -> AbstractContextManager[Progress]:
    """Return a live line on stderr; on anything but a terminal, or without `rich`, nothing."""
    if not sys.stderr.isatty():
        return nullcontext(NoProgress())
    try:
        import rich  # noqa: F401, PLC0415 (an extra, and slow to import)
    except ImportError:
        return nullcontext(NoProgress())
    return RichProgress(words)


class RichProgress:
    """The live line."""

    def __init__(self, words: Callable[[], str]) -> None:
        from rich.console import Console  # noqa: PLC0415 (as above)
        from rich.live import Live  # noqa: PLC0415

        self._stderr = sys.stderr
        self._words = words
        self._shown_at = 0.0
        self._is_terminal_gone = False
        self._live = Live(
            console=Console(stderr=True, highlight=False),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
        )

    def update(self) -> None:
        now = time.monotonic()
        if now - self._shown_at < _REFRESH_S or self._is_terminal_gone:
            return
        from rich.text import Text  # noqa: PLC0415

        self._shown_at = now
        try:
            self._live.update(Text(self._words()), refresh=True)
        except OSError:  # whoever watched closed the terminal; the load goes on
            self._is_terminal_gone = True

    def __enter__(self) -> Self:
        self._live.start()
        # rich has put its own in place of stderr; through it, log lines go above the live one.
        _move_log_handlers(self._stderr, sys.stderr)
        return self

    def __exit__(self, *_: object) -> None:
        _move_log_handlers(sys.stderr, self._stderr)
        with suppress(OSError):
            self._live.stop()


def _move_log_handlers(old: TextIO, new: TextIO) -> None:
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is old:
            handler.setStream(new)
