"""How are several ways of loading compared? In turns, so that a busy minute hits them all."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import table
from data import Shape, warm
from measure import Job, Receiver, Run, load


def in_turns(ways: Mapping[str, Callable[[], Run]], rounds: int) -> dict[str, list[Run]]:
    """Run each of *ways* once a round; everyone starts a round once. Return their runs."""
    runs: dict[str, list[Run]] = {title: [] for title in ways}
    titles = list(ways)
    for number in range(rounds):
        first = number % len(titles)
        for title in (*titles[first:], *titles[:first]):
            run = ways[title]()
            runs[title].append(run)
            print(
                f"  round {number + 1}: {title}, {run.cpu_us:.2f} µs, "
                f"{run.records_per_s:,.0f} events/s",
                flush=True,
            )
    return runs


def load_singer(
    command: Sequence[str | Path],
    shape: Shape,
    receiver: Receiver,
    log: str,
    *,
    rows_per_record: int = 1,
) -> Run:
    """Give *command* the messages of *shape*, and count what arrives."""
    warm(shape.singer)
    job = Job(
        command,
        shape.singer,
        shape.records,
        log,
        shape.last_state,
        rows_per_record=rows_per_record,
    )
    return load(job, receiver)


def figures(runs: Sequence[Run]) -> dict[str, Any]:
    """Return what *runs* cost: medians, with the least and the greatest."""

    def over(figure: Callable[[Run], float]) -> dict[str, float]:
        return table.spread([figure(run) for run in runs])

    return {
        "events_per_s": over(lambda run: run.records_per_s),
        "cpu_us_per_event": over(lambda run: run.cpu_us),
        "peak_rss_mb": over(lambda run: run.process.peak_rss_bytes / 1e6),
        "requests": over(lambda run: run.arrived.requests),
        "wire_mb": over(lambda run: run.arrived.wire_bytes / 1e6),
        "raw_mb": over(lambda run: run.arrived.raw_bytes / 1e6),
        "server_cpu_us_per_event": over(lambda run: run.arrived.cpu_s / run.records * 1e6),
    }


def median_ratio(runs: Sequence[Run], to: Sequence[Run], figure: Callable[[Run], float]) -> float:
    """Return by what factor *runs* have more than *to*, in the median of the rounds."""
    pairs = zip(runs, to, strict=True)
    return table.spread([figure(run) / figure(other) for run, other in pairs])["median"]


def describe(shape: Shape, reply_delay_ms: float = 0) -> str:
    """Say in words what is loaded."""
    record_bytes = shape.singer.stat().st_size / max(shape.records, 1)
    parts = [f"{shape.records:,} records of {record_bytes:,.0f} bytes"]
    columns = shape.columns + shape.has_address
    parts.append(f"{columns} columns")
    if shape.streams > 1:
        parts.append(f"{shape.streams} streams interleaved")
    if reply_delay_ms:
        parts.append(f"replies after {reply_delay_ms:g} ms")
    return ", ".join(parts)
