"""How fast is the target, beside other loaders and beside the best that Python could do?"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from batch import measure_batch
from comparison import compare, draw
from contestants import CONTESTANTS
from data import Shape
from features import measure_features
from files import measure_files
from hot_spots import find_hot_spots
from latency import QUICK_TRICKLES, TRICKLES, measure_latency
from measure import RunError
from paths import HOME
from publish import publish
from scale import measure_scale, measure_ten_times
from users import measure_users

QUICK_RECORDS: Final = 20_000
FEATURE_RECORDS: Final = 200_000
"""The plain SDK mapper is slow, and a part's cost shows with fewer records, too."""


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through every `with`, as Ctrl-C
    HOME.mkdir(exist_ok=True)
    busy = os.getloadavg()[0]
    if busy > 0.5:  # noqa: PLR2004
        print(f"This machine is busy (load {busy:.1f}): look at CPU time, not at events/s.\n")
    try:
        if options.profile:
            find_hot_spots(_shape(options), options.reply_delay_ms)
            return
        found = _measure(options)
    except RunError as error:
        sys.exit(f"bench: {error}")
    publish(found, rounds=options.runs, is_quick=options.quick)
    # Charts are of the records as they come; other shapes have none.
    is_plain = _shape(options, 1) == Shape(1) and not options.reply_delay_ms
    if "comparisons" in found and is_plain and not options.quick:
        draw(found["comparisons"], is_whole=not options.only)


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was asked for, as it is published."""
    rounds, delay_ms = options.runs, options.reply_delay_ms
    if options.features:
        shape = _shape(options, min(options.sizes[0], FEATURE_RECORDS))
        return measure_features(shape, rounds, delay_ms)
    if options.batch:
        shape = _shape(options, min(options.sizes[0], FEATURE_RECORDS))
        return measure_batch(shape, rounds, delay_ms)
    if options.latency:
        return measure_latency(QUICK_TRICKLES if options.quick else TRICKLES, delay_ms)
    if options.files:
        return measure_files(_shape(options), rounds, delay_ms)
    if options.users:
        return measure_users(_shape(options), rounds, delay_ms)
    if options.scale:
        return measure_scale(_shape(options), rounds)
    if options.ten_times:
        return measure_ten_times(_shape(options), rounds)
    shapes = [_shape(options, records) for records in options.sizes]
    return compare(shapes, options.only, rounds, delay_ms)


def _shape(options: argparse.Namespace, records: int | None = None) -> Shape:
    return Shape(
        records or options.sizes[0], options.streams, options.columns, options.record_bytes
    )


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
    add("--quick", action="store_true", help="less than a minute; leaves docs/ alone")
    kinds = parser.add_mutually_exclusive_group()
    kind = kinds.add_argument
    kind("--features", action="store_true", help="what each part of a mapping costs")
    kind("--batch", action="store_true", help="the files of BATCH messages beside RECORD lines")
    kind("--users", action="store_true", help="user profiles beside events")
    kind("--files", action="store_true", help="files and buckets beside a tap's messages")
    kind("--latency", action="store_true", help="from a record to its STATE (two minutes)")
    kind("--scale", action="store_true", help="more streams, larger records, a slow server")
    kind("--ten-times", action="store_true", help="ten times the records (minutes, 5.4 GB)")
    kind("--profile", action="store_true", help="where the target spends its time")
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
