"""meltano.yml and .env.example say what `target-mixpanel --about` says."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from target_mixpanel.settings.parse import parse_settings
from target_mixpanel.singer.published_settings import PUBLISHED_SETTINGS

REPO = Path(__file__).parents[2]
PREFIX = "TARGET_MIXPANEL_"

KINDS = {
    "string": {"string"},
    "integer": {"integer"},
    "boolean": {"boolean"},
    "object": {"object"},
    "array": {"array"},
    # Meltano 4.4 fails on a decimal that comes from the environment, and on a fraction that is to
    # be an integer.
    "number": {"string"},
}


@pytest.fixture(scope="module")
def about():
    command = [Path(sys.executable).with_name("target-mixpanel"), "--about", "--format=json"]
    return json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


@pytest.fixture(scope="module")
def published(about):
    return about["settings"]["properties"]


@pytest.fixture(scope="module")
def loader():
    project = yaml.safe_load((REPO / "meltano.yml").read_text())
    (loader,) = project["plugins"]["loaders"]
    return loader


@pytest.fixture(scope="module")
def settings(loader):
    return {setting["name"]: setting for setting in loader["settings"]}


def test_the_settings_are_those_of_the_list():
    """`make docs` writes them anew."""
    command = [sys.executable, "docs/make_meltano_settings.py", "--print"]
    made = subprocess.run(command, cwd=REPO, capture_output=True, check=True, text=True).stdout

    assert made in (REPO / "meltano.yml").read_text()


def test_every_published_setting_stands_in_meltano_yml(published, settings):
    assert set(published) <= set(settings)


def test_every_setting_in_meltano_yml_is_published(published, settings):
    assert set(settings) <= set(published)


def test_kinds_match_the_published_types(published, settings):
    expected = {
        name: {"options"} if "enum" in schema else KINDS[_type(schema)]
        for name, schema in published.items()
    }

    wrong = {
        name: (setting["kind"], expected[name])
        for name, setting in settings.items()
        if name in expected and setting["kind"] not in expected[name]
    }

    assert not wrong


AS_MELTANO_CASTS = {
    "string": str,
    "options": str,
    "integer": int,
    "boolean": {"true": True, "false": False}.__getitem__,
    "object": json.loads,
    "array": json.loads,
}
"""What Meltano makes of a text of the environment, by the setting's kind, before it writes JSON."""

TEXTS = {
    "string": "a-text",
    "integer": "3",
    "boolean": "true",
    "number": "0.25",
    "object": "{}",
    "array": "[]",
}
FITTING = {
    "streams": '{"*": {"time": "at", "distinct_id": "user", "properties": "*"}}',
    "region": "eu",
    "api_url": "http://127.0.0.1:8080",
    "rate_limit_url": "redis://127.0.0.1:6379/0",
    "since": "2026-10-01",
    "until": "2026-10-02",
    "project_id": "7",
    "batch_size_bytes": "5000",
}


def test_every_setting_may_come_from_the_environment_through_meltano(published, settings):
    """A number, too, that is a fraction: of a Decimal Meltano cannot write the target's file."""
    texts = {
        name: FITTING.get(name) or (schema.get("enum") or [TEXTS[_type(schema)]])[0]
        for name, schema in published.items()
    }
    cast = {name: AS_MELTANO_CASTS[settings[name]["kind"]](text) for name, text in texts.items()}
    through_meltano = parse_settings(json.loads(json.dumps(cast)))

    assert through_meltano == parse_settings(texts)
    assert through_meltano.max_rejection_rate == 0.25
    assert through_meltano.retry_initial_seconds == 0.25


def test_secrets_and_only_secrets_are_sensitive(published, settings):
    expected = {name for name, schema in published.items() if schema.get("secret")}

    assert expected == {name for name, setting in settings.items() if setting.get("sensitive")}


def test_defaults_are_the_published_ones(published, settings):
    """Meltano writes its defaults into the target's configuration, so they must be the same."""
    expected = {
        name: schema["default"] for name, schema in published.items() if "default" in schema
    }

    assert expected == {
        name: setting["value"] for name, setting in settings.items() if "value" in setting
    }


def test_options_are_among_the_published_values(published, settings):
    offered = {
        name: {option["value"] for option in setting["options"]}
        for name, setting in settings.items()
        if "options" in setting
    }

    wrong = {
        name: values
        for name, values in offered.items()
        if not values <= set(published[name]["enum"])
    }

    assert not wrong


def test_our_settings_are_described_in_the_published_words(published, settings):
    """The SDK's are described here as this loader uses them."""
    ours = PUBLISHED_SETTINGS.to_dict()["properties"]

    assert {name: settings[name]["description"] for name in ours} == {
        name: published[name]["description"] for name in ours
    }


def test_every_setting_is_labelled_and_described(settings):
    assert all(setting["label"] and setting["description"] for setting in settings.values())


def test_capabilities_are_the_published_ones(about, loader):
    assert set(about["capabilities"]) == set(loader["capabilities"])


def test_credentials_are_validated_as_groups_of_real_settings(loader, settings):
    token, account = map(set, loader["settings_group_validation"])

    assert token | account <= set(settings)
    assert token - account == {"project_token"}


@pytest.mark.parametrize("path", ["meltano.yml", "demo/meltano.yml"])
def test_anonymous_usage_statistics_are_off(path):
    assert yaml.safe_load((REPO / path).read_text())["send_anonymous_usage_stats"] is False


def test_the_demo_configures_real_settings(settings):
    project = yaml.safe_load((REPO / "demo" / "meltano.yml").read_text())
    (loader,) = project["plugins"]["loaders"]

    assert set(loader["config"]) <= set(settings)
    assert loader["config"].keys() <= {setting["name"] for setting in loader["settings"]}


def test_the_demo_reads_batch_files_where_its_tap_writes_them():
    """And only in the environment that says so."""
    project = yaml.safe_load((REPO / "demo" / "meltano.yml").read_text())
    (plugins,) = (
        each["config"]["plugins"] for each in project["environments"] if each["name"] == "batch"
    )
    (tap,), (loader,) = plugins["extractors"], plugins["loaders"]
    declared = {
        setting["name"]
        for kind in ("extractors", "loaders")
        for plugin in project["plugins"][kind]
        for setting in plugin["settings"]
    }

    assert loader["config"]["batch_roots"] == [tap["config"]["batch_config"]["storage"]["root"]]
    assert {*tap["config"], *loader["config"]} <= declared


def test_what_the_demo_compares_with_is_what_it_maps():
    """The group's key and the table's id stand in demo/comparison.py once more."""
    project = yaml.safe_load((REPO / "demo" / "meltano.yml").read_text())
    (loader,) = project["plugins"]["loaders"]
    streams = loader["config"]["streams"]
    text = (REPO / "demo" / "comparison.py").read_text()

    assert f'GROUP_KEY: Final = "{streams["public-companies"]["group_key"]}"' in text
    assert f'LOOKUP_TABLE_ID: Final = "{streams["public-products"]["lookup_table_id"]}"' in text


def test_env_example_names_only_real_settings(published):
    text = (REPO / ".env.example").read_text()
    names = re.findall(rf"^(?:# )?{PREFIX}([A-Z_]+)=", text, re.MULTILINE)

    assert {name.lower() for name in names} <= set(published)


def test_env_example_writes_objects_as_json(published):
    text = (REPO / ".env.example").read_text()
    objects = re.findall(rf"^(?:# )?{PREFIX}([A-Z_]+)='(.+)'$", text, re.MULTILINE)

    assert {"streams": dict} == {name.lower(): type(json.loads(value)) for name, value in objects}


@pytest.fixture(scope="module")
def hub():
    return yaml.safe_load((REPO / "docs" / "hub" / "target-mixpanel.yml").read_text())


def test_the_hubs_definition_is_up_to_date():
    """`make docs` writes it anew."""
    made = _hub_definition("--repo", "https://github.com/someone/target-mixpanel.git")
    written = yaml.safe_load((REPO / "docs" / "hub" / "target-mixpanel.yml").read_text())

    assert made == {
        **written,
        "repo": "https://github.com/someone/target-mixpanel",
        "pip_url": "git+https://github.com/someone/target-mixpanel.git",
        "variant": "someone",
    }


def test_the_hub_knows_the_published_settings(published, hub):
    assert {setting["name"]: setting.get("value") for setting in hub["settings"]} == {
        name: schema.get("default") for name, schema in published.items()
    }


def test_the_hubs_passwords_are_the_secrets(published, hub):
    """Its tool would take project_id for one, by its name."""
    secrets = {name for name, schema in published.items() if schema.get("secret")}
    settings = hub["settings"]

    assert secrets == {setting["name"] for setting in settings if setting.get("sensitive")}
    assert secrets == {setting["name"] for setting in settings if setting["kind"] == "password"}


def test_the_hub_knows_what_the_command_says_of_itself(about, hub):
    assert hub["capabilities"] == sorted(about["capabilities"])
    assert hub["supported_python_versions"] == about["supported_python_versions"]


def test_the_hubs_example_is_a_mapping_that_is_understood(hub):
    (example,) = re.findall(r"```yaml\n(.*?)```", hub["next_steps"], re.DOTALL)
    config = yaml.safe_load(example)["config"]

    assert len(parse_settings({**config, "project_token": "x"}).mappings) == 2


def _hub_definition(*arguments):
    command = [sys.executable, "docs/make_hub_definition.py", *arguments]
    done = subprocess.run(command, cwd=REPO, capture_output=True, check=True, text=True)
    return yaml.safe_load(done.stdout)


def _type(schema):
    (first, *_) = (name for name in schema["type"] if name != "null")
    return first
