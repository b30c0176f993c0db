"""What the tests of taps share: the servers, a sandbox to load into, and a count of what agreed."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from taps import mariadb, postgres
from taps.mariadb import MariaDB
from taps.pipe import Json, Pipe, differences
from taps.places import HERE
from taps.postgres import Postgres
from target_mixpanel.sandbox import Sandbox, SandboxSettings

AGREED: Final = "agreed"


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    """A short path, since a socket's may have about 107 bytes, that another user can go through."""
    with tempfile.TemporaryDirectory(prefix="mixpanel-taps-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres_server(servers_folder: Path) -> Iterator[Postgres]:
    folder = servers_folder / "postgres"
    folder.mkdir(mode=0o755)
    with postgres.running(folder) as server:
        yield server


@pytest.fixture
def database(postgres_server: Postgres, request: pytest.FixtureRequest) -> Postgres:
    """A database of its own for each test, with the odd rows in it."""
    new = postgres_server.created(f"of_{abs(hash(request.node.nodeid))}")
    new.run((HERE / "odd_postgres.sql").read_text())
    return new


@pytest.fixture(scope="session")
def mariadb_server(servers_folder: Path) -> Iterator[MariaDB]:
    folder = servers_folder / "mariadb"
    folder.mkdir(mode=0o755)
    with mariadb.running(folder) as server:
        yield server


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(
        settings=SandboxSettings(events_per_second=None, bytes_per_minute=None)
    ) as running:
        yield running


@pytest.fixture
def pipe(sandbox: Sandbox, tmp_path: Path) -> Callable[..., Pipe]:
    """Join a tap to the loader, and the loader to this test's sandbox."""

    def joined(tap: Any, tap_config: Json, streams: Json) -> Pipe:
        target_config = {
            "api_url": sandbox.url,
            "project_token": "sandbox-token",
            "streams": streams,
        }
        return Pipe([tap] if isinstance(tap, Path) else tap, tap_config, target_config, tmp_path)

    return joined


@pytest.fixture
def agree(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Compare value by value, and count what agreed for the summary."""

    def compare(what: str, expected: dict[Any, Json], actual: dict[Any, Json]) -> None:
        assert expected, "nothing is compared"
        differing = differences(expected, actual)
        assert not differing, f"{what}: {len(differing)} differ: " + "\n".join(differing[:20])
        values = sum(map(len, expected.values()))
        line = f"{what}: {len(expected):,} rows, {values:,} values agree"
        request.node.user_properties.append((AGREED, line))

    return compare


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = terminalreporter.getreports("passed")
    lines = [line for report in reports for name, line in report.user_properties if name == AGREED]
    for line in sorted(lines):
        terminalreporter.write_line(line)
