"""What can be made to go wrong with a request, and how is it asked for?"""

from __future__ import annotations

import gzip
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

ResetMoment: TypeAlias = Literal["before_reading", "before_ingest", "after_ingest"]
SlowPart: TypeAlias = Literal["headers", "body"]

MAX_BODY_BYTES: Final = 1024**3
"""A huge reply, not one that takes the machine down."""


class FaultSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    One fault as JSON; fields left out leave that part of the exchange alone.

    Attributes:
        path: Only requests whose path starts with this use it up.
        times: Requests it applies to; -1 for ever.
        ingest: Whether the request takes effect. By default it does unless the reply is replaced
            or reset before.
        delay_s: Wait before answering, after ingesting.
        hold_until_requests: Answer only once so many ingestion requests were received, counting
            this one.
        status: Replaces the reply; so does *body* (then 200).
        headers: Added to the reply: Retry-After, Location.
        body: Text as it is; anything else as JSON.
        body_bytes: Fill the body with blanks up to this size.
        gzip: Compress the body: with *body_bytes*, a bomb.
        count_off_by: Added to the true `num_records_imported`.
        reset: Send a TCP RST at this moment instead of a reply.
        truncate: Announce this many bytes more than are sent, then close.
        bytes_per_s: Send the reply this slowly, from *slow_part* on.
        close: Close the connection after the reply, without announcing it.
    """

    path: str = "/"
    times: Annotated[int, msgspec.Meta(ge=-1)] = 1
    ingest: bool | None = None
    delay_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    hold_until_requests: Annotated[int, msgspec.Meta(ge=0)] = 0
    status: Annotated[int, msgspec.Meta(ge=200, le=599)] | None = None
    headers: dict[str, str] = {}
    body: Any = None
    body_bytes: Annotated[int, msgspec.Meta(ge=0, le=MAX_BODY_BYTES)] = 0
    gzip: bool = False
    count_off_by: int = 0
    reset: ResetMoment | None = None
    truncate: Annotated[int, msgspec.Meta(ge=0)] = 0
    bytes_per_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    slow_part: SlowPart = "body"
    close: bool = False


class Genuine(msgspec.Struct, frozen=True):
    """The true reply, but for its count."""

    count_off_by: int
    headers: dict[str, str]


class Scripted(msgspec.Struct, frozen=True):
    """A reply that has nothing to do with the request."""

    status: int
    headers: dict[str, str]
    body: bytes


class Whole(msgspec.Struct, frozen=True):
    """Sent as usual."""


class Reset(msgspec.Struct, frozen=True):
    """A TCP RST."""

    moment: ResetMoment


class Truncated(msgspec.Struct, frozen=True):
    """Announced longer than it is, then closed."""

    missing_bytes: int


class Dripped(msgspec.Struct, frozen=True):
    """Sent slowly from some part on, then closed."""

    bytes_per_s: float
    part: SlowPart


class Closed(msgspec.Struct, frozen=True):
    """Sent as usual, then closed unannounced."""


Reply: TypeAlias = Genuine | Scripted
Sending: TypeAlias = Whole | Reset | Truncated | Dripped | Closed


class Fault(msgspec.Struct, frozen=True):
    """What happens to one request: the spec, with its contradictions excluded."""

    does_ingest: bool
    delay_s: float
    hold_until_requests: int
    reply: Reply
    sending: Sending
    name: str


NO_FAULT: Final = Fault(
    does_ingest=True,
    delay_s=0.0,
    hold_until_requests=0,
    reply=Genuine(0, {}),
    sending=Whole(),
    name="",
)


def compile_fault(spec: FaultSpec) -> Fault:
    """
    Turn a spec into what happens.

    Raises:
        ValueError: The spec contradicts itself.
    """
    if spec.times == 0:
        raise ValueError("times must be positive, or -1 for ever")
    reply = _reply(spec)
    sending = _sending(spec)
    does_ingest = isinstance(reply, Genuine) if spec.ingest is None else spec.ingest
    match sending:
        case Reset(moment=moment):
            if spec.ingest is not None and spec.ingest != (moment == "after_ingest"):
                raise ValueError(f"reset {moment} contradicts ingest {spec.ingest}")
            does_ingest = moment == "after_ingest"
        case Whole() | Truncated() | Dripped() | Closed():
            if isinstance(reply, Genuine) and not does_ingest:
                raise ValueError("without ingest there is no true reply: give a status")
    return Fault(
        does_ingest=does_ingest,
        delay_s=spec.delay_s,
        hold_until_requests=spec.hold_until_requests,
        reply=reply,
        sending=sending,
        name=_name(spec),
    )


def _reply(spec: FaultSpec) -> Reply:
    is_scripted = spec.status is not None or spec.body is not None or spec.body_bytes > 0
    if not is_scripted:
        return Genuine(spec.count_off_by, spec.headers)
    if spec.count_off_by:
        raise ValueError("count_off_by changes the true reply: give no status or body")
    text = spec.body.encode() if isinstance(spec.body, str) else _as_json(spec.body)
    content = text.ljust(spec.body_bytes)
    headers = spec.headers
    if spec.gzip:
        content = gzip.compress(content, compresslevel=6, mtime=0)
        headers = {**headers, "Content-Encoding": "gzip"}
    return Scripted(spec.status or 200, headers, content)


def _as_json(body: object) -> bytes:
    return b"" if body is None else msgspec.json.encode(body)


def _sending(spec: FaultSpec) -> Sending:
    asked: list[Sending] = []
    if spec.reset is not None:
        asked.append(Reset(spec.reset))
    if spec.truncate > 0:
        asked.append(Truncated(spec.truncate))
    if spec.bytes_per_s is not None:
        asked.append(Dripped(spec.bytes_per_s, spec.slow_part))
    if spec.close:
        asked.append(Closed())
    if len(asked) > 1:
        raise ValueError("only one of reset, truncate, bytes_per_s and close")
    return asked[0] if asked else Whole()


def _name(spec: FaultSpec) -> str:
    given = msgspec.structs.asdict(spec)
    untold = {"path", "times", "headers", "body"}
    return " ".join(
        f"{name}={value}"
        for name, value in given.items()
        if name not in untold and value != getattr(FaultSpec(), name)
    )
