"""Who runs, and how is each of them started?"""

import json
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from data import EVENT, STREAM, Shape
from paths import BENCH, HOME

from contestants import mixpanel_import

MAPPING: Final = {
    "event": EVENT,
    "time": "created_at",
    "distinct_id": "user_id",
    "properties": "*",
}
"""What all of them do: name two columns, make an id, take the rest as properties."""


@dataclass(frozen=True)
class Contestant:
    """A way to get records into Mixpanel."""

    name: str
    title: str
    command: Callable[[str, Shape], list[str | Path]]
    """Server's URL, what to load → what to start."""
    says_version: list[str | Path] | None = None
    reads_rows: bool = False
    """It takes bare rows, by name, not Singer messages on stdin; so it writes no STATE either."""
    env: Callable[[str], Mapping[str, str]] = field(default=lambda _: {})
    missing: Callable[[], str | None] = field(default=lambda: None)
    """Say why it cannot run here; install what it needs."""


def target_command(
    url: str,
    mapping: Mapping[str, Any] | Sequence[Mapping[str, Any]] = MAPPING,
    settings: Mapping[str, Any] | None = None,
    *,
    name: str = "target",
) -> list[str | Path]:
    """
    Return the real command, with a configuration as an operator would write it.

    Args:
        url: The server's.
        mapping: Of all streams, or several.
        settings: More of them.
        name: The configuration's; those that run at the same time each need their own.
    """
    config = {
        "api_url": url,
        "project_token": "not-a-token",
        "streams": {f"{STREAM}*": mapping},
        **(settings or {}),
    }
    return [_TARGET, "--config", _written(name, config)]


def _sdk_command(url: str, _: Shape) -> list[str | Path]:
    config = {"api_url": url, "project_token": "not-a-token"}
    return [sys.executable, _SDK_TARGET, "--config", _written("sdk", config)]


def _written(name: str, config: Mapping[str, Any]) -> Path:
    path = HOME / f"config-{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(config, indent=2))
    return path


_HERE: Final = BENCH / "contestants"
_TARGET: Final = Path(sysconfig.get_path("scripts")) / "target-mixpanel"
_SDK_TARGET: Final = _HERE / "sdk_target.py"

CONTESTANTS: Final = (
    Contestant(
        "target",
        "target-mixpanel",
        lambda url, _: target_command(url),
        [_TARGET, "--version"],
    ),
    Contestant(
        "floor",
        "bare loop (the floor)",
        lambda url, _: [sys.executable, _HERE / "floor.py", url],
    ),
    Contestant(
        "npm",
        f"mixpanel-import {mixpanel_import.VERSION}",
        mixpanel_import.command,
        mixpanel_import.says_version(),
        reads_rows=True,
        env=mixpanel_import.environment,
        missing=mixpanel_import.missing,
    ),
    Contestant(
        "sdk",
        "plain Singer SDK target",
        _sdk_command,
        [sys.executable, _SDK_TARGET, "--version"],
    ),
)
