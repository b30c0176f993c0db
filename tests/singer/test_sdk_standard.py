"""The target passes the SDK's own tests for targets, those that the SDK leaves out included."""

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from singer_sdk.testing import get_target_test_class
from singer_sdk.testing.suites import SingerTestSuite
from singer_sdk.testing.target_tests import TargetMultipleStateMessages
from singer_sdk.testing.templates import TargetFileTestTemplate

from target_mixpanel.delivery.batches import Batch
from target_mixpanel.engine import engine
from target_mixpanel.engine.settlement import Settlement
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
    """A release of the SDK that drops tests is noticed; newer ones have more."""
    tests = [name for name in dir(TestStandard) if name.startswith("test_target_")]

    assert len(tests) >= 16 + len(UNLISTED.tests)


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


def name_of(line: bytes) -> str:
    """Say which event of the SDK's test it is: the stream's letter, the record's number."""
    event = json.loads(line)
    return f"{event['event'][-1]}{event['properties']['id']}"


class RepliesOutOfOrder(BaseHTTPRequestHandler):
    """
    A Mixpanel that answers some requests only when the target has settled later ones.

    So the STATEs of the SDK's test become safe in the groups that the test expects, as they do when
    several requests are in flight, not because requests are sent one by one.
    """

    # Which event waits until which are settled? One of them is after the STATE to be printed next.
    HELD: ClassVar = {
        "b1": {"a1", "a2", "a3", "b2", "a5"},
        "a4": {"a1", "a2", "a3", "a5", "a6", "b1", "b2", "b3", "b4", "b5", "b6"},
    }
    settled: ClassVar[set[str]] = set()
    changed: ClassVar = threading.Condition()

    def do_POST(self) -> None:
        body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
        (line,) = body.splitlines()
        awaited = self.HELD.get(name_of(line), set())
        with self.changed:
            assert self.changed.wait_for(lambda: awaited <= self.settled, timeout=60)
        reply = b'{"code":200,"num_records_imported":1,"status":"OK"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


class ObservedSettlement(Settlement):
    """Tells when a batch is settled and the STATE that this made safe is printed."""

    def settle(self, batch: Batch) -> None:
        super().settle(batch)
        with RepliesOutOfOrder.changed:
            RepliesOutOfOrder.settled.update(name_of(row.body) for row in batch.rows)
            RepliesOutOfOrder.changed.notify_all()


@pytest.fixture(scope="module")
def slow_mixpanel() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), RepliesOutOfOrder)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    CONCURRENT["api_url"] = f"http://127.0.0.1:{server.server_port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "Settlement", ObservedSettlement)
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
