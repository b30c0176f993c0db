"""The platforms' own runtimes, with the real function in them, on this machine."""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from target_mixpanel.sandbox import Sandbox
from tests.conftest import ORDERS_MAPPING
from tests.waiting import PATIENCE_S, wait_until

REPO = Path(__file__).parents[2]


def settings_of(sandbox: Sandbox, home: str, **more: Any) -> dict[str, Any]:
    """Return settings that load `orders/*` below *home*, a bucket's URL."""
    return {
        "api_url": sandbox.url,
        "project_token": "sandbox-token",
        "streams": {"orders": ORDERS_MAPPING},
        "files": [{"match": f"{home}orders/*", "stream": "orders", "key": ["id"]}],
        "files_state": f"{home}state",
        "retry_initial_seconds": 0.02,
        "retry_max_seconds": 0.1,
        "retry_jitter_seconds": 0.01,
        **more,
    }


def environment_of(sandbox: Sandbox, home: str, **more: Any) -> dict[str, str]:
    """Return them as the environment has them."""
    return {
        f"TARGET_MIXPANEL_{name.upper()}": each if isinstance(each, str) else json.dumps(each)
        for name, each in settings_of(sandbox, home, **more).items()
        if each is not None
    }


class Answer:
    """How an invocation ended: what was returned, or the error."""

    def __init__(self, kind: str, body: bytes) -> None:
        self.kind = kind
        self.body = json.loads(body) if body else None

    @property
    def error(self) -> str:
        assert self.kind == "error", self.body
        return self.body["errorMessage"]


class RuntimeApi(ThreadingHTTPServer):
    """What Lambda's runtime asks for the next event, and tells how it ended."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.events: queue.Queue[tuple[str, bytes, float]] = queue.Queue()
        self.answers: queue.Queue[Answer | None] = queue.Queue()
        self.taken = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Exchange(BaseHTTPRequestHandler):
    server: RuntimeApi
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        number, event, deadline = self.server.events.get()
        self.server.taken += 1
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(event)))
        self.send_header("Lambda-Runtime-Aws-Request-Id", number)
        self.send_header("Lambda-Runtime-Deadline-Ms", str(int(deadline * 1_000)))
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:1:f:f")
        self.end_headers()
        self.wfile.write(event)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.answers.put(Answer(self.path.rpartition("/")[2], body))

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Host:
    """A process of a platform's, and its log."""

    def __init__(self, arguments: list[str], environment: dict[str, str], cwd: Path) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by the exit)
        self.process = subprocess.Popen(
            arguments,
            env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **environment},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            cwd=cwd,
        )

    @property
    def logged(self) -> str:
        descriptor = self._log.fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._log.close()


class LambdaHost(Host):
    """One execution environment: `awslambdaric`, which imports the handler and calls it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.api = RuntimeApi()
        threading.Thread(target=self.api.serve_forever, daemon=True).start()
        handler = "target_mixpanel.platforms.aws_lambda.handler"
        super().__init__(
            [sys.executable, "-m", "awslambdaric", handler],
            {"AWS_LAMBDA_RUNTIME_API": self.api.address, **environment},
            Path(tempfile.gettempdir()),
        )

    def begin(self, event: Any, seconds: float = 900.0) -> None:
        """Let it take *event*, and have so long for it."""
        taken = self.api.taken
        self.api.events.put((f"request-{taken}", json.dumps(event).encode(), time.time() + seconds))

    def answer(self, seconds: float = PATIENCE_S) -> Answer | None:
        """Wait for the end of the invocation, and no longer than *seconds*."""
        try:
            return self.api.answers.get(timeout=seconds)
        except queue.Empty:
            return None

    def invoke(self, event: Any, seconds: float = 900.0) -> Answer:
        self.begin(event, seconds)
        answer = self.answer()
        assert answer is not None, self.logged
        return answer

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self.api.shutdown()
        self.api.server_close()


class GoogleHost(Host):
    """The functions framework with `deploy/google/main.py`."""

    def __init__(self, environment: dict[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        framework = Path(sys.executable).with_name("functions-framework")
        source = str(REPO / "deploy" / "google" / "main.py")
        options = ["--target", "load_object", "--signature-type", "cloudevent", "--source", source]
        super().__init__(
            [str(framework), *options, "--host", "127.0.0.1", "--port", str(self.port)],
            {"TMPDIR": tempfile.gettempdir(), **environment},
            Path(tempfile.gettempdir()),
        )
        wait_until(self._is_there)

    def _is_there(self) -> bool:
        assert self.process.poll() is None, self.logged
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True

    def post(self, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        """Return status and text of the answer; 0: none came."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def kill(self) -> None:
        """Kill the server's worker, which does the work, and then the server."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        workers = children.read_text().split() if children.exists() else []
        self.process.kill()
        for worker in workers:
            os.kill(int(worker), signal.SIGKILL)
        self.process.wait()
