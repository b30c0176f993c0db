"""
How does one call of a cloud function load the objects that an event names, in the time it has?

    with logged():
        call = Call(function_settings(), lambda: context.get_remaining_time_in_millis() / 1_000)
    with call.logs():
        call.load_all([NamedObject("s3://shop/orders/2026-10-01.jsonl.gz")])

Each object has an engine of its own: one that cannot be loaded holds no other up. Engines, their
threads and connections end with the call, since the platform freezes the process between two, and
a connection that died meanwhile would leave a request of which nobody knows whether it arrived.
"""

import logging
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from target_mixpanel.commands.objects import ObjectLoading
from target_mixpanel.commands.process import words_of
from target_mixpanel.credentials import spellings
from target_mixpanel.engine.engine import Engine
from target_mixpanel.errors import (
    InputError,
    InternalError,
    ShutdownTimeoutError,
    TargetMixpanelError,
    TimeIsUpError,
    printable,
)
from target_mixpanel.files.notes import Notes, open_notes
from target_mixpanel.files.objects import StoredObject, find_object
from target_mixpanel.platforms.call_logs import call_logs
from target_mixpanel.platforms.entries import entry_of, is_table
from target_mixpanel.redaction import Secrets
from target_mixpanel.settings.file_streams import FileStream
from target_mixpanel.settings.parse import Settings
from target_mixpanel.stop import Stop
from target_mixpanel.threads import start

logger = logging.getLogger("target-mixpanel")

_CLOSING_S: Final = 5.0
"""At the end of a call, for the notes in the bucket, the report and the answer."""

_CLOSING_SHARE: Final = 0.1
"""Of a call that is short."""


class NamedObject(msgspec.Struct, frozen=True):
    """An object that an event names."""

    url: str
    etag: str = ""
    """Which content the event is about, where it says so."""


class Call:
    """One call: what an event names is loaded, or an error says what is not."""

    def __init__(self, settings: Settings, left_s: Callable[[], float]) -> None:
        """
        Args:
            settings: From `function_settings`.
            left_s: Seconds until the platform ends the call.
        """
        self._left_s = left_s
        self._secrets = Secrets(spellings(settings.secrets(), settings.credentials))
        left = left_s()
        closing = min(_CLOSING_S, left * _CLOSING_SHARE)
        # Half of a short call is for reading, or it would settle for ever and come to nothing.
        settling = max(min(settings.shutdown_timeout_seconds, (left - closing) / 2), 0.0)
        self._kept_s = closing + settling
        self._settings = msgspec.structs.replace(settings, shutdown_timeout_seconds=settling)

    @contextmanager
    def logs(self) -> Iterator[None]:
        """Let log lines reach the platform meanwhile, without secrets."""
        with call_logs(self._secrets):
            yield

    def load_all(self, named: Iterable[NamedObject]) -> None:
        """
        Load each of *named*.

        Raises:
            TargetMixpanelError: The first that is not loaded; the others were tried.
        """
        errors: list[TargetMixpanelError] = []
        for each in named:
            try:
                self._load(each)
            except Exception as error:  # noqa: BLE001 (its words may be a record's)
                errors.append(in_one_line(error, self._secrets))
        if errors:
            raise errors[0]

    def _load(self, named: NamedObject) -> None:
        with logged():
            said = entry_of(named.url, self._settings)
            if said is None:
                return
            if self._left_s() <= self._kept_s:
                raise TimeIsUpError(
                    f"{printable(named.url)}: time is up before it was begun; the next call loads "
                    "it"
                )
            stored = find_object(named.url, "event")
            notes = open_notes(self._settings.files_state)
            if not is_table(said, self._settings) and notes.place_of(stored) is None:
                logger.info("%s: is loaded already", printable(stored.url))
                return
        if named.etag not in stored.etag:
            logger.info("%s: is loaded as it is now, not as at the event", printable(stored.url))
        # What the log says of the stream from here on is of this object.
        logger.info("%s: is loaded as %s", printable(stored.url), printable(said.stream))
        is_read = self._read(stored, said, notes)
        with logged():
            if not is_read:
                raise _time_is_up(stored, notes)
            if is_table(said, self._settings):
                _check_unchanged(stored)

    def _read(self, stored: StoredObject, said: FileStream, notes: Notes) -> bool:
        """Load *stored* from where its note is; return whether to its end."""
        engine = Engine(self._settings, on_safe=notes.on_safe)
        try:
            with self._ended_in_time(engine.stop), engine:
                is_read = ObjectLoading(engine, notes).load(stored, said)
                if is_read:
                    engine.mark_tables_whole()
                engine.finish()
                return is_read
        except ShutdownTimeoutError:
            return False
        finally:
            with logged():
                notes.write()

    @contextmanager
    def _ended_in_time(self, stop: Stop) -> Iterator[None]:
        seconds = max(self._left_s() - self._kept_s, 0.0)
        timer = threading.Timer(seconds, stop.request, [signal.SIGTERM])
        timer.daemon = True
        start(timer)
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def in_one_line(error: Exception, secrets: Secrets | None = None) -> TargetMixpanelError:
    """Return *error* such as a platform may show it: without content, secrets and its way here."""
    if not isinstance(error, TargetMixpanelError):
        line = words_of(error)
        logger.error(line)
        return InternalError(line)
    if secrets is not None:
        error.args = (secrets.hide(str(error)),)
    return error.with_traceback(None)


def _time_is_up(stored: StoredObject, notes: Notes) -> TimeIsUpError:
    place = notes.place_of(stored)
    behind = "its last row" if place is None else f"row {place.rows:,}"
    return TimeIsUpError(
        f"{printable(stored.url)}: time is up behind {behind}; the next call goes on from there"
    )


def _check_unchanged(stored: StoredObject) -> None:
    """See that no newer table was there meanwhile: two calls may end in either order."""
    if find_object(stored.url, "event") != stored:
        raise InputError(
            f"{printable(stored.url)}: changed while its lookup table was replaced; the next call "
            "loads it as it is then"
        )


@contextmanager
def logged() -> Iterator[None]:
    """Log what is raised; an engine says itself what ends it, and `load_all` all the rest."""
    try:
        yield
    except TimeIsUpError as error:
        logger.warning(str(error))
        raise
    except TargetMixpanelError as error:
        logger.error(str(error))  # noqa: TRY400 (one line, no traceback)
        raise
