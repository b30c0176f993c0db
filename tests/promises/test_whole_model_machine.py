"""Events, profiles and a lookup table in one run: STATE never lies, and order is kept."""

import gzip
import itertools
import json
import shutil
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from target_mixpanel.engine.engine import Engine
from target_mixpanel.engine.segment import SchemaMessage
from target_mixpanel.engine.stream import Stream
from target_mixpanel.http.endpoint import Body, Endpoint
from target_mixpanel.http.replies import Answer, NoAnswer, Reply
from target_mixpanel.settings.parse import parse_settings
from tests.whole_model import TABLE_ID

SENDERS = 4
BATCH_ROWS = 3
USERS = 5
TABLE_FROM = 12
"""From here on every other record is a row of the lookup table."""

COLUMNS = {
    "id": {"type": "integer"},
    "last": {"type": ["null", "integer"]},
    "user": {"type": ["null", "string"]},
    "at": {"type": "string", "format": "date-time"},
}
SCHEMA = {"type": "object", "properties": COLUMNS}
OTHER_SCHEMA = {"type": "object", "properties": {**COLUMNS, "extra": {"type": "string"}}}
LATEST = {
    "type": "users",
    "distinct_id": "user",
    "properties": {"Last": "last"},
    "nulls": "keep",  # so that a record may say nothing
}
STREAMS: dict[str, Any] = {
    "s": [
        {"event": "E", "time": "at", "distinct_id": "user", "properties": "*"},
        LATEST,
    ],
    "p": LATEST,
    "t": {
        "type": "lookup_table",
        "lookup_table_id": TABLE_ID,
        "key": "user",
        "properties": {"n": "id"},
    },
}
OUTCOMES = [
    "accept",
    "blames-nobody",
    "lost-reply",
    "lost-request",
    "overloaded",
    "refuse-all",
    "refuse-some",
    "too-large",
]


def stream_of(number: int) -> str:
    if number >= TABLE_FROM and number % 2:
        return "t"
    return "s" if number % 3 else "p"


def is_bad(number: int) -> bool:
    return number % 7 == 3


def destinations_of(number: int) -> set[str]:
    """Return where a record goes that is not bad; the window and nulls filter some."""
    is_filtered = number % 7 == 5
    match stream_of(number):
        case "s":
            return {"engage"} if is_filtered else {"import", "engage"}
        case "p":
            return set() if is_filtered else {"engage"}
        case _:
            return {"lookup-tables"}


def record(number: int) -> dict[str, Any]:
    is_filtered = number % 7 == 5
    says_nothing = is_filtered and stream_of(number) == "p"
    # Of the table each row has a key of its own.
    user = f"row-{number}" if stream_of(number) == "t" else f"u-{number % USERS}"
    return {
        "id": number,
        "last": None if says_nothing else number,
        "user": None if is_bad(number) else user,
        "at": "2020-01-01T00:00:00Z" if is_filtered else "2026-10-01T00:00:00Z",
    }


class Request(msgspec.Struct, eq=False):
    """A request that waits for its answer."""

    where: str
    rows: list[Any]
    numbers: list[int]
    answered: threading.Event
    reply: Reply | None = None


class ScriptedMixpanel:
    """Holds every request until the test says what becomes of it; keeps what was committed."""

    def __init__(self) -> None:
        self.waiting: list[Request] = []
        self.committed: dict[str, set[int]] = defaultdict(set)
        self.unwanted: dict[str, set[int]] = defaultdict(set)
        """What each endpoint will never take."""
        self.profiles: dict[str, int] = {}
        self.updates: list[tuple[str, int]] = []
        """Those of the run."""
        self.tables: list[set[int]] = []
        """What the lookup table was each time that it was replaced."""

    def __call__(self, *_: object, **__: object) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Keep everything: the project outlives the connection."""

    def send(self, endpoint: Endpoint, body: Body) -> Reply:
        where = urlsplit(endpoint.url).path.split("/")[1]
        if not isinstance(body, bytes):
            body.seek(0)
            body = body.read()
        match where:
            case "engage":
                rows: list[Any] = json.loads(body)
                numbers = [row["$set"]["Last"] for row in rows]
            case "import":
                rows = [json.loads(line) for line in gzip.decompress(body).splitlines()]
                numbers = [row["properties"]["id"] for row in rows]
            case _:
                rows = gzip.decompress(body).decode().splitlines()[1:]
                numbers = [int(row.split(",")[1]) for row in rows]
        request = Request(where, rows, numbers, threading.Event())
        self.waiting.append(request)
        request.answered.wait(timeout=120)
        return request.reply or NoAnswer("the machine is gone")

    def answer(self, index: int, outcome: str) -> None:
        request = self.waiting.pop(index % len(self.waiting))
        request.reply = self._reply(request, outcome)
        request.answered.set()

    def _reply(self, request: Request, outcome: str) -> Reply:
        is_table = request.where == "lookup-tables"
        match outcome:
            case "refuse-some" if not is_table:
                self._refuse(request.where, request.numbers[::2])
                return self._judge(request)
            case "refuse-all" if not is_table:
                self._refuse(request.where, request.numbers)
                return self._judge(request)
            case "lost-reply":
                self._judge(request)
                return NoAnswer("reset")
            case "lost-request":
                return NoAnswer("reset")
            case "overloaded":
                return Answer(503, b"")
            case "too-large" if len(request.numbers) > 1 and not is_table:
                return Answer(413, b'{"error":"request exceeds max limit"}')
            case "blames-nobody" if len(request.numbers) > 1 and not is_table:
                return Answer(400, b'{"error":"no"}')
            case _:
                return self._judge(request)

    def _refuse(self, where: str, numbers: list[int]) -> None:
        """Never take these from now on; what was taken once is taken again, as Mixpanel does."""
        self.unwanted[where].update(set(numbers) - self.committed[where])

    def _judge(self, request: Request) -> Reply:
        unwanted = self.unwanted[request.where]
        good = [number for number in request.numbers if number not in unwanted]
        self.committed[request.where].update(good)
        match request.where:
            case "engage":
                for row, number in zip(request.rows, request.numbers, strict=True):
                    if number not in unwanted:
                        self.profiles[row["$distinct_id"]] = number
                        self.updates.append((row["$distinct_id"], number))
                is_good = len(good) == len(request.numbers)
                return answer(200, status=int(is_good), error=None, num_good_events=len(good))
            case "import":
                failed = [
                    {"index": index, "message": "no"}
                    for index, number in enumerate(request.numbers)
                    if number in unwanted
                ]
                return answer(
                    400 if failed else 200, num_records_imported=len(good), failed_records=failed
                )
            case _:
                self.tables.append(set(good))
                return answer(200, code=200, status="OK")


def answer(http_status: int, /, **body: Any) -> Answer:
    return Answer(http_status, json.dumps(body).encode())


class WholeModelMachine(RuleBasedStateMachine):
    """A tap, the loader, and a Mixpanel that answers when and what the machine wants."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.mixpanel = ScriptedMixpanel()
        self.position = 0
        """The next record that the tap sends."""
        self.printed: list[int] = []
        """Of each STATE that was printed, how many records it covers."""
        self.lies: list[int] = []
        """Records that a STATE covered before they were settled."""
        self.now = 0.0
        self.schema = SCHEMA
        # All that the loader does but for sending is the work of one thread.
        self.reader = ThreadPoolExecutor(1)
        self.open()

    def open(self) -> None:
        self.sent_in_run: list[int] = []
        self.states_sent: list[int] = []
        self.mixpanel.updates.clear()
        self.tables_before = len(self.mixpanel.tables)
        config = parse_settings(
            {
                "api_url": "http://127.0.0.1:1",
                "project_token": "token",
                "service_account_username": "someone",
                "service_account_secret": "secret",
                "project_id": "1",
                "streams": STREAMS,
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
        self.streams = {name: self.open_stream(name, self.schema) for name in STREAMS}

    def open_stream(self, name: str, schema: dict[str, Any]) -> Stream:
        line = json.dumps({"type": "SCHEMA", "stream": name, "schema": schema}).encode()
        return self.engine.open_stream(SchemaMessage(name, schema, ("id",), line))

    def print_state(self, state: bytes) -> None:
        """Take note of what is not settled at this moment; on any thread."""
        covers = json.loads(state)["covers"]
        self.lies += self.unsettled(covers)
        self.printed.append(covers)

    def unfinished(self) -> int:
        assert self.engine._outbox is not None
        return self.engine._outbox._unfinished

    def meanwhile(self, action: Callable[[], object], outcomes: Iterable[str] = ()) -> None:
        """Do what may have to wait for room, or for the end, with somebody there to answer."""
        replies = itertools.chain(outcomes, itertools.repeat("accept"))
        acting = self.reader.submit(action)
        wait([acting], timeout=0.0005)
        end = time.monotonic() + 60
        while not acting.done():
            assert time.monotonic() < end, "stuck"
            if self.mixpanel.waiting:  # the latest one first: what is sent at once may overtake
                self.mixpanel.answer(-1, next(replies))
            wait([acting], timeout=0.001)
        acting.result()

    @rule(records=st.integers(1, 8))
    def load(self, records: int) -> None:
        numbers = range(self.position, self.position + records)
        self.position += records
        self.sent_in_run.extend(numbers)

        def load() -> None:
            for number in numbers:
                name = stream_of(number)
                line = {"type": "RECORD", "stream": name, "record": record(number)}
                self.streams[name].load(record(number), json.dumps(line).encode())

        self.meanwhile(load)

    @rule()
    def checkpoint(self) -> None:
        self.states_sent.append(self.position)
        self.engine.mark_tables_whole()
        self.engine.checkpoint(json.dumps({"covers": self.position}).encode())

    @rule()
    def change_schema(self) -> None:
        self.schema = OTHER_SCHEMA if self.schema is SCHEMA else SCHEMA

        def reopen() -> None:
            self.streams = {name: self.open_stream(name, self.schema) for name in STREAMS}

        self.meanwhile(reopen)

    @rule()
    def grow_old(self) -> None:
        self.now += 11
        self.meanwhile(self.engine.tick)

    # No precondition: it would depend on the senders' threads, and the run could not be repeated.
    @rule(index=st.integers(0, 10), outcome=st.sampled_from(OUTCOMES))
    def answer(self, index: int, outcome: str) -> None:
        end = time.monotonic() + 60
        # An answer that was just given may be all there was to answer.
        while not self.mixpanel.waiting and self.unfinished():
            assert not self.engine.stop.has_failed, self.engine.stop._error
            assert time.monotonic() < end, "stuck"
            time.sleep(0.0005)
        if self.mixpanel.waiting:
            self.mixpanel.answer(index, outcome)

    @rule()
    def crash(self) -> None:
        """Lose everything but what was printed, written down and committed."""
        senders = self.engine._outbox._threads
        killed = KeyboardInterrupt()
        self.reader.submit(self.engine.__exit__, KeyboardInterrupt, killed, None).result()
        while any(sender.is_alive() for sender in senders):
            if self.mixpanel.waiting:
                self.mixpanel.waiting.pop().answered.set()
            time.sleep(0.0005)
        self.position = self.printed[-1] if self.printed else 0
        self.open()

    @rule(outcomes=st.lists(st.sampled_from(OUTCOMES), max_size=8))
    def end_and_run_again(self, outcomes: list[str]) -> None:
        self.finish(outcomes)
        self.open()

    def finish(self, outcomes: Iterable[str] = ()) -> None:
        """When all is answered, all is settled, and the newest STATE is out: never stuck."""
        self.checkpoint()
        self.meanwhile(self.engine.finish, outcomes)
        assert self.printed[-1] == self.states_sent[-1] == self.position
        assert self.lies == self.unsettled(self.position) == []
        assert [stream.counts.pending for stream in self.streams.values()] == [0, 0, 0]
        self.check_profiles()
        self.check_table()
        self.reader.submit(self.engine.__exit__, None, None, None).result()

    def check_profiles(self) -> None:
        """Each is as the newest of the run's updates left it that Mixpanel took."""
        newest: dict[str, int] = {}
        for user, number in self.mixpanel.updates:
            newest[user] = max(number, newest.get(user, 0))

        assert newest == {user: self.mixpanel.profiles[user] for user in newest}

    def check_table(self) -> None:
        """It was replaced by all of the run's rows, and by nothing else."""
        rows = {
            number for number in self.sent_in_run if stream_of(number) == "t" and not is_bad(number)
        }
        tables = self.mixpanel.tables[self.tables_before :]

        assert {frozenset(table) for table in tables} == ({frozenset(rows)} if rows else set())

    def dead_letters(self) -> set[int]:
        found: set[int] = set()
        for path in (self.folder / "rejected").glob("*.singer"):
            content = path.read_bytes()
            for line in content[: content.rfind(b"\n") + 1].splitlines():
                message = json.loads(line)
                if message["type"] == "RECORD":
                    found.add(message["record"]["id"])
        return found

    def unsettled(self, count: int) -> list[int]:
        """Return which of the tap's first records are neither accepted nor set aside."""
        letters, committed = self.dead_letters(), self.mixpanel.committed
        return [
            number
            for number in range(count)
            if number not in letters
            and (
                is_bad(number)
                or any(number not in committed[where] for where in destinations_of(number))
            )
        ]

    @invariant()
    def no_state_covers_an_unsettled_record(self) -> None:
        assert self.lies == []

    @invariant()
    def state_never_goes_back(self) -> None:
        assert all(one <= other for one, other in itertools.pairwise(self.printed))

    @invariant()
    def every_record_is_accounted_for(self) -> None:
        for name, stream in self.streams.items():
            counts = stream.counts
            sent = [number for number in self.sent_in_run if stream_of(number) == name]

            assert counts.read == len(sent)
            assert counts.pending >= 0

    def teardown(self) -> None:
        try:
            self.finish()
        finally:  # whoever still waits after a failure would keep the process from ending
            self.engine.stop.fail(RuntimeError("the machine is gone"))
            for request in self.mixpanel.waiting:
                request.answered.set()
            self.reader.shutdown()
        shutil.rmtree(self.folder)


WholeModelMachine.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestWholeModelMachine = WholeModelMachine.TestCase
