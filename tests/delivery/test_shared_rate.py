"""Places among all loaders: what the script gives out, and what is done when Redis is not there."""

import logging
import os
import signal
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_mixpanel.delivery.gate import Reservation
from target_mixpanel.delivery.shared_rate import SCRIPT, SharedRate, costs_of
from target_mixpanel.errors import SettingsError
from tests.delivery.conftest import VirtualClock
from tests.redis_servers import PASSWORD, PASSWORD_IN_URL, redis_server

KEY = "target-mixpanel:rate:test"
COSTS = costs_of(10_000)
BATCH = (2_000, 1_000_000)
S = 1_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis"), password=PASSWORD) as running:
        yield running


@pytest.fixture
def own_server(tmp_path):
    """One that a test may break."""
    with redis_server(tmp_path) as running:
        yield running


@pytest.fixture
def rate(server):
    with server.client as client:
        client.flushall()
    with SharedRate(server.url, KEY, COSTS) as opened:
        yield opened


# The arithmetic


class Model:
    """What the script does, in other words: a list of what is reserved, no clocks to catch up."""

    def __init__(self, burst, patience, farthest):
        self.burst, self.patience, self.farthest = burst, patience, farthest
        self.paid_at = [0, 0]

    def ask(self, now, costs):
        believed = [at if at - now <= self.farthest else 0 for at in self.paid_at]
        turn = max(now, *(at - self.burst for at in believed))
        if turn - now <= self.patience:
            self.paid_at = [max(at, turn) + cost for at, cost in zip(believed, costs, strict=True)]
            return [1, turn - now]
        return [0, turn - now]


@pytest.fixture(scope="module")
def ask_at(server):
    """Ask the script at a time of the test's own."""
    with server.client as client:
        at_will = SCRIPT.replace("redis.call('TIME')", "{ARGV[6], ARGV[7]}")
        assert at_will != SCRIPT
        run = client.register_script(at_will)

        def ask_at(now, costs, *limits):
            return run(keys=[KEY], args=[*costs, *limits, now // S, now % S])

        ask_at.client = client
        yield ask_at


COST = st.one_of(st.integers(0, 3 * S), st.integers(0, 86_400 * S))
STEP = st.one_of(st.integers(0, S), st.integers(0, 600 * S), st.integers(-(10**15), 10**15))
ASKED = st.lists(st.tuples(STEP, st.tuples(COST, COST)), min_size=1, max_size=30)


@given(ASKED, st.integers(0, 2 * S), st.integers(0, 100 * S), st.integers(0, 100 * S))
@settings(deadline=None, max_examples=150)
def test_the_script_does_what_the_model_does(ask_at, asked, burst, patience, more):
    """Also where the clock jumps, and a place costs a day."""
    ask_at.client.delete(KEY)
    limits = (burst, patience, patience + burst + more)
    model, now = Model(*limits), 1_790_000_000 * S + 123_456
    for step, costs in asked:
        now = min(max(now + step, 10**9 * S), 4 * 10**9 * S)

        assert ask_at(now, costs, *limits) == model.ask(now, costs)


@given(
    st.lists(
        st.tuples(st.integers(0, S), st.integers(0, 2_000), st.integers(0, 9_500_000)),
        min_size=2,
        max_size=60,
    ),
    st.sampled_from([1_000, 10_000, 30_000, 60_000]),
)
@settings(deadline=None, max_examples=100)
def test_no_stretch_of_time_has_more_than_the_limit(ask_at, asked, events_per_s):
    """Of neither events nor bytes, but for the burst and one request; and first come, first go."""
    ask_at.client.delete(KEY)
    costs = costs_of(events_per_s)
    limits = (costs.burst, costs.patience, costs.farthest)
    now, placed = 1_790_000_000 * S, []
    for step, events, raw_bytes in asked:
        now += step
        has_place, wait = ask_at(now, costs.of(events, raw_bytes), *limits)
        if has_place:
            placed.append((now + wait, costs.of(events, raw_bytes)))
    starts = [start for start, _ in placed]

    assert starts == sorted(starts)
    for first, (since, _) in enumerate(placed):
        for kind in (0, 1):
            paid = 0
            for until, cost in placed[first:]:
                assert paid <= until - since + costs.burst
                paid += cost[kind]


@given(st.floats(0, 1_000_000, exclude_min=True), st.integers(0, 2_000), st.integers(0, 10**7))
def test_costs_are_numbers_that_the_script_can_count_with(events_per_s, events, raw_bytes):
    costs = costs_of(events_per_s)
    amounts = [*costs.of(events, raw_bytes), costs.burst, costs.patience, costs.farthest]

    assert all(0 <= amount < 2**51 for amount in amounts)


def test_a_lower_limit_of_events_leaves_the_bytes_theirs():
    """And a project that may send more events than others may send more bytes."""
    assert costs_of(3_000).bytes_per_s == costs_of(30_000).bytes_per_s == 0.985 * 2e9 / 60
    assert costs_of(60_000).bytes_per_s == pytest.approx(2 * costs_of(30_000).bytes_per_s)


# On Redis' own clock


def test_places_follow_each_other(rate):
    waits = [rate.reserve(*BATCH).wait_s for _ in range(12)]

    assert waits == sorted(waits)
    # Twelve batches at 10,000 a second, the first of them at once and a fifth of a second of burst.
    assert 1.5 < waits[-1] <= 11 * 0.2 / 0.985 - 0.2 + 1e-3


def test_large_events_wait_for_the_bytes(rate):
    for _ in range(20):
        last = rate.reserve(1, 9_500_000)

    assert last.wait_s > 4.0


def test_who_would_wait_for_long_gets_no_place(server, rate):
    while (last := rate.reserve(*BATCH)).has_place:
        pass
    again = rate.reserve(*BATCH)

    assert last.wait_s > 60
    assert not again.has_place
    assert again.wait_s <= last.wait_s


def test_what_is_reserved_is_forgotten_by_itself(server, rate):
    last = [rate.reserve(*BATCH) for _ in range(10)][-1]
    with server.client as client:
        (key,) = client.keys()
        left_ms = client.pttl(key)

    assert last.wait_s * 1_000 < left_ms < (last.wait_s + 2) * 1_000


@pytest.mark.parametrize("value", ["9" * 16 + " 1", "nonsense", "", "-5 -5"], ids=repr)
def test_what_cannot_be_blocks_nobody(server, rate, value):
    """A clock that was wrong, a loader with a limit of a second a century."""
    with server.client as client:
        client.set(KEY, value)

    assert rate.reserve(*BATCH) == Reservation(0.0)
    assert not rate.is_away


def test_a_script_that_is_forgotten_is_told_again(server, rate):
    rate.reserve(*BATCH)
    with server.client as client:
        client.script_flush()
    rate.reserve(*BATCH)

    assert rate.reserve(*BATCH).wait_s > 0
    assert not rate.is_away


# When Redis is not there


@pytest.fixture
def clock():
    return VirtualClock()


def words(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]


@pytest.fixture(autouse=True)
def _info(caplog):
    caplog.set_level(logging.DEBUG)


def test_redis_restarts(own_server, clock, caplog):
    """One warning, no limit, and on with it when it is there again."""
    with SharedRate(own_server.url, KEY, COSTS, clock=clock) as rate:
        rate.reserve(*BATCH)
        own_server.stop()
        gone = [rate.reserve(*BATCH) for _ in range(3)]
        clock.now += 60
        gone.append(rate.reserve(*BATCH))
        own_server.start()
        early = rate.reserve(*BATCH)
        clock.now += 60
        back = [rate.reserve(*BATCH).wait_s for _ in range(3)]

    assert gone == [Reservation(0.0)] * 4
    assert early == Reservation(0.0)
    assert back[-1] > 0
    warning, info = words(caplog)
    assert f"rate_limit_url: Redis at 127.0.0.1:{own_server.port} cannot be reached" in warning
    assert "max_events_per_second" in warning
    assert "is there again" in info


def test_a_connection_that_was_closed_is_opened_again(own_server, caplog):
    with SharedRate(own_server.url, KEY, COSTS) as rate:
        rate.reserve(*BATCH)
        with own_server.client as client:
            client.client_kill_filter(_type="normal", skipme=True)
        rate.reserve(*BATCH)

        assert rate.reserve(*BATCH).wait_s > 0
    assert words(caplog) == []


def test_nobody_is_there_at_first(own_server, clock, caplog):
    own_server.stop()
    with SharedRate(own_server.url, KEY, COSTS, clock=clock) as rate:
        assert rate.is_away
        own_server.start()
        clock.now += 60
        rate.reserve(*BATCH)

        assert not rate.is_away
    assert len(words(caplog)) == 2


@pytest.mark.parametrize("when", ["at-first", "later"])
def test_redis_takes_the_connection_and_says_nothing(own_server, clock, caplog, when):
    rate = SharedRate(own_server.url, KEY, COSTS, clock=clock)
    if when == "later":
        rate.__enter__()
    pid = own_server.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        if when == "at-first":
            rate.__enter__()
        given = [rate.reserve(*BATCH) for _ in range(50)]
    finally:
        os.kill(pid, signal.SIGCONT)
    rate.__exit__(None, None, None)

    assert given == [Reservation(0.0)] * 50
    (warning,) = words(caplog)
    assert "does not answer within 1 s" in warning


def test_redis_is_a_replica(own_server, tmp_path, caplog):
    (tmp_path / "replica").mkdir()
    primary = f"replicaof 127.0.0.1 {own_server.port}"
    with (
        redis_server(tmp_path / "replica", primary) as replica,
        SharedRate(replica.url, KEY, COSTS) as rate,
    ):
        assert rate.reserve(*BATCH) == Reservation(0.0)
    (warning,) = words(caplog)
    assert "is a replica that takes no writes (name the primary)" in warning


def test_something_else_answers(serve, clock, caplog):
    other = serve(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n"), reads=False)
    url = f"redis://127.0.0.1:{other.port}"
    with SharedRate(url, KEY, COSTS, clock=clock) as rate:
        assert rate.is_away
    assert len(words(caplog)) == 1


@pytest.mark.parametrize(
    "reply", [b":1\r\n", b"*1\r\n:1\r\n", b"*2\r\n+a\r\n+b\r\n", b"$-1\r\n", b"*2\r\n:1\r\n$-1\r\n"]
)
def test_an_answer_that_is_none(rate, monkeypatch, caplog, reply):
    monkeypatch.setattr(rate, "_run", lambda **_: _parsed(reply))

    assert rate.reserve(*BATCH) == Reservation(0.0)
    assert len(words(caplog)) == 1


def _parsed(reply):
    return {b":1": 1, b"*1": [1], b"$-1": None}.get(reply[:3].strip(), [b"a", None])


def test_a_password_that_is_changed_meanwhile(own_server, clock, caplog):
    with SharedRate(own_server.url, KEY, COSTS, clock=clock) as rate:
        with own_server.client as client:
            client.config_set("requirepass", "another")
            client.client_kill_filter(_type="normal", skipme=True)
        assert rate.reserve(*BATCH) == Reservation(0.0)
    (warning,) = words(caplog)
    assert "refuses the user or the password" in warning


# What is wrong from the beginning


def refusal(url):
    with pytest.raises(SettingsError) as error, SharedRate(url, KEY, COSTS):
        pass
    text = str(error.value)
    assert text.startswith("rate_limit_url: ")
    assert not [word for word in (PASSWORD, PASSWORD_IN_URL) if word in text]
    return text


@pytest.mark.parametrize(
    ("user", "words"),
    [
        pytest.param("", "the password", id="none"),
        pytest.param(":wrong@", "the password", id="wrong"),
        pytest.param("nobody:wrong@", "the user or the password", id="nobody"),
    ],
)
def test_a_wrong_password(server, user, words):
    assert words in refusal(f"redis://{user}127.0.0.1:{server.port}")


def test_a_password_where_there_is_none(own_server):
    assert "the password" in refusal(f"redis://:any@127.0.0.1:{own_server.port}")


def test_a_user_who_may_not(server):
    with server.client as client:
        client.acl_setuser("reader", enabled=True, passwords=["+pw"], keys=["*"], commands=["+get"])

    assert "allow it eval" in refusal(f"redis://reader:pw@127.0.0.1:{server.port}")


def test_a_database_that_there_is_not(server):
    assert "no such database" in refusal(server.url[:-1] + "99")


# TLS


@pytest.fixture
def tls_server(certificates, tmp_path):
    def tls_server(name):
        server = redis_server(tmp_path, password=PASSWORD, certificate=certificates / f"{name}.pem")
        return opened.enter_context(server)

    with ExitStack() as opened:
        yield tls_server


def test_over_tls(tls_server, certificates, caplog):
    url = f"{tls_server('good').url}?ssl_ca_certs={certificates / 'good.pem'}"
    with SharedRate(url, KEY, COSTS) as rate:
        for _ in range(3):
            last = rate.reserve(*BATCH)

        assert last.wait_s > 0
    assert words(caplog) == []


@pytest.mark.parametrize(
    ("name", "ca", "said"),
    [
        pytest.param("good", None, "self-signed certificate", id="unknown-authority"),
        pytest.param("good", "other.pem", "self-signed certificate", id="another-authority"),
        pytest.param("other", "other.pem", "IP address mismatch", id="another-host"),
        pytest.param("expired", "expired.pem", "has expired", id="expired"),
    ],
)
def test_a_certificate_that_does_not_hold(tls_server, certificates, name, ca, said):
    query = f"?ssl_ca_certs={certificates / ca}" if ca else ""
    text = refusal(f"{tls_server(name).url}{query}")

    assert said in text
    assert "?ssl_ca_certs=FILE" in text


@pytest.mark.parametrize(("file", "said"), [("good.key", "its files"), ("none.pem", "not there")])
def test_a_file_that_is_no_certificate(tls_server, certificates, file, said):
    assert said in refusal(f"{tls_server('good').url}?ssl_ca_certs={certificates / file}")


def test_tls_where_there_is_none(own_server, caplog):
    """Redis waits for more of what it takes for a command; nothing is sent without TLS."""
    with SharedRate(own_server.url.replace("redis:", "rediss:"), KEY, COSTS) as rate:
        assert rate.is_away
    assert len(words(caplog)) == 1


# Nothing secret is shown


@pytest.mark.parametrize("port", [None, 1], ids=["there", "not-there"])
def test_no_line_shows_the_password(server, caplog, port):
    """Not even redis-py's own, at its most talkative."""
    url = server.url.replace(f":{server.port}", f":{port or server.port}")
    with SharedRate(url, KEY, COSTS) as rate:
        rate.reserve(*BATCH)

    assert not [word for word in (PASSWORD, PASSWORD_IN_URL) if word in caplog.text]
