"""What is a stream under one SCHEMA?"""

from collections.abc import Sequence
from typing import Protocol

from target_mixpanel.delivery.batches import BatchBuilder
from target_mixpanel.model import Mapped, Record


class Destination(Protocol):
    """Takes the rows that one of a stream's mappings makes."""

    def add(self, mapped: Mapped, record: Record) -> None:
        """Take *record*'s row."""

    @property
    def builders(self) -> Sequence[BatchBuilder]:
        """What collects rows for this stream alone, and is sent when its SCHEMA changes."""
