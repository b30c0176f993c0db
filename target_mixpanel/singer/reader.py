"""Which Singer messages do the bytes of the input hold? Errors show no content."""

import io
import logging
import select
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, Final, TypeAlias

import msgspec
from singer_sdk.singerlib.encoding import GenericSingerReader

from target_mixpanel.errors import InputError
from target_mixpanel.singer.messages import (
    LINE_MAX_BYTES,
    UNREADABLE,
    Message,
    NotJsonError,
    decode_message,
    reread,
)
from target_mixpanel.stop import Stop

logger = logging.getLogger("target-mixpanel")


_BLOCK_BYTES: Final = 1024 * 1024
_RECORD_KEY: Final = b'"record"'
_FAST_LINES_KEPT: Final = 20_000
"""Some taps put a time before the record, so that no two lines begin alike."""

_BEGINNING_MAX_BYTES: Final = 400

_LONGEST_WAIT_S: Final = 1.0
"""No wait is without an end, though something should end each."""


Callbacks: TypeAlias = dict[str, Callable[[Any], None]]

LineHandler: TypeAlias = Callable[[bytes], bool]
"""Takes a RECORD line of one stream undecoded, or says that it has to be decoded after all."""


class SingerBytesReader(GenericSingerReader[bytes]):
    """
    Read messages from a descriptor, in strict UTF-8, and call back for each.

    While the input says nothing it wakes up for `on_idle`, and it ends early when asked to stop.
    """

    def __init__(
        self,
        stop: Stop,
        on_idle: Callable[[], float | None],
        on_unknown: Callable[[str], None],
        on_input: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            stop: Ends the reading between two messages.
            on_idle: Called before each wait for input; returns after how many seconds it wants
                to be called again at the latest.
            on_unknown: Called with the type of each message that nobody knows.
            on_input: Called when input has come, before its messages are taken.
        """
        super().__init__()
        self._stop = stop
        self._on_idle = on_idle
        self._on_input = on_input
        self._on_unknown = on_unknown
        self.fast_lines: dict[bytes, LineHandler] = {}
        """Who takes lines that begin so. A beginning is only a guess: a handler may say no."""
        self._line_number = 0
        self._is_cut_off = False
        self._may_be_cut_off = False

    @property
    def default_input(self) -> IO[bytes]:
        return sys.stdin.buffer

    def process_lines(
        self,
        file_input: IO[bytes] | None,
        callbacks: Callbacks,
    ) -> Counter[str]:
        """
        Read to the end of the input, or until asked to stop.

        Raises:
            InputError: A line is no Singer message.
        """
        stats: Counter[str] = Counter()
        records = 0
        stop, fast_lines = self._stop, self.fast_lines
        for lines in self._lines(file_input or self.default_input):
            for line in lines:
                self._line_number += 1
                handler = fast_lines.get(line[: line.find(_RECORD_KEY)])
                if handler is not None and handler(line):
                    records += 1
                else:
                    self._read(line, callbacks, stats)
                if stop.is_input_over:
                    break
            if stop.is_input_over:
                break
        stats["RECORD"] += records
        return stats

    def _read(self, line: bytes, callbacks: Callbacks, stats: Counter[str]) -> None:
        """Decode any line, and call back for it."""
        try:
            message: Message | None = decode_message(line)
        except UNREADABLE:
            message = self._reread(line)
        if message is None:
            return
        message.line = line
        callback = callbacks.get(message.type)
        if callback is None:
            self._on_unknown(message.type)
            return
        callback(message)
        stats[message.type] += 1

    def _reread(self, line: bytes) -> Message | None:
        try:
            return reread(line, self.place(), is_first=self._line_number == 1)
        except NotJsonError:
            if not (self._is_cut_off and self._may_be_cut_off):
                raise
        logger.warning(
            "%s: is cut off; it was never confirmed, so the run that wrote it ended there "
            "and its STATE does not cover it",
            self.place(),
        )
        return None

    def remember(self, line: bytes, handler: LineHandler) -> None:
        """Let *handler* take lines that begin as *line* does, up to its record, from now on."""
        beginning = line[: line.find(_RECORD_KEY)]
        if len(self.fast_lines) < _FAST_LINES_KEPT and len(beginning) <= _BEGINNING_MAX_BYTES:
            self.fast_lines[beginning] = handler

    def deserialize_json(self, line: bytes) -> dict[str, Any]:
        """Decode one message; the SDK's interface asks for it, the loop above does not."""
        return msgspec.structs.asdict(decode_message(line))

    def place(self) -> str:
        """Return what a message calls the current line."""
        return f"line {self._line_number:,}"

    def allow_cut_off_end(self) -> None:
        """Take the input for a dead-letter file, whose last line may have been cut by a crash."""
        self._may_be_cut_off = True

    def _lines(self, source: IO[Any]) -> Iterator[Sequence[bytes]]:
        """
        Yield the lines of *source* without their line feeds, as many at a time as are there.

        The last one is a line even without a line feed.
        """
        parts: list[bytes] = []
        size = 0
        for block in _blocks(source, self._stop, self._on_idle):
            self._on_input()
            head, found, rest = block.partition(b"\n")
            parts.append(head)
            size += len(head)
            if size > LINE_MAX_BYTES:
                raise InputError(
                    f"line {self._line_number + 1:,}: has more than {LINE_MAX_BYTES:,} bytes; look "
                    "at what the tap writes there",
                )
            if not found:
                continue
            lines = rest.split(b"\n")
            last = lines.pop()
            lines.insert(0, b"".join(parts))
            parts = [last]
            size = len(last)
            yield lines
        # Asked to stop, the reader leaves a line that is still arriving to the next run.
        if size and not self._stop.is_input_over:
            self._is_cut_off = True
            yield [b"".join(parts)]


def _blocks(
    source: IO[Any],
    stop: Stop,
    on_idle: Callable[[], float | None],
) -> Iterator[bytes]:
    """Yield what *source* has as it comes, until its end or a request to stop."""
    try:
        descriptor = source.fileno()
    except (AttributeError, io.UnsupportedOperation):
        for line in source:
            on_idle()
            yield line if isinstance(line, bytes) else line.encode()
        return
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLHUP)
    poll.register(stop.fileno(), select.POLLIN)
    binary = getattr(source, "buffer", source)
    raw = getattr(binary, "raw", binary)
    while not stop.is_input_over:
        due_s = on_idle()
        wait_s = _LONGEST_WAIT_S if due_s is None else min(max(due_s, 0.0), _LONGEST_WAIT_S)
        ready = poll.poll(wait_s * 1_000 + 1)
        if all(which != descriptor for which, _ in ready):
            continue
        block = raw.read(_BLOCK_BYTES)
        if not block:
            return
        yield block
