"""How fast is the target beside other loaders, and beside the best that Python could do?"""

import os
import platform
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import chart
import table
from contestants import CONTESTANTS, Contestant
from data import Shape, make, warm
from measure import Job, Receiver, Run, load, receiving, start_up
from paths import DOCS
from rounds import describe, figures, in_turns, load_singer


def compare(
    shapes: Sequence[Shape],
    only: Sequence[str],
    rounds: int,
    reply_delay_ms: float,
) -> dict[str, Any]:
    """Load the same records with everyone, in turns."""
    contestants = _present(only)
    started = measure_start_up(contestants, rounds)
    print(table.start_up(started), flush=True)
    found: dict[str, Any] = {}
    for shape in shapes:
        make(shape, with_rows=any(contestant.reads_rows for contestant in contestants))
        title = describe(shape, reply_delay_ms)
        print(f"\n{title}", flush=True)
        results = measure_loads(contestants, shape, rounds, reply_delay_ms)
        # A run with a few stands beside the one with all: ratios hold within one run only.
        key = f"{title}: {', '.join(results)}" if only else title
        found[key] = {"records": shape.records, "contestants": results}
        print(f"\n{table.comparison(results)}", flush=True)
    return {"comparisons": found, "start_up": started}


def measure_loads(
    contestants: Sequence[Contestant],
    shape: Shape,
    rounds: int,
    reply_delay_ms: float,
) -> dict[str, Any]:
    """Return each contestant's figures."""
    with receiving(reply_delay_ms) as receiver:
        ways: dict[str, Callable[[], Run]] = {
            contestant.title: partial(_load, contestant, shape, receiver)
            for contestant in contestants
        }
        runs = in_turns(ways, rounds)
    return {
        contestant.name: {"title": contestant.title, **figures(runs[contestant.title])}
        for contestant in contestants
    }


def measure_start_up(contestants: Sequence[Contestant], rounds: int) -> dict[str, Any]:
    """Return the CPU seconds that each needs to say its version, and to load nothing."""
    found = {}
    nothing = Shape(0)
    for contestant in contestants:
        log = f"{contestant.name}-start"
        commands = {"version": contestant.says_version}
        if not contestant.reads_rows:
            commands["nothing_to_load"] = contestant.command("http://127.0.0.1:9", nothing)
        found[contestant.name] = {"title": contestant.title} | {
            name: table.spread([start_up(command, log).cpu_s for _ in range(rounds)])
            for name, command in commands.items()
            if command is not None
        }
    return found


def draw(found: dict[str, Any], *, is_whole: bool) -> None:
    """Draw the charts; the bars only if everyone was there."""
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    title, largest = list(found.items())[-1]
    names = {name: each["title"] for name, each in largest["contestants"].items()}
    if is_whole:
        rows = [
            (each["title"], each["cpu_us_per_event"]["median"], _words_at_bar(each))
            for each in largest["contestants"].values()
        ]
        svg = chart.bars("CPU time per event: less is better", f"{title}; {machine}", rows)
        (DOCS / "bench.svg").write_text(svg)
    if len(found) > 1:
        series = {
            shown: [
                (size["records"], size["contestants"][name]["cpu_us_per_event"]["median"])
                for size in found.values()
            ]
            for name, shown in names.items()
        }
        svg = chart.lines("CPU µs per event, by records loaded", machine, series)
        (DOCS / "bench-size.svg").write_text(svg)


def _words_at_bar(found: dict[str, Any]) -> str:
    median = {name: found[name]["median"] for name in ("events_per_s", "peak_rss_mb")}
    cpu_us = found["cpu_us_per_event"]["median"]
    return (
        f"{cpu_us:.1f} µs, {median['events_per_s']:,.0f} events/s, {median['peak_rss_mb']:.0f} MB"
    )


def _load(contestant: Contestant, shape: Shape, receiver: Receiver) -> Run:
    command = contestant.command(receiver.url, shape)
    if not contestant.reads_rows:
        return load_singer(command, shape, receiver, contestant.name)
    warm(shape.rows)
    env = contestant.env(receiver.url)
    job = Job(command, Path(os.devnull), shape.records, contestant.name, env=env)
    return load(job, receiver)


def _present(names: Sequence[str]) -> list[Contestant]:
    """Return those of *names*, by default all, that can run here; say why others cannot."""
    present = []
    for contestant in CONTESTANTS:
        if contestant.name in names or not names:
            reason = contestant.missing()
            if reason is None:
                present.append(contestant)
            else:
                print(f"{contestant.title} is left out: {reason}.")
    return present
