"""How does a database server run for a while, as a plain process that nobody else can reach?"""

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from taps.places import SetUpError

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 20.0


class QueryError(Exception):
    """The server did not answer a statement."""


@contextmanager
def serving(
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str],
    is_ready: Callable[[], object],
    stop_by: signal.Signals,
    identity: Mapping[str, Any],
) -> Iterator[None]:
    """
    Run a server until the end of the block.

    Args:
        command: What to run.
        log: For what it prints.
        env: Its whole environment.
        is_ready: Raises QueryError as long as the server does not answer.
        stop_by: The signal after which it ends without waiting for its clients.
        identity: Of `subprocess.Popen`: who it runs as.

    Raises:
        SetUpError: It did not start; the message has the end of *log*.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env=env,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for us, who stop it when nobody uses it any more
            **identity,
        )
    try:
        _await_ready(process, is_ready, log)
        yield
    finally:
        process.send_signal(stop_by)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def unprivileged() -> dict[str, Any]:
    """
    Return how `subprocess` runs what refuses to run as root: as it is, or as nobody.

    Raises:
        SetUpError: We are root, and there is no such user.
    """
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        raise SetUpError("PostgreSQL does not run as root, and there is no nobody") from error
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _await_ready(
    process: subprocess.Popen[bytes], is_ready: Callable[[], object], log: Path
) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            is_ready()
        except QueryError:
            time.sleep(0.05)
        else:
            return
    raise SetUpError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")
