"""A bucket of our own on this machine, in the words of S3: moto's."""

from __future__ import annotations

import re
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import processes
from console import StepError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START_TIMEOUT_S: Final = 60.0

_ANNOUNCED: Final = re.compile(r"^bucket at (http://\S+)$", re.MULTILINE)

_SERVER: Final = """
import threading
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("bucket at http://%s:%d" % server.get_host_and_port(), flush=True)
threading.Event().wait()
"""


@dataclass(frozen=True)
class Bucket:
    """A running S3 with one bucket, and nothing in it yet."""

    endpoint: str
    name: str = "shop"

    @property
    def variables(self) -> dict[str, str]:
        """What a program's environment must say to find it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "demo",
            "AWS_SECRET_ACCESS_KEY": "demo",
            "AWS_REGION": "us-east-1",
        }

    def put(self, key: str, content: bytes) -> None:
        """Store an object; without a key, the bucket itself."""
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.endpoint}/{self.name}/{key}".rstrip("/"),
            data=content,
            method="PUT",
            headers={
                "Authorization": "AWS4-HMAC-SHA256 Credential=demo/20261001/us-east-1/s3/x",
                "Content-Type": "application/octet-stream",
            },
        )
        with urllib.request.urlopen(request, timeout=60):  # noqa: S310 - loopback
            pass


@contextmanager
def running(python: Path, *, log: Path, cwd: Path) -> Iterator[Bucket]:
    """
    Run the bucket on a free port; stop it at the end.

    Raises:
        StepError: It did not start; *log* says why.
    """
    with processes.started([python, "-c", _SERVER], log=log, cwd=cwd) as process:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not (announced := _ANNOUNCED.search(log.read_text(errors="replace"))):
            if process.poll() is not None or time.monotonic() > deadline:
                raise StepError("the bucket did not start")
            time.sleep(0.05)
        bucket = Bucket(announced[1])
        bucket.put("", b"")
        yield bucket
