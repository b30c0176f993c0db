"""How do rejections get into a bucket, where nothing is appended, and who waits for it?"""

import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from math import inf
from typing import Final, Self

import msgspec

from target_mixpanel.engine.dead_letters.lines import record_line_of, schema_line_of
from target_mixpanel.engine.dead_letters.names import safe_name
from target_mixpanel.errors import DeadLetterError, StorageError, printable
from target_mixpanel.files.writing import BucketWriter
from target_mixpanel.model import Rejection
from target_mixpanel.stop import Stop
from target_mixpanel.threads import News, join, start

PART_BYTES: Final = 4 * 1024 * 1024
"""A part of that size waits for no more."""

HELD_BYTES: Final = 16 * 1024 * 1024
"""What waits for the bucket, or is under way; who has more waits, too."""

_EVERY_S: Final = 5.0
"""After a part of a stream its next one waits so long for more: some hundred objects an hour."""

_WRITERS: Final = 4
"""Parts under way at a time: each takes a bucket some tens of milliseconds."""

_LOOK_UP_S: Final = 0.2
"""How often a wait looks whether the run is over."""


class _Letters(msgspec.Struct, frozen=True):
    """Rejections that came together."""

    schema_line: bytes
    lines: bytes
    on_written: Callable[[], None]


class _Folder(msgspec.Struct):
    """The parts of one stream."""

    name: str
    waiting: list[_Letters] = []
    waiting_bytes: int = 0
    parts: int = 0
    """So many were begun."""
    begun_at: float = -inf
    """When the last one was."""


class _Part(msgspec.Struct, frozen=True):
    name: str
    letters: list[_Letters]
    size: int

    def content(self) -> bytes:
        """Return Singer messages that stand for themselves: each SCHEMA before its records."""
        messages: list[bytes] = []
        schema_line = b""
        for each in self.letters:
            if each.schema_line != schema_line:
                schema_line = each.schema_line
                messages.append(schema_line_of(schema_line))
            messages.append(each.lines)
        return b"".join(messages)


class BucketLetters:
    """
    Write rejections as objects of Singer messages: a folder a stream and run, an object a part.

    What is posted is written by threads of its own, many rejections together; who posted it is
    told when it is durable. The first of a stream go at once, so that the STATE of a run with few
    is not held up; later ones wait for more, unless `drain` waits for them, or memory does. One
    lock guards all of it, and is held by nobody who writes.
    """

    def __init__(
        self,
        writer: BucketWriter,
        run_id: str,
        stop: Stop,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            writer: Of the bucket.
            run_id: In the names of all objects, and of no other run's.
            stop: Ends every wait; told when the bucket does not take a part.
            clock: Monotonic seconds.
        """
        self._writer = writer
        self._run_id = run_id
        self._stop = stop
        self._clock = clock
        self._folders: dict[str, _Folder] = {}
        self._bytes = 0
        """Waiting or under way."""
        self._hurried = 0
        """Threads that wait until there is less."""
        self._error: DeadLetterError | None = None
        self._is_closed = False
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        """Writers wait for it."""
        self._written = News()
        self._threads: list[threading.Thread] = []

    def folder_of(self, stream: str) -> str:
        """Return the URL below which the parts of *stream* are."""
        return f"{self._writer.url}/{safe_name(stream)}-{self._run_id}/"

    def post(
        self,
        stream: str,
        schema_line: bytes,
        rejections: Iterable[Rejection],
        on_written: Callable[[], None],
    ) -> None:
        """
        Take *rejections* of *stream*, to be written soon; returns when there is room for them.

        Args:
            stream: The stream's name, as the tap has it.
            schema_line: The SCHEMA message that the records came under, as it came.
            rejections: Each with its RECORD message as it came.
            on_written: Called once they are durable, on another thread; never, if that fails.

        Raises:
            DeadLetterError: The run is over.
            TargetMixpanelError: As `Stop.raise_if_over`.
        """
        at = datetime.now(UTC).isoformat(timespec="seconds")
        lines = b"".join(record_line_of(rejection, at) for rejection in rejections)
        self._wait_until(lambda: self._take(stream, _Letters(schema_line, lines, on_written)))

    def drain(self) -> None:
        """
        Wait until all that was posted is durable, or cannot be, of which *stop* knows.

        Raises:
            TargetMixpanelError: As `Stop.raise_if_over`.
        """
        self._wait_until(lambda: not self._bytes or self._error is not None or self._is_closed)

    def _wait_until(self, is_so: Callable[[], bool]) -> None:
        if is_so():
            return
        self._hurry(1)
        try:
            while not is_so():
                self._stop.raise_if_over()
                self._written.wait(_LOOK_UP_S)
        finally:
            self._hurry(-1)

    def _hurry(self, more: int) -> None:
        with self._lock:
            self._hurried += more
            self._changed.notify_all()

    def _take(self, stream: str, letters: _Letters) -> bool:
        """Take *letters*, unless the bucket takes none any more; False: there is no room yet."""
        size = len(letters.lines)
        with self._lock:
            if self._is_closed:
                raise DeadLetterError("the run is over; nothing more is set aside")
            if self._error is not None:
                return True
            if self._bytes and self._bytes + size > HELD_BYTES:
                return False
            self._start_threads()
            folder = self._folders.get(stream)
            if folder is None:
                name = f"{safe_name(stream)}-{self._run_id}"
                folder = self._folders[stream] = _Folder(name)
            folder.waiting.append(letters)
            folder.waiting_bytes += size
            self._bytes += size
            self._changed.notify_all()
            return True

    # Writing

    def _start_threads(self) -> None:
        while len(self._threads) < _WRITERS:
            # Daemons: a bucket that hangs must not keep a failed run from ending.
            name = f"dead-letters-{len(self._threads)}"
            thread = threading.Thread(target=self._write, name=name, daemon=True)
            start(thread)
            self._threads.append(thread)

    def _write(self) -> None:
        try:
            while (part := self._next()) is not None:
                self._put(part)
        except BaseException as error:  # noqa: BLE001 (a thread's top: the main thread raises it)
            self._stop.fail(error)

    def _next(self) -> _Part | None:
        """Return the part to write next; None: there will be no more."""
        with self._changed:
            while not (self._is_closed or self._error or self._stop.has_failed):
                due = [(self._due_in_s(each), each) for each in self._folders.values()]
                wait_s, folder = min(due, key=_wait_of, default=(inf, None))
                if folder is not None and wait_s <= 0:
                    return self._begin(folder)
                self._changed.wait(min(wait_s, _EVERY_S))
        return None

    def _due_in_s(self, folder: _Folder) -> float:
        if not folder.waiting:
            return inf
        if self._hurried or folder.waiting_bytes >= PART_BYTES:
            return 0.0
        return folder.begun_at + _EVERY_S - self._clock()

    def _begin(self, folder: _Folder) -> _Part:
        folder.parts += 1
        part = _Part(
            f"{folder.name}/{folder.parts:06d}.singer", folder.waiting, folder.waiting_bytes
        )
        folder.waiting, folder.waiting_bytes = [], 0
        folder.begun_at = self._clock()
        return part

    def _put(self, part: _Part) -> None:
        try:
            self._writer.put(part.name, part.content(), self._stop.wait)
            for each in part.letters:
                each.on_written()
        except StorageError as error:
            self._give_up(error)
        finally:
            with self._lock:
                self._bytes -= part.size
                self._changed.notify_all()
            self._written.tell()

    def _give_up(self, error: StorageError) -> None:
        failure = DeadLetterError(
            f"dead_letter_path: {printable(self._writer.url)} {error}; what was not written there "
            "is covered by no STATE, so a rerun meets it again",
        )
        with self._lock:
            self._error = failure
        self._stop.end_input(failure)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._is_closed = True
            self._changed.notify_all()
        self._written.tell()
        join(self._threads, self._stop)


def _wait_of(due: tuple[float, _Folder]) -> float:
    return due[0]
