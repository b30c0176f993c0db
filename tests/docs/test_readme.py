"""The README does not rot: what it shows is what there is."""

import json
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from target_mixpanel.sandbox import Sandbox
from target_mixpanel.settings import parse_settings
from target_mixpanel.spec_parser import parse_streams
from tests.conftest import COMMAND

REPO = Path(__file__).parents[2]
README = (REPO / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_the_settings_are_those_that_about_publishes():
    """`make docs` writes them anew."""
    made = subprocess.run(
        [sys.executable, "docs/make_settings.py", "--print"],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert made.strip() in README


@pytest.mark.parametrize("block", blocks("json"))
def test_configurations_parse(block: str):
    assert parse_settings(json.loads(block)).mappings


@pytest.mark.parametrize("block", blocks("yaml"))
def test_mappings_parse(block: str):
    assert parse_streams(msgspec.yaml.decode(block)["streams"])


def test_the_example_without_a_tap(tmp_path: Path):
    """The shell block runs as it stands, but for the sandbox's port."""
    (script,) = [block for block in blocks("sh") if "SINGER" in block]
    with Sandbox() as sandbox:
        lines = script.replace("http://127.0.0.1:8080", sandbox.url).splitlines()
        commands = "\n".join(line for line in lines if not line.startswith("python -m"))
        done = subprocess.run(
            ["bash", "-eu"],
            input=commands.replace("target-mixpanel --config", f"{COMMAND[0]} --config"),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )

        assert done.stdout == '{"orders": 1}\n'
        assert done.stdout in blocks("text")
        assert sandbox.report()[0]["properties"]["amount"] == 19.9


def test_the_error_shown_is_the_error_given(tmp_path: Path):
    (script,) = [block for block in blocks("sh") if "SINGER" in block]
    config = json.loads(re.search(r"CONFIG'\n(.*?)\nCONFIG", script, re.DOTALL).group(1))
    singer = re.search(r"SINGER'\n(.*?)\nSINGER", script, re.DOTALL).group(1)
    config["streams"]["orders"]["time"] = "created"
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = subprocess.run(
        [*COMMAND, "--config", str(tmp_path / "config.json")],
        input=singer,
        capture_output=True,
        text=True,
        check=False,
    )
    shown = next(block for block in blocks("text") if block.startswith("streams.orders.time"))

    assert done.returncode == 1
    assert shown.strip() in done.stderr
