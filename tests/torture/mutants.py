"""The command with one fault built in, which the oracle must see: mutants.py NAME ARGUMENTS…"""

import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from target_mixpanel.delivery import courier, repeats
from target_mixpanel.delivery.batches import Batch
from target_mixpanel.delivery.courier import Courier
from target_mixpanel.delivery.events import ImportRoute
from target_mixpanel.delivery.outbox import Outbox
from target_mixpanel.delivery.profiles import ProfileRoute
from target_mixpanel.delivery.verdict import Delivered
from target_mixpanel.engine.checkpoints import CheckpointLedger
from target_mixpanel.engine.dead_letters.folder import DeadLetters
from target_mixpanel.http.replies import Answer, Reply
from target_mixpanel.singer.target import TargetMixpanel

MUTANTS = (
    "state-early",
    "blind-resend",
    "no-lanes",
    "no-dead-letters",
    "html-200-delivered",
    "rest-lost-at-a-signal",
    "settled-too-early",
)


def state_early() -> None:
    checkpoint = CheckpointLedger.checkpoint

    def early(self: CheckpointLedger, state: bytes) -> None:
        checkpoint(self, state)
        self._safe = state

    CheckpointLedger.checkpoint = early


def blind_resend() -> None:
    repeats.may_double = courier.may_double = lambda *_: False


def no_lanes() -> None:
    def first(self: Outbox) -> Batch | None:
        return self._waiting.popleft() if self._waiting else None

    Outbox._take = first


def no_dead_letters() -> None:
    def lost(self: DeadLetters, stream: str, *_: Any) -> Any:
        return self._path(stream)

    DeadLetters.write = lost


def html_200_delivered() -> None:
    for route in (ImportRoute, ProfileRoute):

        def judge(self: Any, reply: Reply, rows: Sequence[Any], judge: Any = route.judge) -> Any:
            is_page = isinstance(reply, Answer) and reply.status == 200 and b"<html" in reply.body
            return Delivered() if is_page else judge(self, reply, rows)

        route.judge = judge


def rest_lost_at_a_signal() -> None:
    deliver = Courier.deliver

    def lost(self: Courier, batch: Batch) -> None:
        if self._stop.is_requested:
            self._reports.on_settled(batch)
        else:
            deliver(self, batch)

    Courier.deliver = lost


def settled_too_early() -> None:
    deliver = Courier.deliver

    def early(self: Courier, batch: Batch) -> None:
        reports = self._reports
        reports.on_settled(batch)
        self._reports = msgspec.structs.replace(reports, on_settled=lambda _: None)
        try:
            deliver(self, batch)
        finally:
            self._reports = reports

    Courier.deliver = early


if __name__ == "__main__":
    name = sys.argv.pop(1)
    if name not in MUTANTS:
        raise ValueError(name)
    globals()[name.replace("-", "_")]()
    TargetMixpanel.cli()
