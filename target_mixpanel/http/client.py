"""How does one request travel, and what comes back, whatever the network does?"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

import requests
from requests.exceptions import InvalidSchema, InvalidURL
from urllib3.exceptions import HTTPError, LocationParseError

from target_mixpanel.errors import EndpointError, printable
from target_mixpanel.http.connections import SessionWithoutMemory, SocketAdapter, shut
from target_mixpanel.http.endpoint import Body, Endpoint
from target_mixpanel.http.replies import Answer, NoAnswer, NotConnected, Reply
from target_mixpanel.redaction import Secrets

CONNECT_TIMEOUT_S: Final = 10.0
"""A host that does not answer in this time is not there; the retry will see."""

REPLY_MAX_BYTES: Final = 1_048_576
"""Of a reply, decoded, what is read; the largest documented one blames 2,000 rows in 0.5 MB."""

_CHUNK_BYTES: Final = 65_536


class Client:
    """
    Send payloads to the endpoints of one host over one kept connection. For one thread at a time.

    The only retries are the courier's: this repeats nothing, follows no redirect, and sends the
    endpoint's own credentials, whatever a .netrc says. Proxies and CA bundles of the environment
    are honoured.
    """

    def __init__(self, url: str, *, timeout_s: float, secrets: Secrets) -> None:
        """
        Take from the environment what it says about proxies and CA bundles, once.

        Args:
            url: Scheme and host of all endpoints that will be sent to.
            timeout_s: Of a whole exchange.
            secrets: What a reply may not repeat: it is redacted as soon as it is read.

        Raises:
            EndpointError: The CA bundle it names is not there.
        """
        self._timeout_s = timeout_s
        self._secrets = secrets
        self._socket: socket.socket | None = None
        self._was_sent = False
        """Whether the request under way has, or had, a connection to be written to."""
        self._is_over = threading.Event()
        """Of the exchange under way: its time is up."""
        self._session = SessionWithoutMemory()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, SocketAdapter(self._remember, self._note_sending))
        self._environment = self._session.merge_environment_settings(
            url,
            {},
            stream=True,
            verify=None,
            cert=None,
        )
        bundle = self._environment["verify"]
        if isinstance(bundle, str) and not Path(bundle).exists():
            raise EndpointError(
                f"REQUESTS_CA_BUNDLE: {printable(bundle)} is not there; correct or unset it",
            )
        # What the environment says is known now; asking it again for each request costs more than
        # compressing the request.
        self._session.trust_env = False

    def send(self, endpoint: Endpoint, body: Body) -> Reply:
        """Send *body* and return what came back; raises nothing that a network can cause."""
        if not isinstance(body, bytes):
            body.seek(0)  # an earlier attempt may have read it
        self._was_sent = False
        request = requests.Request(
            endpoint.method,
            endpoint.url,
            headers=dict(endpoint.headers),
            data=body,
            auth=endpoint.auth,
        )
        timeout = (min(CONNECT_TIMEOUT_S, self._timeout_s), self._timeout_s)
        try:
            with (
                self._deadline() as is_over,
                self._session.send(
                    self._session.prepare_request(request),
                    timeout=timeout,
                    allow_redirects=False,
                    **self._environment,
                ) as response,
            ):
                reply = _read(response, self._secrets)
        except (requests.RequestException, HTTPError, OSError) as error:
            reply = _failure(error, was_sent=self._was_sent)
        # A reply that ends with its connection looks whole after the cut, too.
        if is_over():
            return NoAnswer(f"no whole answer within {self._timeout_s:g} s", self._was_sent)
        return reply

    @contextmanager
    def _deadline(self) -> Iterator[Callable[[], bool]]:
        """
        Cut the connection when the exchange takes too long in all: requests only limits gaps.

        Yields:
            Whether the time is up.
        """
        is_over = self._is_over = threading.Event()
        end = time.monotonic() + self._timeout_s

        def cut() -> None:
            is_over.set()
            if self._socket is not None:
                shut(self._socket)

        timer = threading.Timer(self._timeout_s, cut)
        timer.daemon = True
        timer.start()
        try:
            # The socket's own timeout may be heard of before the timer's thread has come to run.
            yield lambda: is_over.is_set() or time.monotonic() >= end
        finally:
            timer.cancel()

    def _remember(self, connected: socket.socket) -> None:
        self._socket = connected
        if self._is_over.is_set():
            shut(connected)  # connecting took all the time there was

    def _note_sending(self) -> None:
        self._was_sent = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()
        if self._socket is not None:
            # After a failure the pool lives on in its traceback, and its connection with it, until
            # the garbage collector comes by.
            self._socket.close()


def _read(response: requests.Response, secrets: Secrets) -> Reply:
    """Read a response, and forget at once what it repeats of our credentials."""
    body = bytearray()
    for chunk in response.iter_content(_CHUNK_BYTES):
        body += chunk
        if len(body) > REPLY_MAX_BYTES:
            return NoAnswer("a reply larger than any of Mixpanel's")
    location = response.headers.get("Location")
    return Answer(
        status=response.status_code,
        body=secrets.hide_in_bytes(bytes(body)),
        retry_after=response.headers.get("Retry-After"),
        location=None if location is None else secrets.hide(location),
        date=response.headers.get("Date"),
    )


_TLS_CUT_OFF: Final = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""The network's failures in TLS's words; a repeat may go better."""

_UNUSABLE: Final = (InvalidURL, InvalidSchema, LocationParseError)
"""What a proxy's address can be; the endpoint's own was looked at among the settings."""


def _failure(error: BaseException, *, was_sent: bool) -> Reply:
    """Name the failure by its innermost cause; the messages of the outer ones repeat the URL."""
    cause = error
    for cause in _causes(error):
        if isinstance(cause, _UNUSABLE):
            return NotConnected(f"no connection ({type(cause).__name__})")
        if isinstance(cause, ssl.SSLCertVerificationError):
            return NotConnected(f"TLS failed ({cause.verify_message})")
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, _TLS_CUT_OFF):
            return NotConnected(f"TLS failed ({cause.reason or type(cause).__name__})")
    if isinstance(cause, OSError) and cause.strerror:
        return NoAnswer(f"{type(cause).__name__}: {cause.strerror}", was_sent)
    if type(cause) is OSError:
        return NoAnswer(printable(str(cause)), was_sent)  # a proxy's refusal
    kind = type(cause)
    return NoAnswer(f"{kind.__module__}.{kind.__name__}".removeprefix("builtins."), was_sent)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and what it wraps, outermost first; requests and urllib3 wrap in three ways."""
    seen: set[int] = set()
    pending: list[object] = [error]
    while pending:
        here = pending.pop()
        if not isinstance(here, BaseException) or id(here) in seen:
            continue
        seen.add(id(here))
        yield here
        pending += [here.__context__, here.__cause__, getattr(here, "reason", None), *here.args]
