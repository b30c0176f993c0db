"""The benchmark's records, and runs of the target in this process, where calls can be counted."""

import importlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from target_mixpanel.singer.target import TargetMixpanel
from tests.conftest import ORDERS_MAPPING

BENCH = Path(__file__).parents[2] / "bench"

Load = Callable[..., TargetMixpanel]


@pytest.fixture(scope="session")
def bench() -> Iterator[ModuleType]:
    """What makes the benchmark's records; its scripts import each other by their bare names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCH)
        yield importlib.import_module("data")
    for name in ("data", "paths"):
        sys.modules.pop(name, None)


@pytest.fixture
def load(sandbox, tmp_path) -> Load:
    """Run the target on lines, to a good end."""

    def run(lines: list[bytes], **settings: Any) -> TargetMixpanel:
        source = tmp_path / "input.singer"
        source.write_bytes(b"".join(lines))
        config = {
            "api_url": sandbox.url,
            "project_token": "sandbox-token",
            "streams": {"*": ORDERS_MAPPING},
        }
        target = TargetMixpanel(config=config | settings)
        with source.open("rb") as file:
            code = target.run(file)

        assert code == 0
        return target

    return run


class Calls(Counter[str]):
    """Counts the calls of functions that are put in place of others."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self._patch = patch

    def watch(self, owner: Any, name: str) -> None:
        """Count calls of *owner*'s function *name* from now on."""
        original = getattr(owner, name)
        label = f"{owner.__name__.rpartition('.')[2]}.{name}"

        def counted(*arguments: Any, **named: Any) -> Any:
            self[label] += 1
            return original(*arguments, **named)

        self._patch.setattr(owner, name, counted)


@pytest.fixture
def calls(monkeypatch) -> Calls:
    return Calls(monkeypatch)


def with_pattern(lines: list[bytes]) -> list[bytes]:
    """Return the benchmark's *lines* under a schema that no type can say."""
    schema = json.loads(lines[0])
    schema["schema"]["properties"]["market"]["pattern"] = "^[A-Z]{2}$"
    return [json.dumps(schema).encode() + b"\n", *lines[1:]]
