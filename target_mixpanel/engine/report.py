"""How does a run read in the end, in the log and as JSON?"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from target_mixpanel.errors import SettingsError, printable

_REASONS_SHOWN: Final = 5


RunOutcome = Literal["complete", "failed", "stopped"]


def check_report(path: Path) -> None:
    """
    See before the run that its report can be written.

    Raises:
        SettingsError: There is no such folder, or it cannot be written to.
    """
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise SettingsError(
            f"report_path: {printable(str(path.parent))} is no folder that can be written to",
        )


def write_report(report: dict[str, Any], path: Path) -> None:
    """
    Write *report* to *path*, whole or not at all.

    Raises:
        SettingsError: The file cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise SettingsError(
            f"report_path: {printable(str(path))} cannot be written ({error.strerror})",
        ) from None
