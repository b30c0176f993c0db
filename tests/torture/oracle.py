"""Which promises were broken? It sees what went in, what came out and what is in the sandbox."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from target_mixpanel.sandbox import Sandbox
from tests.torture.interruptions import Interruption, asks_to_end
from tests.torture.schedule import LITTLE_TIME_S, SHUTDOWN_LIMIT_S, Run, Schedule
from tests.whole_model import TABLE_ID

MARGIN_S: Final = 15
"""After any deadline: the loader's own margins are 5 s, and 5 s more where Python is stuck."""
_GAVE_UP: Final = {1, 75}
_TABLE_WAS_CUT: Final = 1


class Ended(msgspec.Struct, frozen=True):
    """How one run ended."""

    start: int
    states: list[int]
    code: int
    run: Run | None
    seconds: float | None
    """Since what was to happen to it happened; None: it ended before."""


class Oracle:
    """Looks after each run, and remembers what it saw of the updates that must not be repeated."""

    def __init__(
        self,
        schedule: Schedule,
        codes: Mapping[Interruption | None, set[int]],
        sandbox: Sandbox,
        letters: Path,
    ) -> None:
        self._items = schedule.items
        self._codes = codes
        self._table = {item.who: item.position for item in schedule.items if item.kind == "row"}
        self._sandbox = sandbox
        self._letters = letters
        self._added: Counter[int] = Counter()
        self._seen = {"set": 0, "group": 0}

    def after(self, run: Ended) -> list[str]:
        """Return what is wrong after a run."""
        said = [run.start, *run.states]
        broken = [f"STATE went back: {said}"] if said != sorted(said) else []
        if run.code not in self._expected(run):
            broken.append(f"exit code {run.code} after {run.run}")
        if run.code == 0 and said[-1] != len(self._items):
            broken.append(f"exit code 0, but STATE stands at {said[-1]}")
        broken += self._late(run)
        broken += self._repeated() + self._disordered() + self._spoilt_table(said[-1])
        return broken + self._missing(said[-1])

    def _expected(self, run: Ended) -> set[int]:
        """Return the exit codes that say what happened."""
        if run.run is None:
            return {0}
        how = run.run.interruption
        was_asked = run.seconds is not None
        codes = set(self._codes[how]) if was_asked else {0}
        if run.run.has_little_time:
            codes |= {75} if how else _GAVE_UP
        if self._table and was_asked and asks_to_end(how):
            codes.add(_TABLE_WAS_CUT)
        return codes

    def _late(self, run: Ended) -> list[str]:
        """Return which deadline it missed by far; without one it may take what it needs."""
        if run.run is None or run.seconds is None:
            return []
        has_deadline = asks_to_end(run.run.interruption) or run.run.outage is not None
        limit_s = LITTLE_TIME_S if run.run.has_little_time else SHUTDOWN_LIMIT_S
        if has_deadline and run.seconds > limit_s + MARGIN_S:
            return [f"{run.run} took {run.seconds:.1f} s"]
        return []

    def at_the_end(self) -> list[str]:
        """Return what is wrong when all is done, beside what is wrong after any run."""
        events = Counter(event["properties"]["id"] for event in self._sandbox.report())
        broken = [f"event {n} is there {times} times" for n, times in events.items() if times > 1]
        good = {item.position: item.extra for item in self._items if item.kind == "event"}
        broken += [f"event {n} was never sent" for n in events.keys() - good.keys()]
        broken += [
            f"event {properties['id']} went under another SCHEMA"
            for properties in (event["properties"] for event in self._sandbox.report())
            if properties.get("extra") != good.get(properties["id"])
        ]
        for kind, known in self._profiles().items():
            for who, last in self._last(kind, len(self._items)).items():
                if known.get(who) != last:
                    broken.append(f"{kind} {who} is {known.get(who)}, not {last}")
        return broken

    def _profiles(self) -> dict[str, dict[str, int]]:
        users = {who: known["Now"] for who, known in self._sandbox.users.items() if "Now" in known}
        groups = {who: known["Size"] for (_, who), known in self._sandbox.groups.items()}
        return {"set": users, "group": groups}

    def _last(self, kind: str, end: int) -> dict[str, int]:
        return {item.who: item.position for item in self._items[:end] if item.kind == kind}

    def _repeated(self) -> list[str]:
        """A rerun may send again what no STATE covers; one run must not."""
        added = Counter(
            update["$add"]["Total"] for update in self._sandbox.user_updates() if "$add" in update
        )
        new, self._added = added - self._added, added
        return [
            f"add {n} was applied {times} times in a run" for n, times in new.items() if times > 1
        ]

    def _disordered(self) -> list[str]:
        """
        Return whose updates came in another order than they were read in, in this run.

        A batch may come again, but not before the one ahead of it or after the one behind it.
        """
        broken: list[str] = []
        updates = {"set": self._sandbox.user_updates(), "group": self._sandbox.group_updates()}
        for kind, all_of_them in updates.items():
            by_whom: dict[str, list[int]] = {}
            for update in all_of_them[self._seen[kind] :]:
                if "$set" in update:
                    who = update.get("$distinct_id") or update["$group_id"]
                    by_whom.setdefault(who, []).extend(update["$set"].values())
            self._seen[kind] = len(all_of_them)
            for who, came in by_whom.items():
                first, last = list(dict.fromkeys(came)), list(dict.fromkeys(reversed(came)))
                if first != sorted(first) or last != sorted(last, reverse=True):
                    broken.append(f"{kind} {who} came in the order {came}")
        return broken

    def _spoilt_table(self, reached: int) -> list[str]:
        """A lookup table has all its rows, the newest of each key, or none so far."""
        rows = self._sandbox.table_rows(TABLE_ID)
        there = {row["id"]: row["n"] for row in rows}
        is_due = any(item.kind == "row" for item in self._items[:reached])
        if (not rows and not is_due) or (len(rows) == len(there) and there == self._table):
            return []
        return [f"the table is {rows}, not {self._table}, and STATE stands at {reached}"]

    def _missing(self, reached: int) -> list[str]:
        """Return what is before the STATE and neither in the sandbox nor in the dead letters."""
        broken: list[str] = []
        arrived = {event["properties"]["id"] for event in self._sandbox.raw()}
        letters = self._set_aside()
        for item in self._items[:reached]:
            n = item.position
            match item.kind:
                case "event" if n not in arrived:
                    broken.append(f"event {n} is missing, and STATE stands at {reached}")
                case "bad" | "refused" if ("orders", n) not in letters:
                    broken.append(f"{item.kind} {n} is in no dead letter, STATE at {reached}")
                case "add" if n not in self._added and ("totals", n) not in letters:
                    broken.append(f"add {n} is neither applied nor set aside, STATE at {reached}")
                case _:
                    pass
        for kind, known in self._profiles().items():
            for who, last in self._last(kind, reached).items():
                if known.get(who, -1) < last:
                    broken.append(
                        f"{kind} {who} is {known.get(who)} before {last}, STATE {reached}"
                    )
        return broken

    def _set_aside(self) -> set[tuple[str, int]]:
        """Return stream and position of each record in the dead letters; a torn end is none."""
        found: set[tuple[str, int]] = set()
        for path in self._letters.iterdir() if self._letters.exists() else ():
            content = path.read_bytes()
            for line in content[: content.rfind(b"\n") + 1].splitlines():
                message = json.loads(line)
                if message["type"] == "RECORD":
                    record = message["record"]
                    found.add((message["stream"], record.get("n", record.get("id"))))
        return found
