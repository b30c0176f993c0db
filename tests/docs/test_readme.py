"""The README does not rot: what it shows is what there is."""

import json
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from target_mixpanel.sandbox import Sandbox
from target_mixpanel.settings.parse import parse_settings
from target_mixpanel.specs import parse_streams
from tests.conftest import COMMAND
from tests.redis_servers import redis_server

REPO = Path(__file__).parents[2]
README = (REPO / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_the_settings_are_those_that_about_publishes():
    """`make docs` writes them anew."""
    made = subprocess.run(
        [sys.executable, "docs/make_readme_settings.py", "--print"],
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


SCRIPTS = {
    re.search(r"cat > (\w+)\.json", block)[1]: block for block in blocks("sh") if "CONFIG" in block
}
"""The shell blocks that bring their own input, by the name of their configuration."""


NAMES = (
    *("config", "values", "changes", "users", "members", "plans", "groups", "products"),
    *("files", "batches"),
)


def run_script(name: str, sandbox: Sandbox, folder: Path) -> str:
    """Run a shell block as it stands, but for the sandbox's port; return what it prints."""
    lines = SCRIPTS[name].replace("http://127.0.0.1:8080", sandbox.url).splitlines()
    commands = "\n".join(line for line in lines if not line.startswith("python -m"))
    return subprocess.run(
        ["bash", "-eu"],
        input=re.sub("^target-mixpanel", COMMAND[0], commands, flags=re.MULTILINE),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def parts_of(name: str) -> tuple[dict, str]:
    """Return the configuration and the input of a shell block."""
    config = re.search(r"CONFIG'\n(.*?)\nCONFIG", SCRIPTS[name], re.DOTALL)[1]
    singer = re.search(r"SINGER'\n(.*?)\nSINGER", SCRIPTS[name], re.DOTALL)[1]
    return json.loads(config), singer


def error_of(config: dict, singer: str, folder: Path) -> str:
    (folder / "config.json").write_text(json.dumps(config))
    done = subprocess.run(
        [*COMMAND, "--config", str(folder / "config.json")],
        input=singer,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


def test_the_examples_run_one_after_the_other(tmp_path: Path):
    """Each prints the STATE shown, and Mixpanel gets what is shown."""
    with Sandbox() as sandbox:
        for name in NAMES:
            assert run_script(name, sandbox, tmp_path) in blocks("text")

        (table,) = sandbox.tables.values()
        assert sandbox.report()[0]["properties"]["amount"] == 19.9
        (sale,) = sandbox.report("Sale")
        (shown,) = re.findall(r"^`(\{\"Amount\".*\})`\.$", README, re.MULTILINE)
        assert json.loads(shown).items() <= sale["properties"].items()
        views = (sandbox.raw, sandbox.report, sandbox.compacted)
        assert [len(view("Order Changed")) for view in views] == [3, 2, 2]
        got = [*sandbox.user_updates(), *sandbox.group_updates()]
        assert table.csv.decode().replace("\r\n", "\n") in blocks("text")

    told = re.findall(r"^Mixpanel got.*?^$", README, re.DOTALL | re.MULTILINE)
    shown = re.findall(r"`(\{[^`]*\})`", "".join(told))
    assert [{**json.loads(update), "$token": "sandbox-token"} for update in shown] == got
    assert tuple(SCRIPTS) == NAMES


def test_the_error_shown_is_the_error_given(tmp_path: Path):
    config, singer = parts_of("config")
    config["streams"]["orders"]["time"] = "created"
    (shown,) = (block for block in blocks("text") if block.startswith("streams.orders.time"))

    assert shown.strip() in error_of(config, singer, tmp_path)


def test_the_tables_shown_are_those_that_there_are(tmp_path: Path):
    config, singer = parts_of("products")
    config["streams"]["products"]["lookup_table_id"] = "5a9db0c5"
    (shown,) = (block for block in blocks("text") if block.startswith("streams.products:"))
    with Sandbox() as sandbox:
        text = error_of({**config, "api_url": sandbox.url}, singer, tmp_path)

    assert shown.strip() in text


def test_a_wrong_token_is_answered_with_success(tmp_path: Path):
    """The README warns of it, since nothing else can."""
    config, singer = parts_of("users")
    with Sandbox() as sandbox:
        config = {**config, "api_url": sandbox.url, "project_token": "another"}
        (tmp_path / "config.json").write_text(json.dumps(config))
        done = subprocess.run(
            [*COMMAND, "--config", str(tmp_path / "config.json")],
            input=singer,
            capture_output=True,
            text=True,
            check=True,
        )

        assert done.stdout == '{"users": 1}\n'
        assert "accepted 1" in done.stderr
        assert not sandbox.users


def test_a_table_without_a_state_after_it_is_refused(tmp_path: Path):
    config, singer = parts_of("products")
    without = singer.rpartition("\n")[0]
    with Sandbox() as sandbox:
        text = error_of({**config, "api_url": sandbox.url}, without, tmp_path)

    assert re.search(r"`(streams\.products: the tap wrote .*?) …`", README)[1] in text


def test_the_python_example_runs_as_it_stands(tmp_path: Path):
    (program,) = blocks("python")
    with Sandbox() as sandbox:
        done = subprocess.run(
            [sys.executable, "-c", program.replace("http://127.0.0.1:8080", sandbox.url)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        amounts = [row["properties"]["amount"] for row in sandbox.report()]

    assert done.stdout in blocks("text")
    assert sorted(amounts) == [5, 9.9]


def test_loaders_with_the_example_share_one_limit(tmp_path: Path):
    """As it stands, but for where Mixpanel and Redis are."""
    (block,) = (block for block in blocks("json") if "rate_limit_url" in block)
    _, singer = parts_of("config")
    config = json.loads(block)
    config["streams"]["orders"] |= {"time": "at", "distinct_id": "user"}
    with Sandbox() as sandbox, redis_server(tmp_path, password="YOUR_PASSWORD") as server:
        assert (
            config["rate_limit_url"]
            .replace("rediss", "redis")
            .startswith(server.url.partition("@")[0])
        )
        config |= {"api_url": sandbox.url, "project_token": "sandbox-token"}
        config["rate_limit_url"] = server.url
        (tmp_path / "config.json").write_text(json.dumps(config))
        subprocess.run(
            [*COMMAND, "--config", str(tmp_path / "config.json")],
            input=singer,
            text=True,
            capture_output=True,
            check=True,
        )
        with server.client as client:
            (key,) = client.keys()

        assert len(sandbox.report()) == 1
    assert key.startswith(b"target-mixpanel:rate:")
    assert "`target-mixpanel:rate:…`" in README
