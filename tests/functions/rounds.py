"""Objects that are loaded by calls which are killed, until nothing is missing."""

import random

from target_mixpanel.sandbox import Sandbox
from tests.buckets import Bucket, GcsBucket
from tests.load.loads import content_of, rows


def ids(sandbox: Sandbox) -> list[int]:
    """Return the ids of what reports count."""
    return sorted(event["properties"]["id"] for event in sandbox.report())


class Rounds:
    """How many kills there were so far, and how many rows were sent for those that there are."""

    each = 60

    def __init__(self, sandbox: Sandbox, chance: random.Random) -> None:
        self.sandbox = sandbox
        self.chance = chance
        self.kills = self.rows = self.sent = 0

    def begin(self, bucket: Bucket | GcsBucket, number: int) -> list[str]:
        self.sandbox.reset()
        self.sandbox.script(*({"delay_s": self.chance.uniform(0, 0.05)} for _ in range(200)))
        named = [f"orders/{number}-{name}" for name in ("a.jsonl", "b.jsonl.gz", "c.jsonl.zst")]
        for part, key in enumerate(named):
            content = content_of(key.partition("-")[2], rows(self.each, part * self.each))
            bucket.put(key, content)
        return named

    def end(self, named: list[str]) -> None:
        assert list(range(self.each * len(named))) == ids(self.sandbox)
        self.rows += self.each * len(named)
        self.sent += len(self.sandbox.raw())
