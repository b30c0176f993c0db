"""The version stands once, in the code; what is installed, said and sent agrees."""

import subprocess
from importlib import metadata

from target_mixpanel.http.endpoint import headers_of
from target_mixpanel.version import __version__
from tests.conftest import COMMAND


def test_the_installed_version_is_the_codes():
    """`make` installs it again when it changes."""
    assert metadata.version("target-mixpanel") == __version__


def test_the_command_says_it():
    done = subprocess.run([*COMMAND, "--version"], capture_output=True, check=True, text=True)

    assert f"v{__version__}" in done.stdout


def test_requests_say_it():
    assert headers_of(None)["User-Agent"] == f"target-mixpanel/{__version__}"
