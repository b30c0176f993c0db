"""What does one sending thread work with?"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from target_mixpanel.delivery.batches import SizeLimit
from target_mixpanel.delivery.courier import Courier, Reports, Transport
from target_mixpanel.delivery.gate import Gate
from target_mixpanel.delivery.repeats import RetryPolicy
from target_mixpanel.redaction import Secrets
from target_mixpanel.stop import Stop


class OpenTransport(Protocol):
    """What makes a transport: the HTTP client, or a scripted one."""

    def __call__(
        self, url: str, *, timeout_s: float, secrets: Secrets
    ) -> AbstractContextManager[Transport]:
        """Return one sender's transport to the endpoints of the host at *url*."""


class Senders:
    """Make the couriers of a run: each has a transport of its own, and shares all the rest."""

    def __init__(  # noqa: PLR0913 (what they share)
        self,
        open_transport: OpenTransport,
        *,
        url: str,
        timeout_s: float,
        secrets: Secrets,
        gate: Gate,
        stop: Stop,
        reports: Reports,
        retry: RetryPolicy,
        size_limit: SizeLimit,
    ) -> None:
        self._open_transport = open_transport
        self._url = url
        self._timeout_s = timeout_s
        self._secrets = secrets
        self._gate = gate
        self._stop = stop
        self._reports = reports
        self._retry = retry
        self._size_limit = size_limit

    @contextmanager
    def courier(self) -> Iterator[Courier]:
        """Open one thread's courier, on that thread."""
        transport = self._open_transport(
            self._url, timeout_s=self._timeout_s, secrets=self._secrets
        )
        with transport as opened:
            yield Courier(
                opened,
                self._gate,
                self._stop,
                self._reports,
                host=self._url,
                retry=self._retry,
                size_limit=self._size_limit,
            )
