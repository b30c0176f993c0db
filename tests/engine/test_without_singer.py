"""The engine needs no Singer SDK and no installed distribution: a zip on PYTHONPATH will do."""

import json
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import target_mixpanel
from tests.conftest import ORDERS_MAPPING, ORDERS_SCHEMA, orders

PACKAGE = Path(target_mixpanel.__file__).parent
PROGRAM = """
import importlib.util, json, sys
from importlib import metadata

from target_mixpanel import Engine, __version__, parse_settings

config, schema, records = json.load(sys.stdin)
safe = []
with Engine(parse_settings(config), on_safe=safe.append) as engine:
    loading = engine.stream("orders", schema=schema, key=["id"])
    for number, record in enumerate(records):
        if number % 2:
            loading.load(record)
        else:
            loading.load_json(json.dumps(record).encode())
    engine.checkpoint(b"all")
    report = engine.finish()
try:
    metadata.version("target-mixpanel")
    is_installed = True
except metadata.PackageNotFoundError:
    is_installed = False
print(json.dumps({
    "accepted": report["streams"]["orders"]["accepted"],
    "safe": [state.decode() for state in safe],
    "from": sys.modules["target_mixpanel"].__file__,
    "version": __version__,
    "is_installed": is_installed,
    "has_sdk": importlib.util.find_spec("singer_sdk") is not None,
}))
"""


@pytest.fixture
def other_packages(tmp_path):
    """A folder with all that is installed here, but for the SDK and this project."""
    folder = tmp_path / "packages"
    folder.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.lower().startswith(("singer_sdk", "target_mixpanel", "_target_mixpanel")):
            (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "target_mixpanel.zip"
    with zipfile.ZipFile(path, "w") as file:
        for source in PACKAGE.rglob("*.py"):
            file.write(source, source.relative_to(PACKAGE.parent))
    return path


@pytest.mark.parametrize("source", ["folder", "zip"])
def test_a_program_loads_records(source, sandbox, other_packages, archive, tmp_path):
    config = {
        "api_url": sandbox.url,
        "project_token": "sandbox-token",
        "streams": {"orders": ORDERS_MAPPING},
    }
    records = [message["record"] for message in orders(10)]
    home = archive if source == "zip" else tmp_path / "src"
    if source == "folder":
        home.mkdir()
        (home / "target_mixpanel").symlink_to(PACKAGE)
    done = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM],  # -S: nothing that is installed is on the path
        input=json.dumps([config, ORDERS_SCHEMA["schema"], records]),
        cwd=tmp_path,
        env={"PYTHONPATH": f"{home}:{other_packages}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)

    assert str(home) in told.pop("from")
    assert told == {
        "accepted": 10,
        "safe": ["all"],
        "version": target_mixpanel.__version__,
        "is_installed": False,
        "has_sdk": False,
    }
    assert len(sandbox.report()) == 10
