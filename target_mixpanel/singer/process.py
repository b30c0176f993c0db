"""How does the command run and end: signals, STATE on stdout, exit code?"""

import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

from singer_sdk.exceptions import MissingKeyPropertiesError, RecordsWithoutSchemaException

from target_mixpanel.engine.ending import also
from target_mixpanel.engine.engine import Engine
from target_mixpanel.errors import RefusedTrialError, StateOutputError, TargetMixpanelError
from target_mixpanel.redaction import Redactor
from target_mixpanel.stop import Stop

logger = logging.getLogger("target-mixpanel")

_SIGNAL_EXIT: Final = 128
"""A process that a signal ended exits with this plus the signal's number."""

_TRIAL_EXIT: Final = 77
"""EX_NOPERM: what was tried were the credentials."""

_EXPECTED: Final = (
    TargetMixpanelError,
    RecordsWithoutSchemaException,
    MissingKeyPropertiesError,
)
"""What says in its own words what is wrong."""

_SWITCH_INTERVAL_S: Final = 0.001
"""How long the reader's thread may go on when a sender wants to. With Python's 5 ms a sender loses
some 50 a request: 3 % fewer events a second go out, and 8 % fewer where replies take 200 ms."""


def own_process(engine: Engine) -> None:
    """Take the process' signals, logs and switches: for a command, not for a library."""
    _redact_logs(Redactor(engine.secrets))
    _take_signals(engine.stop)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)


def run(engine: Engine, load: Callable[[], None]) -> int:
    """Let *load* load the whole input with *engine*, report how it went, return the exit code."""
    problem: str | None = None
    code = 0
    try:
        load()
    except Exception as error:  # noqa: BLE001 (the top: a traceback could show a record)
        code = _TRIAL_EXIT if isinstance(error, RefusedTrialError) else 1
        problem = also(_said(error), engine.salvage(error))
    engine.ending.report(None if problem is None else engine.secrets.hide(problem))
    if code:
        return code
    number = engine.stop.signal_number
    return 0 if number is None else _SIGNAL_EXIT + number


def write_state(state: bytes) -> None:
    """
    Write one STATE line to stdout, in one write.

    Raises:
        StateOutputError: Nobody takes it.
    """
    rest = memoryview(state + b"\n")
    try:
        while rest:  # a stdout without buffer may take a part only, as when a signal comes
            rest = rest[sys.stdout.buffer.write(rest) :]
        sys.stdout.buffer.flush()
    except (OSError, ValueError) as error:
        raise StateOutputError(
            "stdout: STATE cannot be written "
            f"({getattr(error, 'strerror', None) or 'closed'}); what was loaded stays loaded, "
            "and a rerun sends it again under the same ids",
        ) from None


def leave(code: int) -> None:
    """End the process; a stdout that is gone must not turn into a traceback at the very end."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(code)


def _redact_logs(redactor: Redactor) -> None:
    loggers = [logging.getLogger(), *logging.root.manager.loggerDict.values()]
    for each in loggers:
        for handler in getattr(each, "handlers", ()):
            handler.addFilter(redactor)


def _take_signals(stop: Stop) -> None:
    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        first = stop.signal_number
        if first is None:
            stop.request(number)
        elif (first, number) != (signal.SIGINT, signal.SIGTERM):
            # Meltano sends SIGINT, then SIGTERM: one wish. Another second signal is impatience.
            os.write(2, b"target-mixpanel: second signal, stopped at once; STATE stays\n")
            os._exit(_SIGNAL_EXIT + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)


def _said(error: Exception) -> str:
    if isinstance(error, _EXPECTED):
        return str(error)
    # Where, but not what: an exception's own words may be a record's.
    logger.debug("".join(traceback.format_tb(error.__traceback__)))
    return _internal_error(error)


def _internal_error(error: Exception) -> str:
    """Name a mistake of ours by its kind and place: its message could hold a record's values."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"internal error: {type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}; "
        "STATE stays where it was; please report this, with TARGET_MIXPANEL_LOGLEVEL=DEBUG"
    )
