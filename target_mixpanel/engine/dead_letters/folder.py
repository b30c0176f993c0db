"""Where do rejected records go, so that nothing is lost and a mended cause can be replayed?"""

import errno
import os
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

import msgspec

from target_mixpanel.engine.dead_letters.lines import record_line_of, schema_line_of
from target_mixpanel.engine.dead_letters.names import safe_name
from target_mixpanel.errors import DeadLetterError, printable
from target_mixpanel.model import Rejection

_FLAGS: Final = (
    os.O_WRONLY
    | os.O_APPEND
    | os.O_CREAT
    | getattr(os, "O_NOFOLLOW", 0)  # not known on Windows
    | getattr(os, "O_CLOEXEC", 0)  # as above
    | getattr(os, "O_BINARY", 0)  # known there alone
)


class _File(msgspec.Struct):
    descriptor: int
    schema_line: bytes


class DeadLetters:
    """
    Append rejections to files of Singer messages, one file a stream.

    Each holds the SCHEMA, then the RECORDs as they came, each with a `rejection` object, so that
    the file is an input for the same command. A line is written whole or not at all; when
    `write` returns, it is on the disk. Several threads may call it: one lock guards the files.
    """

    def __init__(self, folder: Path, run_id: str) -> None:
        """
        Make *folder* if there is none.

        Raises:
            DeadLetterError: It cannot be written to.
        """
        self._folder = folder
        self._run_id = run_id
        self._files: dict[str, _File] = {}
        self._is_closed = False
        self._lock = threading.Lock()
        try:
            _make_folder(folder)
        except OSError as error:
            raise _failure(folder, error) from None

    def write(self, stream: str, schema_line: bytes, rejections: Iterable[Rejection]) -> Path:
        """
        Append *rejections* of *stream* and wait until they are on the disk.

        Args:
            stream: The stream's name, as the tap has it.
            schema_line: The SCHEMA message that the records came under, as it came.
            rejections: Each with its RECORD message as it came.

        Returns:
            The file.

        Raises:
            DeadLetterError: They are not all on the disk; the run must end.
        """
        path = self._path(stream)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        lines = b"".join(record_line_of(rejection, at) for rejection in rejections)
        with self._lock:
            if self._is_closed:
                raise DeadLetterError("the run is over; nothing more is set aside")
            try:
                file = self._open(path, stream)
                if file.schema_line != schema_line:
                    lines = schema_line_of(schema_line) + lines
                _append(file.descriptor, lines)
                file.schema_line = schema_line
            except OSError as error:
                raise _failure(path, error) from None
        return path

    def _path(self, stream: str) -> Path:
        return self._folder / f"{safe_name(stream)}-{self._run_id}.singer"

    def _open(self, path: Path, stream: str) -> _File:
        file = self._files.get(stream)
        if file is None:
            file = self._files[stream] = _File(os.open(path, _FLAGS, 0o600), b"")
            if os.name != "nt":  # there a folder cannot be opened
                _sync_folder(self._folder)
        return file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A failed run does not wait for its senders; one of them may be writing.
        with self._lock:
            self._is_closed = True
            for file in self._files.values():
                os.close(file.descriptor)
            self._files.clear()


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink():
        raise OSError(errno.ELOOP, "is a symbolic link")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))


def _sync_folder(folder: Path) -> None:
    """See to it that a crash cannot lose a new file's name."""
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _append(descriptor: int, lines: bytes) -> None:
    """Write *lines* whole and to the disk, or leave the file as it was."""
    before = os.fstat(descriptor).st_size
    try:
        rest = memoryview(lines)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, before)
        raise


def _failure(path: Path, error: OSError) -> DeadLetterError:
    return DeadLetterError(
        f"dead_letter_path: {printable(str(path))} cannot be written "
        f"({printable(error.strerror or type(error).__name__)}); nothing was set aside there",
    )
