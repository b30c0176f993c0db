"""Loaders that share one limit in Redis: together they keep to it, and none fails with Redis."""

import os
import subprocess
import sys
import time
from urllib.parse import quote

import pytest

from tests.conftest import ORDERS_SCHEMA, Command, Running, orders, state
from tests.faults.canaries import TALKATIVE
from tests.redis_servers import PASSWORD, PASSWORD_IN_URL, redis_server

INPUT = [ORDERS_SCHEMA, orders(1_000), state(999)]


@pytest.fixture
def server(tmp_path):
    with redis_server(tmp_path, password=PASSWORD) as running:
        yield running


@pytest.fixture
def loader(command: Command, server):
    command.config |= {
        "rate_limit_url": server.url,
        "max_events_per_second": 1_000,
        "batch_size_rows": 100,
    }
    return command


def accepted(sandbox):
    return sum(request.rows for request in sandbox.requests if request.status == 200)


def warnings(done):
    return [line for line in done.stderr.splitlines() if "| WARNING " in line]


def test_two_loaders_take_as_long_as_one_that_loads_both(loader, sandbox):
    """Each alone has its limit; together they would have twice as much."""
    began_at = time.monotonic()
    with loader.start() as first, loader.start() as second:
        first.write(*INPUT)
        second.write(*INPUT)
        done = [first.finish(), second.finish()]
    seconds = time.monotonic() - began_at

    assert [each.code for each in done] == [0, 0]
    assert accepted(sandbox) == 2_000
    # Of 2,000 events at 1,000 a second, the last batch goes after all others are paid for, but for
    # the burst.
    assert seconds >= 1.9 - 0.2


def test_fault_85_redis_dies_in_mid_run(loader, server, sandbox):
    """One warning; the run goes on at its own limit."""
    with loader.start(batch_wait_limit_seconds=0.1) as running:
        running.write(ORDERS_SCHEMA, orders(100), state(99))
        running.read_state()
        server.stop()
        done = running.finish(orders(900, start=100), state(999))

    assert (done.code, done.states[-1]) == (0, state(999)["value"])
    assert accepted(sandbox) == 1_000
    (warning,) = warnings(done)
    assert f"rate_limit_url: Redis at 127.0.0.1:{server.port} cannot be reached" in warning


def test_fault_85_redis_is_not_there(loader, server, sandbox):
    server.stop()
    done = loader.run(*INPUT)

    assert (done.code, accepted(sandbox), len(warnings(done))) == (0, 1_000, 1)


def test_fault_85_it_comes_back(loader, server, sandbox):
    """What was reserved is forgotten with it; the others wait for their turn again."""
    server.stop()
    server.start()
    done = loader.run(*INPUT)

    assert (done.code, accepted(sandbox), warnings(done)) == (0, 1_000, [])
    with server.client as client:
        (key,) = client.keys()
    assert key.startswith(b"target-mixpanel:rate:")
    assert b"sandbox-token" not in key


def test_fault_76_a_wrong_password_ends_the_run_before_stdin_is_read(loader, server):
    url = f"redis://:{quote('c4nary')}@127.0.0.1:{server.port}"
    with loader.start(rate_limit_url=url, env=TALKATIVE) as running:
        running.process.wait(timeout=60)
        done = running.finish()
    (error,) = done.errors

    assert (done.code, done.stdout) == (1, "")
    assert error.startswith("rate_limit_url: Redis at 127.0.0.1")
    assert "password" in error
    assert "c4nary" not in done.stderr


def test_no_line_of_the_most_talkative_run_shows_the_password(loader):
    done = loader.run(*INPUT, env=TALKATIVE)

    assert done.code == 0
    assert not [word for word in (PASSWORD, PASSWORD_IN_URL) if word in done.stderr]


def test_a_dry_run_asks_for_no_place(loader, server):
    done = loader.run(*INPUT, dry_run=True)

    with server.client as client:
        assert (done.code, client.keys()) == (0, [])


def test_profiles_ask_for_no_place(loader, server, sandbox):
    users = {"orders": {"type": "users", "distinct_id": "user_id", "properties": ["note"]}}
    done = loader.run(*INPUT, streams=users)

    with server.client as client:
        (key,) = client.keys()
        events_at, bytes_at = client.get(key).split()
    assert (done.code, events_at) == (0, bytes_at)
    assert len(sandbox.users) == 97


def test_without_the_extra_it_says_what_to_install(loader, tmp_path):
    """As where the package is not there: Python does not find it."""
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "__init__.py").write_text("raise ModuleNotFoundError('redis')")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with Running(loader.arguments(), env=env, is_warm=False) as running:
        done = running.finish(*INPUT)
    (error,) = done.errors

    assert done.code == 1
    assert error == "rate_limit_url: needs the extra redis: pip install 'target-mixpanel[redis]'"


def test_who_shares_nothing_does_not_import_redis(command):
    """It takes a tenth of a second."""
    program = "import sys, target_mixpanel.singer.cli; print('redis' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "False\n"
