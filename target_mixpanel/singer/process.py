"""What of the process is Singer's own: STATE on stdout, and the SDK's errors?"""

import sys
from typing import Final

from singer_sdk.exceptions import MissingKeyPropertiesError, RecordsWithoutSchemaException

from target_mixpanel.errors import StateOutputError

SAID_WELL: Final = (RecordsWithoutSchemaException, MissingKeyPropertiesError)
"""Errors of the SDK's that say in our words what is wrong."""


def write_state(state: bytes) -> None:
    """
    Write one STATE line to stdout, in one write.

    Raises:
        StateOutputError: Nobody takes it.
    """
    rest = memoryview(state + b"\n")
    try:
        while rest:  # a stdout without buffer may take a part only, as when a signal comes
            rest = rest[sys.stdout.buffer.write(rest) :]
        sys.stdout.buffer.flush()
    except (OSError, ValueError) as error:
        raise StateOutputError(
            "stdout: STATE cannot be written "
            f"({getattr(error, 'strerror', None) or 'closed'}); what was loaded stays loaded, "
            "and a rerun sends it again under the same ids",
        ) from None
