"""
A Google Cloud Storage of a test's own: the part of its XML API that readers and writers use.

The emulators at hand know its JSON API, or answer a PUT without an ETag.
https://cloud.google.com/storage/docs/xml-api/reference-methods
"""

import re
import threading
from dataclasses import dataclass
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import gmtime, strftime, time
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

PAGE = 1_000
"""Objects that one answer lists at most."""


@dataclass(frozen=True)
class Stored:
    content: bytes
    generation: int
    written_at: float

    @property
    def etag(self) -> str:
        return f'"{md5(self.content, usedforsecurity=False).hexdigest()}"'


class GcsServer(ThreadingHTTPServer):
    """Buckets come into being by the first object in them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.objects: dict[tuple[str, str], Stored] = {}
        """By bucket and name."""
        self.tokens: list[str] = []
        """What requests brought to be known by."""
        self._lock = threading.Lock()
        self._generations = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def store(self, bucket: str, name: str, content: bytes, *, is_new: bool = False) -> bool:
        """Store *content*; False: there is one already, and it had to be new."""
        with self._lock:
            if is_new and (bucket, name) in self.objects:
                return False
            self._generations += 1
            self.objects[bucket, name] = Stored(content, self._generations, time())
            return True

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=[0.05], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: GcsServer

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        bucket, name = self._named()
        is_new = self.headers.get("x-goog-if-generation-match") == "0"
        if not self.server.store(bucket, name, content, is_new=is_new):
            self._refuse(412, "PreconditionFailed")
            return
        self._answer(200, b"", _headers(self.server.objects[bucket, name]))

    def do_GET(self) -> None:
        bucket, name = self._named()
        if not name:
            self._list(bucket)
            return
        stored = self.server.objects.get((bucket, name))
        if stored is None:
            self._refuse(404, "NoSuchKey")
            return
        if self.headers.get("If-Match", stored.etag) != stored.etag:
            self._refuse(412, "PreconditionFailed")
            return
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted is None:
            self._answer(200, stored.content, _headers(stored))
            return
        first, size = int(wanted[1]), len(stored.content)
        last = min(int(wanted[2] or size - 1), size - 1)
        span = {"Content-Range": f"bytes {first}-{last}/{size}"}
        self._answer(206, stored.content[first : last + 1], _headers(stored) | span)

    do_HEAD = do_GET  # noqa: N815 (the base calls it so)

    def do_DELETE(self) -> None:
        gone = self.server.objects.pop(self._named(), None)
        if gone is None:
            self._refuse(404, "NoSuchKey")
        else:
            self._answer(204, b"", {})

    def _named(self) -> tuple[str, str]:
        self.server.tokens.append(self.headers.get("Authorization", ""))
        bucket, _, name = urlsplit(self.path).path.lstrip("/").partition("/")
        return unquote(bucket), unquote(name)

    def _list(self, bucket: str) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        prefix, after = (asked.get(key, [""])[0] for key in ("prefix", "continuation-token"))
        names = sorted(
            name for of, name in list(self.server.objects) if of == bucket and name > after
        )
        names = [name for name in names if name.startswith(prefix)]
        page = "".join(_entry(name, self.server.objects[bucket, name]) for name in names[:PAGE])
        more = names[PAGE:] and f"<NextContinuationToken>{escape(names[PAGE - 1])}"
        token = f"{more}</NextContinuationToken>" if more else ""
        body = f"<?xml version='1.0'?><ListBucketResult>{token}{page}</ListBucketResult>"
        self._answer(200, body.encode(), {"Content-Type": "application/xml"})

    def _refuse(self, status: int, code: str) -> None:
        body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code></Error>"
        self._answer(status, body.encode(), {"Content-Type": "application/xml"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base's word)
        """Say nothing."""


def _headers(stored: Stored) -> dict[str, str]:
    return {
        "ETag": stored.etag,
        "x-goog-generation": str(stored.generation),
        "Last-Modified": formatdate(stored.written_at, usegmt=True),
    }


def _entry(name: str, stored: Stored) -> str:
    at = strftime("%Y-%m-%dT%H:%M:%S.000Z", gmtime(stored.written_at))
    return (
        f"<Contents><Key>{escape(name)}</Key><Generation>{stored.generation}</Generation>"
        f"<LastModified>{at}</LastModified><ETag>{escape(stored.etag)}</ETag>"
        f"<Size>{len(stored.content)}</Size></Contents>"
    )
