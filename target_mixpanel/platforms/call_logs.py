"""How do log lines reach a platform that has its own handlers, without secrets?"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from target_mixpanel.redaction import Redactor, Secrets


@contextmanager
def call_logs(secrets: Secrets) -> Iterator[None]:
    """Let our lines through to the handlers that there are, and *secrets* through none."""
    level = os.environ.get("TARGET_MIXPANEL_LOGLEVEL", "INFO").upper()
    # The platforms leave the root at WARNING: other libraries' lines are none of an operator's.
    logging.getLogger("target-mixpanel").setLevel(level)
    handlers = list(logging.getLogger().handlers)
    redactor = Redactor(secrets)
    for handler in handlers:
        handler.addFilter(redactor)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(redactor)
