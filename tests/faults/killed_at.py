"""The command, except that it kills itself at a marked point: killed_at.py POINT NTH ARGUMENTS…"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from target_mixpanel.engine.dead_letters import folder as dead_letter
from target_mixpanel.engine.settlement import Settlement
from target_mixpanel.http import client
from target_mixpanel.singer.target import TargetMixpanel

POINTS = (
    "before-send",
    "after-send",
    "before-dead-letter-fsync",
    "after-dead-letter-fsync",
    "between-settle-and-state",
    "within-state-line",
    "after-state",
)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Countdown:
    """Die at the *nth* call."""

    def __init__(self, nth: int) -> None:
        self.left = nth

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            die()


def before(count: Countdown, function: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*args: Any, **kwargs: Any) -> Any:
        count()
        return function(*args, **kwargs)

    return counted


def after(count: Countdown, function: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        count()
        return result

    return counted


def arm(point: str, nth: int) -> None:
    count = Countdown(nth)
    write = TargetMixpanel._write_state_message
    match point:
        case "before-send":
            client.Client.send = before(count, client.Client.send)
        case "after-send":
            client._read = before(count, client._read)
        case "before-dead-letter-fsync":
            dead_letter.os.fsync = before(count, os.fsync)
        case "after-dead-letter-fsync":
            dead_letter.os.fsync = after(count, os.fsync)
        case "between-settle-and-state":
            Settlement.release = before(count, Settlement.release)
        case "within-state-line":

            def torn(self: TargetMixpanel, state: bytes) -> None:
                count.left -= 1
                if count.left == 0:
                    os.write(1, state[: len(state) // 2])
                    die()
                write(self, state)

            TargetMixpanel._write_state_message = torn
        case "after-state":
            TargetMixpanel._write_state_message = after(count, write)
        case _:
            raise ValueError(point)


if __name__ == "__main__":
    arm(sys.argv[1], int(sys.argv[2]))
    del sys.argv[1:3]
    TargetMixpanel.cli()
