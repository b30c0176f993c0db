"""What Mixpanel and the network can answer: rows 1 to 32 of the fault matrix, through a whole run.

Each ends with what the operator sees: the exit code, and the STATE from which a rerun goes on.
"""

import contextlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest

from target_mixpanel.sandbox import Sandbox, SandboxSettings
from tests.conftest import (
    ORDERS_MAPPING,
    ORDERS_SCHEMA,
    Command,
    Finished,
    order,
    orders,
    singer,
    state,
)
from tests.servers import ok, response, says
from tests.waiting import wait_until

ROWS = 20
INPUT = singer(ORDERS_SCHEMA, orders(ROWS), state(ROWS - 1)).removesuffix(b"\n")
LAST = state(ROWS - 1)["value"]
FOR_EVER = -1
LARGE_NOTE = "x" * 2_000


def letters_in(folder: Path) -> list[dict[str, Any]]:
    """Return the rejected RECORDs below *folder*."""
    lines = [
        json.loads(line) for path in folder.iterdir() for line in path.read_text().splitlines()
    ]
    return [line for line in lines if line["type"] == "RECORD"]


def strict_sandbox(**settings: Any) -> Sandbox:
    """Return a Mixpanel that refuses what the loader's own checks let pass."""
    rates = {"events_per_second": None, "bytes_per_minute": None}
    return Sandbox(settings=SandboxSettings(**{**rates, **settings}))


def read_request(connection: socket.socket) -> bytes:
    """Return a whole request, or what there is of one whose sender is gone."""
    received = b""
    with contextlib.suppress(OSError):
        while not re.search(rb"\r\n\r\n.", received, re.DOTALL):
            more = connection.recv(65_536)
            if not more:
                break
            received += more
    return received


@contextlib.contextmanager
def deaf_at_first() -> Iterator[tuple[str, threading.Event, set[bytes]]]:
    """Yield a server's address, what lets it take connections at last, and what it then got."""
    got: set[bytes] = set()
    may_listen = threading.Event()
    is_over = threading.Event()

    def listen_at_last() -> None:
        may_listen.wait()
        for each in waiting:
            each.close()
        while not is_over.is_set():
            with contextlib.suppress(OSError), listener.accept()[0] as connection:
                connection.settimeout(5)
                if request := read_request(connection):
                    got.add(request)
                    connection.sendall(response(body=b'{"num_records_imported":%d}' % ROWS))

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        listener.settimeout(0.1)
        # They fill the queue that nobody accepts from, so that nobody else can connect.
        waiting = [socket.socket() for _ in range(2)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        thread = threading.Thread(target=listen_at_last)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", may_listen, got
        finally:
            is_over.set()
            may_listen.set()
            thread.join()


class TestFault1NobodyIsThere:
    """It is tried for as long as allowed, then the run ends with the host's name and no payload."""

    def gave_up(self, done: Finished, host: str, reason: str) -> None:
        (error,) = done.errors

        assert (done.code, done.states) == (1, [])
        assert error.startswith(f"{host}: {reason}")
        assert "retry_max_elapsed_seconds" in error
        assert "attempt=2" in done.stderr

    def test_fault_1_connection_refused(self, command: Command):
        with socket.socket() as nobody:  # bound, so that nobody else gets the port meanwhile
            nobody.bind(("127.0.0.1", 0))
            host = f"127.0.0.1:{nobody.getsockname()[1]}"
            done = command.run(INPUT, api_url=f"http://{host}", retry_max_elapsed_seconds=1)

        self.gave_up(done, host, "ConnectionRefusedError")
        assert command.report()["pending"] == ROWS

    def test_fault_1_no_such_name(self, command: Command, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("RES_OPTIONS", "timeout:1 attempts:1")
        host = "api.mixpanel.invalid"
        done = command.run(INPUT, api_url=f"https://{host}", retry_max_elapsed_seconds=3)

        self.gave_up(done, host, "gaierror")


def test_fault_2_a_connection_that_times_out_and_then_not(command: Command):
    """It takes connections once the first attempt has failed."""
    given = {"batch_size_rows": ROWS, "request_timeout_seconds": 2, "retry_max_elapsed_seconds": 60}
    with (
        deaf_at_first() as (url, may_listen, got),
        command.start(api_url=url, **given) as running,
    ):
        running.write(INPUT)
        running.wait_until_logged("no whole answer within 2 s; attempt=1")
        may_listen.set()
        done = running.finish()

    assert (done.code, done.states) == (0, [LAST])
    assert len(got) == 1


@pytest.mark.parametrize(
    ("faults", "copies"),
    [
        pytest.param([{"status": 504, "delay_s": 60}], 1, id="3-timeout-before-commit"),
        pytest.param([{"delay_s": 60}], 2, id="4-timeout-after-commit"),
        pytest.param([{"reset": "before_reading"}], 1, id="5-reset-before-reading"),
        pytest.param([{"reset": "before_ingest"}], 1, id="5-reset-before-commit"),
        pytest.param([{"reset": "after_ingest"}], 2, id="5-reset-after-commit"),
        pytest.param([{"truncate": 10}], 2, id="6-cut-reply"),
        pytest.param([{"status": n} for n in (500, 502, 503, 504, 408)], 1, id="9-each-once"),
        pytest.param([{"bytes_per_s": 4}], 2, id="31-slow-body"),
        pytest.param([{"bytes_per_s": 4, "slow_part": "headers"}], 2, id="31-slow-headers"),
        pytest.param(
            [{"count_off_by": -1}, {"body": "<html>"}, {"body_bytes": 2_000_000}],
            2,
            id="19-20-32-once-each",
        ),
    ],
)
def test_faults_3_4_5_6_9_31_what_passes(
    command: Command, sandbox: Sandbox, faults: list[dict], copies: int
):
    """The same bytes are sent again; each record is there once, and STATE goes on."""
    sandbox.script(*faults)
    is_slow = any({"delay_s", "bytes_per_s"} & fault.keys() for fault in faults)
    done = command.run(INPUT, request_timeout_seconds=2 if is_slow else 60)

    assert (done.code, done.states) == (0, [LAST])
    assert (len(sandbox.report()), len(sandbox.raw())) == (ROWS, ROWS * copies)
    assert len({request.digest for request in sandbox.requests if request.wire_bytes}) == 1
    assert f"attempt={len(faults)} next_in_seconds=" in done.stderr
    assert command.report()["retries"] == len(faults)


class TestFault7Tls:
    """Who shows a wrong certificate gets one connection, no request, and no second try."""

    @pytest.mark.parametrize(
        ("name", "is_trusted", "words"),
        [
            pytest.param("good", False, "self-signed certificate", id="unknown-authority"),
            pytest.param("expired", True, "certificate has expired", id="expired"),
            pytest.param("other", True, "IP address mismatch", id="other-host"),
        ],
    )
    def test_fault_7_a_wrong_certificate(
        self, command: Command, tls, certificates, monkeypatch, name, is_trusted, words
    ):
        bundle = certificates / f"{name if is_trusted else 'other'}.pem"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
        server = tls(name, ok)
        done = command.run(INPUT, api_url=server.url)

        assert (done.code, done.states) == (1, [])
        assert words in done.errors[0].replace("self signed", "self-signed")
        assert (server.connections, server.requests) == (1, [])

    def test_fault_7_no_tls_at_all(self, command: Command, serve):
        """An https address is never spoken to in plain text."""
        server = serve(says(b"HTTP/1.1 400 plain\r\n\r\n", then=False), reads=False)
        done = command.run(INPUT, api_url=server.url.replace("http", "https"))

        assert (done.code, done.states) == (1, [])
        assert "TLS failed" in done.errors[0]
        assert server.connections == 1


def test_fault_8_a_kept_connection_that_is_gone(command: Command, sandbox: Sandbox):
    """Closed while idle, or reset by the next request: sent again, once, by the courier."""
    sandbox.script({"close": True}, {"reset": "before_reading"})
    done = command.run(INPUT, batch_size_rows=5, max_parallel_requests=1)

    assert (done.code, done.states[-1]) == (0, LAST)
    assert len(sandbox.report()) == len(sandbox.raw()) == ROWS


def test_fault_10_an_outage_without_end(command: Command, sandbox: Sandbox):
    """It is tried for as long as allowed, and the summary shows what is pending."""
    sandbox.script({"status": 503, "times": FOR_EVER})
    done = command.run(INPUT, batch_size_rows=4, retry_max_elapsed_seconds=0.3)

    assert (done.code, done.states) == (1, [])
    assert "HTTP 503; gave up after retry_max_elapsed_seconds 0.3" in done.errors[0]
    assert f"PENDING {ROWS}" in done.stderr


def test_fault_10_an_outage_narrows_the_gate(command: Command, sandbox: Sandbox):
    """In the end there is one request at a time."""
    sandbox.script({"status": 503, "times": FOR_EVER})
    with command.start(batch_size_rows=4, retry_max_elapsed_seconds=900) as running:
        running.write(INPUT)
        wait_until(lambda: [each.in_flight for each in sandbox.requests[-5:]] == [1] * 5)

    assert max(request.in_flight for request in sandbox.requests) <= ROWS / 4


def test_fault_11_retry_after_holds_every_stream(command: Command, sandbox: Sandbox):
    sandbox.script({"status": 429, "headers": {"Retry-After": "1"}})
    other = [{**message, "stream": "refunds"} for message in (ORDERS_SCHEMA, *orders(5))]
    with command.start(streams={"*": ORDERS_MAPPING}, batch_size_rows=5) as running:
        running.write(ORDERS_SCHEMA, orders(5))
        running.wait_until_logged("attempt=1")
        running.write(other, state(4))
        done = running.finish()
    first, *later = sorted(request.at for request in sandbox.requests)

    assert (done.code, done.states) == (0, [state(4)["value"]])
    assert len(sandbox.report()) == 10
    assert min(later) - first >= 1.0


class TestFault12RetryAfter:
    def test_fault_12_what_says_no_wait(self, command: Command, sandbox: Sandbox):
        """Our own backoff is what is left."""
        past = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)
        values = [past, "-1", "nan", "soon", ""]
        sandbox.script(*({"status": 429, "headers": {"Retry-After": text}} for text in values))
        done = command.run(INPUT)
        waits = [float(text) for text in re.findall(r"next_in_seconds=(\S+)", done.stderr)]

        assert (done.code, done.states) == (0, [LAST])
        assert len(sandbox.raw()) == ROWS
        assert len(waits) == len(values)
        assert max(waits) <= 0.2

    def test_fault_12_a_date(self, command: Command, sandbox: Sandbox):
        """Nothing comes before it."""
        with command.start(batch_size_rows=ROWS) as running:
            running.write(INPUT)
            assert running.read_state() == LAST
            soon = (datetime.now(UTC) + timedelta(seconds=3)).replace(microsecond=0)
            header = format_datetime(soon, usegmt=True)
            sandbox.script({"status": 503, "headers": {"Retry-After": header}})
            running.write(orders(ROWS, start=ROWS), state(2 * ROWS))
            done = running.finish()
        _, refused, accepted = sandbox.requests

        assert (done.code, done.states) == (0, [state(2 * ROWS)["value"]])
        assert (refused.status, accepted.status) == (503, 200)
        assert accepted.at >= soon.timestamp()

    def test_fault_12_a_wait_of_years(self, command: Command, sandbox: Sandbox):
        """Five minutes of it are taken seriously; where even they are too long, it says so."""
        sandbox.script({"status": 429, "headers": {"Retry-After": "1000000000"}})
        done = command.run(INPUT)

        assert (done.code, done.states) == (1, [])
        assert "gave up after retry_max_elapsed_seconds 10" in done.errors[0]
        assert len(sandbox.requests) == 1


def test_fault_13_a_storm_of_429s(tmp_path: Path):
    """Eight streams meet it; all wait, and in the end everything is there."""
    names = [f"stream-{number}" for number in range(8)]
    messages = [
        {**message, "stream": name} for message in (ORDERS_SCHEMA, *orders(ROWS)) for name in names
    ]
    with strict_sandbox(events_per_second=200.0, rate_window_s=0.5) as sandbox:
        sandbox.script(*[{"status": 429, "headers": {"Retry-After": "1"}}] * 8)
        command = Command(tmp_path, sandbox.url)
        done = command.run(
            messages,
            state(1),
            streams={"*": ORDERS_MAPPING},
            batch_size_rows=10,
            retry_max_elapsed_seconds=30,
        )
        arrivals = sorted(request.at for request in sandbox.requests)
        gaps = [after - before for before, after in pairwise(arrivals)]

        assert (done.code, done.states) == (0, [state(1)["value"]])
        assert len(sandbox.report()) == len(sandbox.raw()) == 8 * ROWS
        assert [command.report(name)["accepted"] for name in names] == [ROWS] * 8
        assert max(gaps) > 0.9


def refused_by_size(bad: set[int], count: int = 6) -> list[dict[str, Any]]:
    return [order(n, note=LARGE_NOTE if n in bad else None) for n in range(count)]


class TestFaults14And15ReplyThatBlamesRows:
    """Some rows or all: those are rejected, the others are in, and nothing is sent again."""

    @pytest.mark.parametrize(
        ("bad", "key"),
        [
            pytest.param({1, 4}, "insert_id", id="14-some"),
            pytest.param({1, 4}, "$insert_id", id="14-some-by-the-other-key"),
            pytest.param(set(range(6)), "insert_id", id="15-all"),
        ],
    )
    def test_faults_14_15_set_aside(self, tmp_path: Path, bad: set[int], key: str):
        with strict_sandbox(max_event_bytes=1_000, failed_id_key=key) as sandbox:
            command = Command(tmp_path, sandbox.url)
            folder = tmp_path / "rejected"
            done = command.run(
                ORDERS_SCHEMA, refused_by_size(bad), state(5), dead_letter_path=str(folder)
            )
            arrived = {event["properties"]["id"] for event in sandbox.raw()}
            counted = command.report()

            assert (done.code, done.states) == (0, [state(5)["value"]])
            assert arrived == set(range(6)) - bad
            assert (counted["accepted"], counted["rejected"]) == (6 - len(bad), len(bad))
            assert len(sandbox.requests) == 1
        letters = letters_in(folder)

        assert {letter["record"]["id"] for letter in letters} == bad
        assert {letter["rejection"]["stage"] for letter in letters} == {"refused"}

    @pytest.mark.parametrize("bad", [{1, 4}, set(range(6))], ids=["14-some", "15-all"])
    def test_faults_14_15_fatal_without_a_place(self, tmp_path: Path, bad: set[int]):
        with strict_sandbox(max_event_bytes=1_000) as sandbox:
            command = Command(tmp_path, sandbox.url)
            done = command.run(ORDERS_SCHEMA, refused_by_size(bad), state(5))

            assert (done.code, done.states) == (1, [])
            assert "orders: a record was rejected" in done.errors[0]
            assert len(sandbox.requests) == 1


COOKIE = {"value": "5a9db0c5-1f2e-4d3c-9b8a-000102030405"}


class TestFault16ReplyThatBlamesNobody:
    """The batch is halved until the culprit stands alone."""

    # The sandbox's project has simplified identity merge, and takes no identity event.
    MAPPING: ClassVar = {
        **ORDERS_MAPPING,
        "event": None,
        "event_from": "note",
        "identity": "original",
        "properties": {"id": "id", "$identified_id": "user_id", "$anon_id": COOKIE},
    }
    VERB = tuple(order(n, note="$identify" if n == 5 else "Order Placed") for n in range(16))

    def test_fault_16_set_aside(self, command: Command, sandbox: Sandbox, tmp_path: Path):
        folder = tmp_path / "rejected"
        done = command.run(
            ORDERS_SCHEMA,
            list(self.VERB),
            state(15),
            streams={"orders": self.MAPPING},
            dead_letter_path=str(folder),
        )

        assert (done.code, done.states) == (0, [state(15)["value"]])
        assert [letter["record"]["id"] for letter in letters_in(folder)] == [5]
        assert len(sandbox.raw()) == 15
        assert 1 < len(sandbox.requests) <= 1 + 2 * 4

    def test_fault_16_fatal_without_a_place(self, command: Command, sandbox: Sandbox):
        done = command.run(
            ORDERS_SCHEMA, list(self.VERB), state(15), streams={"orders": self.MAPPING}
        )

        assert (done.code, done.states) == (1, [])
        assert "identity events are not allowed" in done.errors[0]

    def test_fault_16_nobody_is_taken(self, command: Command, sandbox: Sandbox, tmp_path: Path):
        """A quota's text for ever: each row alone is refused, and so is the run."""
        sandbox.script({"status": 400, "body": {"error": "quota"}, "times": FOR_EVER})
        done = command.run(INPUT, dead_letter_path=str(tmp_path / "rejected"))

        assert done.code == 1
        assert "max_rejection_rate" in done.errors[0]
        assert 'HTTP 400, "quota"' in done.errors[0]


def blames(*indices: Any, imported: Any = ROWS - 1) -> dict[str, Any]:
    failed = [{"index": index, "field": "f", "message": "m"} for index in indices]
    return {"code": 400, "num_records_imported": imported, "failed_records": failed}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        pytest.param({"status": 400, "body": blames(ROWS)}, "not sent", id="17-out-of-range"),
        pytest.param({"status": 400, "body": blames(-1)}, "not sent", id="17-negative"),
        pytest.param({"status": 400, "body": blames("0")}, "not sent", id="17-text"),
        pytest.param(
            {"status": 400, "body": blames(0, 0, imported=ROWS - 2)}, "counts", id="17-twice"
        ),
        pytest.param({"status": 400, "body": blames(0, imported=3)}, "counts", id="18-too-few"),
        pytest.param({"status": 400, "body": blames(0, imported=ROWS)}, "counts", id="18-all"),
        pytest.param({"count_off_by": -1}, f"counts {ROWS - 1} of {ROWS} rows", id="19-fewer"),
        pytest.param({"body": {"status": 0, "error": "x"}}, "counts no number", id="21-status-0"),
    ],
)
def test_faults_17_18_19_21_a_reply_that_does_not_add_up(
    command: Command, sandbox: Sandbox, tmp_path: Path, fault: dict, words: str
):
    """Asked twice, it is not believed: nothing counts as settled, even with dead letters."""
    sandbox.script({**fault, "times": FOR_EVER})
    folder = tmp_path / "rejected"
    done = command.run(INPUT, dead_letter_path=str(folder))

    assert (done.code, done.states) == (1, [])
    assert words in done.errors[0]
    assert len(sandbox.requests) == 2
    assert command.report()["pending"] == ROWS
    assert letters_in(folder) == []


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("<html>Sign in</html>", id="20-page"),
        pytest.param("", id="20-empty"),
        pytest.param('{"code":200,"num_records_imported":2', id="20-cut-json"),
        pytest.param("0", id="21-zero"),
    ],
)
def test_faults_20_21_a_200_that_says_nothing(command: Command, sandbox: Sandbox, body: str):
    """Tried again for as long as allowed; never taken for a success."""
    sandbox.script({"status": 200, "body": body, "times": FOR_EVER})
    done = command.run(INPUT, retry_max_elapsed_seconds=1)

    assert (done.code, done.states) == (1, [])
    assert "HTTP 200 without JSON" in done.errors[0]
    assert len(sandbox.requests) > 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_fault_22_redirects_are_not_followed(command: Command, sandbox: Sandbox, status: int):
    sandbox.script({"status": status, "headers": {"Location": f"{sandbox.url}/import?strict=1"}})
    done = command.run(INPUT)

    assert (done.code, done.states) == (1, [])
    assert "is not followed; check region or api_url" in done.errors[0]
    assert [request.status for request in sandbox.requests] == [status]


class TestFaults23And24Credentials:
    def test_fault_23_a_wrong_token(self, command: Command, sandbox: Sandbox):
        done = command.run(INPUT, project_token="canary-token-77aa")

        assert (done.code, done.states) == (1, [])
        assert "check project_token" in done.errors[0]
        assert "region" in done.errors[0]
        assert "canary-token-77aa" not in done.stderr
        assert [request.status for request in sandbox.requests] == [401]

    def test_fault_23_a_403(self, command: Command, sandbox: Sandbox):
        sandbox.script({"status": 403})
        done = command.run(INPUT)

        assert (done.code, done.states) == (1, [])
        assert "HTTP 403; check project_token" in done.errors[0]
        assert len(sandbox.requests) == 1

    def test_fault_24_a_token_that_is_revoked_meanwhile(self, command: Command, sandbox: Sandbox):
        """What was settled before keeps its STATE."""
        with command.start(batch_size_rows=10) as running:
            running.write(ORDERS_SCHEMA, orders(10), state(9))
            printed = running.read_state()
            sandbox.script({"status": 401, "times": FOR_EVER})
            running.write(orders(10, start=10), state(19))
            done = running.finish()

        assert printed == state(9)["value"]
        assert (done.code, done.states) == (1, [])
        assert len(sandbox.raw()) == 10


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        pytest.param(402, "the project's plan does not allow this", id="25-402"),
        pytest.param(404, "check region or api_url", id="25-404"),
        pytest.param(405, "check api_url", id="25-405"),
        pytest.param(415, "check api_url", id="25-415"),
        pytest.param(418, "this is no answer of the ingestion API", id="30-418"),
        pytest.param(299, "this is no answer of the ingestion API", id="30-299"),
    ],
)
def test_faults_25_30_what_no_repeat_can_help(
    command: Command, sandbox: Sandbox, status: int, remedy: str
):
    """One request, one line; the server's words in it are cut short and cannot forge another."""
    text = "no\r\n2026 | ERROR | forged \x1b[31m\u2028" + "x" * 10_000
    sandbox.script({"status": status, "body": {"error": text}, "times": FOR_EVER})
    done = command.run(INPUT)
    (error,) = done.errors

    assert (done.code, done.states) == (1, [])
    assert remedy in error
    assert r"no\r\n2026 | ERROR | forged \x1b[31m\u2028" in error
    assert len(error) < 400
    assert "\x1b" not in done.stderr
    assert len(sandbox.requests) == 1


def test_fault_30_a_status_without_an_end(command: Command, serve):
    """HTTP's "early hints" and nothing after them are no acceptance."""
    server = serve(says(b"HTTP/1.1 103 Early Hints\r\n\r\n", then=False))
    done = command.run(INPUT, api_url=server.url, retry_max_elapsed_seconds=0.2)

    assert (done.code, done.states) == (1, [])


class TestFaults26And27TooLarge:
    def test_fault_26_a_batch_of_2000(self, tmp_path: Path):
        """It is halved and halved again, and the next batch knows the limit."""
        with strict_sandbox(max_request_bytes=100_000) as sandbox:
            command = Command(tmp_path, sandbox.url)
            done = command.run(ORDERS_SCHEMA, orders(3_000), state(2_999), max_parallel_requests=1)
            refused = [request.status for request in sandbox.requests].count(413)

            assert (done.code, done.states) == (0, [state(2_999)["value"]])
            assert len(sandbox.report()) == len(sandbox.raw()) == 3_000
            assert 1 <= refused <= 15

    @pytest.mark.parametrize("has_place", [True, False], ids=["set-aside", "fatal"])
    def test_fault_27_one_event(self, tmp_path: Path, *, has_place: bool):
        folder = tmp_path / "rejected"
        records = [order(1), order(2, note="x" * 20_000), order(3)]
        more = {"dead_letter_path": str(folder)} if has_place else {}
        with strict_sandbox(max_request_bytes=10_000) as sandbox:
            command = Command(tmp_path, sandbox.url)
            done = command.run(ORDERS_SCHEMA, records, state(3), **more)
            arrived = {event["properties"]["id"] for event in sandbox.raw()}

        if has_place:
            (letter,) = letters_in(folder)

            assert (done.code, done.states) == (0, [state(3)["value"]])
            assert arrived == {1, 3}
            assert (letter["record"]["id"], letter["rejection"]["reason"]) == (2, "too_large")
        else:
            assert (done.code, done.states) == (1, [])
            assert "(refused: too_large)" in done.errors[0]


class TestFault28WhatMixpanelWouldRefuse:
    """It is caught before it is sent, with a reason."""

    SCHEMA: ClassVar = {
        **ORDERS_SCHEMA,
        "schema": {
            "type": "object",
            "properties": {
                **ORDERS_SCHEMA["schema"]["properties"],
                "payload": {"type": ["null", "object"]},
                "items": {"type": ["null", "array"]},
            },
        },
    }
    MAPPING: ClassVar = {**ORDERS_MAPPING, "properties": ["id", "note", "payload", "items"]}
    BAD = (
        pytest.param({"note": "x" * 1_100_000}, "too_large", id="megabyte"),
        pytest.param({"payload": {"a": {"b": {"c": {"d": 1}}}}}, "too_deep", id="depth"),
        pytest.param({"items": [0] * 256}, "array_too_long", id="array"),
        pytest.param({"payload": {str(n): n for n in range(256)}}, "too_many_keys", id="keys"),
    )

    def test_fault_28_set_aside(self, command: Command, sandbox: Sandbox, tmp_path: Path):
        folder = tmp_path / "rejected"
        bad = [order(n, **case.values[0]) for n, case in enumerate(self.BAD)]
        done = command.run(
            self.SCHEMA,
            bad,
            order(9),
            state(9),
            streams={"orders": self.MAPPING},
            dead_letter_path=str(folder),
        )
        reasons = [letter["rejection"]["reason"] for letter in letters_in(folder)]

        assert (done.code, done.states) == (0, [state(9)["value"]])
        assert [case.values[1] for case in self.BAD] == reasons
        assert [event["properties"]["id"] for event in sandbox.raw()] == [9]
        assert [request.status for request in sandbox.requests] == [200]

    @pytest.mark.parametrize(("columns", "reason"), BAD)
    def test_fault_28_fatal_without_a_place(
        self, command: Command, sandbox: Sandbox, columns: dict, reason: str
    ):
        done = command.run(
            self.SCHEMA, order(1, **columns), state(1), streams={"orders": self.MAPPING}
        )

        assert (done.code, done.states) == (1, [])
        assert f": {reason})" in done.errors[0]
        assert sandbox.requests == []

    def test_fault_28_too_many_properties(self, command: Command, sandbox: Sandbox):
        """That is the mapping's fault, and known before the first record."""
        columns = {f"c{n}": {"type": "integer"} for n in range(255)}
        properties = {**ORDERS_SCHEMA["schema"]["properties"], **columns}
        wide = {**ORDERS_SCHEMA, "schema": {"type": "object", "properties": properties}}
        done = command.run(wide, order(1), state(1))

        assert (done.code, done.states) == (1, [])
        assert done.errors[0].startswith("streams.orders.properties: are 258")
        assert sandbox.requests == []


def test_fault_29_half_of_a_batch_is_stuck(command: Command, sandbox: Sandbox):
    """The half that is in moves STATE, and STATE stops before the other half."""
    sandbox.script({"status": 413}, {}, {"status": 429, "times": FOR_EVER})
    done = command.run(
        ORDERS_SCHEMA,
        orders(10),
        state(9),
        orders(10, start=10),
        state(19),
        max_parallel_requests=1,
        retry_max_elapsed_seconds=0.3,
    )

    assert (done.code, done.states) == (1, [state(9)["value"]])
    assert len(sandbox.raw()) == 10
    assert command.report()["pending"] == 10


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"body_bytes": 3_000_000}, id="huge"),
        pytest.param({"body_bytes": 90_000_000, "gzip": True}, id="bomb"),
    ],
)
def test_fault_32_a_reply_without_end(command: Command, sandbox: Sandbox, fault: dict):
    """A megabyte of it is read; it is no answer."""
    sandbox.script({**fault, "times": FOR_EVER})
    done = command.run(INPUT, retry_max_elapsed_seconds=0.2)

    assert (done.code, done.states) == (1, [])
    assert "a reply larger than any of Mixpanel's" in done.errors[0]
