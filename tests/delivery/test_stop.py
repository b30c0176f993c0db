"""Every wait of a run hears a signal, a failure, and the end of the time to stop."""

import os
import select
import signal
import threading
import time

import pytest

from target_mixpanel.errors import CredentialsError, EndpointError, ShutdownTimeoutError
from target_mixpanel.stop import Stop
from tests.delivery.conftest import PassingTime


class Elapsed:
    """The seconds a block took."""

    def __enter__(self):
        self.started = time.monotonic()
        return self

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self.started


def after(seconds, do, *args):
    timer = threading.Timer(seconds, do, args)
    timer.start()
    return timer


def test_a_wait_lasts_as_long_as_it_should(real_stop):
    with Elapsed() as elapsed:
        real_stop.wait(0.2)

    assert elapsed.seconds >= 0.2


def test_a_wait_lasts_no_longer_than_it_should(clock):
    stop = Stop(25.0, clock=clock)
    stop._changed = PassingTime(clock)
    stop.wait(7.2)
    stop.close()

    assert clock.now == pytest.approx(1_007.2)


def test_fault_34_a_signal_during_a_backoff_ends_it():
    """A real signal, whose handler runs on the thread that waits."""
    stop = Stop(25.0)
    before = signal.signal(signal.SIGUSR1, lambda number, _: stop.request(number))
    try:
        timer = after(0.1, os.kill, os.getpid(), signal.SIGUSR1)
        with Elapsed() as elapsed:
            stop.wait(300.0)
    finally:
        signal.signal(signal.SIGUSR1, before)
        timer.join()
        stop.close()

    assert elapsed.seconds < 60
    assert stop.signal_number == signal.SIGUSR1


def test_a_request_takes_no_lock(real_stop):
    """Its handler may interrupt the very line that holds the lock."""
    done = threading.Event()

    def request():
        real_stop.request(signal.SIGTERM)
        done.set()

    with real_stop._changed:
        thread = threading.Thread(target=request)
        thread.start()

        assert done.wait(60)
    thread.join()


def test_a_wait_after_the_request_lasts(real_stop):
    """Backoff goes on during shutdown; only the sleep that the signal met is cut short."""
    real_stop.request(signal.SIGTERM)
    with Elapsed() as elapsed:
        real_stop.wait(0.2)

    assert elapsed.seconds >= 0.2


def test_fault_35_the_first_signal_stays(clock, stop):
    stop.request(signal.SIGINT)
    clock.now += 20.0
    stop.request(signal.SIGTERM)
    clock.now += 4.9
    stop.raise_if_over()
    clock.now += 0.1
    with pytest.raises(ShutdownTimeoutError, match=r"^SIGINT: .* shutdown_timeout_seconds 25;"):
        stop.raise_if_over()


def test_a_failure_ends_a_wait_at_once(real_stop, monkeypatch):
    """It is told of it; it need not look up."""
    monkeypatch.setattr("target_mixpanel.stop._LONGEST_WAIT_S", 300.0)
    timer = after(0.1, real_stop.fail, CredentialsError("revoked"))
    with Elapsed() as elapsed, pytest.raises(CredentialsError, match="revoked"):
        real_stop.wait(300.0)
    timer.join()

    assert elapsed.seconds < 60


def test_the_time_to_stop_ends_a_wait(clock):
    """Half a second late at most."""
    stop = Stop(0.2, clock=clock)
    stop._changed = PassingTime(clock)
    stop.request(signal.SIGTERM)
    with pytest.raises(ShutdownTimeoutError):
        stop.wait(30.0)
    stop.close()

    assert 1_000.2 <= clock.now <= 1_000.7


def test_the_first_error_stays(real_stop):
    real_stop.fail(CredentialsError("first"))
    real_stop.fail(EndpointError("second"))
    for _ in range(2):
        with pytest.raises(CredentialsError, match="first"):
            real_stop.raise_if_over()

    assert real_stop.has_failed


def test_an_error_goes_before_the_time_to_stop(clock, stop):
    stop.request(signal.SIGTERM)
    clock.now += 30.0
    stop.fail(CredentialsError("revoked"))
    with pytest.raises(CredentialsError):
        stop.raise_if_over()


@pytest.mark.parametrize("event", ["request", "fail"])
def test_its_descriptor_wakes_a_poll(real_stop, event):
    poll = select.poll()
    poll.register(real_stop.fileno(), select.POLLIN)
    assert poll.poll(0) == []
    act = (real_stop.request, 15) if event == "request" else (real_stop.fail, OSError())
    timer = after(0.1, *act)
    woken = poll.poll(60_000)
    timer.join()

    assert [descriptor for descriptor, _ in woken] == [real_stop.fileno()]


def test_a_full_pipe_does_not_block(real_stop):
    with Elapsed() as elapsed:
        for _ in range(70_000):
            real_stop._wake()

    assert elapsed.seconds < 60


def test_what_fails_after_the_end_writes_into_no_other_file(tmp_path):
    """A sender that is late must not meet a file that got the pipe's number."""
    stop = Stop(25.0)
    numbers = {stop._reader, stop._writer}
    stop.close()
    files = [os.open(tmp_path / str(n), os.O_RDWR | os.O_CREAT) for n in range(4)]
    stop.fail(CredentialsError("late"))
    stop.request(signal.SIGTERM)
    sizes = [os.fstat(descriptor).st_size for descriptor in files]
    for descriptor in files:
        os.close(descriptor)

    assert numbers & set(files)
    assert sizes == [0] * 4
