"""How does a run read in the end, in the log and as JSON?"""

import os
import shlex
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from target_mixpanel.engine.summary import Snapshot, StreamCounts, Summary
from target_mixpanel.errors import SettingsError, listed, printable

_COLUMNS_SHOWN: Final = 5

_PATH_MAX_CHARS: Final = 10_000
"""A path is for use, so it is shown whole."""

_RATED_FROM_RECORDS: Final = 1_000

_RATED_FROM_S: Final = 1.0
"""A rate of less is that of one request."""

RunOutcome = Literal["complete", "failed", "stopped"]


def stream_report(counts: StreamCounts) -> dict[str, Any]:
    """Return a stream's counts as JSON has them."""
    at = counts.snapshot()
    return {
        "read": at.read,
        "accepted": at.accepted,
        "rejected": at.rejected.total(),
        "rejected_by_reason": [
            {**msgspec.structs.asdict(kind), "records": records}
            for kind, records in at.rejected.most_common()
        ],
        "unused_columns_breached": _by_column(at.unused_columns_breached),
        "values_left_out": _by_column(at.values_left_out),
        "ids_dropped": _by_column(at.ids_dropped),
        "columns_left_out": [
            {"column": printable(column), "why": why} for column, why in at.columns_left_out
        ],
        "new_columns": [printable(column) for column in at.new_columns],
        "cut_texts": [printable(name) for name in list(counts.cut_texts)],
        "filtered": at.filtered,
        "deleted": at.deleted,
        "pending": at.pending,
        "requests": at.requests,
        "retries": at.retries,
        "bytes": at.bytes_sent,
        "seconds": round(at.seconds, 3),
        "events_per_second": _rate(at),
    }


def stream_line(counts: StreamCounts) -> str:
    """Return a stream's counts as one readable line, and why records were rejected below it."""
    report = stream_report(counts)
    parts = [f"{name} {report[name]:,}" for name in ("read", "accepted", "rejected", "filtered")]
    if report["deleted"]:
        parts.append(f"deleted {report['deleted']:,}")
    if report["pending"]:
        parts.append(f"PENDING {report['pending']:,}")
    parts += [
        f"requests {report['requests']:,}",
        f"retries {report['retries']:,}",
        f"bytes {report['bytes']:,}",
        f"seconds {report['seconds']:.1f}",
    ]
    if report["events_per_second"] is not None:
        parts.append(f"events/s {report['events_per_second']:,}")
    line = f"{printable(counts.stream)}: {', '.join(parts)}"
    if report["rejected"]:
        line += f"\n    rejected: {counts.top_reasons()}"
    for name, words in _OF_COLUMNS.items():
        if report[name]:
            line += f"\n    {words}: {_columns(report[name])}"
    return line


_OF_COLUMNS: Final = {
    "unused_columns_breached": "breaks the schema, but nothing uses it",
    "values_left_out": "left out, for Mixpanel has no such value",
    "ids_dropped": "ids that mean nobody or that Mixpanel refuses, and rows go without",
}


def _columns(counted: dict[str, int]) -> str:
    shown = list(counted.items())[:_COLUMNS_SHOWN]
    return ", ".join(f"{column} x {records:,}" for column, records in shown)


def _by_column(records: Counter[str]) -> dict[str, int]:
    return {printable(column): number for column, number in records.most_common()}


def run_report(summary: Summary, outcome: RunOutcome, error: str | None = None) -> dict[str, Any]:
    """Return the end-of-run report: how the run ended, then the counts of each stream."""
    return {
        "verdict": outcome,
        "error": error,
        "seconds": round(summary.seconds, 3),
        "requests": summary.requests,
        "retries": summary.retries,
        "bytes": summary.bytes_sent,
        "ignored_messages": dict(summary.ignored_messages),
        "unmapped_streams": list(map(printable, summary.unmapped_streams)),
        "unused_mappings": list(map(printable, summary.unused_mappings)),
        "names_passed_over": summary.names_passed_over,
        "dead_letters": [
            {"stream": counts.stream, "path": path, "load_again": _replay(summary, path)}
            for counts in summary.streams()
            for path in list(counts.dead_letters)
        ],
        "streams": {counts.stream: stream_report(counts) for counts in summary.streams()},
    }


def summary_block(summary: Summary, outcome: RunOutcome) -> str:
    """Return the report as a block of text for the log."""
    lines = [f"summary: {outcome} after {summary.seconds:.1f} s"]
    for counts in summary.streams():
        lines.append(f"  {stream_line(counts)}")
        for path in list(counts.dead_letters):
            lines.append(f"    set aside in {_whole(path)}")
            lines.append(f"    to load them again: {_whole(_replay(summary, path))}")
    for what, names in (
        ("streams without a mapping", summary.unmapped_streams),
        ("mappings that no stream used", summary.unused_mappings),
    ):
        if names:
            lines.append(f"  {what}: {listed(names)}")
    if summary.names_passed_over:
        lines.append(f"  hidden names passed over: {summary.names_passed_over:,}")
    if summary.ignored_messages:
        kinds = ", ".join(
            f"{printable(kind)} x {n:,}" for kind, n in summary.ignored_messages.items()
        )
        lines.append(f"  ignored messages: {kinds}")
    return "\n".join(lines)


def _rate(at: Snapshot) -> int | None:
    """Return the records accepted in a second; None where they are too few, or too fast, to say."""
    if at.accepted < _RATED_FROM_RECORDS or at.seconds < _RATED_FROM_S:
        return None
    return round(at.accepted / at.seconds)


def _replay(summary: Summary, path: str) -> str:
    return f"{summary.replay_command} {shlex.quote(path)}"


def _whole(text: str) -> str:
    return printable(text, max_chars=_PATH_MAX_CHARS)


def check_report(path: Path) -> None:
    """
    See before the run that its report can be written.

    Raises:
        SettingsError: There is no such folder, or it cannot be written to.
    """
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise SettingsError(
            f"report_path: {printable(str(path.parent))} is no folder that can be written to",
        )


def write_report(report: dict[str, Any], path: Path) -> None:
    """
    Write *report* to *path*, whole or not at all.

    Raises:
        SettingsError: The file cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise SettingsError(
            f"report_path: {printable(str(path))} cannot be written ({error.strerror})",
        ) from None
