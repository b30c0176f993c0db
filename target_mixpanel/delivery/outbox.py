"""Who sends while the reader reads, and who waits when there is too much?"""

import queue
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Final, Self

from target_mixpanel.delivery.batches import Batch
from target_mixpanel.delivery.courier import Courier
from target_mixpanel.stop import Stop

_LOOK_UP_S: Final = 0.2
"""How often a wait looks whether the run is over."""

_WAITING_BATCHES: Final = 2
"""Batches that wait for a sender; enough that none is idle, few enough to bound memory."""


class Outbox:
    """
    Deliver batches on several threads; block the reader when they cannot keep up.

    Compression and sockets release the interpreter's lock, so the senders use the second core
    while the reader uses the first. A sender that fails ends the run through *stop*.
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
        self._batches: queue.Queue[Batch | None] = queue.Queue(_WAITING_BATCHES)
        self._unfinished = 0
        self._finished = threading.Condition()
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
        with self._finished:
            self._unfinished += 1
        self._put(batch)

    def drain(self) -> None:
        """
        Wait until all that was submitted is settled.

        Raises:
            TargetMixpanelError: The run is over.
        """
        with self._finished:
            while self._unfinished:
                self._stop.raise_if_over()
                self._finished.wait(_LOOK_UP_S)
        self._stop.raise_if_over()

    def _put(self, batch: Batch | None) -> None:
        while True:
            self._stop.raise_if_over()
            try:
                self._batches.put(batch, timeout=_LOOK_UP_S)
            except queue.Full:
                continue
            return

    def _send(self) -> None:
        try:
            with self._open_courier() as courier:
                while (batch := self._batches.get()) is not None and not self._stop.has_failed:
                    courier.deliver(batch)
                    with self._finished:
                        self._unfinished -= 1
                        self._finished.notify_all()
        except BaseException as error:  # noqa: BLE001 (a thread's top: the main thread raises it)
            self._stop.fail(error)
        self._pass_end_on()

    def _pass_end_on(self) -> None:
        """Let the next idle sender end, too; if the queue is full, it has no idle one."""
        with suppress(queue.Full):
            self._batches.put_nowait(None)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._stop.fail(error)
        if self._stop.has_failed:
            # What is in flight is abandoned: its STATE was never printed. Nobody waits for the
            # senders, but none may outlive its request: this process may go on to another run.
            self._pass_end_on()
            return
        self._put(None)
        for thread in self._threads:
            thread.join()
