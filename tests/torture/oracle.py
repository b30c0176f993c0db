"""Which promises were broken? It sees what went in, what came out and what is in the sandbox."""

import json
import signal
from collections import Counter
from pathlib import Path

import msgspec

from target_mixpanel.sandbox import Sandbox
from tests.torture.schedule import Interruption, Schedule

MARGIN_S = 6
_DOCUMENTED = {None: {0}, "stop": {0}, "kill": {-signal.SIGKILL, 0}, "term": {143, 0}}
"""0 after a signal: it came when all was done; `after` sees whether it was."""


class Ended(msgspec.Struct, frozen=True):
    """How one run ended."""

    start: int
    states: list[int]
    code: int
    interruption: Interruption | None
    seconds: float | None
    """From SIGTERM on."""
    deadline_s: float


class Oracle:
    """Looks after each run, and remembers what it saw of the updates that must not be repeated."""

    def __init__(self, schedule: Schedule, sandbox: Sandbox, letters: Path) -> None:
        self._items = schedule.items
        self._sandbox = sandbox
        self._letters = letters
        self._added: Counter[int] = Counter()
        self._seen = {"set": 0, "group": 0}

    def after(self, run: Ended) -> list[str]:
        """Return what is wrong after a run."""
        said = [run.start, *run.states]
        broken = [f"STATE went back: {said}"] if said != sorted(said) else []
        if run.code not in _DOCUMENTED[run.interruption]:
            broken.append(f"exit code {run.code} after {run.interruption}")
        if run.code == 0 and said[-1] != len(self._items):
            broken.append(f"exit code 0, but STATE stands at {said[-1]}")
        if run.seconds is not None and run.seconds > run.deadline_s + MARGIN_S:
            broken.append(f"SIGTERM took {run.seconds:.1f} s")
        return broken + self._repeated() + self._disordered() + self._missing(said[-1])

    def at_the_end(self) -> list[str]:
        """Return what is wrong when all is done, beside what is wrong after any run."""
        events = Counter(event["properties"]["id"] for event in self._sandbox.report())
        broken = [f"event {n} is there {times} times" for n, times in events.items() if times > 1]
        good = {item.position for item in self._items if item.kind == "event"}
        broken += [f"event {n} was never sent" for n in events.keys() - good]
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
                case "bad" if ("orders", n) not in letters:
                    broken.append(f"bad record {n} is in no dead letter, STATE at {reached}")
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
