"""What becomes of the stream that `meltano config target-mixpanel test` sends?"""

from typing import Final

from target_mixpanel.engine.summary import StreamCounts
from target_mixpanel.model import Flaw, JsonObject
from target_mixpanel.singer.messages import Message

TRIAL_STREAM: Final = "meltano_test_stream"
"""Meltano calls it so. It is no stream of a tap's: it asks whether the loader would work."""


class TrialPath:
    """Nothing of it is loaded, whatever the mappings say."""

    def __init__(self, counts: StreamCounts) -> None:
        self._counts = counts

    def load_line(self, line: bytes) -> bool:  # noqa: ARG002
        return False

    def load(self, record: JsonObject, message: Message) -> None:  # noqa: ARG002
        self._counts.read += 1
        self._counts.filtered += 1

    def load_row(self, columns: bytes, message: Message) -> None:  # noqa: ARG002
        self.load({}, message)

    def refuse(self, message: Message, flaw: Flaw) -> None:  # noqa: ARG002
        self.load({}, message)
