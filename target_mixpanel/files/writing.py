"""How does a small object get into a bucket that may be away for a while?"""

import logging
import random
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Final

import msgspec

from target_mixpanel.errors import SettingsError, StorageError, printable
from target_mixpanel.files.stores import (
    bucket_path,
    is_lasting,
    is_no_proof,
    lacks_credentials,
    storage_words,
)
from target_mixpanel.stop import Stop
from target_mixpanel.threads import start

logger = logging.getLogger("target-mixpanel")

_CHECK_S: Final = 10.0
"""For a first look; who does not answer by then may do so when there is something to write."""

_LOOK_UP_S: Final = 0.2
"""How often a wait looks whether the run is over."""

_LEAST_JITTER_SHARE: Final = 0.2


class Patience(msgspec.Struct, frozen=True):
    """How long to wait before the next try, and how long in all."""

    first_wait_s: float
    longest_wait_s: float
    jitter_s: float
    in_all_s: float

    def wait_s(self, tries: int) -> float:
        """Return the wait after so many tries: doubling, and never the same for two of us."""
        doubled = self.first_wait_s * 2.0 ** min(tries - 1, 60)
        jitter = random.uniform(self.jitter_s * _LEAST_JITTER_SHARE, self.jitter_s)  # noqa: S311
        return min(doubled, self.longest_wait_s) + jitter


class BucketWriter:
    """
    Stores whole objects below one URL. On any thread.

    An object that is stored again under its name is the same one: a reply that was lost is no
    reason to ask what is there, which who may only write could not.
    """

    def __init__(
        self,
        url: str,
        setting: str,
        patience: Patience,
        *,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            url: An object's, or the beginning of the names of several.
            setting: Where it is written, for messages.
            patience: With a bucket that is away.
            timeout_s: Of one try.
            clock: Monotonic seconds.

        Raises:
            SettingsError: It names no bucket, or what writes there is not installed.
        """
        self.url = url.rstrip("/")
        """Without a slash at the end."""
        self._setting = setting
        self._patience = patience
        self._clock = clock
        self._looked_at = bucket_path(url, setting)
        self._at = bucket_path(url, setting, retries=0, timeout_s=timeout_s)
        self._root = self._at.path.strip("/")

    def check(self, stop: Stop) -> None:
        """
        See before the run, as far as that is possible without writing, that there is a bucket.

        Whether one may write shows only then: to list may be forbidden to who may.

        Raises:
            SettingsError: There is none, or it never answers such as we are.
            TargetMixpanelError: The run is over.
        """
        error = _answer_of(self._look, stop)
        if error is None or is_no_proof(error):
            return
        words = f"{self._setting}: {printable(self.url)} {storage_words(error)}"
        if lacks_credentials(error) or is_lasting(error):
            raise SettingsError(words)
        logger.warning("%s; it is asked again when there is something to write", words)

    def _look(self) -> None:
        next(iter(self._looked_at.store.list(self._root or None, chunk_size=1)), None)

    def put(self, name: str, content: bytes, wait: Callable[[float], None]) -> None:
        """
        Store *content*; once this returns, it is durable.

        Args:
            name: Below the URL; empty: the URL's own.
            content: All of it.
            wait: Sleeps for so many seconds, or raises what ends this.

        Raises:
            StorageError: The bucket does not take it, or was away for too long.
        """
        from obstore.exceptions import BaseError  # noqa: PLC0415 (an extra)

        key = "/".join(part for part in (self._root, name) if part)
        shown = printable(self.url)
        end = self._clock() + self._patience.in_all_s
        for tries in count(1):
            try:
                self._at.store.put(key, content, use_multipart=False)
            except (BaseError, OSError, ValueError) as error:
                wait_s = self._patience.wait_s(tries)
                words = storage_words(error)
                if is_lasting(error) or self._clock() + wait_s > end:
                    raise StorageError(words) from None
                if tries == 1:
                    logger.warning("%s: %s %s; tried again", self._setting, shown, words)
                wait(wait_s)
            else:
                return


def _answer_of(ask: Callable[[], None], stop: Stop) -> Exception | None:
    """Return what *ask* fails with, if it does so in time; nothing that ends the run waits."""
    errors: list[Exception] = []
    is_answered = threading.Event()

    def run() -> None:
        try:
            ask()
        except Exception as error:  # noqa: BLE001 (a thread's top: the caller looks at it)
            errors.append(error)
        is_answered.set()

    start(threading.Thread(target=run, name="bucket-check", daemon=True))
    end = time.monotonic() + _CHECK_S
    while not is_answered.wait(_LOOK_UP_S):
        stop.raise_if_over()
        if time.monotonic() > end:
            return TimeoutError("does not answer")
    return errors[0] if errors else None
