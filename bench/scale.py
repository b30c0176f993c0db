"""Does the cost of an event stay what it is: with more streams, larger records, a slow server?"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

import table
from contestants import MAPPING, target_command
from data import Shape, make
from measure import Receiver, receiving, start_up
from rounds import describe, figures, in_turns, load_singer, median_ratio

STREAMS: Final = (1, 4, 16, 64)
WIDE_COLUMNS: Final = 200
LARGE_BYTES: Final = 20_000
PLAIN_BYTES: Final = 538
SLOW_MS: Final = 200
"""Eight requests of 2,000 events at a time are then 80,000 events/s at most, on any machine; what
more requests at a time give is shown beside it."""
SLOW_SHARE: Final = 0.8
"""Of the fast server's rate, that the slow one's must have at least."""
TIMES: Final = 10
MORE_COST: Final = 1.05
"""By what factor an event may cost more with ten times as many of them."""
MORE_MEMORY: Final = 1.2


def measure_scale(shape: Shape, rounds: int) -> dict[str, Any]:
    """Return the figures of more streams, of larger records and of a slow server."""
    return {
        "scale": {
            "streams": _of_shapes(
                {
                    f"{count} streams" if count > 1 else "1 stream": replace(shape, streams=count)
                    for count in STREAMS
                },
                rounds,
            ),
            "records": _of_shapes(
                {
                    "plain": shape,
                    f"wide: {WIDE_COLUMNS} columns": _as_many_bytes(
                        replace(shape, columns=WIDE_COLUMNS), 32 * WIDE_COLUMNS
                    ),
                    f"large: {LARGE_BYTES // 1_000} KB": _as_many_bytes(
                        replace(shape, record_bytes=LARGE_BYTES), LARGE_BYTES
                    ),
                },
                rounds,
            ),
            "slow_server": _of_a_slow_server(shape, rounds),
        }
    }


def measure_ten_times(shape: Shape, rounds: int) -> dict[str, Any]:
    """Return the figures of ten times as many records beside those of *shape*."""
    more = replace(shape, records=TIMES * shape.records)
    shapes = {f"{each.records:,} records": each for each in (shape, more)}
    found = _of_shapes(shapes, rounds)
    # What it costs to start would hide a growth: it is shared by ten times as many events.
    command = target_command("http://127.0.0.1:9")
    start_s = table.spread([start_up(command, "scale-start").cpu_s for _ in range(rounds)])
    few, many = (
        each["cpu_us_per_event"]["median"] - start_s["median"] / each["records"] * 1e6
        for each in found
    )
    cost, memory = round(many / few, 3), found[-1]["times_first_memory"]
    print(_said("cost per event, less that of the start", cost, f"at most {MORE_COST}"))
    print(_said("peak memory", memory, f"at most {MORE_MEMORY}"))
    holds = cost <= MORE_COST and memory <= MORE_MEMORY
    ten_times = {"holds": holds, "cost_less_start": cost, "memory": memory, "rows": found}
    return {"scale": {"ten_times": ten_times}}


def _of_shapes(shapes: Mapping[str, Shape], rounds: int) -> list[dict[str, Any]]:
    """Load each of *shapes* and print a table; ratios are to the first, within a round."""
    for shape in shapes.values():
        make(shape, with_rows=False)
    with receiving(0) as receiver:
        command = target_command(receiver.url)
        ways = {
            title: partial(load_singer, command, shape, receiver, "scale")
            for title, shape in shapes.items()
        }
        runs = in_turns(ways, rounds)
    first = next(iter(runs.values()))
    found = []
    for title, shape in shapes.items():
        record_bytes = shape.singer.stat().st_size / shape.records
        measured = figures(runs[title])
        cost_us = measured["cpu_us_per_event"]["median"]
        found.append(
            {
                "title": title,
                "records": shape.records,
                "record_bytes": round(record_bytes),
                **measured,
                "cpu_us_per_kb": round(cost_us / record_bytes * 1_000, 3),
                "times_first_cost": median_ratio(runs[title], first, lambda run: run.cpu_us),
                "times_first_memory": median_ratio(
                    runs[title], first, lambda run: run.process.peak_rss_bytes
                ),
            }
        )
    print(f"\n{table.scale(found)}\n", flush=True)
    return found


def _of_a_slow_server(shape: Shape, rounds: int) -> dict[str, Any]:
    """Load *shape* into a fast server and a slow one, side by side."""
    fast_title, slow_title = "replies at once", f"replies after {SLOW_MS} ms"
    make(shape, with_rows=False)
    with receiving(0) as fast, receiving(SLOW_MS) as slow:

        def way(receiver: Receiver, name: str, **settings: Any) -> Any:
            command = target_command(receiver.url, MAPPING, settings, name=name)
            return partial(load_singer, command, shape, receiver, name)

        ways = {
            fast_title: way(fast, "scale-fast"),
            slow_title: way(slow, "scale-slow"),
            f"{slow_title}, 16 at a time": way(slow, "scale-slow-16", max_parallel_requests=16),
        }
        runs = in_turns(ways, rounds)
    found = [
        {
            "title": title,
            **figures(each),
            "of_fast_rate": median_ratio(each, runs[fast_title], lambda run: run.records_per_s),
        }
        for title, each in runs.items()
    ]
    share = next(each["of_fast_rate"] for each in found if each["title"] == slow_title)
    print(f"\n{describe(shape)}\n\n{table.slow_server(found)}")
    print(_said("a slow server's rate", share, f"at least {SLOW_SHARE}"))
    return {"holds": share >= SLOW_SHARE, "rows": found}


def _as_many_bytes(shape: Shape, record_bytes: int) -> Shape:
    """Return *shape* with fewer records, about as many bytes as plain ones."""
    return replace(shape, records=max(shape.records * PLAIN_BYTES // record_bytes, 1))


def _said(what: str, ratio: float, expected: str) -> str:
    return f"{what}: {ratio:.2f} times; expected: {expected}"
