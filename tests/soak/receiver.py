"""Who receives a soak's events? The sandbox, with a byte for each event and many faults."""

from __future__ import annotations

import argparse
import os
import random
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from target_mixpanel.sandbox.app import make_app
from target_mixpanel.sandbox.fault_spec import NO_FAULT, Fault, FaultSpec, compile_fault
from target_mixpanel.sandbox.faults import CHAOS, FaultScript
from target_mixpanel.sandbox.project import Project
from target_mixpanel.sandbox.server import Server, listen
from target_mixpanel.sandbox.settings import SandboxSettings
from target_mixpanel.sandbox.store import EventStore, Rejection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from target_mixpanel.sandbox.rules import EventKey

COUNTS_PATH: Final = "/soak"
ID_PREFIX: Final = "order-"
FIRST_TIME_MS: Final = 1_767_225_600_000
"""Of event 0; each later one is a millisecond later, so that its time must fit its id."""

MAX_EVENT_BYTES: Final = 2_000
"""Far below Mixpanel's limit: what the loader lets pass is refused here, by a 400 that says so."""

REQUEST_TIMEOUT_S: Final = 5.0

_UNSEEN, _ACCEPTED, _REFUSED = 0, 1, 2

FAULTS: Final = {
    **CHAOS,
    "429_retry_after": FaultSpec(status=429, headers={"Retry-After": "1"}),
    "408": FaultSpec(status=408),
    "timeout_after_ingest": FaultSpec(delay_s=REQUEST_TIMEOUT_S + 1),
    "count_off_by_one": FaultSpec(count_off_by=-1),
    "closed_unannounced": FaultSpec(close=True),
}


class Counts(msgspec.Struct, kw_only=True):
    """What has arrived so far."""

    settled_up_to: int
    """Every event before this one was accepted or refused."""
    accepted: int
    refused: int
    repeated: int
    """Accepted once more, which reports do not show."""
    altered: int
    """Whose time or name is not the one that its id has: a second event in reports."""
    requests: int
    statuses: dict[str, int]
    faults: dict[str, int]


class SeenEvents(EventStore):
    """Which events were accepted or refused, a byte for each, and none of their properties."""

    def __init__(self, expected: int) -> None:
        super().__init__(keep_rows=0)
        self.seen = bytearray(expected)
        self.settled_up_to = 0
        self.repeated = 0
        self.altered = 0

    def accept(self, rows: Iterable[tuple[EventKey, bytes]]) -> None:
        seen = self.seen
        for (event, _, time_ms, insert_id), _ in rows:
            number = int(insert_id.removeprefix(ID_PREFIX))
            if time_ms != FIRST_TIME_MS + number or event != "Order Placed":
                self.altered += 1
            if seen[number] == _ACCEPTED:
                self.repeated += 1
            seen[number] = _ACCEPTED

    def reject(self, rejections: Iterable[Rejection]) -> None:
        for rejection in rejections:
            self.seen[int(rejection.insert_id.removeprefix(ID_PREFIX))] = _REFUSED

    def counts_of(self, project: Project, faults: Counter[str]) -> Counts:
        unseen = self.seen.find(_UNSEEN, self.settled_up_to)
        self.settled_up_to = len(self.seen) if unseen < 0 else unseen
        return Counts(
            settled_up_to=self.settled_up_to,
            accepted=self.seen.count(_ACCEPTED),
            refused=self.seen.count(_REFUSED),
            repeated=self.repeated,
            altered=self.altered,
            requests=project.requests.arrived,
            statuses=project.requests.statuses(),
            faults=dict(sorted(faults.items())),
        )


class EveryKind(FaultScript):
    """A share of the requests meets a fault, and each kind comes as often as the others."""

    def __init__(self, rate: float, seed: int) -> None:
        super().__init__()
        self.met: Counter[str] = Counter()
        self._rate = rate
        self._dice = random.Random(seed)  # noqa: S311 (repeatable, not secret)
        self._deck: list[str] = []

    def take(self, path: str) -> Fault:
        if self._dice.random() >= self._rate:
            return NO_FAULT
        if not self._deck:
            self._deck = list(FAULTS)
            self._dice.shuffle(self._deck)
        kind = self._deck.pop()
        self.met[kind] += 1
        return compile_fault(FAULTS[kind])


def _app(project: Project, events: SeenEvents, faults: EveryKind) -> Any:
    def counts(_: Request) -> Response:
        return Response(msgspec.json.encode(events.counts_of(project, faults.met)))

    app: Any = make_app(project)
    app._app.routes.append(Route(COUNTS_PATH, counts))
    return app


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--fault-rate", type=float, required=True)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    settings = SandboxSettings(
        events_per_second=None,
        bytes_per_minute=None,
        max_event_bytes=MAX_EVENT_BYTES,
    )
    project = Project(settings)
    events = project.events = SeenEvents(given.events)
    faults = project.faults = EveryKind(given.fault_rate, given.seed)
    listener = listen(0)
    port = listener.getsockname()[1]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    server = Server(
        _app(project, events, faults),
        settings,
        on_started=lambda: print(port, flush=True),  # noqa: T201 (the parent waits for it)
    )
    server.run([listener])


if __name__ == "__main__":
    main()
