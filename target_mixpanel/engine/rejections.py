"""What becomes of a record that will never be accepted?"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Final

from target_mixpanel.engine.dead_letters.bucket import BucketLetters
from target_mixpanel.engine.dead_letters.folder import DeadLetters
from target_mixpanel.engine.segment import Segment
from target_mixpanel.engine.summary import StreamCounts, is_about_schema
from target_mixpanel.errors import (
    DeadLetterError,
    MissingKeyError,
    RejectedRecordError,
    RejectionRateError,
    printable,
)
from target_mixpanel.model import NO_SINGLE_COLUMN, Flaw, Rejection
from target_mixpanel.settings.parse import Settings
from target_mixpanel.stop import Stop

logger = logging.getLogger("target-mixpanel")

_HELD: Final = 1_000
"""Rejections that wait to be written together: a disk confirms some hundred writes a second."""

_SCHEMA_HINT: Final = "if the schema is wrong, not the record, set validate_records: false"

_segment_of: Final = attrgetter("record.source")


class Rejections:
    """
    Set rejections aside, count them, or end the run with the first: as the settings say.

    A dry run counts them. Otherwise there is a place for them, or there is none, and then the
    first one is an error.
    """

    def __init__(
        self,
        settings: Settings,
        stop: Stop,
        on_settled: Callable[[Sequence[Rejection]], None],
    ) -> None:
        """
        Args:
            settings: The operator's.
            stop: Told when a rejection ends the run.
            on_settled: Told which rejections are written down, on any thread.
        """
        self.letters: DeadLetters | BucketLetters | None = None
        """Where they are written; None: nowhere."""
        self._stop = stop
        self._is_dry_run = settings.dry_run
        self._is_place_set = settings.dead_letter_path is not None
        self._max_rate = settings.max_rejection_rate
        self._on_settled = on_settled
        self._held: list[Rejection] = []

    def add(self, rejection: Rejection) -> None:
        """
        Take what the reader's thread rejects; many are written down together.

        Raises:
            TargetMixpanelError: A rejection ends the run.
        """
        self._held.append(rejection)
        has_place = self._is_dry_run or self.letters is not None
        if not has_place or len(self._held) >= _HELD:
            self.write_held()
            self._stop.raise_if_input_is_over()

    def write_held(self) -> None:
        """Write down what was added, soon or now; `stop` knows if that ends the run."""
        held, self._held = self._held, []
        for segment, group in groupby(held, key=_segment_of):
            self.set_aside(segment, list(group))

    def drain(self) -> None:
        """
        Wait until all is written down that is to be written; `stop` knows if it cannot be.

        Raises:
            TargetMixpanelError: As `Stop.raise_if_over`.
        """
        if isinstance(self.letters, BucketLetters):
            self.letters.drain()

    def set_aside(self, segment: Segment, rejections: Sequence[Rejection]) -> None:
        """
        Write *rejections* of *segment* down and count them; a dry run only counts. On any thread.

        Where that ends the run (there is nowhere to write them, or there are too many), `stop` is
        told: nothing more is read, and what was read before is still sent. Settled is what is
        written; the rest never is.
        """
        if not self._is_dry_run and self.letters is None:
            self._stop.end_input(_rejection_error(segment.stream, rejections[0].flaw))
        for rejection in rejections:
            _count(rejection.flaw, segment.counts)
        self._write(segment, rejections)
        try:
            segment.counts.check_rate(self._max_rate)
        except RejectionRateError as too_many:
            self._stop.end_input(too_many)

    def _write(self, segment: Segment, rejections: Sequence[Rejection]) -> None:
        if self._is_dry_run:
            self._on_settled(rejections)
            return
        stream, schema_line = segment.stream, segment.schema_line
        match self.letters:
            case DeadLetters() as folder:
                try:
                    file = folder.write(stream, schema_line, rejections)
                except DeadLetterError as error:
                    self._stop.end_input(error)
                else:
                    self._on_written(segment, rejections, str(file.absolute()))
            case BucketLetters() as bucket:
                parts = bucket.folder_of(stream)
                on_written = partial(self._on_written, segment, rejections, parts)
                bucket.post(stream, schema_line, rejections, on_written)
            case None:
                pass

    def _on_written(self, segment: Segment, rejections: Sequence[Rejection], place: str) -> None:
        segment.counts.dead_letters[place] = None
        self._on_settled(rejections)

    def check_dry_run(self, streams: Sequence[StreamCounts]) -> None:
        """
        End a dry run as the real one would end that has nowhere to set a record aside.

        Raises:
            RejectedRecordError: There was a rejection.
        """
        if not self._is_dry_run or self._is_place_set:
            return
        for counts in streams:
            if counts.rejections:
                raise RejectedRecordError(
                    f"{printable(counts.stream)}: {counts.rejections:,} records were rejected, and "
                    "without dead_letter_path the first of them would end the run",
                )


def _count(flaw: Flaw, counts: StreamCounts) -> None:
    """Count a rejected record, and log it if it is the first of its kind."""
    if counts.count_rejected(flaw):
        hint = f"; {_SCHEMA_HINT}" if is_about_schema(flaw.reason) else ""
        logger.warning(
            "%s: first record rejected: %s%s", printable(counts.stream), _words(flaw), hint
        )


def _rejection_error(stream: str, flaw: Flaw) -> RejectedRecordError:
    kind = MissingKeyError if flaw.reason == "missing_key" else RejectedRecordError
    return kind(
        f"{printable(stream)}: a record was rejected: {_words(flaw)}; mend the source or "
        f"the mapping, {_way_out(flaw)}or set dead_letter_path to set such records aside and go on",
    )


def _way_out(flaw: Flaw) -> str:
    """Return what else helps against a schema that is not what the records are."""
    if not is_about_schema(flaw.reason):
        return ""
    return "refresh the tap's catalog, set validate_records: false, "


def _words(flaw: Flaw) -> str:
    is_one = flaw.field != NO_SINGLE_COLUMN
    field = f'"{printable(flaw.field)}"' if is_one else "the whole of it"
    return f"{field} {flaw.detail or 'was refused'} ({flaw.stage}: {flaw.reason})"
