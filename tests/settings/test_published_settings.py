"""What `--about` publishes is what the loader understands."""

import copy
import math
from typing import Annotated

import msgspec
import pytest
from singer_sdk import Target

from target_mixpanel.settings.fields import REGION_URLS, SECRETS, FlatSettings
from target_mixpanel.settings.setting import About, settings_of
from target_mixpanel.singer.published_settings import PUBLISHED_SETTINGS, _published
from target_mixpanel.singer.target import TargetMixpanel

BOUNDS = {"minimum": -1, "exclusiveMinimum": -1, "maximum": 1, "exclusiveMaximum": 1}
"""Words of JSON Schema, and on which side of them a number breaks them."""
CONSTRAINTS = {"pattern", "enum", "minLength", "maxLength", "format", "const", *BOUNDS}
DEFAULTS = msgspec.structs.asdict(FlatSettings())


@pytest.fixture(scope="module")
def own():
    return PUBLISHED_SETTINGS.to_dict()["properties"]


@pytest.fixture(scope="module")
def built_in():
    schema = {"type": "object", "properties": {}}
    Target.append_builtin_config(schema)
    return schema["properties"]


@pytest.fixture(scope="module")
def all_settings():
    schema = copy.deepcopy(TargetMixpanel.config_jsonschema)
    TargetMixpanel.append_builtin_config(schema)
    return schema["properties"]


def test_every_setting_is_published(all_settings):
    assert set(FlatSettings.__struct_fields__) == set(all_settings)


def test_every_setting_of_the_sdk_is_understood(built_in):
    """A new release of the SDK may bring one."""
    assert not built_in.keys() - set(FlatSettings.__struct_fields__)


def test_of_settings_that_the_sdk_has_too_ours_is_published(own, built_in, all_settings):
    assert {"batch_size_rows"} == own.keys() & built_in.keys()
    assert own["batch_size_rows"] == all_settings["batch_size_rows"]


def test_the_published_defaults_are_the_ones_used(own):
    assert {name: DEFAULTS[name] for name in own} == {
        name: schema.get("default") for name, schema in own.items()
    }


def test_the_sdks_defaults_are_the_ones_used(built_in):
    published = {
        name: str(getattr(schema["default"], "value", schema["default"]))
        for name, schema in built_in.items()
        if schema.get("default") is not None
    }

    assert published == {name: str(DEFAULTS[name]) for name in published}


def test_secrets_and_only_secrets_are_flagged(own):
    assert set(SECRETS) == {name for name, schema in own.items() if schema.get("secret")}


def test_no_constraint_is_put_on_a_secret(own):
    """The SDK would print the value that breaks it."""
    assert not any(CONSTRAINTS & own[name].keys() for name in SECRETS)


def test_a_secret_would_lose_its_constraints():
    class Secrets(msgspec.Struct):
        pin: Annotated[int, msgspec.Meta(ge=1), About("Pin", "A number.", is_secret=True)] = 1

    (setting,) = settings_of(Secrets)

    assert setting.bounds == msgspec.Meta(ge=1)
    assert _published(setting).to_dict()["pin"].keys() & CONSTRAINTS == set()


def test_a_number_beyond_a_published_bound_is_refused(own):
    bounds = [
        (name, word, schema[word])
        for name, schema in own.items()
        for word in BOUNDS.keys() & schema.keys()
    ]

    assert bounds
    for name, word, bound in bounds:
        is_exclusive = word.startswith("exclusive")
        beyond = bound if is_exclusive else bound + BOUNDS[word]
        within = math.nextafter(bound, math.inf) if is_exclusive else bound
        assert getattr(msgspec.convert({name: within}, FlatSettings), name) == within
        with pytest.raises(msgspec.ValidationError, match=name):
            msgspec.convert({name: beyond}, FlatSettings)


def test_every_setting_is_described(own):
    assert all(schema["title"] and schema["description"].endswith(".") for schema in own.values())


def test_the_published_values_are_the_ones_understood(own):
    for name, schema in own.items():
        for value in schema.get("enum", ()):
            assert getattr(msgspec.convert({name: value}, FlatSettings), name) == value


def test_each_region_has_its_host(own):
    assert own["region"]["enum"] == [*REGION_URLS]
