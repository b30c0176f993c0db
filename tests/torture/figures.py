"""What did the rounds come to, in numbers?"""

import json
from collections import Counter

import msgspec


class Figures(msgspec.Struct):
    """Of all rounds that were played; times are the longest ones, in seconds."""

    rounds: Counter[str] = msgspec.field(default_factory=Counter)
    """By door."""
    records: int = 0
    starts: int = 0
    """Of the loader."""
    faults: Counter[str] = msgspec.field(default_factory=Counter)
    outages: Counter[str] = msgspec.field(default_factory=Counter)
    restarts: int = 0
    """Of Mixpanel."""
    refused_rows: int = 0
    schema_changes: int = 0
    signals: Counter[str] = msgspec.field(default_factory=Counter)
    silent_inputs: int = 0
    unread_outputs: int = 0
    first_request_s: dict[str, float] = msgspec.field(default_factory=dict)
    """After a restart of Mixpanel; from the start of the process that meets no more faults."""
    overshoot_s: dict[str, float] = msgspec.field(default_factory=dict)
    """By deadline, the most that a run went on after it."""
    ending_s: dict[str, float] = msgspec.field(default_factory=dict)
    """By interruption, from then to the end."""
    rows_sent: int = 0
    rows_needed: int = 0
    promises_broken: int = 0

    def told(self) -> str:
        per_row = {"rows_sent_per_row_needed": self.rows_sent / max(1, self.rows_needed)}
        return json.dumps(_rounded(msgspec.to_builtins(self) | per_row), indent=2)


def longest(known: dict[str, float], name: str, seconds: float) -> None:
    """Note *seconds* under *name*, if none were longer."""
    known[name] = max(known.get(name, seconds), seconds)


def _rounded(value: object) -> object:
    match value:
        case float():
            return round(value, 2)
        case dict():
            return {name: _rounded(each) for name, each in sorted(value.items())}
        case _:
            return value
