"""How do a tap and the loader run together, the way that a user runs them?"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

Json: TypeAlias = dict[str, Any]

TARGET: Final = Path(sys.executable).with_name("target-mixpanel")
TIME_LIMIT_S: Final = 120
LOG_CHARS: Final = 3000
"""Of a log's end, which says why a run failed."""


@dataclass
class Pipe:
    """`tap | target-mixpanel`, again and again: each STATE that is printed is the next run's."""

    tap: Sequence[str | Path]
    tap_config: Json
    target_config: Json
    folder: Path
    state: Json = field(default_factory=dict)

    def discover(self) -> Json:
        """Return the tap's catalog."""
        command = [*self.tap, "--config", self._written("tap", self.tap_config), "--discover"]
        done = subprocess.run(command, capture_output=True, check=False, timeout=TIME_LIMIT_S)
        assert done.returncode == 0, done.stderr.decode(errors="replace")[-LOG_CHARS:]
        catalog: Json = json.loads(done.stdout)
        return catalog

    def load(self, catalog: Json | None = None, **more: Any) -> Json:
        """
        Run both to their ends; return the loader's report.

        Args:
            catalog: What is selected; everything by default.
            more: Settings of this run's loader.
        """
        report = self.folder / "report.json"
        settings = {**self.target_config, **more, "report_path": str(report)}
        read: list[str | Path] = ["--config", self._written("tap", self.tap_config)]
        read += ["--catalog", self._written("catalog", catalog)] if catalog else []
        read += ["--state", self._written("state", self.state)] if self.state else []
        states = self._piped(read, settings)
        self.state = json.loads(states.splitlines()[-1]) if states else self.state
        reported: Json = json.loads(report.read_bytes())
        return reported

    def _piped(self, read: list[str | Path], settings: Json) -> bytes:
        """Run both to their ends; return the STATE lines."""
        extract: list[str | Path] = [*self.tap, *read]
        load: list[str | Path] = [TARGET, "--config", self._written("target", settings)]
        logs = self.folder / "tap.log", self.folder / "target.log"
        with (
            logs[0].open("wb") as tap_log,
            logs[1].open("wb") as target_log,
            _started(extract, stdout=subprocess.PIPE, stderr=tap_log) as tap,
            _started(load, stdin=tap.stdout, stdout=subprocess.PIPE, stderr=target_log) as target,
        ):
            assert tap.stdout is not None
            tap.stdout.close()  # or a tap would wait for ever for a loader that is gone
            states, _ = target.communicate(timeout=TIME_LIMIT_S)
            tap.wait(TIME_LIMIT_S)
        tap_said, target_said = (log.read_text(errors="replace")[-LOG_CHARS:] for log in logs)
        assert target.returncode == 0, target_said
        assert tap.returncode == 0, tap_said
        return states

    def _written(self, name: str, content: Json) -> str:
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(content))
        return str(path)


@contextmanager
def _started(command: Sequence[str | Path], **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, **streams) as process:
        try:
            yield process
        finally:
            process.kill()  # unless it has ended


def selected(catalog: Json, stream: str, method: str, *, key: str | None = None) -> Json:
    """
    Select one stream of *catalog*, with every column that the tap can read.

    Args:
        catalog: As discovered.
        stream: Its id.
        method: FULL_TABLE, INCREMENTAL or LOG_BASED.
        key: By which INCREMENTAL goes on.
    """
    wanted: Json = json.loads(json.dumps(catalog))
    for entry in wanted["streams"]:
        is_wanted = entry["tap_stream_id"] == stream
        for node in entry["metadata"]:
            if not node["breadcrumb"]:
                node["metadata"] |= {"selected": is_wanted, "replication-method": method}
                node["metadata"] |= {"replication-key": key} if key else {}
            elif node["metadata"].get("inclusion") == "available":
                node["metadata"]["selected"] = is_wanted
    return wanted


def differences(expected: Mapping[Any, Json], actual: Mapping[Any, Json]) -> list[str]:
    """Say what is missing, too much or of another value, row by row and column by column."""
    said = [f"{key}: missing" for key in expected.keys() - actual.keys()]
    said += [f"{key}: too much" for key in actual.keys() - expected.keys()]
    for key in expected.keys() & actual.keys():
        want, have = expected[key], actual[key]
        said += [
            f"{key}.{name}: expected {want.get(name)!r}, got {have.get(name)!r}"
            for name in want.keys() | have.keys()
            if not _is_same(want.get(name), have.get(name))
        ]
    return sorted(said)


def _is_same(expected: Any, actual: Any) -> bool:
    """Compare as Mixpanel does: true is not 1, though Python says so."""
    return json.dumps(expected, sort_keys=True) == json.dumps(actual, sort_keys=True) or (
        type(expected) in {int, float} and type(actual) in {int, float} and expected == actual
    )
