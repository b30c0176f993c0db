"""
What is behind a path, a folder, a glob or a bucket's URL, and what are its bytes?

A door finds objects and reads them so:

    for stored in find_objects("s3://shop/orders/*.jsonl.gz", "load"):
        with open_object(stored) as content:
            for block in content.blocks():
                ...

`find_object` takes one name as it is spelled, wildcards and all, as a notification has it.
"""

import os
import re
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, Protocol, Self
from urllib.parse import unquote

import msgspec

from target_mixpanel.errors import InputError, printable
from target_mixpanel.files.globs import absolute, beginning_of, has_wildcard, pattern_of
from target_mixpanel.files.stores import BucketPath, bucket_path, is_bucket_url, storage_words

_LOCAL_BLOCK_BYTES: Final = 256 * 1024

_BUCKET_BLOCK_BYTES: Final = 1024 * 1024
"""Of one request; a bucket's first byte takes some tens of milliseconds."""

_BLOCKS_AHEAD: Final = 3
"""Asked for while one is read: 3 MiB in 0.1 s are as much as Mixpanel takes."""

_LIST_CHUNK: Final = 1_000

_HIDDEN: Final = (".", "_")
"""How names begin that others left in a folder for themselves: `_SUCCESS`, `.part-0.crc`."""

_KNOWN_HIDDEN: Final = re.compile(
    r"_SUCCESS|_metadata|_common_metadata|_committed_.*|_started_.*|_delta_log|_spark_metadata|"
    r"_temporary|_change_data|_symlink_format_manifest|\.hoodie.*|\..*\.crc|\.DS_Store|\._.*"
)
"""Of Spark, Hadoop, Delta, Hudi and macOS; behind any other hidden name there may be rows."""

_LOOK_UP_S: Final = 0.2
"""Between looks whether who waits for a bucket still wants it."""

_PATIENCE_S: Final = 120.0
"""For one block of a bucket, all tries together; its own time-outs come first."""


class StoredObject(msgspec.Struct, frozen=True):
    """One file or object, as it was when it was found."""

    url: str
    """An absolute path, or a bucket's URL."""
    size: int
    modified_ns: int
    etag: str = ""
    """A bucket's word for the content."""

    @property
    def version(self) -> str:
        """What changes when the content does."""
        return f"{self.etag} {self.size} {self.modified_ns}".strip()

    @property
    def name(self) -> str:
        """The last part of its URL."""
        return self.url.rpartition("/")[2]


class ReadingEndsError(InputError):
    """Who reads wants no more."""


class OpenObject(AbstractContextManager[Any], Protocol):
    """The bytes of an object, for one thread at a time."""

    stored: StoredObject
    bytes_read: int
    """So far, for who watches."""

    def read_at(self, offset: int, size: int) -> bytes:
        """
        Return *size* bytes from *offset* on, fewer only at the end.

        Raises:
            InputError: They cannot be read, or the object is another by now.
        """

    def begin(self, offset: int) -> None:
        """Ask for the bytes from *offset* on that `blocks` will yield; they come meanwhile."""

    def blocks(self, offset: int = 0) -> Iterator[bytes]:
        """Yield all bytes from *offset* on, as they come."""

    def __enter__(self) -> Self: ...


# Finding


def find_objects(
    url: str, place: str, on_hidden: Callable[[str], None] = lambda _url: None
) -> list[StoredObject]:
    """
    Return what *url* stands for, by name: an object, what is in a folder, what a glob matches.

    `*` and `?` stand for what has no slash, `**` for anything, `[ab]` for one of those. In folders
    and globs, names that begin with `_` or `.` are passed over.

    Args:
        url: A path, `file://`, `s3://`, `gs://` or `az://`.
        place: Where it is written, for messages.
        on_hidden: Told of each name that is passed over, unless it is known to hold no rows.

    Raises:
        SettingsError: It names no bucket, or what reads buckets is not installed.
        InputError: There is nothing, or it may not be read.
    """
    is_remote = is_bucket_url(url)
    hidden: dict[str, None] = {}
    found = (
        _in_bucket(url, place, hidden) if is_remote else _in_folders(local_path(url, place), hidden)
    )
    for name in sorted(hidden):
        on_hidden(name)
    if not found:
        raise InputError(f"{printable(url)}: is not there; look at the path, and at its wildcards")
    return sorted(found, key=_url_of)


def find_object(url: str, place: str) -> StoredObject:
    """
    Return the one object whose name is *url*, letter by letter.

    Raises:
        SettingsError: It names no bucket, or what reads buckets is not installed.
        InputError: It is not there, is no regular file, or may not be read.
    """
    if not is_bucket_url(url):
        return _file(local_path(url, place))
    at = bucket_path(url, place)
    head = _head(at)
    if head is None:
        raise _not_there(url)
    return _of_bucket(url, head)


def local_path(url: str, place: str) -> str:
    """
    Return the absolute path that *url* is, links and all.

    Raises:
        InputError: It is of another kind: a scheme that nobody knows, or another host's file.
    """
    scheme, found, rest = url.partition("://")
    if not found:
        path = url
    elif scheme == "file" and rest.partition("/")[0] in {"", "localhost"}:
        path = unquote(rest.removeprefix("localhost"))
    else:
        raise InputError(
            f"{place}: {printable(url)} cannot be read; give a path, or file:///…, s3://…, gs://… "
            "or az://…"
        )
    if not path or "\0" in path:
        raise InputError(f"{place}: {printable(url)} is no path")
    return absolute(path)


def _url_of(stored: StoredObject) -> str:
    return stored.url


def _in_folders(path: str, hidden: dict[str, None]) -> list[StoredObject]:
    if os.path.lexists(path) or not has_wildcard(path):
        if not Path(path).is_dir():
            return [_file(path)]
        return [_file(each) for each in _walk(path, hidden)]
    matches = pattern_of(path).fullmatch
    found = [_file(each) for each in _walk(beginning_of(path), hidden) if matches(each)]
    for name in [name for name in hidden if not matches(name)]:
        del hidden[name]
    return found


def _walk(folder: str, hidden: dict[str, None]) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise InputError(f"{printable(folder)}: cannot be read ({error.strerror})") from None

    for parent, folders, names in os.walk(folder, onerror=refuse):
        at = parent.rstrip("/")
        hidden.update((f"{at}/{name}", None) for name in (*folders, *names) if _may_hide(name))
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        yield from (f"{at}/{name}" for name in names if not is_hidden(name))


def _may_hide(name: str) -> bool:
    """Say whether *name* is hidden, and nobody knows that there are no rows behind it."""
    return is_hidden(name) and _KNOWN_HIDDEN.fullmatch(name) is None


def is_hidden(url: str) -> bool:
    """Say whether a name is one that others keep for themselves in a folder of data."""
    return url.rpartition("/")[2].startswith(_HIDDEN)


def _file(path: str) -> StoredObject:
    try:
        found = Path(path).stat()
    except OSError as error:
        raise _unreadable(path, error) from None
    return _of_stat(path, found)


def _of_stat(path: str, found: os.stat_result) -> StoredObject:
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{printable(path)}: is no regular file; only such are read")
    return StoredObject(path, found.st_size, found.st_mtime_ns)


def _unreadable(path: str, error: OSError) -> InputError:
    if isinstance(error, FileNotFoundError):
        return _not_there(path)
    return InputError(f"{printable(path)}: cannot be read ({error.strerror})")


def _not_there(url: str) -> InputError:
    return InputError(f"{printable(url)}: is not there; see whether it was moved or removed")


def _in_bucket(url: str, place: str, hidden: dict[str, None]) -> list[StoredObject]:
    at = bucket_path(url, place)
    if has_wildcard(url):
        matches = pattern_of(url).fullmatch
        root = _root_of(url, at)
        folder = beginning_of(url).removeprefix(root)
        listed = _listed(at, root, folder)
    elif at.path and not at.path.endswith("/") and (head := _head(at)) is not None:
        return [_of_bucket(url, head)]
    else:
        matches = re.compile(".*", re.DOTALL).fullmatch
        listed = _listed(at, _root_of(url, at), folder := at.path)
    within = len(_root_of(url, at)) + len(folder.strip("/"))
    found: list[StoredObject] = []
    for each in filter(lambda each: matches(each.url), listed):
        parts = each.url[within:].strip("/").split("/")
        number = next((n for n, part in enumerate(parts) if is_hidden(part)), None)
        if number is None:
            found.append(each)
        elif _may_hide(parts[number]):
            left = "/".join(parts[number + 1 :])
            hidden[each.url.removesuffix(f"/{left}") if left else each.url] = None
    return found


def _root_of(url: str, at: BucketPath) -> str:
    return url.removesuffix(at.path) if at.path else f"{url.rstrip('/')}/"


def _listed(at: BucketPath, root: str, folder: str) -> Iterator[StoredObject]:
    from obstore.exceptions import BaseError  # noqa: PLC0415 (an extra)

    prefix = folder.strip("/") or None
    try:
        for chunk in at.store.list(prefix, chunk_size=_LIST_CHUNK):
            for head in chunk:
                within = head["path"].removeprefix(prefix or "").strip("/")
                if head["size"] or within:  # else it marks the folder
                    yield _of_bucket(f"{root}{head['path']}", head)
    except (BaseError, OSError) as error:
        raise InputError(f"{printable(at.url)}: {storage_words(error)}") from None


def _head(at: BucketPath) -> Mapping[str, Any] | None:
    from obstore.exceptions import BaseError  # noqa: PLC0415 (an extra)

    try:
        return at.store.head(at.path)
    except FileNotFoundError:
        return None
    except (BaseError, OSError) as error:
        raise InputError(f"{printable(at.url)}: {storage_words(error)}") from None


def _of_bucket(url: str, head: Mapping[str, Any]) -> StoredObject:
    modified_ns = int(head["last_modified"].timestamp() * 1_000) * 1_000_000
    return StoredObject(url, head["size"], modified_ns, head["e_tag"] or head["version"] or "")


# Reading


def open_object(
    stored: StoredObject,
    is_over: Callable[[], bool] = lambda: False,
    *,
    follows_links: bool = True,
) -> OpenObject:
    """
    Return the bytes of *stored*, such as it was found; nothing of it is kept in memory.

    Args:
        stored: From `find_objects` or `find_object`.
        is_over: Says that nobody wants more of it; looked at while a bucket lets us wait.
        follows_links: False: it is what `below` returned, and no part of its path may have become a
            link since.

    Raises:
        InputError: It cannot be read, or is another by now.
    """
    if is_bucket_url(stored.url):
        return _BucketContent(stored, is_over)
    return _FileContent(stored, _open if follows_links else _open_straight)


def changed(stored: StoredObject) -> InputError:
    """Return what is said of an object that is not what it was when it was found."""
    return InputError(
        f"{printable(stored.url)}: changed while it was read; load it again when it is complete"
    )


def _open(path: str, flags: int = 0, folder: int | None = None) -> int:
    # What is no regular file by now must not hold us up: a FIFO waits for a writer.
    flags |= os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    return os.open(path, flags, dir_fd=folder)


def _open_straight(path: str) -> int:
    """Open *path* from the root on, part by part, none of which is a link."""
    *folders, name = Path(path).parts
    # To look within a folder is allowed in more of them than to list them.
    for_folders = os.O_DIRECTORY | os.O_NOFOLLOW | getattr(os, "O_PATH", 0)
    folder = None
    try:
        for part in folders:
            within = _open(part, for_folders, folder)
            if folder is not None:
                os.close(folder)
            folder = within
        return _open(name, os.O_NOFOLLOW, folder)
    finally:
        if folder is not None:
            os.close(folder)


class _FileContent:
    def __init__(self, stored: StoredObject, opened: Callable[[str], int]) -> None:
        self.stored = stored
        self.bytes_read = 0
        try:
            self._descriptor = opened(stored.url)
        except OSError as error:
            raise _unreadable(stored.url, error) from None
        try:
            self._check()
        except InputError:
            os.close(self._descriptor)
            raise

    def _check(self) -> None:
        if _of_stat(self.stored.url, os.fstat(self._descriptor)) != self.stored:
            raise changed(self.stored)

    def read_at(self, offset: int, size: int) -> bytes:
        wanted = max(min(size, self.stored.size - offset), 0)
        parts: list[bytes] = []
        try:
            while wanted and (part := os.pread(self._descriptor, wanted, offset)):
                parts.append(part)
                offset += len(part)
                wanted -= len(part)
        except OSError as error:
            raise _unreadable(self.stored.url, error) from None
        self._check()
        self.bytes_read += sum(map(len, parts))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def begin(self, offset: int) -> None:
        """Ask for nothing: a file is at hand."""

    def blocks(self, offset: int = 0) -> Iterator[bytes]:
        while offset < self.stored.size:
            block = self.read_at(offset, _LOCAL_BLOCK_BYTES)
            offset += len(block)
            yield block

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


class _BucketContent:
    """
    An object in a bucket, read by ranges, some of them ahead.

    One long answer would be cut off by a server whose reader waits for Mixpanel.
    """

    def __init__(self, stored: StoredObject, is_over: Callable[[], bool]) -> None:
        self.stored = stored
        self.bytes_read = 0
        self._at = bucket_path(stored.url, "load")
        self._is_over = is_over
        self._threads = ThreadPoolExecutor(_BLOCKS_AHEAD, thread_name_prefix="bucket")
        self._ahead: deque[Future[bytes]] = deque()
        self._ahead_from = self._asked_until = 0

    def begin(self, offset: int) -> None:
        self._ahead.clear()
        self._ahead_from = self._asked_until = offset
        self._ask()

    def read_at(self, offset: int, size: int) -> bytes:
        return self._answer(self._threads.submit(self._get, offset, size))

    def blocks(self, offset: int = 0) -> Iterator[bytes]:
        if not self._ahead or self._ahead_from != offset:
            self.begin(offset)
        while self._ahead:
            while len(self._ahead) <= _BLOCKS_AHEAD and self._asked_until < self.stored.size:
                self._ask()
            block = self._answer(self._ahead.popleft())
            for start in range(0, len(block), _LOCAL_BLOCK_BYTES):
                yield block[start : start + _LOCAL_BLOCK_BYTES]

    def _ask(self) -> None:
        at = self._asked_until
        if at < self.stored.size:
            self._ahead.append(self._threads.submit(self._get, at, _BUCKET_BLOCK_BYTES))
            self._asked_until = at + _BUCKET_BLOCK_BYTES

    def _answer(self, coming: "Future[bytes]") -> bytes:
        give_up_at = time.monotonic() + _PATIENCE_S
        while not wait([coming], _LOOK_UP_S).done:
            if self._is_over():
                raise ReadingEndsError(f"{printable(self.stored.url)}: is not read on")
            if time.monotonic() > give_up_at:
                raise InputError(
                    f"{printable(self.stored.url)}: its bucket has not answered for "
                    f"{_PATIENCE_S:g} s; load it again when it does"
                )
        return coming.result()

    def _get(self, offset: int, size: int) -> bytes:
        from obstore.exceptions import BaseError, PreconditionError  # noqa: PLC0415 (an extra)

        end = min(offset + size, self.stored.size)
        if offset >= end:
            return b""
        options: Any = {"range": (offset, end)}
        if self.stored.etag:
            options["if_match"] = self.stored.etag
        try:
            answer = self._at.store.get(self._at.path, options=options)
            block = bytes(answer.bytes())
        except PreconditionError:
            raise changed(self.stored) from None
        except (BaseError, OSError) as error:
            raise InputError(f"{printable(self.stored.url)}: {storage_words(error)}") from None
        if len(block) != end - offset or _of_bucket(self.stored.url, answer.meta) != self.stored:
            raise changed(self.stored)
        self.bytes_read += len(block)
        return block

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Not waited for: a bucket that hangs must hold nobody up.
        self._threads.shutdown(wait=False, cancel_futures=True)


# Whose it is


def below(url: str, roots: Sequence[str], place: str) -> str | None:
    """
    Return *url* as it really is, if that is below one of *roots*; None: it is not.

    Open what is returned, not what was asked for: links are followed in it, and `..` is gone; and
    open it so that none is followed that came since. A bucket's names know neither, so there `.`,
    `..` and empty parts are refused.

    Args:
        url: A path, `file://`, or a bucket's URL.
        roots: Such, too; each a folder, whether or not it ends with a slash.
        place: Where *url* is written, for messages.

    Raises:
        InputError: *url* is of a kind that nobody reads.
    """
    if is_bucket_url(url):
        is_straight = not {"", ".", ".."} & set(url.partition("://")[2].split("/"))
        folders = (f"{root.rstrip('/')}/" for root in roots if is_bucket_url(root))
        return url if is_straight and any(map(url.startswith, folders)) else None
    path = os.path.realpath(local_path(url, place))
    for root in roots:
        if not is_bucket_url(root):
            folder = Path(os.path.realpath(local_path(root, place)))
            if folder in Path(path).parents:
                return path
    return None
