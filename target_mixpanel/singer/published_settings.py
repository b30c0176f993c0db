"""Which settings does `--about` publish, and in which words?"""

from typing import Any, Final

import msgspec
from singer_sdk import typing as th

from target_mixpanel.settings.fields import SETTINGS
from target_mixpanel.settings.setting import Setting

_JSON_TYPES: Final[dict[Any, tuple[str, ...]]] = {
    str: ("string",),
    int: ("integer",),
    float: ("number",),
    bool: ("boolean",),
    dict: ("object",),
    list: ("array",),
    Any: ("object", "array"),
}


def _published(setting: Setting) -> th.Property[Any]:
    return th.Property(
        setting.name,
        th.CustomType({"type": list(_JSON_TYPES[setting.kind]), **_constraints(setting)}),
        required=setting.about.is_required,
        default=setting.default,
        description=setting.about.description,
        secret=setting.about.is_secret,
        title=setting.about.title,
    )


def _constraints(setting: Setting) -> dict[str, Any]:
    """Return what values must keep to; none for a secret, since the SDK prints what breaks one."""
    if setting.about.is_secret:
        return {}
    choices = {"enum": list(setting.choices)} if setting.choices else {}
    return choices | (_range(setting.bounds) if setting.bounds else {})


def _range(bounds: msgspec.Meta) -> dict[str, Any]:
    limits = {
        "minimum": bounds.ge,
        "exclusiveMinimum": bounds.gt,
        "maximum": bounds.le,
        "exclusiveMaximum": bounds.lt,
    }
    return {word: limit for word, limit in limits.items() if limit is not None}


PUBLISHED_SETTINGS: Final = th.PropertiesList(
    *(_published(setting) for setting in SETTINGS if not setting.about.is_the_sdks),
)
"""The SDK adds its own: validate_records, stream_maps, flattening and so on."""
