"""Where does the end-of-run report go, and what if it cannot?"""

import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from target_mixpanel.engine.buckets import bucket_writer
from target_mixpanel.engine.report import check_report, report_bytes, write_report
from target_mixpanel.errors import SettingsError, StorageError, printable
from target_mixpanel.settings.parse import Settings
from target_mixpanel.stop import Stop
from target_mixpanel.threads import start

_IN_A_HURRY_S: Final = 3.0
"""After a signal, of the margin that the process has to end in."""

_LOOK_UP_S: Final = 0.1


class ReportPlace(Protocol):
    """A file, or an object."""

    def check(self, stop: Stop) -> None:
        """
        See before the run that the report can be written.

        Raises:
            SettingsError: It cannot.
        """

    def write(self, report: dict[str, Any], stop: Stop) -> None:
        """
        Write *report*, whole or not at all.

        Raises:
            SettingsError: It cannot be written.
        """


def report_place(settings: Settings) -> ReportPlace | None:
    """Return where the report goes; None: nowhere."""
    if settings.report_file is not None:
        return _File(settings.report_file)
    if settings.report_bucket is not None:
        return _Object(settings.report_bucket, settings)
    return None


class _File:
    def __init__(self, path: Path) -> None:
        self._path = path

    def check(self, stop: Stop) -> None:  # noqa: ARG002 (a disk answers)
        check_report(self._path)

    def write(self, report: dict[str, Any], stop: Stop) -> None:  # noqa: ARG002 (as above)
        write_report(report, self._path)


class _Object:
    def __init__(self, url: str, settings: Settings) -> None:
        self._url = url
        self._settings = settings

    def check(self, stop: Stop) -> None:
        if self._url.endswith("/") or not self._url.partition("://")[2].partition("/")[2]:
            raise SettingsError(
                f"report_path: {printable(self._url)} is a folder; name the object in it"
            )
        self._writer = bucket_writer(self._url, "report_path", self._settings)
        self._writer.check(stop)

    def write(self, report: dict[str, Any], stop: Stop) -> None:
        content = report_bytes(report)
        try:
            self._put(content, stop)
        except StorageError as error:
            raise SettingsError(
                f"report_path: {printable(self._url)} {error}; {_kept(content)}"
            ) from None

    def _put(self, content: bytes, stop: Stop) -> None:
        """Store *content*, on a thread of its own: a bucket may hang, and the process end."""
        errors: list[StorageError] = []
        is_over, is_done = threading.Event(), threading.Event()

        def wait(seconds: float) -> None:
            if is_over.wait(seconds):
                raise StorageError("had no more time")

        def put() -> None:
            try:
                self._writer.put("", content, wait)
            except StorageError as error:
                errors.append(error)
            is_done.set()

        start(threading.Thread(target=put, name="report", daemon=True))
        _wait_for(is_done, stop)
        is_over.set()
        if not is_done.is_set():
            raise StorageError("did not answer in time")
        if errors:
            raise errors[0]


def _wait_for(
    is_done: threading.Event, stop: Stop, clock: Callable[[], float] = time.monotonic
) -> None:
    """Wait for it; after a signal not for long."""
    hurried_since: float | None = None
    while not is_done.wait(_LOOK_UP_S):
        if stop.is_requested:
            hurried_since = hurried_since or clock()
            if clock() - hurried_since > _IN_A_HURRY_S:
                return


def _kept(content: bytes) -> str:
    """Keep a report that nobody took where this machine keeps such things; return the words."""
    try:
        descriptor, path = tempfile.mkstemp(prefix="target-mixpanel-report-", suffix=".json")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError:
        return "the summary above is all that is left of the report"
    return f"the report is in {path}"
