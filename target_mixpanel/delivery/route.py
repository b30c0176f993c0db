"""How does a batch travel: where to, packed how, and what does the reply mean?"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from target_mixpanel.delivery.payload import Payload
from target_mixpanel.delivery.verdict import Verdict
from target_mixpanel.http.endpoint import Endpoint
from target_mixpanel.http.replies import Reply
from target_mixpanel.model import Row


class Route(Protocol):
    """The way of a batch to one endpoint and back; shared by all threads, and never changes."""

    name: str
    """For logs."""
    endpoint: Endpoint
    max_rows: int
    """Rows that one request may have."""
    row_bytes: int
    """What packing adds to each row's body, uncompressed."""
    frame_bytes: int
    """What packing adds once, uncompressed."""

    shares_the_rate: bool
    """Whether its rows count against the limit that loaders share: Mixpanel's is of events."""

    def pack(self, rows: Sequence[Row]) -> Payload:
        """Return *rows* as one request's body."""

    def judge(self, reply: Reply, rows: Sequence[Row]) -> Verdict:
        """Return what *reply* says became of *rows*; unknown is never success."""

    def texts(self, rows: Sequence[Row]) -> Iterable[str]:
        """Yield what a server could repeat of a request of *rows*."""
