"""Rows to send, time that passes at will, a transport that says what it is told."""

import gzip
import threading

import pytest

from target_mixpanel.credentials import ProjectToken
from target_mixpanel.delivery.batches import Batch
from target_mixpanel.delivery.events import import_route
from target_mixpanel.http.replies import Answer
from target_mixpanel.model import Record, Row, Span
from target_mixpanel.stop import Stop
from tests.servers import certificates, serve, tls

__all__ = ["certificates", "serve", "tls"]

EVENTS = import_route("https://api.mixpanel.com", ProjectToken("token"))


class VirtualClock:
    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now


class VirtualStop(Stop):
    """A stop whose waits take no time, only the clock's."""

    def __init__(self, clock, shutdown_timeout_s):
        super().__init__(shutdown_timeout_s, clock=clock)
        self.clock = clock
        self.waits = []
        self.on_wait = lambda: None

    def wait(self, seconds):
        self.raise_if_over()
        self.waits.append(seconds)
        self.clock.now += seconds
        self.on_wait()
        self.raise_if_over()


class Scripted:
    """A transport that gives the replies it is told to, the last one for ever."""

    def __init__(self, *replies):
        self.replies = list(replies)
        self.bodies = []

    def send(self, endpoint, body):
        self.bodies.append(body)
        reply = self.replies[0] if len(self.replies) == 1 else self.replies.pop(0)
        return reply(ids_in(body)) if callable(reply) else reply

    @property
    def requests(self):
        """The ids of each request's rows."""
        return [ids_in(body) for body in self.bodies]


def ids_in(body):
    return gzip.decompress(body).decode().splitlines()


def accepted(ids):
    """Answer as Mixpanel does when all is well."""
    return Answer(200, b'{"code":200,"num_records_imported":%d,"status":"OK"}' % len(ids))


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def stop(clock):
    stop = VirtualStop(clock, 25.0)
    yield stop
    stop.close()


@pytest.fixture
def real_stop():
    stop = Stop(25.0)
    yield stop
    stop.close()


@pytest.fixture
def batch_of():
    """Make a batch of n rows whose bodies are their ids."""

    def batch_of(rows, first=0):
        ids = [f"id-{number}" for number in range(first, first + rows)]
        record = Record(b"{}", Span(0))
        return Batch([Row(each.encode(), each, record) for each in ids], "tag", 0.0, EVENTS)

    return batch_of


@pytest.fixture
def scripted():
    return Scripted


@pytest.fixture
def ok():
    return accepted


class PassingTime(threading.Condition):
    """A condition whose waits only move the clock: for one thread."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock

    def wait(self, timeout=None):
        self.clock.now += timeout
