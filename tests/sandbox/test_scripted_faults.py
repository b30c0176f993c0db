"""What is scripted happens to one request each, in order, on the wire."""

import gzip
import http.client
import socket
import threading
import time

import pytest
import requests

from target_mixpanel.sandbox import FaultSpec
from tests.waiting import wait_until


@pytest.fixture
def connect(sandbox):
    """A bare socket: no library between the claim and the wire."""
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=60) as connection:
        yield connection


def request_head(length, path="/import?strict=1"):
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n"
        "Authorization: Basic sandbox-token:\r\nContent-Type: application/x-ndjson\r\n\r\n"
    ).encode()


def test_faults_are_met_in_order_and_once(sandbox, event, import_):
    sandbox.script({"status": 500}, {"status": 503, "times": 2}, FaultSpec(status=418))

    statuses = [import_(sandbox, [event()]).status_code for _ in range(5)]
    assert statuses == [500, 503, 503, 418, 200]
    assert len(sandbox.raw()) == 1


def test_a_fault_may_last_for_ever(sandbox, event, import_):
    sandbox.script({"status": 503, "times": -1})

    assert {503} == {import_(sandbox, [event()]).status_code for _ in range(5)}


def test_a_fault_waits_for_its_path(sandbox, event, import_, update):
    sandbox.script({"status": 503, "path": "/engage"}, {"status": 500, "path": "/import"})

    assert import_(sandbox, [event()]).status_code == 500
    assert update(sandbox, [{"$distinct_id": "u", "$set": {}}]).status_code == 503


def test_a_status_comes_with_body_and_headers(sandbox, event, import_):
    sandbox.script({"status": 429, "headers": {"Retry-After": "7"}, "body": {"code": 429}})
    reply = import_(sandbox, [event()])

    assert (
        reply.status_code,
        reply.headers["Retry-After"],
        reply.json(),
    ) == (429, "7", {"code": 429})


def test_a_redirect_is_a_status_with_a_location(sandbox, event, import_, http):
    http.max_redirects = 0
    sandbox.script({"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}})

    with pytest.raises(requests.TooManyRedirects):
        import_(sandbox, [event()])


def test_html_with_status_200(sandbox, event, import_):
    sandbox.script({"body": "<html>Sign in</html>"})
    reply = import_(sandbox, [event()])

    assert (reply.status_code, reply.text) == (200, "<html>Sign in</html>")
    assert reply.headers["Content-Type"].startswith("text/html")
    assert sandbox.raw() == []


def test_committed_although_the_reply_says_otherwise(sandbox, event, import_):
    sandbox.script({"status": 504, "ingest": True})

    assert import_(sandbox, [event()]).status_code == 504
    assert len(sandbox.raw()) == 1


@pytest.mark.parametrize(
    ("moment", "rows"), [("before_reading", 0), ("before_ingest", 0), ("after_ingest", 1)]
)
def test_a_reset_is_a_tcp_reset(sandbox, connect, event, ndjson, moment, rows):
    sandbox.script({"reset": moment})
    body = ndjson([event()])
    connect.sendall(request_head(len(body)) + body)

    with pytest.raises(ConnectionResetError):
        connect.recv(1)
    assert rows == len(sandbox.raw())
    assert sandbox.requests[-1].status is None


def test_a_reset_before_reading_does_not_wait_for_the_body(sandbox, connect):
    sandbox.script({"reset": "before_reading"})
    connect.sendall(request_head(1_000_000))

    with pytest.raises(ConnectionResetError):
        connect.recv(1)


def test_a_truncated_reply_announces_more_than_it_has(sandbox, event, ndjson):
    sandbox.script({"truncate": 50})
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=60)
    headers = {"Authorization": "Basic sandbox-token:", "Content-Type": "application/x-ndjson"}
    connection.request("POST", "/import", ndjson([event()]), headers)
    reply = connection.getresponse()

    with pytest.raises(http.client.IncompleteRead) as cut:
        reply.read()
    connection.close()
    assert cut.value.expected == 50
    assert len(sandbox.raw()) == 1


def test_a_delay_comes_after_the_commit(sandbox, event, import_, http):
    sandbox.script({"delay_s": 60})

    with pytest.raises(requests.ReadTimeout):
        http.post(
            f"{sandbox.url}/import", json=[event()], auth=("sandbox-token", ""), timeout=(60, 0.2)
        )
    wait_until(sandbox.raw)
    assert len(sandbox.raw()) == 1


@pytest.mark.parametrize("part", ["body", "headers"])
def test_a_slow_reply_trickles(sandbox, connect, event, ndjson, part):
    sandbox.script({"bytes_per_s": 400, "slow_part": part})
    body = ndjson([event()])
    started = time.monotonic()
    connect.sendall(request_head(len(body)) + body)
    first = connect.recv(65_536)
    pieces = [first, *iter(lambda: connect.recv(65_536), b"")]

    assert time.monotonic() - started > 0.1
    assert len(pieces) > 2
    assert (b"\r\n\r\n" in first) is (part == "body")
    assert b"".join(pieces).endswith(b'"status":"OK"}')


def test_an_unannounced_close(sandbox, event, import_):
    sandbox.script({"close": True})
    reply = import_(sandbox, [event()])

    assert reply.status_code == 200
    assert "Connection" not in reply.headers


def test_the_count_may_be_wrong(sandbox, event, import_):
    sandbox.script({"count_off_by": -1})

    assert import_(sandbox, [event(), event()]).json()["num_records_imported"] == 1
    assert len(sandbox.raw()) == 2


def test_a_body_may_be_huge(sandbox, event, import_):
    sandbox.script({"body_bytes": 5_000_000, "body": "{"})

    assert len(import_(sandbox, [event()]).content) == 5_000_000


def test_a_body_may_be_a_gzip_bomb(sandbox, event, import_):
    sandbox.script({"body_bytes": 5_000_000, "gzip": True})
    reply = import_(sandbox, [event()], headers={"Accept-Encoding": "gzip"})

    assert int(reply.headers["Content-Length"]) < 10_000
    assert len(reply.content) == 5_000_000


def test_replies_may_come_out_of_order(sandbox, event, import_):
    sandbox.script({"hold_until_requests": 3})
    answered = []

    def send(name):
        body = [event(name)]
        reply = requests.post(
            f"{sandbox.url}/import", json=body, auth=("sandbox-token", ""), timeout=60
        )
        answered.append((name, reply.status_code))

    held = threading.Thread(target=send, args=["first"])
    held.start()
    while not sandbox.raw():
        time.sleep(0.001)
    send("second")
    assert answered == [("second", 200)]
    send("third")
    held.join()

    assert {"first", "second", "third"} == {name for name, _ in answered}
    assert [request.number for request in sandbox.requests] == [2, 3, 1]


def test_a_reset_of_the_sandbox_releases_what_is_held(sandbox, event, import_):
    sandbox.script({"hold_until_requests": 99})
    held = threading.Thread(target=import_, args=[sandbox, [event()]])
    held.start()
    while not sandbox.raw():
        time.sleep(0.001)
    sandbox.reset()
    held.join(timeout=60)

    assert not held.is_alive()


def test_identical_bytes_have_equal_digests(sandbox, event, import_, ndjson):
    sandbox.script({"status": 503})
    body = gzip.compress(ndjson([event()]))
    for _ in range(2):
        import_(sandbox, body, headers={"Content-Encoding": "gzip"})

    assert len({request.digest for request in sandbox.requests}) == 1


@pytest.mark.parametrize(
    "spec",
    [
        {"reset": "after_ingest", "ingest": False},
        {"delay_s": 1, "ingest": False},
        {"reset": "before_ingest", "truncate": 3},
        {"count_off_by": 1, "status": 200},
        {"no_such_fault": 1},
        {"status": "500"},
        {"bytes_per_s": 0},
        {"delay_s": -1},
        {"times": 0},
        {"status": 99},
        {"body_bytes": 10**12},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(sandbox, http, spec):
    with pytest.raises(ValueError):
        sandbox.script(spec)
    assert http.post(f"{sandbox.url}/sandbox/faults", json=[spec]).status_code == 400
    assert http.get(f"{sandbox.url}/sandbox/faults").json()["pending"] == []


def test_the_servers_clock_may_differ(sandbox, event, import_):
    date = "Thu, 01 Jan 1970 00:00:00 GMT"
    sandbox.script({"headers": {"Date": date}})

    assert import_(sandbox, [event()]).headers["Date"] == date


def test_the_raw_export_uses_no_fault_up(sandbox, event, import_, http):
    sandbox.script({"status": 503})
    http.get(f"{sandbox.url}/api/2.0/export")

    assert import_(sandbox, [event()]).status_code == 503
    assert [request.number for request in sandbox.requests] == [1]


PROFILES = pytest.mark.parametrize(
    ("path", "row"),
    [
        ("/engage", {"$distinct_id": "u", "$union": {"l": [1]}}),
        ("/groups", {"$group_key": "k", "$group_id": "g", "$union": {"l": [1]}}),
    ],
)


def applied(sandbox):
    return len(sandbox.user_updates()) + len(sandbox.group_updates())


@PROFILES
@pytest.mark.parametrize(
    ("fault", "rows"),
    [
        ({"reset": "before_reading"}, 0),
        ({"reset": "before_ingest"}, 0),
        ({"reset": "after_ingest"}, 1),
    ],
)
def test_a_reset_of_profile_updates(sandbox, update, path, row, fault, rows):
    sandbox.script({**fault, "path": path})

    with pytest.raises(requests.ConnectionError):
        update(sandbox, [row], path=path)
    assert rows == applied(sandbox)
    assert update(sandbox, [row], path=path).text == "1"
    assert rows + 1 == applied(sandbox)


@PROFILES
@pytest.mark.parametrize("body", ["0", 0, {"status": 0, "error": "no"}])
@pytest.mark.parametrize("ingest", [False, True])
def test_success_may_be_denied(sandbox, update, path, row, body, ingest):
    sandbox.script({"path": path, "body": body, "ingest": ingest})
    reply = update(sandbox, [row], path=path)

    assert (reply.status_code, reply.json()) == (200, 0 if isinstance(body, (str, int)) else body)
    assert applied(sandbox) == int(ingest)


@PROFILES
def test_updates_may_be_applied_and_their_reply_lost_or_late(sandbox, update, path, row):
    sandbox.script({"path": path, "status": 504, "ingest": True}, {"path": path, "delay_s": 0.1})
    started = time.monotonic()

    assert update(sandbox, [row], path=path).status_code == 504
    assert update(sandbox, [row], path=path).text == "1"
    assert time.monotonic() - started > 0.1
    assert applied(sandbox) == 2
    assert [request.rows for request in sandbox.requests] == [1, 1]
    assert [path, path] == [request.path for request in sandbox.requests]


def test_a_table_may_be_replaced_and_the_reply_lost(sandbox, put_table):
    sandbox.script({"path": "/lookup-tables", "reset": "after_ingest"})

    with pytest.raises(requests.ConnectionError):
        put_table(sandbox, "k,v\n1,a\n")
    assert sandbox.table_rows() == [{"k": 1, "v": "a"}]


@pytest.mark.parametrize("fault", [{"reset": "after_ingest"}, {"truncate": 100}])
def test_a_client_that_is_gone_before_its_fault(sandbox, event, import_, ndjson, caplog, fault):
    """As one that was killed: there is no connection left to reset, and nothing to say of it."""
    sandbox.script({**fault, "hold_until_requests": 2})
    body = ndjson([event()])
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=60) as connection:
        connection.sendall(request_head(len(body)) + body)
        wait_until(lambda: sandbox.project.requests.received == 1)
    wait_until(lambda: not sandbox._server.server_state.connections)
    import_(sandbox, [event()])
    wait_until(lambda: sandbox.project.requests.in_flight == 0)

    assert len(sandbox.raw()) == 2
    assert caplog.messages == []
