"""Which objects of a bucket are asked for before it is their turn? The next ones, if small."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from typing import Final, TypeVar

import msgspec

from target_mixpanel.files.objects import OpenObject, ReadingEndsError, StoredObject
from target_mixpanel.files.places import Place
from target_mixpanel.files.stores import is_bucket_url
from target_mixpanel.settings.file_streams import FileStream

_MAX_OBJECTS: Final = 8
"""A bucket takes some tens of milliseconds for a note, and as much for a first byte."""

_MAX_BYTES: Final = 4 * 1024 * 1024
"""Of objects that wait for their turn: a block, as a large object has one ahead by itself."""

_LOOK_UP_S: Final = 0.2

Known = tuple[StoredObject, FileStream]


class Opened(msgspec.Struct, frozen=True):
    """An object that is to be read, and from where on."""

    content: OpenObject
    start: Place


OpenOne = Callable[[StoredObject, FileStream], Opened | None]
"""Opens an object; None: it is loaded already. Called on several threads."""

Made = TypeVar("Made")


class OpenedAhead(AbstractContextManager["OpenedAhead"]):
    """Opens objects in their order; those of a bucket a few at a time."""

    def __init__(self, open_one: OpenOne, is_over: Callable[[], bool]) -> None:
        self._open_one = open_one
        self._is_over = is_over
        self._threads = ThreadPoolExecutor(_MAX_OBJECTS, thread_name_prefix="ahead")
        self._waiting: deque[tuple[Known, Future[Opened | None]]] = deque()

    def each(self, objects: Iterable[Known]) -> Iterator[tuple[Known, Opened | None]]:
        """
        Yield each of *objects* with what it opened as.

        Raises:
            ReadingEndsError: Nobody wants more.
            TargetMixpanelError: The object whose turn it is cannot be opened.
        """
        for known in objects:
            while self._waiting and not self._has_room(known[0]):
                yield self._next()
            if is_bucket_url(known[0].url):
                self._waiting.append((known, self._threads.submit(self._open_one, *known)))
            else:
                yield from self._rest()
                yield known, self._open_one(*known)
        yield from self._rest()

    def _rest(self) -> Iterator[tuple[Known, Opened | None]]:
        while self._waiting:
            yield self._next()

    def _has_room(self, stored: StoredObject) -> bool:
        held = sum(each.size for (each, _), _ in self._waiting)
        return len(self._waiting) < _MAX_OBJECTS and held + stored.size <= _MAX_BYTES

    def _next(self) -> tuple[Known, Opened | None]:
        known, coming = self._waiting[0]
        while not wait([coming], _LOOK_UP_S).done:
            if self._is_over():
                raise ReadingEndsError("nothing more is read")
        self._waiting.popleft()
        return known, coming.result()

    def __exit__(self, *_: object) -> None:
        # Not waited for: a bucket that hangs must hold nobody up.
        self._threads.shutdown(wait=False, cancel_futures=True)
        for _, coming in self._waiting:
            coming.add_done_callback(_close)


def _close(coming: Future[Opened | None]) -> None:
    if not coming.cancelled() and coming.exception() is None:
        opened = coming.result()
        if opened is not None:
            opened.content.__exit__(None, None, None)
