"""Where does the reader's thread spend its time?"""

import pstats
import sys
from pathlib import Path
from typing import Final

import table
from contestants import target_command
from data import Shape, make
from measure import logs, receiving, spend
from paths import HOME
from rounds import describe

TOP: Final = 10


def find_hot_spots(shape: Shape, reply_delay_ms: float) -> None:
    """Print the functions that a load of *shape* spends most time in."""
    make(shape, with_rows=False)
    stats = HOME / "profile.stats"
    with receiving(reply_delay_ms) as receiver:
        command = [sys.executable, "-m", "cProfile", "-o", stats, *target_command(receiver.url)]
        spend(command, shape.singer, *logs("profile"))
    print(
        f"{describe(shape, reply_delay_ms)}: the reader's thread, {TOP} dearest, callees not "
        "included.\nThe profiler makes calls of Python functions dearer than they are.\n"
    )
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


def _place(name: tuple[str, int, str]) -> str:
    file, line, function = name
    return function if file == "~" else f"{Path(file).name}:{line} {function}"
