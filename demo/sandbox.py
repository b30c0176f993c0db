"""How does the demo run Mixpanel's sandbox, and what does it ask it?"""

from __future__ import annotations

import json
import re
import sys
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import processes
from console import StepError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

Properties: TypeAlias = dict[str, Any]
"""Of a profile or a lookup table's row, by name."""

START_TIMEOUT_S: Final = 30.0

_ANNOUNCED: Final = re.compile(r"^Mixpanel sandbox on (http://\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Arrived:
    """How many rows the sandbox accepted, and how many events, profiles or rows these make."""

    received: int
    there: int
    compacted: int | None = None
    """Of events, how many are left when Mixpanel has compacted them; None: nothing is compacted."""


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox."""

    url: str

    def events(self, event: str) -> Arrived:
        """Count one event, as received, as reports show it, and as compaction leaves it."""
        count = self._summary["events"].get(event, {"raw": 0, "report": 0, "compacted": 0})
        return Arrived(count["raw"], count["report"], count["compacted"])

    def users(self) -> Arrived:
        """Count updates of users, and users."""
        return Arrived(received=self._summary["user_updates"], there=self._summary["users"])

    def groups(self) -> Arrived:
        """Count updates of groups, and groups."""
        return Arrived(received=self._summary["group_updates"], there=self._summary["groups"])

    def table(self) -> Arrived:
        """Count rows of lookup tables, those that were replaced since too."""
        received = sum(
            request["rows"]
            for request in self._get(f"/sandbox/requests?limit={sys.maxsize}")
            if request["method"] == "PUT" and request["status"] == HTTPStatus.OK
        )
        return Arrived(received, there=self._summary["lookup_table_rows"])

    def user_profiles(self) -> dict[str, Properties]:
        """Return all users by distinct_id."""
        users: dict[str, Properties] = self._get("/sandbox/users")
        return users

    def group_profiles(self, group_key: str) -> dict[str, Properties]:
        """Return all groups of a kind by their id."""
        groups: dict[str, Properties] = self._get("/sandbox/groups").get(group_key, {})
        return groups

    def table_rows(self, table_id: str, key: str) -> dict[str, Properties]:
        """Return a lookup table's rows by their key."""
        table = self._get(f"/sandbox/lookup_tables/{table_id}?limit={sys.maxsize}")
        rows = [{name: cell["value"] for name, cell in row.items()} for row in table["rows"]]
        return {row[key]: row for row in rows}

    def sample(self, event: str) -> dict[str, Any] | None:
        """Return one event as the reports show it, if there is one; a user's, if possible."""
        events = self._reported(event, limit=20)
        of_users = [row for row in events if row["properties"]["distinct_id"]]
        return next(iter(of_users + events), None)

    def all(self, event: str) -> list[dict[str, Any]]:
        """Return an event's rows as the reports show them."""
        return self._reported(event, limit=sys.maxsize)

    def reset(self) -> None:
        """Forget all that arrived."""
        request = urllib.request.Request(f"{self.url}/sandbox/reset", method="POST")  # noqa: S310
        with urllib.request.urlopen(request, timeout=60):  # noqa: S310 - loopback
            pass

    def total(self, event: str, name: str) -> Decimal:
        """Add up one numeric property, as a report would."""
        amounts = (
            row["properties"].get(name, 0) for row in self._reported(event, limit=sys.maxsize)
        )
        return sum(map(Decimal, amounts), Decimal(0))

    @property
    def _summary(self) -> dict[str, Any]:
        summary: dict[str, Any] = self._get("/sandbox/summary")
        return summary

    def _reported(self, event: str, limit: int) -> list[dict[str, Any]]:
        query = urllib.parse.urlencode({"view": "report", "event": event, "limit": limit})
        events: list[dict[str, Any]] = self._get(f"/sandbox/events?{query}")
        return events

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=60) as reply:  # noqa: S310 - loopback
            return json.load(reply, parse_float=Decimal)


@contextmanager
def running(python: Path, *, log: Path, cwd: Path) -> Iterator[Sandbox]:
    """
    Run the sandbox on a free port; stop it at the end.

    Raises:
        StepError: It did not start; *log* says why.
    """
    command: list[str | Path] = [python, "-u", "-m", "target_mixpanel.sandbox", "--port", "0"]
    with processes.started(command, log=log, cwd=cwd) as process:
        yield Sandbox(_await_url(process, log))


def _await_url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if announced := _ANNOUNCED.search(log.read_text(errors="replace")):
            return announced[1]
        if process.poll() is not None:
            raise StepError(f"the sandbox ended with status {process.returncode}")
        time.sleep(0.05)
    raise StepError(f"the sandbox said nothing within {START_TIMEOUT_S:.0f} s")
