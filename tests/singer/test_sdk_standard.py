"""The target passes the SDK's own tests for targets, those that the SDK leaves out included."""

import gzip
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from singer_sdk.testing import get_target_test_class
from singer_sdk.testing.suites import SingerTestSuite
from singer_sdk.testing.target_tests import TargetMultipleStateMessages
from singer_sdk.testing.templates import TargetFileTestTemplate

from target_mixpanel.sandbox import Sandbox
from target_mixpanel.singer.target import TargetMixpanel

MAPPING: dict[str, Any] = {
    "event": "Loaded",
    "time": {"value": "2026-10-01T00:00:00Z"},
    "distinct_id": {"value": ""},
    "properties": "*",
}


def config(url: str, **more: Any) -> dict[str, Any]:
    return {"api_url": url, "project_token": "sandbox-token", "streams": {"*": MAPPING}, **more}


@pytest.fixture(scope="module", autouse=True)
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(port=0) as running:
        STANDARD["api_url"] = running.url
        yield running


class NoPrimaryKeysAppend(TargetFileTestTemplate):
    """Shipped by the SDK, run by no suite of its."""

    name = "no_primary_keys_append"


class UserLocationData(TargetFileTestTemplate):
    """Shipped by the SDK, run by no suite of its."""

    name = "user_location_data"


class UserLocationUpsertData(TargetFileTestTemplate):
    """Shipped by the SDK, run by no suite of its."""

    name = "user_location_upsert_data"


# One dict, so that the sandbox's port can be filled in once it is known.
STANDARD: dict[str, Any] = config("http://127.0.0.1:1")
UNLISTED = SingerTestSuite(
    kind="target",
    tests=[NoPrimaryKeysAppend, UserLocationData, UserLocationUpsertData],
)

TestStandard = get_target_test_class(
    TargetMixpanel,
    config=STANDARD,
    custom_suites=[UNLISTED],
)


def test_all_standard_tests_are_there():
    """A release of the SDK that drops or renames tests is noticed."""
    tests = [name for name in dir(TestStandard) if name.startswith("test_target_")]

    assert len(tests) == 16 + len(UNLISTED.tests)


class MultipleStateMessages(TargetMultipleStateMessages):
    """
    The SDK's test, mended: it compares STATE lines as texts, but its runner decodes them.

    The lines must be those, and spelled as the tap spelled them.
    """

    def test(self) -> None:
        self.runner.sync_all()
        lines = self.runner.stdout.splitlines()
        self.runner.state_messages[:] = lines
        self.runner.sync_all = lambda: None
        super().test()


class RepliesOutOfOrder(BaseHTTPRequestHandler):
    """
    A Mixpanel that answers some requests only when later ones are answered.

    So the STATEs of the SDK's test become safe in the groups that the test expects, as they do when
    several requests are in flight, not because requests are sent one by one.
    """

    HELD: ClassVar = {
        ("test_multiple_state_messages_b", 1): [
            ("test_multiple_state_messages_a", 3),
            ("test_multiple_state_messages_b", 2),
        ],
        ("test_multiple_state_messages_a", 4): [
            ("test_multiple_state_messages_a", 5),
            ("test_multiple_state_messages_b", 3),
            ("test_multiple_state_messages_b", 4),
            ("test_multiple_state_messages_b", 5),
            ("test_multiple_state_messages_b", 6),
            ("test_multiple_state_messages_a", 6),
        ],
    }
    answered: ClassVar[set[tuple[str, int]]] = set()
    changed: ClassVar = threading.Condition()

    def do_POST(self) -> None:
        body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
        (event,) = [json.loads(line) for line in body.splitlines()]
        which = (event["event"], event["properties"]["id"])
        with self.changed:
            awaited = set(self.HELD.get(which, ()))
            assert self.changed.wait_for(lambda: awaited <= self.answered, timeout=20)
        if awaited:
            time.sleep(1)  # the answers are sent; this lets the target settle them
        reply = b'{"code":200,"num_records_imported":1,"status":"OK"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)
        with self.changed:
            self.answered.add(which)
            self.changed.notify_all()

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture(scope="module")
def slow_mixpanel() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), RepliesOutOfOrder)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    CONCURRENT["api_url"] = f"http://127.0.0.1:{server.server_port}"
    yield CONCURRENT["api_url"]
    server.shutdown()
    thread.join()
    server.server_close()


CONCURRENT: dict[str, Any] = config(
    "http://127.0.0.1:1",
    batch_size_rows=1,
    streams={"*": {name: value for name, value in MAPPING.items() if name != "event"}},
)

TestStatesWhenRepliesOvertakeEachOther = pytest.mark.usefixtures("slow_mixpanel")(
    get_target_test_class(
        TargetMixpanel,
        config=CONCURRENT,
        custom_suites=[SingerTestSuite(kind="target", tests=[MultipleStateMessages])],
        include_target_tests=False,
    ),
)
