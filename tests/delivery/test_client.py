"""Whatever the network does, a request ends in time, in little memory, and says how."""

import base64
import gc
import gzip
import itertools
import socket
import threading
import time
import tracemalloc

import pytest

from target_mixpanel.credentials import ProjectToken, ServiceAccount, spellings
from target_mixpanel.delivery.events import import_endpoint, judge
from target_mixpanel.delivery.lookup_tables import table_endpoint, tables_endpoint
from target_mixpanel.delivery.profiles import USERS_PATH, profiles_endpoint
from target_mixpanel.delivery.verdict import TryAgain
from target_mixpanel.errors import EndpointError
from target_mixpanel.http.client import REPLY_MAX_BYTES, Client
from target_mixpanel.http.endpoint import Endpoint
from target_mixpanel.http.replies import Answer, NoAnswer, NotConnected
from target_mixpanel.redaction import Secrets
from tests.servers import OK_BODY, RawServer, drips, ok, resets, response, says, says_and_resets
from tests.waiting import wait_until

TOKEN = "canary-token-3f7a"
ACCOUNT = ServiceAccount("canary-user", "canary-secret", "42")


def client_of(endpoint, timeout_s, credentials=ACCOUNT):
    """Return a client to the host of *endpoint* that keeps *credentials*, and TOKEN, to itself."""
    private = [TOKEN]
    if isinstance(credentials, ServiceAccount):
        private += [credentials.secret, credentials.username]
    if isinstance(credentials, ProjectToken):
        private.append(credentials.token)
    return Client(
        endpoint.url, timeout_s=timeout_s, secrets=Secrets(spellings(private, credentials))
    )


class OneEndpoint:
    """A client that sends to one endpoint."""

    def __init__(self, endpoint, timeout_s, credentials):
        self.endpoint = endpoint
        self.client = client_of(endpoint, timeout_s, credentials)

    def send(self, body):
        return self.client.send(self.endpoint, body)


@pytest.fixture
def client():
    """Make a client for a server; it is closed with the test."""
    made = []

    def client(url, *, timeout_s=60.0, credentials=None):
        credentials = credentials or ProjectToken(TOKEN)
        made.append(OneEndpoint(import_endpoint(url, credentials), timeout_s, credentials))
        return made[-1]

    yield client
    for each in made:
        each.client.__exit__(None, None, None)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for scheme, case in itertools.product(("http", "https", "all", "no"), (str.lower, str.upper)):
        monkeypatch.delenv(case(f"{scheme}_proxy"), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"):
        monkeypatch.delenv(name, raising=False)


class TestAnswers:
    def test_an_answer_is_what_was_said(self, serve, client):
        text = response(429, b"slow down", Retry_After="7", Location="/elsewhere")
        server = serve(says(text))

        assert client(server.url).send(b"x") == Answer(429, b"slow down", "7", "/elsewhere")

    def test_a_gzipped_reply_is_unpacked(self, serve, client):
        text = response(body=gzip.compress(OK_BODY), Content_Encoding="gzip")

        assert client(serve(says(text)).url).send(b"x") == Answer(200, OK_BODY)

    def test_one_connection_serves_many_requests(self, serve, client):
        server = serve(ok)
        sending = client(server.url)
        for _ in range(5):
            assert sending.send(b"x").status == 200

        assert (server.connections, len(server.requests)) == (1, 5)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize(
        "location", ["/again", "http://[bad", "http://x:99999999/", "\xff\xfe", "", "//", "\t"]
    )
    def test_fault_22_redirects_are_not_followed(self, serve, client, status, location):
        text = response(status, Location="LOCATION").replace(
            b"LOCATION", location.encode("latin-1")
        )
        server = serve(says(text))
        reply = client(server.url).send(b"x")

        assert (reply.status, len(server.requests)) == (status, 1)

    @pytest.mark.parametrize("status", [103, 204, 299, 304, 418, 599])
    def test_fault_30_unknown_statuses_are_passed_on(self, serve, client, status):
        assert (
            client(serve(says(response(status, b""), then=False)).url).send(b"x").status == status
        )

    def test_cookies_are_not_kept(self, serve, client):
        server = serve(says(response(Set_Cookie="sticky=1; Path=/")))
        sending = client(server.url)
        sending.send(b"x")
        sending.send(b"x")

        assert server.requests[0] == server.requests[1]


class TestFailures:
    def test_fault_01_connection_refused(self, client):
        with socket.socket() as nobody:  # bound, so that nobody else gets the port meanwhile
            nobody.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{nobody.getsockname()[1]}"

            assert client(url).send(b"x") == NoAnswer(
                "ConnectionRefusedError: Connection refused", was_sent=False
            )

    def test_fault_01_no_such_host(self, client, monkeypatch):
        looked_up = []

        def fail(*_, **__):
            looked_up.append(1)
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", fail)

        assert client("http://api.example").send(b"x") == NoAnswer(
            "gaierror: Name or service not known", was_sent=False
        )
        assert looked_up == [1]

    def test_fault_02_connect_timeout(self, client):
        with socket.socket() as full, socket.socket() as first, socket.socket() as second:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for waiting in (first, second):  # they fill the queue that nobody accepts from
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
            sending = client(f"http://127.0.0.1:{full.getsockname()[1]}", timeout_s=0.3)

            assert sending.send(b"x") == NoAnswer("no whole answer within 0.3 s", was_sent=False)

    @pytest.mark.parametrize(
        "act",
        [
            pytest.param(resets, id="fault-05-rst-before-response"),
            pytest.param(lambda _: None, id="fault-08-closed-without-response"),
            pytest.param(says_and_resets(response()[:-5]), id="fault-06-rst-mid-response"),
            pytest.param(says(response()[:-5], then=False), id="fault-06-content-length-short"),
            pytest.param(
                says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", then=False),
                id="fault-06-cut-chunk",
            ),
            pytest.param(
                says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}"),
                id="no-chunk",
            ),
            pytest.param(says(b"\0\xff\xfe garbage\r\n\r\n"), id="not-http"),
            pytest.param(says(b"HTTP/1.1 abc\r\n\r\n"), id="no-status"),
            pytest.param(says(response(A="b" * 100_000)), id="long-header"),
            pytest.param(says(b"HTTP/1.1 200 X\r\n" + b"A: b\r\n" * 200 + b"\r\n"), id="headers"),
            pytest.param(says(response(body=b"hello", Content_Encoding="gzip")), id="not-gzip"),
        ],
    )
    def test_no_answer(self, serve, client, act):
        """And no second request: the only retries are the courier's."""
        server = serve(act)
        reply = client(server.url).send(b"x")

        assert isinstance(reply, NoAnswer)
        assert "127.0.0.1" not in reply.reason
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        "act",
        [
            pytest.param(says(b"HTTP/1.1 200 OK\r\nContent-Le", then=False), id="headers"),
            pytest.param(
                says(response(body=gzip.compress(OK_BODY)[:-15], Content_Encoding="gzip")),
                id="gzip-stream",
            ),
        ],
    )
    def test_fault_20_what_looks_whole_but_is_cut_is_no_success(self, serve, client, act):
        reply = client(serve(act).url).send(b"x")

        assert isinstance(judge(reply, ["id"]), TryAgain)

    def test_a_failure_does_not_spoil_the_next_request(self, serve, client):
        server = serve(resets, says(b"garbage\r\n\r\n"), says(response()[:-1], then=False), ok)
        sending = client(server.url)
        replies = [sending.send(b"x") for _ in range(4)]

        assert [type(reply) for reply in replies] == [NoAnswer] * 3 + [Answer]

    def test_fault_08_a_connection_that_was_closed_meanwhile(self, serve, client):
        server = serve(says(response(), then=False), ok)
        sending = client(server.url)
        sending.send(b"x")
        wait_until(lambda: server.closed)

        assert sending.send(b"x").status == 200
        assert server.connections == 2

    def test_fault_08_a_connection_that_closes_at_the_next_request(self, serve, client):
        server = serve(ok, lambda _: None, ok)
        sending = client(server.url)
        replies = [sending.send(b"same") for _ in range(3)]

        assert [type(reply) for reply in replies] == [Answer, NoAnswer, Answer]
        assert server.requests[1] == server.requests[2]


class TestWasSent:
    """Only what certainly sent nothing says so: on it depends what may be sent twice."""

    @pytest.mark.parametrize(
        "act",
        [
            pytest.param(resets, id="reset"),
            pytest.param(lambda _: None, id="closed"),
            pytest.param(says_and_resets(response()[:-5]), id="mid-response"),
            pytest.param(says(b"\0\xff garbage\r\n\r\n"), id="not-http"),
            pytest.param(says(response(body=bytes(2_000_000))), id="huge"),
        ],
    )
    @pytest.mark.parametrize("earlier", [0, 1], ids=["new-connection", "kept-connection"])
    def test_fault_79_what_reached_a_connection_may_have_arrived(self, serve, client, act, earlier):
        server = serve(*[ok] * earlier, act)
        sending = client(server.url)
        for _ in range(earlier):
            sending.send(b"x")
        reply = sending.send(b"x")

        assert isinstance(reply, NoAnswer)
        assert reply.was_sent
        assert server.connections == 1

    def test_fault_79_a_server_that_never_reads_may_have_it_all(self, serve, client):
        """The kernel took the bytes; nobody knows how many."""

        def resets_once_some_came(connection):
            connection.recv(1, socket.MSG_PEEK)
            return resets(connection)

        server = serve(resets_once_some_came, reads=False)

        assert client(server.url).send(bytes(1_000_000)).was_sent

    def test_each_request_is_judged_by_its_own_connection(self, client):
        """One that went well says nothing about the next, which finds nobody."""
        server = RawServer(says(response(), then=False))
        server._threads[0].start()
        sending = client(server.url)
        first = sending.send(b"x")
        server.close()

        assert first.status == 200
        assert sending.send(b"x") == NoAnswer(
            "ConnectionRefusedError: Connection refused", was_sent=False
        )

    @pytest.mark.parametrize("act", [resets, lambda _: None], ids=["reset", "closed"])
    def test_a_handshake_carries_no_request(self, serve, client, act):
        def after_hello(connection):
            connection.recv(1)
            return act(connection)

        server = serve(after_hello, reads=False)
        reply = client(server.url.replace("http", "https")).send(b"x")

        assert not reply.was_sent


class TestDeadline:
    @pytest.mark.parametrize(
        ("at_once", "slowly"),
        [
            pytest.param(b"", response(), id="status-line"),
            pytest.param(b"HTTP/1.1 200 OK\r\n", b"A: " + b"b" * 1_000, id="headers"),
            pytest.param(response(body=b" " * 999)[:-999], b" " * 999, id="body"),
            pytest.param(
                b"HTTP/1.0 200 OK\r\n\r\n" + OK_BODY, b" " * 999, id="body-without-length"
            ),
        ],
    )
    def test_fault_31_slow_loris(self, serve, client, at_once, slowly):
        """Each read is quick; the whole is not."""
        server = []
        server.append(serve(drips(at_once, slowly, server), ok))
        sending = client(server[0].url, timeout_s=1)
        started = time.monotonic()
        reply = sending.send(b"x")

        assert reply == NoAnswer("no whole answer within 1 s")
        assert 1 <= time.monotonic() - started < 10  # the whole would last longer
        assert sending.send(b"x").status == 200

    def test_fault_03_silence(self, serve, client):
        server = []
        server.append(serve(lambda _: server[0].pause(30) and None))

        assert client(server[0].url, timeout_s=0.3).send(b"x") == NoAnswer(
            "no whole answer within 0.3 s"
        )

    def test_fault_31_a_server_that_does_not_read(self, serve, client):
        server = []
        server.append(serve(lambda _: server[0].pause(30) and None, reads=False))
        sending = client(server[0].url, timeout_s=1)

        assert sending.send(bytes(30_000_000)) == NoAnswer("no whole answer within 1 s")

    def test_fault_31_a_kept_connection_is_cut_too(self, serve, client):
        server = []
        server.append(serve(ok, drips(b"", response(), server), ok))
        sending = client(server[0].url, timeout_s=1)
        replies = [sending.send(b"x") for _ in range(3)]

        assert [type(reply) for reply in replies] == [Answer, NoAnswer, Answer]

    # Python's TLS forgets to close a socket that was disconnected before the handshake.
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_fault_31_a_slow_proxy(self, serve, client, monkeypatch):
        server = []
        server.append(serve(drips(b"HTTP/1.1 200 OK\r\n", b"A: " + b"b" * 999, server)))
        monkeypatch.setenv("HTTPS_PROXY", server[0].url)
        started = time.monotonic()

        assert client("https://api.example", timeout_s=1).send(b"x") == NoAnswer(
            "no whole answer within 1 s", was_sent=False
        )
        assert time.monotonic() - started < 10
        gc.collect()

    def test_fault_31_connecting_that_took_all_the_time(self, serve, client, monkeypatch):
        """The first address hangs, the second one answers, but too late."""
        server = []
        server.append(serve(drips(b"", response(), server)))
        real = socket.getaddrinfo

        def slow(*args, **options):
            time.sleep(1.1)
            return real(*args, **options)

        monkeypatch.setattr(socket, "getaddrinfo", slow)
        started = time.monotonic()

        assert client(server[0].url, timeout_s=1).send(b"x") == NoAnswer(
            "no whole answer within 1 s"
        )
        assert time.monotonic() - started < 10

    def test_no_thread_is_left_of_it(self, serve, client):
        sending = client(serve(ok).url, timeout_s=60.0)
        for _ in range(20):
            sending.send(b"x")
        timers = [each for each in threading.enumerate() if isinstance(each, threading.Timer)]
        for timer in timers:
            timer.join(60)

        assert not any(timer.is_alive() for timer in timers)


class TestMemory:
    @pytest.mark.parametrize("status", [200, 302, 400, 503])
    def test_fault_32_a_huge_body(self, serve, client, status):
        sent = []

        def act(connection):
            head = f"HTTP/1.1 {status} X\r\nLocation: /x\r\nContent-Length: 1000000000\r\n\r\n"
            connection.sendall(head.encode())
            while len(sent) < 1_000:
                connection.sendall(bytes(1_000_000))
                sent.append(1)

        reply = client(serve(act).url).send(b"x")

        assert reply == NoAnswer("a reply larger than any of Mixpanel's")
        assert len(sent) < 20

    @pytest.mark.parametrize("layers", [1, 2])
    def test_fault_32_a_gzip_bomb(self, serve, client, layers):
        bomb = gzip.compress(bytes(200_000_000), 1)
        for _ in range(layers - 1):
            bomb = gzip.compress(bomb, 1)
        text = response(body=bomb, Content_Encoding=", ".join(["gzip"] * layers))
        sending = client(serve(says(text)).url)
        tracemalloc.start()
        reply = sending.send(b"x")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert reply == NoAnswer("a reply larger than any of Mixpanel's")
        assert peak < 30_000_000

    def test_the_largest_reply_allowed(self, serve, client):
        body = b" " * REPLY_MAX_BYTES

        assert client(serve(says(response(body=body))).url).send(b"x") == Answer(200, body)

    def test_nothing_is_left_open(self, serve):
        """A ResourceWarning would fail this test."""
        for act in (ok, resets, says(response()[:-1]), says(response(body=bytes(2_000_000)))):
            endpoint = Endpoint(serve(act).url, ("t", ""), {})
            with client_of(endpoint, 0.5) as sending:
                sending.send(endpoint, b"x")
            del sending
        gc.collect()


class TestCredentials:
    @pytest.mark.parametrize(
        ("credentials", "pair", "query"),
        [
            pytest.param(ProjectToken(TOKEN), f"{TOKEN}:", "strict=1", id="token"),
            pytest.param(
                ServiceAccount("canary-user", TOKEN, "42"),
                f"canary-user:{TOKEN}",
                "strict=1&project_id=42",
                id="service-account",
            ),
        ],
    )
    def test_credentials_stand_in_one_header_only(self, serve, client, credentials, pair, query):
        server = serve(ok)
        client(server.url, credentials=credentials).send(b"x")
        head = server.requests[0].decode()
        basic = base64.b64encode(pair.encode()).decode()

        assert head.startswith(f"POST /import?{query} HTTP/1.1\r\n")
        assert f"\r\nAuthorization: Basic {basic}\r\n" in head
        assert TOKEN not in head
        assert "canary" not in head

    def test_fault_78_netrc_is_ignored(self, serve, client, monkeypatch, tmp_path):
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login mallory password wrong\n")
        monkeypatch.setenv("NETRC", str(netrc))
        server = serve(ok)
        client(server.url).send(b"x")

        assert base64.b64encode(f"{TOKEN}:".encode()) in server.requests[0]

    def test_the_request_says_what_it_carries(self, serve, client):
        server = serve(ok)
        client(server.url).send(b"body")
        head = server.requests[0].decode()

        assert "\r\nContent-Encoding: gzip\r\n" in head
        assert "\r\nContent-Type: application/x-ndjson\r\n" in head
        assert "\r\nUser-Agent: target-mixpanel/" in head
        assert head.endswith("\r\n\r\nbody")

    def test_a_retry_sends_identical_bytes(self, serve, client):
        server = serve(says(response(503)), lambda _: None, ok)
        sending = client(server.url)
        for _ in range(3):
            sending.send(b"body")

        assert len(set(server.requests)) == 1


class TestEndpoints:
    def test_one_connection_serves_them_all(self, serve):
        server = serve(ok)
        events = import_endpoint(server.url, ProjectToken(TOKEN))
        users = profiles_endpoint(server.url, USERS_PATH)
        account = ACCOUNT
        tables = tables_endpoint(server.url, account)
        table = table_endpoint(server.url, account, "a/b c")
        with client_of(events, 60.0) as sending:
            for endpoint in (events, users, tables, table):
                assert sending.send(endpoint, b"" if endpoint is tables else b"x").status == 200
        lines = [request.split(b"\r\n")[0].decode() for request in server.requests]

        assert server.connections == 1
        assert lines == [
            "POST /import?strict=1 HTTP/1.1",
            "POST /engage?ip=0&verbose=1&strict=1 HTTP/1.1",
            "GET /lookup-tables?project_id=42 HTTP/1.1",
            "PUT /lookup-tables/a%2Fb%20c?project_id=42 HTTP/1.1",
        ]

    def test_fault_78_profiles_are_sent_without_any_header_of_credentials(
        self, serve, monkeypatch, tmp_path
    ):
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login mallory password wrong\n")
        monkeypatch.setenv("NETRC", str(netrc))
        server = serve(ok)
        users = profiles_endpoint(server.url, USERS_PATH)
        with client_of(users, 60.0) as sending:
            sending.send(users, b"[]")
        head = server.requests[0]

        assert b"Authorization" not in head
        assert b"Content-Encoding" not in head
        assert b"\r\nContent-Type: application/json\r\n" in head
        assert TOKEN.encode() not in head

    def test_what_one_repeats_of_anothers_secrets_is_redacted(self, serve):
        secret = base64.b64encode(b"canary-user:canary-secret")
        server = serve(says(response(400, b"%s %s canary-secret" % (TOKEN.encode(), secret))))
        users = profiles_endpoint(server.url, USERS_PATH)
        events = import_endpoint(server.url, ACCOUNT)
        with client_of(events, 60.0) as sending:
            replies = [sending.send(endpoint, b"x") for endpoint in (events, users)]

        assert [reply.body for reply in replies] == [b"[redacted] [redacted] [redacted]"] * 2

    def test_a_file_is_sent_whole_at_each_attempt(self, serve, tmp_path):
        """Little of it is in memory at once."""
        content = bytes(range(256)) * 80_000
        path = tmp_path / "body"
        path.write_bytes(content)
        server = serve(says(response(503)), resets, ok)
        table = table_endpoint(server.url, ServiceAccount("u", "canary-secret", "42"), "id")
        with path.open("rb") as file, client_of(table, 60.0) as sending:
            for _ in range(3):
                sending.send(table, file)
        bodies = [request.partition(b"\r\n\r\n")[2] for request in server.requests]

        assert [body == content for body in bodies] == [True] * 3
        assert f"\r\nContent-Length: {len(content)}\r\n".encode() in server.requests[0]
        assert b"Transfer-Encoding" not in server.requests[0][:1_000]


class TestProxies:
    def test_fault_78_a_proxy_is_honoured(self, serve, client, monkeypatch):
        proxy = serve(ok)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)

        assert client("http://api.example").send(b"x").status == 200
        assert proxy.requests[0].startswith(b"POST http://api.example/import?strict=1 HTTP/1.1")

    def test_fault_78_no_proxy_is_honoured(self, serve, client, monkeypatch):
        server = serve(ok)
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")

        assert client(server.url).send(b"x").status == 200

    def test_credentials_are_not_shown_to_a_tunnel(self, serve, client, monkeypatch):
        proxy = serve(says(b"HTTP/1.1 407 Who are you?\r\n\r\n", then=False))
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        reply = client("https://api.example").send(b"x")

        assert reply == NoAnswer("Tunnel connection failed: 407 Who are you?", was_sent=False)
        assert proxy.requests[0].startswith(b"CONNECT api.example:443 ")
        assert b"Authorization" not in proxy.requests[0]

    @pytest.mark.parametrize("proxy", ["::bad::", "socks5://127.0.0.1:1", "http://"])
    def test_a_proxy_that_cannot_be_is_not_tried_again(self, client, monkeypatch, proxy):
        monkeypatch.setenv("HTTPS_PROXY", proxy)

        assert isinstance(client("https://api.example").send(b"x"), NotConnected)


class TestTls:
    def test_fault_78_a_ca_bundle_is_honoured(self, tls, client, certificates, monkeypatch):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / "good.pem"))

        assert client(tls("good", ok).url).send(b"x").status == 200

    @pytest.mark.parametrize(
        ("name", "is_trusted", "words"),
        [
            pytest.param("good", False, "self-signed certificate", id="unknown-authority"),
            pytest.param("expired", True, "certificate has expired", id="expired"),
            pytest.param("other", True, "IP address mismatch", id="other-host"),
        ],
    )
    def test_fault_07_a_wrong_certificate(
        self, tls, client, certificates, monkeypatch, name, is_trusted, words
    ):
        """Nothing is sent to whoever shows it."""
        if is_trusted:
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / f"{name}.pem"))
        server = tls(name, ok)
        reply = client(server.url).send(b"x")

        assert isinstance(reply, NotConnected)
        assert words in reply.reason.replace("self signed", "self-signed")
        assert server.requests == []

    def test_fault_07_no_tls_at_all(self, serve, client):
        server = serve(says(b"HTTP/1.1 400 plain\r\n\r\n", then=False), reads=False)

        assert isinstance(client(server.url.replace("http", "https")).send(b"x"), NotConnected)

    @pytest.mark.parametrize("act", [resets, lambda _: None], ids=["reset", "closed"])
    def test_a_handshake_that_is_cut_off_is_tried_again(self, serve, client, act):
        def after_hello(connection):
            connection.recv(1)
            return act(connection)

        server = serve(after_hello, reads=False)

        assert isinstance(client(server.url.replace("http", "https")).send(b"x"), NoAnswer)

    def test_fault_31_slow_loris_in_a_handshake(self, serve, client):
        server = []
        server.append(serve(drips(b"\x16\x03\x03\x40\x00", b"\2" * 999, server), reads=False))
        url = server[0].url.replace("http", "https")

        assert client(url, timeout_s=1).send(b"x") == NoAnswer(
            "no whole answer within 1 s", was_sent=False
        )

    def test_fault_31_slow_loris_behind_tls(self, tls, client, certificates, monkeypatch):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / "good.pem"))
        server = []
        server.append(tls("good", drips(b"", response(), server), ok))
        sending = client(server[0].url, timeout_s=1)

        assert sending.send(b"x") == NoAnswer("no whole answer within 1 s")
        assert sending.send(b"x").status == 200

    def test_a_ca_bundle_that_is_not_there_ends_the_run(self, client, monkeypatch):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/bundle.pem")
        with pytest.raises(EndpointError, match=r"REQUESTS_CA_BUNDLE: /nowhere/bundle\.pem"):
            client("https://api.example")

    def test_a_ca_bundle_that_is_none(self, tls, client, certificates, monkeypatch):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / "good.key"))

        assert isinstance(client(tls("good", ok).url).send(b"x"), NotConnected)
