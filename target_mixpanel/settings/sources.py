"""Where do settings come from? Files of `--config`, and the environment."""

import json
import os
from pathlib import Path
from typing import Any

import dotenv

from target_mixpanel.errors import SettingsError, printable
from target_mixpanel.settings.fields import FlatSettings


def config_file(path: str) -> dict[str, Any]:
    """
    Return the JSON object in the file *path*.

    Raises:
        SettingsError: There is none.
    """
    place = f"--config {printable(path)}"
    try:
        config = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise SettingsError(f"{place}: cannot be read ({error.strerror})") from None
    except json.JSONDecodeError as error:
        raise SettingsError(
            f"{place}: is not JSON, at line {error.lineno} column {error.colno}",
        ) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{place}: is not UTF-8") from None
    except (ValueError, RecursionError):
        raise SettingsError(f"{place}: holds a number or a nesting beyond any setting") from None
    if not isinstance(config, dict):
        raise SettingsError(f"{place}: must hold one JSON object")
    return config


def environment(prefix: str) -> dict[str, str]:
    """Return the settings of the environment and of a `.env` file below the working folder."""
    dotenv.load_dotenv(dotenv.find_dotenv(usecwd=True))
    return {
        name: os.environ[f"{prefix}{name.upper()}"]
        for name in FlatSettings.__struct_fields__
        if os.environ.get(f"{prefix}{name.upper()}")
    }
