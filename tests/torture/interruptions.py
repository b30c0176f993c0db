"""How is a run interrupted?"""

import signal
import subprocess
from pathlib import Path
from typing import Final, Literal, TypeAlias

from tests.waiting import wait_until

Interruption: TypeAlias = Literal[
    "kill", "term", "int", "stop", "stop, term", "term, term", "int, term"
]
SIGNALS: Final = {
    "kill": [signal.SIGKILL],
    "term": [signal.SIGTERM],
    "int": [signal.SIGINT],
    "stop": [signal.SIGSTOP, signal.SIGCONT],
    "stop, term": [signal.SIGSTOP, signal.SIGTERM, signal.SIGCONT],
    "term, term": [signal.SIGTERM, signal.SIGTERM],
    "int, term": [signal.SIGINT, signal.SIGTERM],
}


def interrupt(process: subprocess.Popen[bytes], how: Interruption) -> None:
    for number in SIGNALS[how]:
        process.send_signal(number)
        if number == signal.SIGSTOP:
            wait_until(lambda: process.poll() is not None or _is_stopped(process.pid))


def asks_to_end(how: Interruption | None) -> bool:
    """Say whether a run that hears it has a deadline from then on."""
    return how not in {None, "kill", "stop"}


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
