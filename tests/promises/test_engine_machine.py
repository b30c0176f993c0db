"""Whatever a tap sends and Mixpanel answers, in whatever order, STATE never lies."""

import gzip
import itertools
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from target_mixpanel.engine.engine import Engine
from target_mixpanel.engine.segment import SchemaMessage
from target_mixpanel.engine.stream import Stream
from target_mixpanel.http.endpoint import Endpoint
from target_mixpanel.http.replies import Answer, NoAnswer, Reply
from target_mixpanel.settings.parse import parse_settings

COLUMNS = {
    "id": {"type": "integer"},
    "user": {"type": ["null", "string"]},
    "at": {"type": "string", "format": "date-time"},
}
SCHEMAS = [
    {"type": "object", "properties": COLUMNS},
    {"type": "object", "properties": {**COLUMNS, "extra": {"type": ["null", "string"]}}},
]
MAPPING = {"event": "E", "time": "at", "distinct_id": "user", "properties": "*"}
SENDERS = 4
BATCH_ROWS = 3
ROOM = SENDERS + 1
"""Batches that may be unfinished without the reader ever waiting for room."""


class Request(msgspec.Struct, eq=False):
    """A request that waits for its answer."""

    rows: list[dict[str, Any]]
    answered: threading.Event
    reply: Reply | None = None


class ScriptedMixpanel:
    """Holds every request until the test says what becomes of it; keeps what was committed."""

    def __init__(self) -> None:
        self.waiting: list[Request] = []
        self.committed: set[int] = set()
        self.refused: set[int] = set()
        self.changed = threading.Condition()
        self.is_gone = False

    def __call__(self, *_: object, **__: object) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Keep everything: the project outlives the connection."""

    def send(self, _: Endpoint, body: bytes) -> Reply:
        rows = [json.loads(line) for line in gzip.decompress(body).splitlines()]
        request = Request(rows, threading.Event())
        with self.changed:
            self.waiting.append(request)
            self.changed.notify_all()
        request.answered.wait(timeout=120)
        return request.reply or NoAnswer("the machine is gone")

    def answer(self, index: int, outcome: str) -> None:
        with self.changed:
            request = self.waiting.pop(index % len(self.waiting))
        request.reply = self._reply(request, outcome)
        request.answered.set()

    def _reply(self, request: Request, outcome: str) -> Reply:
        ids = [row["properties"]["id"] for row in request.rows]
        match outcome:
            case "accept":
                return self._partial(request, set())
            case "refuse-some":
                return self._partial(request, set(ids[::2]))
            case "refuse-all":
                return self._partial(request, set(ids))
            case "lost-reply":
                self._commit(set(ids))
                return NoAnswer("reset")
            case "lost-request":
                return NoAnswer("reset")
            case "overloaded":
                return Answer(503, b"")
            case "too-large" if len(ids) > 1:
                return Answer(413, b'{"error":"request exceeds max limit"}')
            case _:  # a request that blames nobody, until the culprit stands alone
                if len(ids) > 1:
                    return Answer(400, b'{"error":"no"}')
                self.refused |= set(ids)
                return Answer(400, b'{"error":"no"}')

    def _commit(self, ids: set[int]) -> None:
        self.committed |= ids

    def _partial(self, request: Request, bad: set[int]) -> Reply:
        ids = [row["properties"]["id"] for row in request.rows]
        self._commit(set(ids) - bad)
        self.refused |= bad
        failed = [
            {
                "index": index,
                "insert_id": row["properties"]["$insert_id"],
                "message": "no",
            }
            for index, row in enumerate(request.rows)
            if row["properties"]["id"] in bad
        ]
        body = {"num_records_imported": len(ids) - len(failed), "failed_records": failed}
        return Answer(400 if failed else 200, json.dumps(body).encode())


class EngineMachine(RuleBasedStateMachine):
    """
    A tap, the loader, and a Mixpanel that answers when and what the machine wants.

    The tap's record n is good, bad or filtered by its own number, so that a rerun sends the same.
    """

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.mixpanel = ScriptedMixpanel()
        self.position = 0
        """The next record that the tap sends."""
        self.printed: list[int] = []
        """Of each STATE that was printed, how many records it covers."""
        self.now = 0.0
        self.schema = 0
        self.open()

    def open(self) -> None:
        self.states_sent: list[int] = []
        self.sent_in_run: list[int] = []
        config = parse_settings(
            {
                "api_url": "http://127.0.0.1:1",
                "project_token": "token",
                "streams": {"s": MAPPING},
                "batch_size_rows": BATCH_ROWS,
                "batch_wait_limit_seconds": 10,
                "max_parallel_requests": SENDERS,
                "retry_initial_seconds": 0.001,
                "retry_max_seconds": 0.001,
                "retry_jitter_seconds": 0,
                "dead_letter_path": str(self.folder / "rejected"),
                "max_rejection_rate": 1.0,
                "since": "2026-01-01",
            },
        )
        self.engine = Engine(
            config,
            on_safe=self.print_state,
            ticks_by_itself=False,
            open_transport=self.mixpanel,
            clock=lambda: self.now,
        )
        self.engine.__enter__()
        self.stream = self.open_stream()

    def open_stream(self) -> Stream:
        schema = SCHEMAS[self.schema]
        line = json.dumps({"type": "SCHEMA", "stream": "s", "schema": schema}).encode()
        return self.engine.open_stream(SchemaMessage("s", schema, ("id",), line))

    def print_state(self, state: bytes) -> None:
        self.printed.append(json.loads(state)["covers"])

    @staticmethod
    def kind(number: int) -> str:
        return {3: "bad", 5: "filtered"}.get(number % 7, "good")

    def make_room(self) -> None:
        """Answer what would make the next submission wait for ever."""
        while self.unfinished() >= ROOM:
            self.answer(0, "accept")  # of a halved batch this may be only a part

    def unfinished(self) -> int:
        return self.engine._outbox._unfinished

    def wait_for(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not condition():
            assert not self.engine.stop.has_failed, self.engine.stop._error
            assert time.monotonic() < end, "stuck"
            time.sleep(0.0005)

    @rule(records=st.integers(1, 5))
    def load(self, records: int) -> None:
        for _ in range(records):
            self.make_room()
            number = self.position
            self.position += 1
            self.sent_in_run.append(number)
            is_old = self.kind(number) == "filtered"
            record = {
                "id": number,
                "user": None if self.kind(number) == "bad" else "u",
                "at": "2020-01-01T00:00:00Z" if is_old else "2026-10-01T00:00:00Z",
            }
            line = json.dumps({"type": "RECORD", "stream": "s", "record": record}).encode()
            self.stream.load(record, line)

    @rule()
    def checkpoint(self) -> None:
        self.states_sent.append(self.position)
        self.engine.checkpoint(json.dumps({"covers": self.position}).encode())

    @rule()
    def change_schema(self) -> None:
        self.make_room()
        self.schema = 1 - self.schema
        self.stream = self.open_stream()

    @rule()
    def grow_old(self) -> None:
        self.make_room()
        self.now += 11
        self.engine.tick()

    # No precondition: it would depend on the senders' threads, and the run could not be repeated.
    @rule(
        index=st.integers(0, 10),
        outcome=st.sampled_from(
            [
                "accept",
                "blames-nobody",
                "lost-reply",
                "lost-request",
                "overloaded",
                "refuse-all",
                "refuse-some",
                "too-large",
            ],
        ),
    )
    def answer(self, index: int, outcome: str) -> None:
        # An answer that was just given may be all there was to answer.
        self.wait_for(lambda: bool(self.mixpanel.waiting) or not self.unfinished())
        if self.mixpanel.waiting:
            self.mixpanel.answer(index, outcome)

    @rule()
    def crash(self) -> None:
        """Lose everything but what was printed, written down and committed."""
        self.abandon()
        self.position = self.printed[-1] if self.printed else 0
        self.open()

    def abandon(self) -> None:
        senders = self.engine._outbox._threads
        self.engine.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
        while any(sender.is_alive() for sender in senders):
            if self.mixpanel.waiting:
                self.mixpanel.waiting.pop().answered.set()
            time.sleep(0.0005)

    def dead_letters(self) -> set[int]:
        found: set[int] = set()
        for path in (self.folder / "rejected").glob("*.singer"):
            content = path.read_bytes()
            for line in content[: content.rfind(b"\n") + 1].splitlines():
                message = json.loads(line)
                if message["type"] == "RECORD":
                    found.add(message["record"]["id"])
        return found

    def is_settled(self, number: int) -> bool:
        match self.kind(number):
            case "filtered":
                return True
            case "bad":
                return number in self.dead_letters()
            case _:
                return number in self.mixpanel.committed or number in self.dead_letters()

    @invariant()
    def no_state_covers_an_unsettled_record(self) -> None:
        if self.printed:
            assert all(self.is_settled(number) for number in range(self.printed[-1]))

    @invariant()
    def state_never_goes_back(self) -> None:
        assert all(one <= other for one, other in itertools.pairwise(self.printed))

    @invariant()
    def every_record_is_accounted_for(self) -> None:
        counts = self.stream.counts
        known = counts.accepted + counts.rejections + counts.filtered + counts.pending

        assert counts.read == len(self.sent_in_run)
        assert known == counts.read
        assert counts.pending >= 0

    def teardown(self) -> None:
        """When all is answered, all is settled, and the newest STATE is out: never stuck."""
        finishing = threading.Thread(target=self.engine.finish)
        finishing.start()
        while finishing.is_alive():
            if self.mixpanel.waiting:
                self.mixpanel.answer(0, "accept")
            finishing.join(timeout=0.001)
        assert not self.engine.stop.has_failed, self.engine.stop._error
        if self.states_sent:
            assert self.printed[-1] == self.states_sent[-1]
        assert all(self.is_settled(number) for number in range(self.position))
        assert self.stream.counts.pending == 0
        self.engine.__exit__(None, None, None)
        shutil.rmtree(self.folder)


EngineMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestEngineMachine = EngineMachine.TestCase
