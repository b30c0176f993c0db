"""How fast is the target, beside other loaders and beside the best that Python could do?"""

import argparse
import json
import os
import platform
import pstats
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import chart
import table
from contestants import CONTESTANTS, Contestant, target_command
from data import Shape, make, warm
from features import FEATURES
from measure import Job, Receiver, Run, RunError, load, receiving, spend, start_up
from paths import DOCS, HOME

QUICK_RECORDS: Final = 20_000
FEATURE_RECORDS: Final = 200_000
"""The plain SDK mapper is slow, and a part's cost shows with fewer records, too."""
TOP: Final = 10


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through every `with`, as Ctrl-C
    HOME.mkdir(exist_ok=True)
    busy = os.getloadavg()[0]
    if busy > 0.5:  # noqa: PLR2004
        print(f"This machine is busy (load {busy:.1f}): look at CPU time, not at events/s.\n")
    try:
        if options.profile:
            profile(options)
        elif options.features:
            publish({"features": measure_features(options)}, options)
        else:
            compare(options)
    except RunError as error:
        sys.exit(f"bench: {error}")


def compare(options: argparse.Namespace) -> None:
    """Load the same records with everyone, in turns."""
    contestants = _present(options.only)
    started = measure_start_up(contestants, options.runs)
    print(table.start_up(started), flush=True)
    found: dict[str, Any] = {}
    for records in options.sizes:
        shape = _shape(options, records)
        make(shape, with_rows=any(contestant.reads_rows for contestant in contestants))
        title = describe(shape, options)
        print(f"\n{title}", flush=True)
        results = measure_loads(contestants, shape, options)
        # A run with a few stands beside the one with all: ratios hold within one run only.
        key = f"{title}: {', '.join(results)}" if options.only else title
        found[key] = {"records": records, "contestants": results}
        print(f"\n{table.comparison(results)}", flush=True)
    publish({"comparisons": found, "start_up": started}, options)
    if not options.quick:
        draw(found, options)


def measure_loads(
    contestants: Sequence[Contestant],
    shape: Shape,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Return each contestant's figures; everyone starts a round once."""
    runs: dict[str, list[Run]] = {contestant.name: [] for contestant in contestants}
    with receiving(options.reply_delay_ms) as receiver:
        for number in range(options.runs):
            first = number % len(contestants)
            for contestant in (*contestants[first:], *contestants[:first]):
                run = _load(contestant, shape, receiver)
                runs[contestant.name].append(run)
                _tell(f"round {number + 1}", contestant.title, run)
    return {
        contestant.name: {"title": contestant.title, **figures(runs[contestant.name])}
        for contestant in contestants
    }


def measure_start_up(contestants: Sequence[Contestant], runs: int) -> dict[str, Any]:
    """Return the CPU seconds that each needs to say its version, and to load nothing."""
    found = {}
    nothing = Shape(0)
    for contestant in contestants:
        log = f"{contestant.name}-start"
        commands = {"version": contestant.says_version}
        if not contestant.reads_rows:
            commands["nothing_to_load"] = contestant.command("http://127.0.0.1:9", nothing)
        found[contestant.name] = {"title": contestant.title} | {
            name: table.spread([start_up(command, log).cpu_s for _ in range(runs)])
            for name, command in commands.items()
            if command is not None
        }
    return found


def measure_features(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return what an event costs with each part of a mapping."""
    shape = Shape(min(options.sizes[0], FEATURE_RECORDS), has_address=True)
    make(shape, with_rows=False)
    runs: dict[str, list[Run]] = {feature.title: [] for feature in FEATURES}
    with receiving(options.reply_delay_ms) as receiver:
        for number in range(options.runs):
            for feature in FEATURES:
                command = target_command(receiver.url, feature.mapping, feature.settings)
                run = _load_singer(command, shape, receiver, "feature")
                runs[feature.title].append(run)
                _tell(f"round {number + 1}", feature.title, run)
    found = [{"title": title, **figures(each)} for title, each in runs.items()]
    print(f"\n{describe(shape, options)}\n\n{table.features(found)}")
    return found


def profile(options: argparse.Namespace) -> None:
    """Print where the reader's thread spends its time."""
    shape = _shape(options, options.sizes[0])
    make(shape, with_rows=False)
    stats = HOME / "profile.stats"
    with receiving(options.reply_delay_ms) as receiver:
        command = [sys.executable, "-m", "cProfile", "-o", stats, *target_command(receiver.url)]
        spend(command, shape.singer, HOME / "logs" / "profile.out", HOME / "logs" / "profile.err")
    print(f"{describe(shape, options)}: the reader's thread, {TOP} dearest, callees not included.")
    print("The profiler makes calls of Python functions dearer than they are.\n")
    rows = [
        (used, calls, name)
        for name, (_, calls, used, _, _) in pstats.Stats(str(stats)).stats.items()  # type: ignore[attr-defined]
    ]
    whole = sum(used for used, _, _ in rows)
    shown = [
        [_place(name), f"{100 * used / whole:.1f} %", f"{used / shape.records * 1e6:.2f}"]
        for used, _, name in sorted(rows, reverse=True)[:TOP]
    ]
    print(table.aligned(["function", "share", "µs/event"], shown))


def figures(runs: Sequence[Run]) -> dict[str, Any]:
    """Return what *runs* cost: medians, with the least and the greatest."""

    def over(figure: Callable[[Run], float]) -> dict[str, float]:
        return table.spread([figure(run) for run in runs])

    return {
        "events_per_s": over(lambda run: run.arrived.events / run.process.wall_s),
        "cpu_us_per_event": over(_cpu_us),
        "peak_rss_mb": over(lambda run: run.process.peak_rss_bytes / 1e6),
        "requests": over(lambda run: run.arrived.requests),
        "wire_mb": over(lambda run: run.arrived.wire_bytes / 1e6),
        "raw_mb": over(lambda run: run.arrived.raw_bytes / 1e6),
        "server_cpu_us_per_event": over(lambda run: run.arrived.cpu_s / run.arrived.events * 1e6),
    }


def describe(shape: Shape, options: argparse.Namespace) -> str:
    """Say in words what is loaded."""
    record_bytes = shape.singer.stat().st_size / max(shape.records, 1)
    parts = [f"{shape.records:,} records of {record_bytes:,.0f} bytes"]
    columns = shape.columns + shape.has_address
    parts.append(f"{columns} columns")
    if shape.streams > 1:
        parts.append(f"{shape.streams} streams interleaved")
    if options.reply_delay_ms:
        parts.append(f"replies after {options.reply_delay_ms:g} ms")
    return ", ".join(parts)


def publish(found: dict[str, Any], options: argparse.Namespace) -> None:
    """Add *found* to what is known; a quick look is kept apart."""
    path = (HOME if options.quick else DOCS) / "bench.json"
    path.parent.mkdir(exist_ok=True)
    known = json.loads(path.read_text()) if path.exists() else {}
    comparisons = known.get("comparisons", {}) | found.get("comparisons", {})
    whole = known | found | {"machine": _machine(), "runs": options.runs}
    if comparisons:
        whole["comparisons"] = comparisons
    path.write_text(json.dumps(whole, indent=2, ensure_ascii=False, sort_keys=True) + "\n")
    print(f"\nwritten: {path.name}")


def draw(found: dict[str, Any], options: argparse.Namespace) -> None:
    """Draw the charts of the records as they come; other shapes have none."""
    if _shape(options, 1) != Shape(1) or options.reply_delay_ms:
        return
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    title, largest = list(found.items())[-1]
    names = {name: each["title"] for name, each in largest["contestants"].items()}
    if not options.only:
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
        return _load_singer(command, shape, receiver, contestant.name)
    warm(shape.rows)
    env = contestant.env(receiver.url)
    job = Job(command, Path(os.devnull), shape.records, contestant.name, env=env)
    return load(job, receiver)


def _load_singer(
    command: Sequence[str | Path],
    shape: Shape,
    receiver: Receiver,
    log: str,
) -> Run:
    warm(shape.singer)
    return load(Job(command, shape.singer, shape.records, log, shape.last_state), receiver)


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


def _shape(options: argparse.Namespace, records: int) -> Shape:
    return Shape(records, options.streams, options.columns, options.record_bytes)


def _tell(round_name: str, title: str, run: Run) -> None:
    print(
        f"  {round_name}: {title}, {_cpu_us(run):.2f} µs, "
        f"{run.arrived.events / run.process.wall_s:,.0f} events/s",
        flush=True,
    )


def _cpu_us(run: Run) -> float:
    return run.process.cpu_s / run.arrived.events * 1e6


def _place(name: tuple[str, int, str]) -> str:
    file, line, function = name
    return function if file == "~" else f"{Path(file).name}:{line} {function}"


def _machine() -> dict[str, Any]:
    packages = ("singer-sdk", "msgspec", "isal", "jsonschema-rs")
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def _options() -> argparse.Namespace:
    names = [contestant.name for contestant in CONTESTANTS]
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    add = parser.add_argument
    add("--records", type=_count, default=1_000_000, help="how many to load (1,000,000)")
    add("--sizes", type=_counts, help="several of that, like 100000,1000000: draws a curve")
    add("--runs", type=_count, default=3, help="rounds; the median counts (3)")
    add("--only", type=_names(names), default=[], help=f"some of {','.join(names)}")
    add("--streams", type=_count, default=1, help="streams, interleaved (1)")
    add("--columns", type=_count, default=Shape(1).columns, help="columns of a record (18)")
    add("--record-bytes", type=int, default=0, help="size of a record; at least about 530")
    add("--reply-delay-ms", type=float, default=0, help="how long the server takes to answer (0)")
    add("--features", action="store_true", help="what each part of a mapping costs")
    add("--profile", action="store_true", help="where the target spends its time")
    add("--quick", action="store_true", help="less than a minute; leaves docs/ alone")
    options = parser.parse_args()
    if options.columns < Shape(1).columns:
        parser.error(f"--columns: at least {Shape(1).columns}")
    if options.quick:
        options.records, options.sizes, options.runs = QUICK_RECORDS, None, 1
    options.sizes = options.sizes or [options.records]
    return options


def _count(text: str) -> int:
    count = int(text.replace("_", ""))
    if count < 1:
        raise ValueError
    return count


def _counts(text: str) -> list[int]:
    return sorted({_count(each) for each in text.split(",")})


def _names(known: Sequence[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        chosen = text.split(",")
        unknown = sorted(set(chosen) - set(known))
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(known)}")
        return chosen

    return names


if __name__ == "__main__":
    main()
