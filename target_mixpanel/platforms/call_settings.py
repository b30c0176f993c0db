"""Which settings does a cloud function take? Those of the environment, where nothing is local."""

import os
from typing import Final

from target_mixpanel.errors import SettingsError
from target_mixpanel.files.stores import is_bucket_url
from target_mixpanel.settings.parse import Settings, parse_settings
from target_mixpanel.settings.sources import config_file, environment

_PREFIX: Final = "TARGET_MIXPANEL_"

_CONFIG: Final = f"{_PREFIX}CONFIG"
"""Names a file of settings that is deployed with the function: Lambda's variables hold 4 KB."""


def function_settings() -> Settings:
    """
    Return the settings of this moment; `since: 30d` counts back from now, in a warm start, too.

    Raises:
        SettingsError: One is wrong, or of no use in a function.
    """
    path = os.environ.get(_CONFIG)
    written = {} if not path else config_file(path)
    settings = parse_settings(written | environment(_PREFIX))
    if not settings.file_streams:
        raise SettingsError(
            "files: is missing; say which stream an object is: a list of {match, stream, key}"
        )
    if settings.files_state is None:
        raise SettingsError(
            "files_state: is missing; give it a bucket's URL, so that an object that is delivered "
            "twice is loaded once, and a call goes on where the one before it had to stop"
        )
    for name in ("files_state", "dead_letter_path", "report_path"):
        value = getattr(settings, name)
        if value is not None and not is_bucket_url(value):
            raise SettingsError(
                f"{name}: is on the function's own disk, which is lost with its process; give it "
                "a bucket's URL"
            )
    return settings
