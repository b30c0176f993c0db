"""What comes in, what goes wrong and when the run is interrupted: all of it drawn from a seed."""

import random
from typing import Any, Literal, TypeAlias

import msgspec

from tests.conftest import ORDERS_MAPPING, ORDERS_SCHEMA, order
from tests.whole_model import record, schema

Kind: TypeAlias = Literal["event", "bad", "set", "add", "group"]
Interruption: TypeAlias = Literal["kill", "term", "stop"]
Mark: TypeAlias = Literal["state", "request"]
Profile: TypeAlias = Literal["mixed", "signals", "kills"]
"""Of everything something; each run ended by SIGTERM; or events alone, killed amid many faults."""

PEOPLE = 8
SCHEMAS = [
    ORDERS_SCHEMA,
    schema("users", "n", n="integer", id="string"),
    schema("totals", "n", n="integer", id="string"),
    schema("accounts", "n", n="integer", id="string"),
]
STREAMS: dict[str, Any] = {
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
}
FAULTS: dict[str, dict[str, Any]] = {
    "503": {"status": 503},
    "429": {"status": 429, "headers": {"Retry-After": "0"}},
    "reset": {"reset": "before_ingest"},
    "html 200": {"status": 200, "body": "<html>Please log in</html>"},
    "truncated": {"truncate": 20},
    "reply lost": {"reset": "after_ingest"},
}
_FAULT_SHARES = (3, 1, 2, 3, 1, 2)
_KINDS: dict[Profile, list[int]] = {
    "mixed": [8, 1, 5, 3, 2],
    "signals": [8, 1, 5, 3, 2],
    "kills": [1, 0, 0, 0, 0],
}
"""The shares of events, bad records, set, add and groups."""
_INTERRUPTIONS: dict[Profile, list[int]] = {
    "mixed": [3, 3, 1],
    "signals": [0, 1, 0],
    "kills": [1, 0, 0],
}
"""The shares of kill, term and stop."""
_FAULT_RATES: dict[Profile, tuple[float, float]] = {
    "mixed": (0.1, 0.5),
    "signals": (0.1, 0.5),
    "kills": (0.9, 1.0),
}


class Item(msgspec.Struct, frozen=True):
    """A record; its position is its identity, and the value that it brings."""

    position: int
    kind: Kind
    who: str

    @property
    def message(self) -> dict[str, Any]:
        match self.kind:
            case "event":
                return order(self.position, user_id=self.who)
            case "bad":
                return order(self.position, user_id=None)
            case "set":
                return record("users", n=self.position, id=self.who)
            case "add":
                return record("totals", n=self.position, id=self.who)
            case "group":
                return record("accounts", n=self.position, id=self.who)


class Run(msgspec.Struct, frozen=True):
    """One start of the loader: how it is interrupted, at which of its STATEs or requests."""

    interruption: Interruption
    mark: Mark
    nth: int


class Schedule(msgspec.Struct, frozen=True):
    """A whole round."""

    seed: int
    items: list[Item]
    states_after: frozenset[int]
    faults: list[dict[str, Any]]
    """By request number, over all runs but the last."""
    kinds: list[str]
    """The name of each fault; "" is none."""
    runs: list[Run]

    def messages(self, start: int) -> list[Any]:
        """Return what a tap sends that goes on from *start*."""
        said: list[Any] = list(SCHEMAS)
        for item in self.items[start:]:
            said.append(item.message)
            if item.position in self.states_after:
                said.append({"type": "STATE", "value": {"position": item.position + 1}})
        return said


def drawn(seed: int, profile: Profile = "mixed") -> Schedule:
    """Return the round of *seed*: the same again each time."""
    chance = random.Random(seed)  # noqa: S311 (the same round again when one fails)
    count = chance.randint(200, 400)
    kinds = chance.choices(["event", "bad", "set", "add", "group"], _KINDS[profile], k=count)
    items = [
        Item(position, kind, f"who-{chance.randrange(PEOPLE)}")
        for position, kind in enumerate(kinds)
    ]
    often = chance.uniform(0.05, 0.4)
    states = {position for position in range(count) if chance.random() < often} | {count - 1}
    rate = chance.uniform(*_FAULT_RATES[profile])
    names = [
        chance.choices(list(FAULTS), _FAULT_SHARES)[0] if chance.random() < rate else ""
        for _ in range(400)
    ]
    # A little time in each request: the loader has always something under way.
    faults = [{**FAULTS.get(name, {}), "delay_s": chance.uniform(0, 0.03)} for name in names]
    runs = [
        Run(
            chance.choices(["kill", "term", "stop"], _INTERRUPTIONS[profile])[0],
            chance.choice(["state", "request"]) if profile == "mixed" else "request",
            chance.randint(1, 12),
        )
        for _ in range(chance.randint(1, 3) if profile == "mixed" else 3)
    ]
    return Schedule(seed, items, frozenset(states), faults, names, runs)
