"""What do the figures look like in a terminal?"""

import statistics
from collections.abc import Sequence
from typing import Any


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table that can be read as it is: names left, figures right."""
    table = [header, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *figures = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in figures)]
        return f"| {' | '.join(padded)} |"

    marks = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(header), line(marks), *(line(row) for row in rows)])


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return a median with its least and greatest."""
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
    }


def words(found: dict[str, float], digits: int = 0) -> str:
    """Return a spread in words; one number if there is nothing to spread."""
    median, least, most = (f"{found[name]:,.{digits}f}" for name in ("median", "min", "max"))
    return median if least == most else f"{median} ({least} to {most})"


def comparison(results: dict[str, Any]) -> str:
    """Return the main table."""
    floor, sdk = results.get("floor"), results.get("sdk")
    header = ["", "events/s", "CPU µs/event", "x floor", "x plain SDK", "peak MB", "requests"]
    rows = [
        [
            found["title"],
            words(found["events_per_s"]),
            words(found["cpu_us_per_event"], 2),
            _ratio(found, floor),
            _ratio(found, sdk),
            words(found["peak_rss_mb"]),
            words(found["requests"]),
            words(found["wire_mb"]),
        ]
        for found in results.values()
    ]
    return aligned([*header, "MB sent"], rows)


def start_up(found: dict[str, Any]) -> str:
    """Return the table of what it costs to start."""
    rows = [
        [each["title"], *(_seconds(each.get(key)) for key in ("version", "nothing_to_load"))]
        for each in found.values()
    ]
    return aligned(["CPU seconds to start", "--version", "nothing to load"], rows)


def features(found: list[dict[str, Any]]) -> str:
    """Return the table of what each part of a mapping costs."""
    plain = found[0]["cpu_us_per_event"]["median"]
    rows = [
        [
            each["title"],
            words(each["cpu_us_per_event"], 2),
            f"{each['cpu_us_per_event']['median'] - plain:+.2f}",
        ]
        for each in found
    ]
    return aligned(["mapping", "CPU µs/record", "more than the plain one"], rows)


def latency(found: list[dict[str, Any]]) -> str:
    """Return the table of how long a record waits for its STATE."""
    header = ["batch_wait_limit_seconds", "records/s", "sent after", "median", "p99", "max"]
    rows = [
        [
            f"{each['batch_wait_limit_seconds']:g}",
            f"{each['records_per_s']:,}",
            f"{each['limit_s']:g} s",
            *(f"{each[f'{name}_s']:.2f} s" for name in ("median", "p99", "max")),
            f"{each['max_over_limit_ms']:+,.0f} ms",
            _yes(is_so=each["holds"]),
        ]
        for each in found
    ]
    return aligned([*header, "max, beyond that", "as expected"], rows)


def scale(found: list[dict[str, Any]]) -> str:
    """Return the table of what an event costs as something grows."""
    header = ["", "records", "bytes each", "events/s", "CPU µs/event", "CPU µs/KB", "x first"]
    rows = [
        [
            each["title"],
            f"{each['records']:,}",
            f"{each['record_bytes']:,}",
            words(each["events_per_s"]),
            words(each["cpu_us_per_event"], 2),
            f"{each['cpu_us_per_kb']:.2f}",
            f"{each['times_first_cost']:.2f}",
            words(each["peak_rss_mb"]),
            words(each["requests"]),
        ]
        for each in found
    ]
    return aligned([*header, "peak MB", "requests"], rows)


def slow_server(found: list[dict[str, Any]]) -> str:
    """Return the table of the rates of a fast server and a slow one."""
    return _rates(found, "of_fast_rate", "of the fast one's rate")


def users(found: list[dict[str, Any]]) -> str:
    """Return the table of the rates of events and profile updates."""
    return _rates(found, "of_events_rate", "of the events' rate")


def files(found: list[dict[str, Any]]) -> str:
    """Return the table of what rows of files cost."""
    header = ["", "seconds", "events/s", "of the Singer door's", "CPU µs/event", "peak MB"]
    rows = [
        [
            each["title"],
            words(each["seconds"], 2),
            words(each["events_per_s"]),
            f"{100 * each['of_singer_rate']:.0f} %",
            words(each["cpu_us_per_event"], 2),
            words(each["peak_rss_mb"]),
        ]
        for each in found
    ]
    return aligned(header, rows)


def batch(found: list[dict[str, Any]]) -> str:
    """Return the table of what records cost in files and on lines."""
    return _rates(found, "of_lines_rate", "of the lines' rate")


def _rates(found: list[dict[str, Any]], share: str, share_title: str) -> str:
    header = ["", "records/s", share_title, "CPU µs/record", "peak MB", "requests", "MB sent"]
    rows = [
        [
            each["title"],
            words(each["events_per_s"]),
            f"{100 * each[share]:.0f} %",
            words(each["cpu_us_per_event"], 2),
            words(each["peak_rss_mb"]),
            words(each["requests"]),
            words(each["wire_mb"]),
        ]
        for each in found
    ]
    return aligned(header, rows)


def _yes(*, is_so: bool) -> str:
    return "yes" if is_so else "no"


def _ratio(found: dict[str, Any], to: dict[str, Any] | None) -> str:
    if to is None:
        return "-"
    ratio = found["cpu_us_per_event"]["median"] / to["cpu_us_per_event"]["median"]
    return f"{ratio:.2f}"


def _seconds(found: dict[str, float] | None) -> str:
    return "-" if found is None else words(found, 2)
