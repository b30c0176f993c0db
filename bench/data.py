"""Which records are loaded? The same ones on every machine, made once and kept."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final

from paths import HOME

RECIPE: Final = 1
"""Part of every file's name: raise it when the records change, and old files are left alone."""

STREAM: Final = "orders"
EVENT: Final = "Order Placed"
STATE_EVERY: Final = 10_000
"""Records between two STATEs."""

_SEED: Final = 20_240_101
_START: Final = datetime(2024, 1, 1, tzinfo=UTC)
_BETWEEN_ORDERS: Final = timedelta(seconds=3, microseconds=1_711)
_TAILS_BYTES: Final = 8_000_000
_MAX_TAILS: Final = 4_096
"""Endings that records share. No two that are alike meet in gzip's window of 32 KiB."""
_SPARE_BYTES: Final = 5_000_000_000
_WORDS: Final = (
    *("amber", "birch", "cedar", "delta", "ember", "fjord"),
    *("grove", "haven", "inlet", "jetty", "knoll", "lunar"),
)

_TEXT: Final = {"type": ["string", "null"]}
_TIME: Final = {"type": ["string", "null"], "format": "date-time"}
_NUMBER: Final = {"type": ["number", "null"]}
_COLUMNS: Final[dict[str, Any]] = {
    "id": {"type": "integer"},
    "user_id": {"type": "string"},
    "session_id": {"type": ["string", "null"]},
    "created_at": {"type": "string", "format": "date-time"},
    "updated_at": _TIME,
    "paid_at": _TIME,
    "status": _TEXT,
    "currency": _TEXT,
    "amount": _NUMBER,
    "discount": _NUMBER,
    "shipping_fee": _NUMBER,
    "items": {"type": ["integer", "null"]},
    "is_gift": {"type": ["boolean", "null"]},
    "is_first_order": {"type": ["boolean", "null"]},
    "coupon": _TEXT,
    "market": _TEXT,
    "landing_page": _TEXT,
    "tags": {"type": ["array", "null"], "items": {"type": "string"}},
}
_ADDRESS: Final = {
    "type": ["object", "null"],
    "properties": {
        "city": _TEXT,
        "postcode": _TEXT,
        "geo": {"type": ["object", "null"], "properties": {"lat": _NUMBER, "lon": _NUMBER}},
    },
}


@dataclass(frozen=True)
class Shape:
    """How many records, and how large."""

    records: int
    streams: int = 1
    """Interleaved, record by record."""
    columns: int = len(_COLUMNS)
    record_bytes: int = 0
    """A text is made longer until a record has about this size; 0: as it comes, about 530."""
    has_address: bool = False
    """One more column, an object within which there is another."""
    has_pattern: bool = False
    """The schema says more than a type can, so each record has to be looked at with care."""

    @property
    def names(self) -> list[str]:
        """The streams' names."""
        if self.streams == 1:
            return [STREAM]
        return [f"{STREAM}_{number}" for number in range(1, self.streams + 1)]

    @property
    def last_state(self) -> dict[str, Any]:
        """What the STATE after the last record says."""
        return {"bookmarks": {STREAM: {"replication_key_value": self.records}}}

    @property
    def singer(self) -> Path:
        """The messages, as a tap writes them."""
        return HOME / "data" / f"{self._key}.singer"

    @property
    def rows(self) -> Path:
        """The records alone, an object a line, their columns named as Mixpanel names them."""
        return HOME / "data" / f"{self._key}.ndjson"

    @property
    def _key(self) -> str:
        extras = "-address" * self.has_address + "-pattern" * self.has_pattern
        size = f"{self.records}x{self.columns}x{self.record_bytes or 'plain'}"
        return f"v{RECIPE}-{size}-{self.streams}s{extras}"


def make(shape: Shape, *, with_rows: bool) -> None:
    """
    See to it that *shape*'s files exist.

    They are made in a process of their own: what a child uses at most is counted from its
    parent's size on, so this one has to stay small.
    """
    for path, command in ((shape.singer, "singer"), (shape.rows, "rows")):
        if path.exists() or (command == "rows" and not with_rows):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        needed = shape.records * max(shape.record_bytes, 32 * shape.columns)
        if shutil.disk_usage(path.parent).free < needed + _SPARE_BYTES:
            sys.exit(f"bench: {needed / 1e9:.0f} GB of room are needed for {path.name}")
        print(f"making {path.name} …", flush=True)
        settings = json.dumps(shape.__dict__)
        subprocess.run([sys.executable, __file__, command, settings], check=True)


def warm(path: Path) -> None:
    """Read *path* once, so that no contestant waits for the disk."""
    with path.open("rb") as file:
        while file.read(1 << 20):
            pass


def messages(shape: Shape) -> Iterator[bytes]:
    """Yield *shape*'s lines, as a tap writes them."""
    for name in shape.names:
        yield line(schema_message(name, shape))
    names = [name.encode() for name in shape.names]
    for number, record in enumerate(records(shape), 1):
        yield record_line(names[number % shape.streams], record)
        if number % STATE_EVERY == 0 or number == shape.records:
            yield line({"type": "STATE", "value": Shape(number).last_state})


def record_line(stream: bytes, record: bytes) -> bytes:
    """Return the line of a RECORD, given its JSON."""
    return b'{"type":"RECORD","stream":"%b","record":%b,"time_extracted":"%b"}\n' % (
        stream,
        record,
        b"2025-03-01T06:00:00Z",
    )


def _write_singer(shape: Shape) -> None:
    with _whole(shape.singer) as file:
        file.writelines(messages(shape))


def _write_rows(shape: Shape) -> None:
    event = b'{"event":%b,' % json.dumps(EVENT).encode()
    with _whole(shape.rows) as file:
        for record in records(shape):
            row = record.replace(b'"user_id":', b'"distinct_id":', 1)
            file.write(event + row[1:].replace(b'"created_at":', b'"time":', 1) + b"\n")


def schema_message(name: str, shape: Shape) -> dict[str, Any]:
    """Return the SCHEMA of the stream *name*."""
    columns = dict(_COLUMNS)
    for number in range(len(_COLUMNS), shape.columns):
        columns[_extra_name(number)] = (_TEXT, _NUMBER, _TIME, {"type": ["boolean", "null"]})[
            number % 4
        ]
    if shape.has_address:
        columns["address"] = _ADDRESS
    if shape.has_pattern:
        columns["market"] = _TEXT | {"pattern": "^[A-Z]{2}$"}
    schema = {"type": "object", "properties": columns}
    return {"type": "SCHEMA", "stream": name, "schema": schema, "key_properties": ["id"]}


def records(shape: Shape) -> Iterator[bytes]:
    """Yield each record's JSON: its own ids and times before one of some thousand endings."""
    chance = random.Random(_SEED)
    size = max(shape.record_bytes, 32 * shape.columns)
    tails = [_tail(shape, chance) for _ in range(min(_MAX_TAILS, _TAILS_BYTES // size))]
    bits, choose = chance.getrandbits, chance.choice
    for number in range(1, shape.records + 1):
        created_at = _START + number * _BETWEEN_ORDERS
        yield b'{"id":%d,"user_id":"u-%08d","session_id":"%032x","created_at":"%b",%b' % (
            number,
            bits(20),
            bits(128),
            created_at.isoformat(timespec="microseconds").encode(),
            choose(tails),
        )


def _tail(shape: Shape, chance: random.Random) -> bytes:
    columns: dict[str, Any] = {
        "updated_at": _moment(chance),
        "paid_at": _maybe(_moment, chance),
        "status": chance.choice(["placed", "paid", "shipped", "delivered", "returned"]),
        "currency": chance.choice(["EUR", "USD", "INR", "GBP"]),
        "amount": _price(chance),
        "discount": _maybe(_price, chance),
        "shipping_fee": _price(chance),
        "items": chance.randint(1, 12),
        "is_gift": chance.random() < 0.1,  # noqa: PLR2004
        "is_first_order": chance.random() < 0.3,  # noqa: PLR2004
        "coupon": _maybe(lambda chance: chance.choice(_WORDS).upper(), chance),
        "market": chance.choice(["DE", "FR", "US", "IN", "GB", "BR"]),
        "landing_page": f"/{_words(chance, 2, '/')}?campaign={chance.choice(_WORDS)}",
        "tags": chance.sample(_WORDS, chance.randint(0, 4)),
    }
    for number in range(len(_COLUMNS), shape.columns):
        makers: tuple[Callable[[random.Random], Any], ...] = (_phrase, _price, _moment, _coin)
        columns[_extra_name(number)] = makers[number % 4](chance)
    if shape.has_address:
        columns["address"] = {
            "city": chance.choice(_WORDS).title(),
            "postcode": str(chance.randint(10_000, 99_999)),
            "geo": {"lat": _price(chance), "lon": _price(chance)},
        }
    missing = shape.record_bytes - len(json.dumps(columns)) - 150
    if missing > 0:
        columns["landing_page"] += "&" + _words(chance, missing // 6, "+")[:missing]
    return json.dumps(columns, separators=(",", ":")).encode()[1:]


def _extra_name(number: int) -> str:
    return f"column_{number:03d}"


def _maybe(make_value: Callable[[random.Random], Any], chance: random.Random) -> Any:
    return make_value(chance) if chance.random() < 0.6 else None  # noqa: PLR2004


def _moment(chance: random.Random) -> str:
    moment = _START + timedelta(microseconds=chance.randrange(400 * 86_400 * 10**6))
    return moment.isoformat(timespec="microseconds")


def _price(chance: random.Random) -> float:
    return chance.randint(100, 99_999) / 100


def _coin(chance: random.Random) -> bool:
    return chance.random() < 0.5  # noqa: PLR2004


def _phrase(chance: random.Random) -> str:
    return _words(chance, 2, " ")


def _words(chance: random.Random, count: int, between: str) -> str:
    return between.join(chance.choices(_WORDS, k=count))


def line(message: dict[str, Any]) -> bytes:
    """Return *message* as a tap writes it."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


@contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """Open *path* such that it exists only once all of it is there."""
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb", buffering=1 << 20) as file:
        yield file
    unfinished.rename(path)


if __name__ == "__main__":
    {"singer": _write_singer, "rows": _write_rows}[sys.argv[1]](Shape(**json.loads(sys.argv[2])))
