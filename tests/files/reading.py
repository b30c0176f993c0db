"""What tests of formats share: rows out of a file, read from any place on."""

import json
from pathlib import Path
from typing import Any

from target_mixpanel.files.formats import open_rows
from target_mixpanel.files.objects import find_object
from target_mixpanel.files.places import Place


def read(path: Path, start: Place | None = None) -> list[Any]:
    """Return the rows of *path*, from *start* on."""
    with open_rows(find_object(str(path), "test")) as rows:
        return [json.loads(row) for batch in rows.batches(start or Place()) for row in batch.rows]


def places(path: Path) -> list[tuple[Place, int]]:
    """Return each place that a run over *path* may note, with the rows that come before it."""
    found: list[tuple[Place, int]] = []
    before = 0
    with open_rows(find_object(str(path), "test")) as rows:
        for batch in rows.batches(Place()):
            before += len(batch.rows)
            found.append((batch.after, before))
    return found
