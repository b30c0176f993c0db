"""A bucket that costs little: files of a folder, as S3 answers HEAD and GET of a range."""

import os
import re
import sys
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

_RANGE: Final = re.compile(r"bytes=(\d+)-(\d+)")


class Handler(BaseHTTPRequestHandler):
    """Answers what `/bucket/name` says; what else S3 can do is not there."""

    protocol_version = "HTTP/1.1"
    folder: Path

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def _answer(self, *, with_content: bool) -> None:
        path = self.folder / self.path.rpartition("/")[2]
        found = path.stat()
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        start, end = (0, found.st_size) if asked is None else (int(asked[1]), int(asked[2]) + 1)
        self.send_response(200 if asked is None else 206)
        self.send_header("Content-Length", str(end - start))
        self.send_header("ETag", f'"{found.st_mtime_ns}"')
        self.send_header("Last-Modified", formatdate(found.st_mtime, usegmt=True))
        if asked is not None:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{found.st_size}")
        self.end_headers()
        self.wfile.flush()
        with path.open("rb") as file:
            while with_content and start < end:
                start += os.sendfile(self.connection.fileno(), file.fileno(), start, end - start)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    Handler.folder = Path(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
