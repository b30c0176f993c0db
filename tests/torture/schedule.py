"""What comes in, what goes wrong and when the run is interrupted: all of it drawn from a seed."""

import random
from typing import Any, Final, Literal, TypeAlias

import msgspec

from tests.conftest import ORDERS_MAPPING, ORDERS_SCHEMA, order
from tests.torture.interruptions import Interruption, asks_to_end
from tests.whole_model import TABLE_ID, record, schema

Kind: TypeAlias = Literal["event", "bad", "refused", "set", "add", "group", "row"]
Mark: TypeAlias = Literal["state", "request"]
Outage: TypeAlias = Literal["503", "429", "reset", "html 200", "hung", "hung late", "down"]
Profile: TypeAlias = Literal["mixed", "signals", "kills", "deadlines"]
"""Of everything something; each run ended by signals; events alone, killed amid many faults; or
Mixpanel gone for good, nobody reading, and too little time for it."""

PEOPLE: Final = 8
REFUSED_BYTES: Final = 2_000
"""Of a note that makes an event larger than this sandbox takes, which the loader does not know."""
MAX_EVENT_BYTES: Final = 1_500
STATE_PAD: Final = "x" * 1_500
"""Makes a STATE so long that a few fill a small pipe."""

RETRY_LIMIT_S: Final = 60
SHUTDOWN_LIMIT_S: Final = 20
LITTLE_TIME_S: Final = 1
"""Either of the two, where it is to be reached."""

_NUMBERED: Final = {"n": "integer", "id": "string"}
SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "orders": ORDERS_SCHEMA,
    "users": schema("users", "n", **_NUMBERED),
    "totals": schema("totals", "n", **_NUMBERED),
    "accounts": schema("accounts", "n", **_NUMBERED),
    "products": schema("products", "id", **_NUMBERED),
}
STREAMS: Final[dict[str, Any]] = {
    "orders": ORDERS_MAPPING,
    "users": {"type": "users", "distinct_id": "id", "properties": {"Now": "n"}},
    "totals": {
        "type": "users",
        "distinct_id": "id",
        "operation": "add",
        "properties": {"Total": "n"},
    },
    "accounts": {
        "type": "groups",
        "group_key": "company",
        "group_id": "id",
        "properties": {"Size": "n"},
    },
    "products": {
        "type": "lookup_table",
        "lookup_table_id": TABLE_ID,
        "key": "id",
        "properties": ["n"],
    },
}
FAULTS: Final[dict[str, dict[str, Any]]] = {
    "503": {"status": 503},
    "429": {"status": 429, "headers": {"Retry-After": "0"}},
    "reset": {"reset": "before_ingest"},
    "html 200": {"status": 200, "body": "<html>Please log in</html>"},
    "truncated": {"truncate": 20},
    "reply lost": {"reset": "after_ingest"},
}
_FAULT_SHARES = (3, 1, 2, 3, 1, 2)
OUTAGES: Final[dict[Outage, dict[str, Any]]] = {
    "503": {"status": 503},
    "429": {"status": 429, "headers": {"Retry-After": "1"}},
    "reset": {"reset": "before_ingest"},
    "html 200": {"status": 200, "body": "<html>Please log in</html>"},
    "hung": {"status": 503, "delay_s": 3_600},
    "hung late": {"delay_s": 3_600},
    "down": {},
}
_KINDS: Final[tuple[Kind, ...]] = ("event", "bad", "refused", "set", "add", "group")
_KIND_SHARES: Final[dict[Profile, list[int]]] = {
    "mixed": [8, 1, 1, 5, 3, 2],
    "signals": [8, 1, 0, 5, 3, 2],
    "kills": [1, 0, 0, 0, 0, 0],
    "deadlines": [8, 1, 1, 5, 3, 2],
}
_ROWS_SHARE: Final = 0.25
"""Of records that are a lookup table's, once it began; no STATE is safe before it is whole."""
_INTERRUPTIONS: Final[dict[Profile, dict[Interruption, int]]] = {
    "mixed": {"kill": 6, "term": 3, "int": 1, "stop": 2, "stop, term": 2, "int, term": 1},
    "signals": {"term": 4, "int": 2, "stop, term": 2, "term, term": 1, "int, term": 2},
    "kills": {"kill": 1},
    "deadlines": {"term": 2, "int": 1, "stop, term": 1, "int, term": 1},
}
_FAULT_RATES: Final[dict[Profile, tuple[float, float]]] = {
    "mixed": (0.1, 0.5),
    "signals": (0.1, 0.5),
    "kills": (0.9, 1.0),
    "deadlines": (0.0, 0.3),
}
_REQUESTS: Final = 400
"""That meet a fault or none; those after them meet none."""


class Item(msgspec.Struct, frozen=True):
    """A record; its position is its identity, and the value that it brings."""

    position: int
    kind: Kind
    who: str
    extra: str | None = None
    """The value of a column that the stream's SCHEMA has for a while."""

    @property
    def stream(self) -> str:
        return str(self.message["stream"])

    @property
    def message(self) -> dict[str, Any]:
        more = {} if self.extra is None else {"extra": self.extra}
        match self.kind:
            case "event":
                return order(self.position, user_id=self.who, **more)
            case "bad":
                return order(self.position, user_id=None, **more)
            case "refused":
                return order(self.position, user_id=self.who, note="x" * REFUSED_BYTES, **more)
            case "set":
                return record("users", n=self.position, id=self.who, **more)
            case "add":
                return record("totals", n=self.position, id=self.who, **more)
            case "group":
                return record("accounts", n=self.position, id=self.who, **more)
            case "row":
                return record("products", n=self.position, id=self.who, **more)


class Run(msgspec.Struct, frozen=True):
    """One start of the loader, and what happens to it at which of its STATEs or requests."""

    interruption: Interruption | None
    """None: it comes to its end, or to the end of its time."""
    mark: Mark
    nth: int
    silent_after: int | None = None
    """So many records come, then none, and no end of the input."""
    is_unread: bool = False
    """Nobody reads its stdout, and the mark is that it is full."""
    outage: Outage | None = None
    """From the mark on no request succeeds; the interruption comes at the next one."""

    @property
    def has_little_time(self) -> bool:
        return self.is_unread or self.outage is not None


class Restart(msgspec.Struct, frozen=True):
    """Mixpanel is gone for a while, and open connections are cut."""

    after_requests: int
    seconds: float


class Schedule(msgspec.Struct, frozen=True):
    """A whole round."""

    seed: int
    items: list[Item]
    states_after: frozenset[int]
    schema_changes: dict[int, str]
    """Before the record at a position, the SCHEMA of a stream changes."""
    faults: list[dict[str, Any]]
    """By request number, over all runs but the last."""
    kinds: list[str]
    """The name of each fault; "" is none."""
    runs: list[Run]
    restarts: list[Restart]

    @property
    def has_table(self) -> bool:
        return any(item.kind == "row" for item in self.items)

    def messages(self, start: int, run: Run | None) -> list[Any]:
        """Return what a tap sends that goes on from *start*."""
        changed = [stream for at, stream in self.schema_changes.items() if at < start]
        streams = [stream for stream in SCHEMAS if self.has_table or stream != "products"]
        said = [_schema(stream, changed.count(stream)) for stream in streams]
        pad = {"pad": STATE_PAD} if run is not None and run.is_unread else {}
        count = None if run is None else run.silent_after
        for item in self.items[start : None if count is None else start + count]:
            if (stream := self.schema_changes.get(item.position)) is not None:
                changed.append(stream)
                said.append(_schema(stream, changed.count(stream)))
            said.append(item.message)
            if item.position in self.states_after:
                said.append({"type": "STATE", "value": {"position": item.position + 1, **pad}})
        return said


def drawn(seed: int, profile: Profile = "mixed") -> Schedule:
    """Return the round of *seed*: the same again each time."""
    chance = random.Random(seed)  # noqa: S311 (the same round again when one fails)
    count = chance.randint(200, 400)
    items, changes = _drawn_items(chance, profile, count)
    often = chance.uniform(0.05, 0.4)
    states = {position for position in range(count) if chance.random() < often} | {count - 1}
    rate = chance.uniform(*_FAULT_RATES[profile])
    names = [
        chance.choices(list(FAULTS), _FAULT_SHARES)[0] if chance.random() < rate else ""
        for _ in range(_REQUESTS)
    ]
    # A little time in each request: the loader has always something under way.
    faults = [{**FAULTS.get(name, {}), "delay_s": chance.uniform(0, 0.03)} for name in names]
    runs = [
        _drawn_run(chance, profile)
        for _ in range(3 if profile in {"signals", "kills"} else chance.randint(1, 3))
    ]
    restarts = [
        Restart(chance.randint(1, 60), chance.uniform(0.01, 0.4))
        for _ in range(chance.randint(0, 3) if profile in {"mixed", "deadlines"} else 0)
    ]
    return Schedule(seed, items, frozenset(states), changes, faults, names, runs, restarts)


def _drawn_items(
    chance: random.Random, profile: Profile, count: int
) -> tuple[list[Item], dict[int, str]]:
    kinds = chance.choices(_KINDS, _KIND_SHARES[profile], k=count)
    if profile in {"mixed", "deadlines"} and chance.random() < 0.4:
        begins = chance.randrange(count // 4, count)
        kinds[begins:] = [
            "row" if chance.random() < _ROWS_SHARE else kind for kind in kinds[begins:]
        ]
    bare = [
        Item(position, kind, f"who-{chance.randrange(PEOPLE)}")
        for position, kind in enumerate(kinds)
    ]
    often = 0.0 if profile == "kills" else chance.uniform(0, 0.05)
    changes: dict[int, str] = {}
    items = []
    for item in bare:
        if chance.random() < often:
            changes[item.position] = chance.choice(bare).stream
        is_wider = list(changes.values()).count(item.stream) % 2
        items.append(msgspec.structs.replace(item, extra=f"x{item.position}") if is_wider else item)
    return items, changes


def _drawn_run(chance: random.Random, profile: Profile) -> Run:
    shares = _INTERRUPTIONS[profile]
    [how] = chance.choices(list(shares), list(shares.values()))
    nth = chance.randint(1, 12)
    if profile == "kills":
        return Run(how, "request", nth)
    has_outage, is_unread = {"mixed": (0.1, 0.0), "signals": (0.0, 0.0), "deadlines": (0.8, 0.2)}[
        profile
    ]
    what = chance.random()
    if what < has_outage:
        outage = chance.choice(list(OUTAGES))
        is_asked = asks_to_end(how) and chance.random() < 0.4
        return Run(how if is_asked else None, "request", nth, outage=outage)
    if what < has_outage + is_unread:
        return Run(how, "request", nth, is_unread=True)
    mark: Mark = chance.choice(["state", "request"]) if profile == "mixed" else "request"
    ends = how != "stop"
    silent_after = chance.randint(0, 200) if ends and chance.random() < 0.3 else None
    return Run(how, mark, nth, silent_after)


def _schema(stream: str, changes: int) -> dict[str, Any]:
    """Return its SCHEMA; after an odd number of changes, it has one more column."""
    said = SCHEMAS[stream]
    if changes % 2 == 0:
        return said
    extra = {"extra": {"type": ["null", "string"]}}
    columns = {**said["schema"], "properties": {**said["schema"]["properties"], **extra}}
    return {**said, "schema": columns}
