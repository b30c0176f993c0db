"""tap-mixpanel: a project that is moved is the same afterwards."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from taps import odd_rows
from taps.arrived import users
from taps.mixpanel_queries import answering
from taps.pipe import Pipe, selected
from taps.places import HERE
from taps.postgres import Postgres
from taps.taps import MELTANOLABS_POSTGRES, MIXPANEL
from target_mixpanel.sandbox import Sandbox, SandboxSettings

NAME: Final = f"{MIXPANEL.package} {MIXPANEL.version}"
OF_MIXPANEL: Final = {"$browser": "note", "$city": "feeling"}
"""Properties whose names Mixpanel knows: the tap writes mp_reserved_ for their `$`."""

COLUMNS: Final = [name for name in odd_rows.MELTANOLABS if name not in {"doc", "doc_json"}]
ODD_EVENT: Final = {
    "event": "Odd",
    "time": "at",
    "distinct_id": {"column": "user_id", "default": ""},
    "properties": {**{name: name for name in COLUMNS}, **OF_MIXPANEL},
}
# Integers beyond 2^53 are texts beside numbers, and for this tap a property is of one type.
OF_USERS: Final = [name for name in COLUMNS if name != "big"]
ODD_USER: Final = {
    "type": "users",
    "distinct_id": "id",
    "properties": {**{name: name for name in OF_USERS}, "$city": "feeling"},
}


@pytest.fixture
def old_project(database: Postgres, pipe: Callable[..., Pipe], sandbox: Sandbox) -> Sandbox:
    """The odd rows of PostgreSQL, as events and profiles."""
    config = {"sqlalchemy_url": database.url, "filter_schemas": ["public"], "json_as_object": True}
    odd = pipe(MELTANOLABS_POSTGRES.command, config, {"public-odd": [ODD_EVENT, ODD_USER]})
    odd.load(selected(odd.discover(), "public-odd", "FULL_TABLE"))
    return sandbox


@pytest.fixture
def new_project() -> Iterator[Sandbox]:
    """Another sandbox than the one whose data moves."""
    settings = SandboxSettings(events_per_second=None, bytes_per_minute=None)
    with Sandbox(settings=settings) as running:
        yield running


@pytest.fixture
def move(
    old_project: Sandbox,
    new_project: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[str, Any], None]]:
    """Join tap-mixpanel at the old project to the loader at the new one, and load one stream."""
    folder = tmp_path / "move"
    folder.mkdir()
    tap_config = {
        # Basic authentication's user and password, as the tap encodes its secret.
        "api_secret": "sandbox.mp-service-account:sandbox-secret",
        "project_timezone": "UTC",
        "attribution_window": "5",
        "start_date": "2026-09-30T00:00:00Z",
        "end_date": "2026-10-09T00:00:00Z",
        "user_agent": "tests",
        "select_properties_by_default": "true",
    }

    with answering(old_project) as queries:
        hosts = {
            "mixpanel.com": queries,
            "data.mixpanel.com": f"127.0.0.1:{old_project.port}?project_id=1",
        }
        monkeypatch.setenv("MIXPANEL_AT_HOME", json.dumps(hosts))

        def load(stream: str, mapping: Any) -> None:
            target = {
                "api_url": new_project.url,
                "project_token": "sandbox-token",
                "streams": {stream: mapping},
            }
            tap = [MIXPANEL.python, HERE / "tap_mixpanel_at_home.py"]
            joined = Pipe(tap, tap_config, target, folder)
            joined.load(selected(joined.discover(), stream, "FULL_TABLE"))

        yield load


def test_events(
    move: Callable[[str, Any], None],
    old_project: Sandbox,
    new_project: Sandbox,
    agree: Callable[..., None],
):
    """
    They keep their ids, their second and whose they are.

    For this tap all that it knows of an event is text; Mixpanel exports whole seconds.
    """
    names = {name: name for name in COLUMNS}
    of_mixpanel = {name: f"mp_reserved_{name[1:]}" for name in OF_MIXPANEL}
    move(
        "export",
        {
            "event_from": "event",
            "time": "time",
            "distinct_id": {"column": "distinct_id", "default": ""},
            "insert_id": "mp_reserved_insert_id",
            "properties": {**names, **of_mixpanel},
        },
    )

    moved = {
        key: {name: str(value) for name, value in row.items()}
        | {"time": row["time"] // 1000 * 1000}
        for key, row in _by_insert_id(old_project).items()
    }
    agree(f"{NAME}, events", moved, _by_insert_id(new_project))


def test_users(
    move: Callable[[str, Any], None],
    old_project: Sandbox,
    new_project: Sandbox,
    agree: Callable[..., None],
):
    """Profiles keep their values, numbers among them, which this tap spells as text."""
    names = {name: name for name in OF_USERS}
    move(
        "engage",
        {
            "type": "users",
            "distinct_id": "distinct_id",
            "properties": {**names, "$city": "mp_reserved_city"},
        },
    )

    agree(f"{NAME}, profiles", users(old_project), users(new_project))


def _by_insert_id(sandbox: Sandbox) -> dict[str, Any]:
    """Return the events as the reports show them, less what the loader says by itself."""
    return {
        event["properties"]["$insert_id"]: {
            **{name: value for name, value in event["properties"].items() if name != "ip"},
            "event": event["event"],
        }
        for event in sandbox.report()
    }
