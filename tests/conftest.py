"""What tests share: the real command, a sandbox to send to, and a tap's messages."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest

from target_mixpanel.sandbox import Sandbox, SandboxSettings
from tests.waiting import wait_until
from tests.warm_command import WarmProcess

COMMAND = [str(Path(sys.executable).with_name("target-mixpanel"))]
TIME_LIMIT_S = 60

ORDERS_SCHEMA = {
    "type": "SCHEMA",
    "stream": "orders",
    "key_properties": ["id"],
    "schema": {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "user_id": {"type": ["null", "string"]},
            "created_at": {"type": "string", "format": "date-time"},
            "amount": {"type": ["null", "number"]},
            "note": {"type": ["null", "string"]},
        },
    },
}
ORDERS_MAPPING = {
    "event": "Order Placed",
    "time": "created_at",
    "distinct_id": "user_id",
    "properties": "*",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-slow", action="store_true", help="run tests that take minutes, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--run-slow"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow; run with --run-slow"))


def order(number: int, **more: Any) -> dict[str, Any]:
    """Return a RECORD of the stream orders; the same number is the same order."""
    minute, second = divmod(number, 60)
    hour, minute = divmod(minute, 60)
    record = {
        "id": number,
        "user_id": f"user-{number % 97}",
        "created_at": f"2026-10-{1 + hour // 24:02d}T{hour % 24:02d}:{minute:02d}:{second:02d}Z",
        "amount": number / 4,
        "note": None,
    }
    return {"type": "RECORD", "stream": "orders", "record": record | more}


def orders(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [order(number) for number in range(start, start + count)]


def state(number: int) -> dict[str, Any]:
    return {"type": "STATE", "value": {"bookmarks": {"orders": {"id": number}}}}


def singer(*messages: Any) -> bytes:
    """Return messages, and lists of messages, as a tap writes them."""
    flat = [one for each in messages for one in (each if isinstance(each, list) else [each])]
    lines = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in flat]
    return b"".join(line + b"\n" for line in lines)


class Finished(msgspec.Struct):
    """What a run of the command left behind."""

    code: int
    stdout: str
    stderr: str

    @property
    def states(self) -> list[Any]:
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def errors(self) -> list[str]:
        """The messages of the log's ERROR lines."""
        return [line.split(" | ", 3)[3] for line in self.stderr.splitlines() if "| ERROR " in line]


class Running:
    """The command, running, with its pipes in hand and its log in view."""

    def __init__(
        self,
        arguments: list[str],
        *,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        is_warm: bool = True,
    ) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by the exit)
        self._marks = 0
        self.process = (
            WarmProcess(arguments, stderr=self._log, env=env, cwd=cwd)
            if is_warm
            else subprocess.Popen(
                COMMAND + arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=env,
                cwd=cwd,
            )
        )

    @property
    def logged(self) -> str:
        """What stands on stderr by now."""
        descriptor = self._log.fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode()

    def write(self, *messages: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(singer(*messages))
        self.process.stdin.flush()

    def wait_until_read(self) -> None:
        """Wait until all that was written is read: a message that nobody knows is told of."""
        self._marks += 1
        self.write({"type": f"MARK-{self._marks}"})
        self.wait_until_logged(f"MARK-{self._marks} messages are ignored")

    def wait_until_logged(self, words: str) -> None:
        wait_until(lambda: words in self.logged)

    def read_state(self) -> Any:
        """Wait for the next STATE line."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def send_signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end_input(self, last: bytes = b"") -> None:
        """Write *last*, and close stdin, whether or not anybody still reads."""
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), self.process.stdin as stdin:
                stdin.write(last)
            self.process.stdin = None

    def finish(self, *messages: Any) -> Finished:
        """Write the last of the input, end it, and return what the run left behind."""
        too_late = threading.Timer(TIME_LIMIT_S, self.process.kill)
        too_late.start()
        # A thread of its own, since nobody else reads stdout meanwhile.
        feeder = threading.Thread(target=self.end_input, args=[singer(*messages)])
        feeder.start()
        stdout = b"" if self.process.stdout is None else self.process.stdout.read()
        code = self.process.wait()
        feeder.join()
        too_late.cancel()
        return Finished(code, stdout.decode(), self.logged)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.end_input()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log.close()


class Command:
    """The real command, with a configuration for this test's sandbox."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.report_path = folder / "report.json"
        self.config: dict[str, Any] = {
            "api_url": url,
            "project_token": "sandbox-token",
            "streams": {"orders": ORDERS_MAPPING},
            "report_path": str(self.report_path),
            "retry_initial_seconds": 0.02,
            "retry_max_seconds": 0.1,
            "retry_jitter_seconds": 0.01,
            "retry_max_elapsed_seconds": 10,
        }

    def arguments(self, **more: Any) -> list[str]:
        path = self.folder / "config.json"
        path.write_text(json.dumps({**self.config, **more}))
        return ["--config", str(path)]

    def start(self, *, env: dict[str, str] | None = None, **more: Any) -> Running:
        return Running(self.arguments(**more), env=env)

    def run(
        self,
        *messages: Any,
        arguments: Iterable[str] = (),
        env: dict[str, str] | None = None,
        **more: Any,
    ) -> Finished:
        with Running([*self.arguments(**more), *arguments], env=env) as running:
            return running.finish(*messages)

    def report(self, stream: str = "orders") -> dict[str, Any]:
        """Return the stream's part of the last end-of-run report."""
        streams: dict[str, Any] = json.loads(self.report_path.read_bytes())["streams"]
        return dict(streams[stream])


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    # No rate limit: a test that wants one makes its own sandbox.
    settings = SandboxSettings(events_per_second=None, bytes_per_minute=None)
    with Sandbox(settings=settings) as running:
        yield running


@pytest.fixture
def command(tmp_path: Path, sandbox: Sandbox) -> Command:
    return Command(tmp_path, sandbox.url)
