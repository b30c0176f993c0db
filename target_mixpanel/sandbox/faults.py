"""Which fault, if any, does the next ingestion request meet?"""

from __future__ import annotations

import random
import threading
from collections import deque
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from target_mixpanel.sandbox.fault_spec import NO_FAULT, Fault, FaultSpec, compile_fault

if TYPE_CHECKING:
    from collections.abc import Sequence

CHAOS: Final[dict[str, FaultSpec]] = {
    "500": FaultSpec(status=500, body="<html>Internal Server Error</html>"),
    "502": FaultSpec(status=502, body="<html>Bad Gateway</html>"),
    "503": FaultSpec(status=503),
    "429": FaultSpec(
        status=429,
        body={
            "code": 429,
            "error": "Project exceeded rate limits. "
            "Please retry the request with exponential backoff.",
            "status": "Too Many Requests",
        },
    ),
    "delay": FaultSpec(delay_s=0.5),
    "html": FaultSpec(body="<html>Sign in to this network</html>"),
    "lost_reply": FaultSpec(status=504, ingest=True),
    "reset_before_reading": FaultSpec(reset="before_reading"),
    "reset_before_ingest": FaultSpec(reset="before_ingest"),
    "reset_after_ingest": FaultSpec(reset="after_ingest"),
    "truncate": FaultSpec(truncate=100),
}
"""The kinds of random faults; each one is retried by a careful client."""

NO_SUCCESS: Final[dict[str, FaultSpec]] = {
    "zero": FaultSpec(body="0"),
    "status_0": FaultSpec(body={"status": 0, "error": "scripted"}),
}
"""How /engage and /groups say, with status 200, that an update is invalid: no retry helps."""

_KINDS: Final = {**CHAOS, **NO_SUCCESS}


class ChaosSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Random faults, the same ones in the same order for the same seed.

    Attributes:
        rate: Share of requests that meet one; 0 ends it.
        kinds: Names in CHAOS, which is the default, or in NO_SUCCESS.
        path: Only requests whose path starts with this meet one.
    """

    rate: Annotated[float, msgspec.Meta(ge=0, le=1)]
    seed: int = 0
    kinds: tuple[str, ...] = tuple(CHAOS)
    path: str = "/"


class _Queued:
    def __init__(self, spec: FaultSpec) -> None:
        self.path = spec.path
        self.left = spec.times
        self.fault = compile_fault(spec)


class FaultScript:
    """
    Faults in the order in which they are met, and random ones after them.

    One lock guards it: tests script from their own thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        with self._lock:
            self._queue: deque[_Queued] = deque()
            self._chaos = ChaosSpec(rate=0.0)
            self._random = random.Random(0)  # noqa: S311 - repeatable, not secret

    def add(self, specs: Sequence[FaultSpec]) -> None:
        """
        Append to the queue.

        Raises:
            ValueError: A spec contradicts itself; none was appended.
        """
        queued = [_Queued(spec) for spec in specs]
        with self._lock:
            self._queue.extend(queued)

    def unleash(self, chaos: ChaosSpec) -> None:
        """
        Make faults random once the queue is empty.

        Raises:
            ValueError: A kind is not known.
        """
        if unknown := set(chaos.kinds) - set(_KINDS):
            raise ValueError(f"unknown kinds {sorted(unknown)}; there are {sorted(_KINDS)}")
        with self._lock:
            self._chaos = chaos
            self._random = random.Random(chaos.seed)  # noqa: S311 - repeatable, not secret

    def take(self, path: str) -> Fault:
        """Return what happens to the next request on *path*, and count it as met."""
        with self._lock:
            for queued in self._queue:
                if path.startswith(queued.path):
                    queued.left -= 1
                    if queued.left == 0:
                        self._queue.remove(queued)
                    return queued.fault
            return self._random_fault(path)

    def _random_fault(self, path: str) -> Fault:
        chaos = self._chaos
        is_met = path.startswith(chaos.path) and self._random.random() < chaos.rate
        if not is_met or not chaos.kinds:
            return NO_FAULT
        return compile_fault(_KINDS[self._random.choice(chaos.kinds)])

    def pending(self) -> list[dict[str, Any]]:
        with self._lock:
            return [
                {"path": queued.path, "left": queued.left, "fault": queued.fault.name}
                for queued in self._queue
            ]
