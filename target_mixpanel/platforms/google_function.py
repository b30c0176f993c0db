"""Google Cloud Functions: which object does it load, and how does it tell what failed?"""

import logging
import os
import sys
import time
from typing import Any, Final

import msgspec

try:
    import functions_framework
    from cloudevents.http import CloudEvent
    from werkzeug.exceptions import ServiceUnavailable
except ImportError:
    raise ImportError(
        "google_function needs the extra google: pip install 'target-mixpanel[google]'"
    ) from None

from target_mixpanel.errors import InputError, TargetMixpanelError, printable
from target_mixpanel.platforms.call import Call, NamedObject, in_one_line, logged
from target_mixpanel.platforms.call_settings import function_settings

logger = logging.getLogger("target-mixpanel")

_KIND: Final = "google.cloud.storage.object.v1."

_TIMEOUT: Final = "CLOUD_RUN_TIMEOUT_SECONDS"
"""What the functions framework goes by, too; a call knows of no deadline."""

_DEFAULT_TIMEOUT_S: Final = 60.0
"""Of a function for which nothing else is said."""


class _Object(msgspec.Struct):
    """https://github.com/googleapis/google-cloudevents: StorageObjectData."""

    bucket: str
    name: str


@functions_framework.cloud_event
def load_object(event: CloudEvent) -> None:
    """
    Load the object that *event* says is complete.

    Raises:
        ServiceUnavailable: It is not loaded, or not to its end: the platform is to try again.
    """
    try:
        _load(event)
    except TargetMixpanelError as error:
        # An answer, not an exception: for those the framework would log a traceback.
        raise ServiceUnavailable(str(error)) from None


def _load(event: CloudEvent) -> None:
    began_at = time.monotonic()
    _log_to_stderr()
    try:
        with logged():
            seconds = _timeout_s()
            call = Call(function_settings(), lambda: began_at + seconds - time.monotonic())
        with call.logs():
            with logged():
                named = _named(event)
            call.load_all(named)
    except Exception as error:  # noqa: BLE001 (the top: a traceback could show a record)
        raise in_one_line(error) from None


def _timeout_s() -> float:
    written = os.environ.get(_TIMEOUT, "")
    # The framework has read it before, and would not have begun with what is no whole number.
    return float(written) if written.isdecimal() and int(written) else _DEFAULT_TIMEOUT_S


def _named(event: CloudEvent) -> list[NamedObject]:
    kind = str(event["type"])
    if kind.startswith(_KIND) and kind != f"{_KIND}finalized":
        logger.warning("event: %s is passed over; only finalized objects are loaded", kind)
        return []
    try:
        said = msgspec.convert(event.get_data(), _Object)
    except msgspec.ValidationError:
        said = None
    if said is None or not kind.startswith(_KIND):
        raise InputError(
            f"event: {printable(kind)} is none that this function takes; trigger it by "
            f"{_KIND}finalized"
        )
    return [NamedObject(f"gs://{said.bucket}/{said.name}")]


def _log_to_stderr() -> None:
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_Severity())
        root.addHandler(handler)


class _Severity(logging.Formatter):
    """https://cloud.google.com/logging/docs/structured-logging: a line is a JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {"severity": record.levelname, "message": super().format(record)}
        return msgspec.json.encode(entry).decode()
