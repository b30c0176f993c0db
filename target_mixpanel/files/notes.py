"""
How far is each object loaded? Noted in a folder or bucket, once it is safe.

    notes = open_notes(settings.files_state)
    with Engine(settings, on_safe=notes.on_safe) as engine:
        ...
        engine.checkpoint(notes.mark(stored, batch.after))
        notes.write_due()           # now and then, on the door's own thread
        engine.finish()
    notes.write()                   # also where an error ended the run: what is safe by then

A mark becomes a note only after the engine calls it safe, so a note is never ahead of Mixpanel.
"""

import hashlib
import math
import os
import re
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import msgspec

from target_mixpanel.errors import FilesStateError, printable
from target_mixpanel.files.globs import absolute
from target_mixpanel.files.objects import StoredObject
from target_mixpanel.files.places import Place
from target_mixpanel.files.stores import bucket_path, is_bucket_url, storage_words

_FOLDER_EVERY_S: Final = 0.25
_BUCKET_EVERY_S: Final = 1.0
"""What is safe waits so long for more: a bucket takes some tens of milliseconds for a note, a disk
some. The first does not wait, so that a run is worth something however soon it is killed."""

_UNSAFE_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")


class Note(msgspec.Struct, frozen=True):
    """What is noted of one object."""

    url: str
    version: str
    """Of the object; another one is loaded from its beginning."""
    rows: int
    offset: int
    is_done: bool


class Shelf(Protocol):
    """Where notes are kept."""

    every_s: float
    """How long what is safe waits for more."""

    def read(self, name: str) -> bytes | None:
        """Return what was written under *name* last."""

    def write(self, name: str, content: bytes) -> None:
        """Write all of *content*, durably, or change nothing."""


class Notes:
    """The notes of one run; without a shelf none are kept."""

    def __init__(self, shelf: Shelf | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._shelf = shelf
        self._clock = clock
        self._lock = threading.Lock()
        """Guards the marks; the engine's threads call `on_safe`."""
        self._marks: deque[tuple[int, Note]] = deque()
        self._made = 0
        self._safe: dict[str, Note] = {}
        self._written_at = -math.inf

    def place_of(self, stored: StoredObject) -> Place | None:
        """
        Return where to go on in *stored*; None: all of it is loaded.

        Raises:
            FilesStateError: Its note cannot be read.
        """
        content = None if self._shelf is None else self._shelf.read(_name_of(stored.url))
        if content is None:
            return Place()
        try:
            note = msgspec.json.decode(content, type=Note)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise FilesStateError(
                f"files_state: {_name_of(stored.url)} is no note of ours; remove it to load "
                f"{printable(stored.url)} anew"
            ) from None
        if (note.url, note.version) != (stored.url, stored.version):
            return Place()
        return None if note.is_done else Place(note.rows, note.offset)

    def mark(self, stored: StoredObject, place: Place, *, is_done: bool = False) -> bytes:
        """Return a checkpoint for the engine: *stored* is loaded up to *place*, or all of it."""
        note = Note(stored.url, stored.version, place.rows, place.offset, is_done)
        with self._lock:
            self._made += 1
            if self._shelf is not None:
                self._marks.append((self._made, note))
            return b"%d" % self._made

    def on_safe(self, mark: bytes) -> None:
        """Take note that all before *mark* is settled; for the engine."""
        with self._lock:
            while self._marks and self._marks[0][0] <= int(mark):
                _, note = self._marks.popleft()
                self._safe[note.url] = note

    def write_due(self) -> None:
        """
        Write what is safe, if there was time for more to become so.

        Raises:
            FilesStateError: It cannot be written.
        """
        if self._shelf is None or not self._safe:
            return
        if self._clock() - self._written_at >= self._shelf.every_s:
            self.write()

    def write(self) -> None:
        """
        Write what is safe.

        Raises:
            FilesStateError: It cannot be written.
        """
        with self._lock:
            safe, self._safe = self._safe, {}
        for url, note in safe.items():
            if self._shelf is not None:
                self._shelf.write(_name_of(url), msgspec.json.encode(note))
        self._written_at = self._clock()


def open_notes(files_state: str | None) -> Notes:
    """
    Return the notes in the folder or bucket *files_state*; None: none are kept.

    Raises:
        SettingsError: It names no bucket, or what reads buckets is not installed.
        FilesStateError: The folder cannot be made.
    """
    if files_state is None:
        return Notes(None)
    return Notes(_Bucket(files_state) if is_bucket_url(files_state) else _Folder(files_state))


def _name_of(url: str) -> str:
    readable = _UNSAFE_NAME.sub("_", url.rpartition("/")[2])[-80:]
    return f"{readable}-{hashlib.blake2b(url.encode(), digest_size=12).hexdigest()}.json"


class _Folder:
    every_s = _FOLDER_EVERY_S

    def __init__(self, path: str) -> None:
        self._folder = Path(absolute(path))
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _failed(error) from None

    def read(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed(error) from None

    def write(self, name: str, content: bytes) -> None:
        try:
            descriptor, draft = tempfile.mkstemp(dir=self._folder, prefix=".")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                Path(draft).replace(self._folder / name)
            except BaseException:
                with suppress(OSError):
                    Path(draft).unlink()
                raise
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise _failed(error) from None


class _Bucket:
    every_s = _BUCKET_EVERY_S

    def __init__(self, url: str) -> None:
        self._at = bucket_path(url, "files_state")
        self._prefix = f"{self._at.path.strip('/')}/".lstrip("/")

    def read(self, name: str) -> bytes | None:
        from obstore.exceptions import BaseError  # noqa: PLC0415 (an extra)

        try:
            return bytes(self._at.store.get(self._prefix + name).bytes())
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise self._failed(error) from None

    def write(self, name: str, content: bytes) -> None:
        from obstore.exceptions import BaseError  # noqa: PLC0415 (an extra)

        try:
            self._at.store.put(self._prefix + name, content)
        except (BaseError, OSError) as error:
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> FilesStateError:
        return FilesStateError(f"files_state: {printable(self._at.url)} {storage_words(error)}")


def _failed(error: OSError) -> FilesStateError:
    return FilesStateError(
        f"files_state: cannot be written or read ({error.strerror}); what was loaded stays loaded, "
        "and a rerun sends it again under the same ids"
    )
