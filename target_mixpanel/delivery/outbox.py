"""Who sends while the reader reads, and who waits when there is too much?"""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final, Self

from target_mixpanel.delivery.batches import Batch
from target_mixpanel.delivery.courier import Courier
from target_mixpanel.stop import Stop
from target_mixpanel.threads import News, join, start

_LOOK_UP_S: Final = 0.2
"""How often a wait looks whether the run is over."""

_IDLE_LOOK_UP_S: Final = 1.0
"""How often a sender without work does; whoever should have called it may have been interrupted."""

_WAITING_BATCHES: Final = 2
"""Batches that wait for a sender; enough that none is idle, few enough to bound memory."""

_RETAINED_BYTES: Final = 42 * 1024 * 1024
"""Of all batches that are not settled, whatever the size of their records: 30,000 events of 530
bytes, so that Mixpanel's own limit is reached even where its answers take a second."""


class Outbox:
    """
    Deliver batches on several threads; block the reader when they cannot keep up.

    Compression and sockets release the interpreter's lock, so the senders use the second core
    while the reader uses the first. A sender that fails ends the run through *stop*.

    Any idle sender takes the first batch whose lane is free, and holds the lane until the batch is
    settled, however often it is sent and halved: so the batches of a lane go one after the other
    in the order submitted, and all others beside them. The bound is on what is not settled yet,
    waiting or under way, in number and in bytes: a lane that is stuck blocks the reader in the end,
    and no memory grows.
    """

    def __init__(
        self,
        open_courier: Callable[[], AbstractContextManager[Courier]],
        stop: Stop,
        *,
        senders: int,
    ) -> None:
        """
        Args:
            open_courier: Makes the courier of one sender, on that sender's thread.
            stop: Ends every wait.
            senders: Threads.
        """
        self._open_courier = open_courier
        self._stop = stop
        self._most = senders + _WAITING_BATCHES
        self._waiting: deque[Batch] = deque()
        self._busy_lanes: set[int] = set()
        self._unfinished = 0
        self._retained_bytes = 0
        self._is_closed = False
        # One lock guards all of these; senders wait for what is submitted.
        self._lock = threading.Lock()
        self._submitted = threading.Condition(self._lock)
        self._settled = News()
        self._threads = [
            # Daemons: a request that hangs must not keep a failed run from ending.
            threading.Thread(target=self._send, name=f"sender-{number}", daemon=True)
            for number in range(senders)
        ]

    def submit(self, batch: Batch) -> None:
        """
        Hand over *batch*; returns when there is room for it.

        Raises:
            TargetMixpanelError: The run is over.
        """
        self._wait_until(lambda: self._add(batch))

    def drain(self) -> None:
        """
        Wait until all that was submitted is settled.

        Raises:
            TargetMixpanelError: The run is over.
        """
        self._wait_until(lambda: self._unfinished == 0)
        self._stop.raise_if_over()

    def _add(self, batch: Batch) -> bool:
        """Let *batch* join the others if there is room; say whether it did."""
        with self._lock:
            if not self._has_room(batch):
                return False
            self._unfinished += 1
            self._retained_bytes += batch.retained_bytes
            self._waiting.append(batch)
            self._submitted.notify()
            return True

    def _has_room(self, batch: Batch) -> bool:
        """Say whether *batch* may join the others; one that is too large for that goes alone."""
        if not self._unfinished:
            return True
        retained = self._retained_bytes + batch.retained_bytes
        return self._unfinished < self._most and retained <= _RETAINED_BYTES

    def _wait_until(self, is_so: Callable[[], bool]) -> None:
        self._stop.raise_if_over()
        while not is_so():
            self._settled.wait(_LOOK_UP_S)
            self._stop.raise_if_over()

    def _send(self) -> None:
        try:
            with self._open_courier() as courier:
                while (batch := self._next()) is not None:
                    courier.deliver(batch)
                    self._finish(batch)
                    # Or it would be kept until this sender has its next one; each has one.
                    del batch
        except BaseException as error:  # noqa: BLE001 (a thread's top: the main thread raises it)
            self._stop.fail(error)

    def _next(self) -> Batch | None:
        """Return the batch to deliver next; None: there will be no more for this sender."""
        with self._submitted:
            while not self._stop.has_failed:
                batch = self._take()
                # What is left after the end is of busy lanes; whoever holds one takes it.
                if batch is not None or self._is_closed:
                    return batch
                self._submitted.wait(_IDLE_LOOK_UP_S)
        return None

    def _take(self) -> Batch | None:
        """Take the first batch of those waiting whose lane is free, and its lane."""
        for position, batch in enumerate(self._waiting):
            if batch.lane is None or batch.lane not in self._busy_lanes:
                del self._waiting[position]
                if batch.lane is not None:
                    self._busy_lanes.add(batch.lane)
                return batch
        return None

    def _finish(self, batch: Batch) -> None:
        # This sender looks next, so it is the one that takes what waited for the lane.
        with self._lock:
            if batch.lane is not None:
                self._busy_lanes.discard(batch.lane)
            self._unfinished -= 1
            self._retained_bytes -= batch.retained_bytes
        self._settled.tell()

    def _close(self) -> None:
        with self._lock:
            self._is_closed = True
            self._submitted.notify_all()

    def __enter__(self) -> Self:
        try:
            for thread in self._threads:
                start(thread)
        except BaseException:  # there may be no room for all, or a signal's handler raised
            self._close()  # for those that did start
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._stop.fail(error)
        self._close()
        # After a failure, what is in flight is abandoned: its STATE was never printed. Nobody waits
        # for the senders, but none may outlive its request: this process may go on to another run.
        join(self._threads, self._stop)
