"""How does a command run and end: signals, logs, exit code?"""

import ctypes
import logging
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from target_mixpanel.commands.signals import SIGNAL_EXIT, UNSETTLED_EXIT, hear_signals
from target_mixpanel.engine.ending import also
from target_mixpanel.engine.engine import Engine
from target_mixpanel.errors import (
    RefusedTrialError,
    ShutdownTimeoutError,
    TargetMixpanelError,
)
from target_mixpanel.redaction import Redactor
from target_mixpanel.stop import Stop

logger = logging.getLogger("target-mixpanel")

_TRIAL_EXIT: Final = 77
"""EX_NOPERM: what was tried were the credentials."""

_SWITCH_INTERVAL_S: Final = 0.001
"""How long the reader's thread may go on when a sender wants to. With Python's 5 ms a sender loses
some 50 a request: 3 % fewer events a second go out, and 8 % fewer where replies take 200 ms."""

_M_ARENA_MAX: Final = -8
"""Of glibc's malloc.h. https://man7.org/linux/man-pages/man3/mallopt.3.html"""


def own_process(engine: Engine) -> None:
    """Take the process' signals, logs and switches: for a command, not for a library."""
    _redact_logs(Redactor(engine.secrets))
    hear_signals(engine.stop, engine.settings.shutdown_timeout_seconds)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    _spare_memory()


def _spare_memory() -> None:
    """Let threads share what others gave back: 25 MB less at the peak, and no more time."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # not every C library has such
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)
    # Of Parquet's reader, before it is imported: its own keeps 35 MB more for later.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def run(
    engine: Engine, load: Callable[[], None], *, said_well: tuple[type[Exception], ...] = ()
) -> int:
    """
    Let *load* load the whole input with *engine*, report how it went, return the exit code.

    Args:
        engine: The run.
        load: Returns once all is settled.
        said_well: Errors of a door's own that say what is wrong, beside ours.
    """
    try:
        load()
    except Exception as error:  # noqa: BLE001 (the top: a traceback could show a record)
        said = words_of(error, said_well)
        problem = also(said, engine.salvage(error)) or said
        engine.ending.report(engine.secrets.hide(problem))
        return _exit_code(error)
    engine.ending.report(None)
    return 0


def _exit_code(error: Exception) -> int:
    match error:
        case RefusedTrialError():
            return _TRIAL_EXIT
        case ShutdownTimeoutError():
            return UNSETTLED_EXIT
        case _:
            return 1


def leave(code: int, stop: Stop | None) -> NoReturn:
    """
    End the process, here and now: with *code*, or as a signal asks that came meanwhile.

    Python's own way out first gives signals back their power to kill, and shows a traceback when
    stdout is gone.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    if code == 0 and stop is not None and stop.signal_number is not None:
        code = SIGNAL_EXIT + stop.signal_number
    os._exit(code)


def _redact_logs(redactor: Redactor) -> None:
    loggers = [logging.getLogger(), *logging.root.manager.loggerDict.values()]
    for each in loggers:
        for handler in getattr(each, "handlers", ()):
            handler.addFilter(redactor)


def words_of(error: Exception, said_well: tuple[type[Exception], ...] = ()) -> str:
    """Return what to say of *error*: its own words where they are ours, or *said_well*."""
    if isinstance(error, (TargetMixpanelError, *said_well)):
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
