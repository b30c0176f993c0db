"""What does one sending thread work with?"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from target_mixpanel.delivery.courier import Transport
from target_mixpanel.http.endpoint import Endpoint


class OpenTransport(Protocol):
    """What makes a transport: the HTTP client, or a scripted one."""

    def __call__(
        self,
        endpoints: Sequence[Endpoint],
        *,
        timeout_s: float,
    ) -> AbstractContextManager[Transport]:
        """Return the transport of one sender to *endpoints*, which are of one host."""
