"""When may this loader's next events go, among all that share one limit? Reserved in Redis."""

import logging
import math
import ssl
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import msgspec
from redis import Redis, exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from target_mixpanel.delivery.gate import Reservation
from target_mixpanel.errors import SettingsError, printable
from target_mixpanel.limits import (
    IMPORT_MAX_BYTES,
    IMPORT_MAX_EVENTS,
    PROJECT_BYTES_PER_MINUTE,
    PROJECT_EVENTS_PER_SECOND,
)

logger = logging.getLogger("target-mixpanel.delivery")

_CAUTION: Final = 0.985
"""Of the limit, what is given out. Mixpanel looks at a rolling minute: 0.9 s of it are for the
burst at its beginning, and for requests of which one is longer on its way than another."""

_BURST_S: Final = 0.2
"""How late a loader may ask without losing its time; of 10,000 events a second, one batch."""

_PATIENCE_S: Final = 60.0
_PATIENCE_BATCHES: Final = 20
"""No place is reserved further ahead than so long and so many full batches; who gets none asks
again. What lies further ahead than any place can is the work of a clock that was wrong, or of a
loader with a limit of its own, and is not believed: it blocks nobody."""

_LONGEST_S: Final = 86_400.0

_TIMEOUT_S: Final = 1.0
"""To connect, and for an answer: a batch waits for it, and so does the end of the run."""

_ASK_AGAIN_S: Final = 10.0
"""After Redis was away."""

_US: Final = 1_000_000

_FAILURES: Final = (exceptions.RedisError, OSError, TypeError, ValueError)
"""What can go wrong with Redis; answers that are none make the last two."""

_WRONG_PASSWORD: Final = (
    exceptions.AuthenticationError,
    exceptions.AuthenticationWrongNumberOfArgsError,
)

_BROKEN_OFF: Final = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)

SCRIPT: Final = """
local key = KEYS[1]
local costs = {tonumber(ARGV[1]), tonumber(ARGV[2])}
local burst, patience, farthest = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local free_at = {now, now}
local events_at, bytes_at = string.match(redis.call('GET', key) or '', '^(%d+) (%d+)$')
for i, at in ipairs({tonumber(events_at) or 0, tonumber(bytes_at) or 0}) do
  if at > now and at <= now + farthest then free_at[i] = at end
end

local start = math.max(now, free_at[1] - burst, free_at[2] - burst)
local wait = start - now
if wait > patience then return {0, wait} end

for i, cost in ipairs(costs) do free_at[i] = math.max(free_at[i], start) + cost end
local expires_in = math.ceil((math.max(free_at[1], free_at[2]) - now) / 1000) + 1000
local value = string.format('%.0f %.0f', free_at[1], free_at[2])
redis.call('SET', key, value, 'PX', string.format('%.0f', expires_in))
return {1, wait}
"""
"""
GCRA of events and bytes at once, in microseconds of Redis' own clock.

The key holds when all that is reserved is paid for, once in events and once in bytes. Whoever asks
gets the next place at which both have room, and both are paid from there on: places are given in
the order asked for, and neither limit is broken where they take turns in being the narrower one.
"""


_GO: Final = Reservation(0.0)


class Costs(msgspec.Struct, frozen=True):
    """What a request costs of the limit, in microseconds of the whole of it."""

    events_per_s: float
    bytes_per_s: float

    def of(self, events: int, raw_bytes: int) -> tuple[int, int]:
        """Return what *events*, of *raw_bytes* before compression, cost: for each limit."""
        return _us(events / self.events_per_s), _us(raw_bytes / self.bytes_per_s)

    @property
    def burst(self) -> int:
        return _us(_BURST_S)

    @property
    def patience(self) -> int:
        """How far ahead a place may be."""
        return _us(_PATIENCE_S) + _PATIENCE_BATCHES * self._full_batch

    @property
    def farthest(self) -> int:
        """How far ahead what is reserved may reach."""
        return self.patience + self.burst + 2 * self._full_batch

    @property
    def _full_batch(self) -> int:
        return max(self.of(IMPORT_MAX_EVENTS, IMPORT_MAX_BYTES))


def costs_of(max_events_per_second: float) -> Costs:
    """
    Return what requests cost of a limit of *max_events_per_second*.

    The bytes' limit is the project's whole one, also where the events' is lower: to narrow it in
    proportion would hold large events back in silence. A project that may send more events than
    others may send more bytes, too.
    """
    more = max(max_events_per_second / PROJECT_EVENTS_PER_SECOND, 1.0)
    return Costs(
        _CAUTION * max_events_per_second,
        _CAUTION * PROJECT_BYTES_PER_MINUTE / 60 * more,
    )


class SharedRate:
    """
    This loader's part in a limit that several share; while open. For one thread at a time.

    While Redis is away there is no limit here: `max_events_per_second` holds for each loader by
    itself, and Mixpanel answers 429 where that is too much.
    """

    def __init__(
        self,
        url: str,
        key: str,
        costs: Costs,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            url: Checked, `redis://` or `rediss://`.
            key: The same for all who share the limit.
            costs: The limit.
            clock: Monotonic seconds.
        """
        self._client = _client_of(url)
        self._host = urlsplit(url).netloc.rpartition("@")[2]
        self._run = self._client.register_script(SCRIPT)
        self._key = key
        self._costs = costs
        self._clock = clock
        self._ask_again_at = -math.inf
        self.is_away = False

    def reserve(self, events: int, raw_bytes: int) -> Reservation:
        """Take the next place for *events*, of *raw_bytes* before compression."""
        if self.is_away and self._clock() < self._ask_again_at:
            return _GO
        try:
            reservation = self._ask(events, raw_bytes)
        except _FAILURES as error:
            self._be_away(error)
            return _GO
        if self.is_away:
            self.is_away = False
            logger.info("rate_limit_url: Redis at %s is there again", self._host)
        return reservation

    def _ask(self, events: int, raw_bytes: int) -> Reservation:
        costs = self._costs
        limits = (costs.burst, costs.patience, costs.farthest)
        reply: Any = self._run(keys=[self._key], args=[*costs.of(events, raw_bytes), *limits])
        has_place, wait_us = reply
        return Reservation(int(wait_us) / _US, bool(int(has_place)))

    def _be_away(self, error: Exception) -> None:
        self._ask_again_at = self._clock() + _ASK_AGAIN_S
        if self.is_away:
            return
        self.is_away = True
        logger.warning(
            "rate_limit_url: Redis at %s %s; until it is there again this loader keeps to "
            "max_events_per_second by itself, and to what Mixpanel takes",
            self._host,
            _words(error),
        )

    def __enter__(self) -> Self:
        """
        Ask Redis for nothing, to see whether it would give anything.

        Raises:
            SettingsError: It says that a setting is wrong; where it only is away, a run goes on.
        """
        try:
            self._ask(0, 0)
        except _FAILURES as error:
            remedy = _remedy(error)
            if remedy is not None:
                self._client.close()
                raise SettingsError(f"rate_limit_url: Redis at {self._host} {remedy}") from None
            self._be_away(error)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()


def _us(seconds: float) -> int:
    return math.ceil(min(seconds, _LONGEST_S) * _US)


def _client_of(url: str) -> Redis:
    return Redis.from_url(
        url,
        protocol=2,  # of every release, and without a greeting that some proxies do not know
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        # A connection that was idle for long may be gone: the next one is tried at once. Who does
        # not answer in time is not asked twice.
        retry=Retry(NoBackoff(), 1, (exceptions.ConnectionError,)),
    )


def _remedy(error: Exception) -> str | None:
    """Say what to do where a setting is wrong; None: Redis is away, or has trouble of its own."""
    if isinstance(error, _WRONG_PASSWORD):
        return "refuses the user or the password; correct them in the URL"
    if isinstance(error, exceptions.NoPermissionError):
        return (
            "refuses this user a command; allow it eval, evalsha, script, time, get and set, on "
            "target-mixpanel:rate:*"
        )
    if isinstance(error, exceptions.ResponseError) and "DB index" in str(error):
        return "has no such database; correct the number at the URL's end"
    tls_error = _tls_error(error)
    if isinstance(tls_error, ssl.SSLCertVerificationError):
        why = printable(tls_error.verify_message)
        return f"shows a certificate that does not hold ({why}); name its CA: ?ssl_ca_certs=FILE"
    if isinstance(tls_error, FileNotFoundError):
        return "cannot be asked: a file that the URL names is not there; correct its path"
    if tls_error is not None:
        why = printable(tls_error.reason or "no TLS")
        return f"and this loader find no way to speak TLS ({why}); correct rediss:// or its files"
    return None


def _words(error: Exception) -> str:
    """Say what is the matter with Redis, for one line of the log."""
    remedy = _remedy(error)
    if remedy is not None:
        return remedy
    if isinstance(error, exceptions.TimeoutError):
        return f"does not answer within {_TIMEOUT_S:g} s"
    if isinstance(error, exceptions.ReadOnlyError):
        return "is a replica that takes no writes (name the primary)"
    if isinstance(error, exceptions.ResponseError):
        return f"answers with an error ({printable(str(error))})"
    if isinstance(error, exceptions.ConnectionError):
        return f"cannot be reached ({printable(str(error))})"
    return "gives answers that are not Redis'"


def _tls_error(error: BaseException | None) -> ssl.SSLError | FileNotFoundError | None:
    """Return what of *error* is about TLS itself, and not about a connection that broke off."""
    while error is not None:
        if isinstance(error, FileNotFoundError):
            return error
        if isinstance(error, ssl.SSLError) and not isinstance(error, _BROKEN_OFF):
            return error
        error = error.__cause__ or error.__context__
    return None
