"""Which answers does tap-mixpanel need that the sandbox, which only takes what is sent, has not?"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from target_mixpanel.sandbox import Sandbox


@contextmanager
def answering(sandbox: Sandbox) -> Iterator[str]:
    """
    Answer the Query API's questions about profiles and names of properties, as it is documented.

    Yields:
        Host and port.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(_answers(sandbox)[urlsplit(self.path).path]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (as above)
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _answers(sandbox: Sandbox) -> dict[str, Any]:
    # What was cleared is left out: this tap would read a null flag as false.
    profiles: list[dict[str, Any]] = [
        {"$distinct_id": user, "$properties": _set(known)} for user, known in sandbox.users.items()
    ]
    of_profiles = {
        name: {"count": 1, "type": _type(value)}
        for profile in profiles
        for name, value in profile["$properties"].items()
    }
    of_events = {
        name: {"count": 1}
        for event in sandbox.report()
        for name in event["properties"]
        if name not in {"time", "distinct_id"}
    }
    return {
        "/api/2.0/engage": {"status": "ok", "results": profiles, "total": len(profiles)},
        "/api/2.0/engage/properties": {"status": "ok", "results": of_profiles},
        "/api/2.0/events/properties/top": of_events,
    }


def _set(known: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in known.items() if value is not None}


def _type(value: Any) -> str:
    kinds = {bool: "boolean", int: "number", float: "number", list: "list", dict: "object"}
    return kinds.get(type(value), "string")
