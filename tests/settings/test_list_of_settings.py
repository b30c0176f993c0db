"""What a line of the list says is what the rest of the program, and its docs, go by."""

from typing import Annotated, Any, Literal

import msgspec
import pytest

from target_mixpanel.settings.fields import CREDENTIALS, JSON_SETTINGS, SECRETS, SETTINGS
from target_mixpanel.settings.setting import About, settings_of

POSITIVE = msgspec.Meta(gt=0)
ABOUT = About("Title", "Description.")


def read(annotation):
    fields = msgspec.defstruct("Fields", [("name", Annotated[annotation, ABOUT], None)])
    (setting,) = settings_of(fields)
    return setting


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        pytest.param(str, str, id="text"),
        pytest.param(bool | None, bool, id="optional"),
        pytest.param(Annotated[int, POSITIVE], int, id="bounded"),
        pytest.param(Annotated[float, POSITIVE] | None, float, id="bounded-and-optional"),
        pytest.param(dict[str, Any] | None, dict, id="map"),
        pytest.param(list[str] | None, list, id="list"),
        pytest.param(Any, Any, id="map-or-list"),
        pytest.param(Literal["a", "b"] | None, str, id="choice"),
    ],
)
def test_the_kind_is_the_type_within(annotation, kind):
    assert read(annotation).kind == kind


def test_bounds_are_found_within_an_optional():
    assert read(Annotated[float, POSITIVE] | None).bounds == POSITIVE
    assert read(float | None).bounds is None


def test_choices_keep_their_order():
    assert read(Literal["us", "eu"] | None).choices == ("us", "eu")
    assert read(str).choices == ()


def test_a_default_may_be_a_list():
    fields = msgspec.defstruct("Fields", [("name", Annotated[list[str], ABOUT], [])])
    (setting,) = settings_of(fields)

    assert setting.default == []


def test_a_setting_without_words_is_refused():
    """When the program starts, so that none is forgotten."""
    fields = msgspec.defstruct("Fields", [("name", int, 1)])

    with pytest.raises(ValueError, match="not enough values"):
        settings_of(fields)


def test_these_stay_secret():
    """Written out once more, since what loses its mark is shown."""
    assert {"project_token", "service_account_secret", "hash_key", "rate_limit_url"} <= {*SECRETS}


def test_these_stay_credentials():
    account = {"project_id", "service_account_username", "service_account_secret"}

    assert {"project_token", *account} <= {*CREDENTIALS}


def test_texts_of_maps_and_lists_are_read_as_json():
    names = {setting.name for setting in JSON_SETTINGS}

    assert {"streams", "stream_maps", "stream_map_config", "faker_config"} <= names


def test_options_are_among_the_choices():
    assert all(set(setting.about.options or ()) <= {*setting.choices} for setting in SETTINGS)
