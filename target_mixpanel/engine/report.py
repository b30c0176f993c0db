"""How does a run read in the end, in the log and as JSON?"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from target_mixpanel.engine.summary import StreamCounts, Summary
from target_mixpanel.errors import SettingsError, printable

_COLUMNS_SHOWN: Final = 5

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
        "unused_columns_breached": {
            printable(column): records
            for column, records in at.unused_columns_breached.most_common()
        },
        "ids_dropped": {printable(column): ids for column, ids in at.ids_dropped.most_common()},
        "filtered": at.filtered,
        "deleted": at.deleted,
        "pending": at.pending,
        "requests": at.requests,
        "retries": at.retries,
        "bytes": at.bytes_sent,
        "seconds": round(at.seconds, 3),
        "events_per_second": round(at.accepted / at.seconds) if at.seconds else None,
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
        f"events/s {report['events_per_second'] or 0:,}",
    ]
    line = f"{printable(counts.stream)}: {', '.join(parts)}"
    if report["rejected"]:
        line += f"\n    rejected: {counts.top_reasons()}"
    for name, words in _OF_COLUMNS.items():
        if report[name]:
            line += f"\n    {words}: {_columns(report[name])}"
    return line


_OF_COLUMNS: Final = {
    "unused_columns_breached": "breaks the schema, but nothing uses it",
    "ids_dropped": "ids that mean nobody or that Mixpanel refuses, and rows go without",
}


def _columns(counted: dict[str, int]) -> str:
    shown = list(counted.items())[:_COLUMNS_SHOWN]
    return ", ".join(f"{column} x {records:,}" for column, records in shown)


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
        "streams": {counts.stream: stream_report(counts) for counts in summary.streams()},
    }


def summary_block(summary: Summary, outcome: RunOutcome) -> str:
    """Return the report as a block of text for the log."""
    lines = [f"summary: {outcome} after {summary.seconds:.1f} s"]
    lines += [f"  {stream_line(counts)}" for counts in summary.streams()]
    if summary.ignored_messages:
        kinds = ", ".join(
            f"{printable(kind)} x {n:,}" for kind, n in summary.ignored_messages.items()
        )
        lines.append(f"  ignored messages: {kinds}")
    return "\n".join(lines)


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
