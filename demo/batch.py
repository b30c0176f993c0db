"""What do BATCH files gain over RECORD lines, from the same tables to the same Mixpanel?"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final

import processes
from comparison import GROUP_KEY, LOOKUP_TABLE_ID, Comparison, in_order
from console import StepError
from environments import PROJECT, clean_environment
from shop_database import ORDER_EVENTS, SIGN_UPS

if TYPE_CHECKING:
    from console import Console
    from sandbox import Sandbox
    from shop_database import ShopDatabase

ROUNDS: Final = 3
"""In turns, so that a busy minute hits both; the best of each counts."""

WAYS: Final = {"RECORD lines": "demo", "BATCH files": "batch"}
"""Of demo/meltano.yml the environment."""

_LOAD: Final = ("run", "--full-refresh", "tap-postgres", "target-mixpanel")

_LOOK_EVERY_S: Final = 0.05

_PROGRAMS: Final = ("tap-postgres", "target-mixpanel")

_OTHERS: Final = "Meltano"


@dataclass(frozen=True)
class Cost:
    """What one load took, in seconds."""

    wall_s: float
    cpu_s: dict[str, float]
    """By program; 0 where this system does not tell."""


def gain(
    console: Console, source: ShopDatabase, mixpanel: Sandbox, meltano: Path, folder: Path
) -> bool:
    """Load everything both ways, show what each takes; say whether Mixpanel has the same."""
    costs: dict[str, list[Cost]] = {title: [] for title in WAYS}
    arrived = set()
    agrees = False
    for number in range(1, ROUNDS + 1):
        for title, environment in WAYS.items():
            mixpanel.reset()
            with console.step(f"Round {number}: all tables as {title}") as step:
                command = [meltano, f"--environment={environment}", *_LOAD]
                costs[title].append(_spend(command, step.log))
                written = _files(folder)
                if written:
                    step.result = f"{len(written)} files, {_megabytes(written):.1f} MB"
            arrived.add(_digest(mixpanel))
            if not costs["BATCH files"]:
                agrees = Comparison(console, source, mixpanel).show()
            shutil.rmtree(folder, ignore_errors=True)
    console.say(f"\n    The best of {ROUNDS}, in seconds:")
    console.table(_table({title: _best(each) for title, each in costs.items()}))
    is_same = len(arrived) == 1
    told = "the same events, profiles and table" if is_same else "DIFFERENT things"
    console.say(f"    Both ways Mixpanel has {told}.")
    return agrees and is_same


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _megabytes(files: list[Path]) -> float:
    return sum(path.stat().st_size for path in files) / 1e6


def _digest(mixpanel: Sandbox) -> str:
    """Sum up what Mixpanel has, to which 9.2 and 9.20 are one number."""
    events = [
        each for title in (ORDER_EVENTS.title, SIGN_UPS.title) for each in mixpanel.all(title)
    ]
    known = [
        sorted(json.dumps(event, sort_keys=True, default=float) for event in events),
        {key: in_order(properties) for key, properties in mixpanel.user_profiles().items()},
        mixpanel.group_profiles(GROUP_KEY),
        mixpanel.table_rows(LOOKUP_TABLE_ID, "sku"),
    ]
    text = json.dumps(known, sort_keys=True, default=float)
    return hashlib.blake2b(text.encode()).hexdigest()


def _spend(command: list[str | Path], log: Path) -> Cost:
    cpu_s: dict[int, tuple[str, float]] = {}
    began = monotonic()
    with processes.started(command, log=log, cwd=PROJECT, env=clean_environment()) as process:
        while True:
            try:
                status = process.wait(_LOOK_EVERY_S)
                break
            except subprocess.TimeoutExpired:
                for number, (program, seconds) in _used_below(process.pid).items():
                    known = cpu_s.get(number, (_OTHERS, 0))[0]
                    cpu_s[number] = (program or known, seconds)
    if status:
        raise StepError(f"`meltano {' '.join(map(str, command[1:]))}` ended with status {status}")
    used = dict.fromkeys((*_PROGRAMS, _OTHERS), 0.0)
    for program, seconds in cpu_s.values():
        used[program or _OTHERS] += seconds
    return Cost(monotonic() - began, used)


def _used_below(root: int) -> dict[int, tuple[str, float]]:
    """
    Return, by process, its program and the CPU time it used so far, as Linux tells.

    One that has ended, and that nobody took note of yet, has no program any more: "".
    """
    parents, found = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_text()
        except OSError:
            continue  # it ended meanwhile
        number = int(entry.name)
        parents[number] = int(words[1])
        program = next((name for name in _PROGRAMS if f"bin/{name}" in command), _OTHERS)
        if not command:
            program = ""
        ticks = int(words[11]) + int(words[12])
        found[number] = (program, ticks / os.sysconf("SC_CLK_TCK"))
    return {number: used for number, used in found.items() if _is_below(root, number, parents)}


def _is_below(root: int, number: int, parents: dict[int, int]) -> bool:
    while number in parents and number != root:
        number = parents[number]
    return number == root


def _best(costs: list[Cost]) -> Cost:
    least = {program: min(cost.cpu_s[program] for cost in costs) for program in costs[0].cpu_s}
    return Cost(min(cost.wall_s for cost in costs), least)


def _table(costs: dict[str, Cost]) -> list[tuple[str, ...]]:
    head = ("", "whole run", *(f"CPU of {name}" for name in (*_PROGRAMS, _OTHERS)), "CPU in all")
    rows = [
        (
            title,
            *(f"{s:.1f}" for s in (cost.wall_s, *cost.cpu_s.values(), sum(cost.cpu_s.values()))),
        )
        for title, cost in costs.items()
    ]
    return [head, *rows]
