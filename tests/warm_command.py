"""
The real command, without the third of a second that Python needs to import it.

A process that has imported everything waits, and forks for each run: what runs is a process of its
own, with its own arguments, environment, pipes, signals and end, as the console script has them.
Run as a script, this file is the process that waits.
"""

import atexit
import contextlib
import functools
import gc
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, NoReturn

NUMBER = struct.Struct("!q")
END = struct.Struct("!qq")
"""The wait status, and the most memory that was resident, in the unit of `ru_maxrss`."""


class WarmProcess:
    """A run of the command: what of `subprocess.Popen` the tests use."""

    def __init__(
        self,
        arguments: list[str],
        *,
        stderr: IO[bytes],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        asked = {
            "arguments": arguments,
            "env": dict(os.environ if env is None else env),
            "cwd": str(cwd or Path.cwd()),
        }
        stdin, stdin_end = os.pipe()
        stdout_end, stdout = os.pipe()
        self._status, status = os.pipe()
        for_run = [stdin, stdout, stderr.fileno(), status]
        _ask_for_run(json.dumps(asked).encode(), for_run)
        for descriptor in (stdin, stdout, status):
            os.close(descriptor)
        self.stdin: IO[bytes] | None = os.fdopen(stdin_end, "wb")
        self.stdout: IO[bytes] | None = os.fdopen(stdout_end, "rb")
        (self.pid,) = NUMBER.unpack(os.read(self._status, NUMBER.size))
        self.returncode: int | None = None
        self.peak_rss = 0

    def poll(self) -> int | None:
        return self._ended_within(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._ended_within(timeout)
        if code is None:
            raise TimeoutError
        return code

    def _ended_within(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], seconds)[0]:
            ended, self.peak_rss = END.unpack(os.read(self._status, END.size))
            self.returncode = os.waitstatus_to_exitcode(ended)
            os.close(self._status)
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        # It may have ended a moment ago, without having been told of yet.
        with contextlib.suppress(ProcessLookupError):
            if self.poll() is None:
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@functools.cache
def _starter() -> socket.socket:
    """Start the process that waits, once; return the socket on which it is asked for a run."""
    ours, theirs = socket.socketpair()
    with theirs:
        starter = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            process_group=0,  # Ctrl-C is pytest's
        )

    def end() -> None:
        ours.close()
        starter.wait()

    atexit.register(end)
    return ours


def _ask_for_run(asked: bytes, descriptors: list[int]) -> None:
    starter = _starter()
    socket.send_fds(starter, [NUMBER.pack(len(asked))], descriptors)
    starter.sendall(asked)


def _serve(asking: socket.socket) -> list[str]:
    """Fork for each run that is asked for; return its arguments in the process that is to run."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who watches a run needs no watching
    while True:
        header, descriptors, _, _ = socket.recv_fds(asking, NUMBER.size, 4)
        if not header:
            os._exit(0)
        asked = json.loads(_exactly(asking, NUMBER.unpack(header)[0]))
        if os.fork() == 0:
            asking.close()
            _run_watched(descriptors)
            os.environ.clear()
            os.environ.update(asked["env"])
            os.chdir(asked["cwd"])
            return list(asked["arguments"])
        for descriptor in descriptors:
            os.close(descriptor)


def _exactly(asking: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        received += asking.recv(size - len(received))
    return received


def _run_watched(descriptors: list[int]) -> None:
    """Fork once more; return in the child, while its parent tells how the child ends."""
    *standard, status = descriptors
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child:
        _watch(child, standard, status)
    os.close(status)
    for number, descriptor in enumerate(standard):
        os.dup2(descriptor, number)
        os.close(descriptor)


def _watch(child: int, standard: list[int], status: int) -> NoReturn:
    for descriptor in standard:
        os.close(descriptor)
    os.write(status, NUMBER.pack(child))
    _, ended, usage = os.wait4(child, 0)
    os.write(status, END.pack(ended, usage.ru_maxrss))
    os._exit(0)


if __name__ == "__main__":
    from target_mixpanel.singer.cli import main
    from target_mixpanel.singer.target import TargetMixpanel  # noqa: F401 (imported beforehand)

    gc.freeze()  # what is shared stays shared
    sys.argv[1:] = _serve(socket.socket(fileno=int(sys.argv[1])))
    sys.argv[0] = "target-mixpanel"
    main()
