"""tap-csv-folder: what stands in the cells of a file is what Mixpanel gets."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from taps.arrived import events, users
from taps.expectations import user_id
from taps.pipe import Pipe
from taps.taps import CSV_FOLDER
from target_mixpanel.sandbox import Sandbox

NAME: Final = f"{CSV_FOLDER.package} {CSV_FOLDER.version}"

ROWS: Final = [
    {"id": "1", "user": "ada", "amount": "9007199254740993", "note": 'a "quoted", cell'},
    {"id": "2", "user": "", "amount": "", "note": "two\nlines"},  # CSV has no null
    {"id": "3", "user": " ", "amount": "1,50", "note": " blanks around "},
    {"id": "4", "user": "007", "amount": "1e3", "note": "0000-00-00"},
    {"id": "5", "user": "Grüße 😀", "amount": "NaN", "note": "null"},
    *(
        {
            "id": f"{n}",
            "user": f"u{n % 7}",
            "amount": f"{n / 8}",
            "note": "\\" * (n % 3) + "ß" * (n % 120),
        }
        for n in range(10, 250)
    ),
]
AT: Final = [f"2026-10-01T00:{n // 60:02}:{n % 60:02}+00:00" for n in range(len(ROWS))]

EVENT: Final = {
    "event": "Order",
    "time": "at",
    "distinct_id": {"column": "user", "default": ""},
    "properties": "*",
}
USER: Final = {"type": "users", "distinct_id": "id", "properties": "*"}


def test_cells(
    tmp_path: Path, pipe: Callable[..., Pipe], sandbox: Sandbox, agree: Callable[..., None]
):
    """Every cell is a text, as it stands there; a blank user is none."""
    folder = tmp_path / "files"
    folder.mkdir()
    with (folder / "orders.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "at", "user", "amount", "note"])
        writer.writeheader()
        writer.writerows({**row, "at": at} for row, at in zip(ROWS, AT, strict=True))
    config = {"filesystem": "local", "path": str(folder), "read_mode": "one_stream_per_file"}
    orders = pipe(CSV_FOLDER.command, config, {"orders": [EVENT, USER]})
    orders.load()  # it cannot take a catalog

    agree(f"{NAME}, events", _events(), events(sandbox, "Order"))
    agree(f"{NAME}, profiles", _profiles(), users(sandbox))


def _events() -> dict[str, dict[str, Any]]:
    start_ms = 1_790_812_800_000  # 2026-10-01
    return {
        row["id"]: {
            **{name: row[name] for name in ("id", "amount", "note")},
            "distinct_id": user_id(row["user"]),
            "time": start_ms + n * 1000,
        }
        for n, row in enumerate(ROWS)
    }


def _profiles() -> dict[int, dict[str, Any]]:
    return {
        int(row["id"]): {**{name: row[name] for name in ("user", "amount", "note")}, "at": at}
        for row, at in zip(ROWS, AT, strict=True)
    }
