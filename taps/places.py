"""Where is what this folder installs, and when is it out of date?"""

import hashlib
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
HOME: Final = HERE.parent / ".taps"
"""Everything that is installed; ignored by git, and safe to delete."""


class SetUpError(Exception):
    """Something that is needed cannot be had; the message says what."""


def install_once(folder: Path, wanted: str, install: Callable[[Path], None]) -> None:
    """
    Call *install* with an empty *folder*, unless what *wanted* says is there already.

    What an interrupted or older installation left is not trusted.
    """
    stamp = folder.with_name(f"{folder.name}.installed")
    fingerprint = hashlib.sha256(f"{sys.version} {folder} {wanted}".encode()).hexdigest()
    if folder.is_dir() and stamp.exists() and stamp.read_text() == fingerprint:
        return
    stamp.unlink(missing_ok=True)
    subprocess.run(["rm", "-rf", folder], check=True)
    folder.mkdir(parents=True)
    install(folder)
    stamp.write_text(fingerprint)


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    identity: Mapping[str, Any] | None = None,
    stdin: str = "",
) -> str:
    """
    Run *command* to its end; return what it printed.

    Args:
        command: What to run.
        env: Its whole environment; ours by default.
        cwd: Where; here by default.
        identity: Of `subprocess.run`: who it runs as.
        stdin: What it reads.

    Raises:
        SetUpError: It ended with another status than 0.
    """
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command,
        env=env,
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        **(identity or {}),
    )
    if done.returncode:
        words = " ".join(map(str, command[:6]))
        raise SetUpError(f"`{words} …` ended with status {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout
