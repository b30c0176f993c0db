"""What may a log line not show? Secrets, in whatever form they come."""

import base64
import json
import logging
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from target_mixpanel.model import Credentials, ServiceAccount

REDACTED: Final = "[redacted]"
_SHORTEST_SECRET_CHARS: Final = 4
"""A shorter one would blacken half of every line, and is none."""


class Redactor(logging.Filter):
    """Replace secrets in messages, arguments and tracebacks; on a handler it sees all loggers."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__()
        # The longest first: one secret may hold another.
        self._secrets = sorted(
            {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET_CHARS},
            key=len,
            reverse=True,
        )

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            # A library's slip; logging itself would print the arguments as they are.
            message = record.msg = f"{record.msg} (with arguments that do not fit)"
            record.args = ()
        shown = self.redact(message)
        if shown != message:
            record.msg, record.args = shown, ()
        if record.exc_info:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
            record.exc_info = None
        for name, value in record.__dict__.items():  # the traceback, and what `extra` brought
            if isinstance(value, str):
                record.__dict__[name] = self.redact(value)
        return True

    def redact(self, text: str) -> str:
        """Return *text* without the secrets."""
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return text


def forms_of(secrets: Iterable[str], credentials: Credentials) -> Iterable[str]:
    """Yield each secret as it is, quoted, in a URL, and as Basic authentication has it."""
    for secret in secrets:
        yield secret
        yield repr(secret)[1:-1]
        yield json.dumps(secret)[1:-1]
        yield quote(secret, safe="")
        yield _basic(f"{secret}:")
    if isinstance(credentials, ServiceAccount):
        yield _basic(f"{credentials.username}:{credentials.secret}")


def _basic(pair: str) -> str:
    return base64.b64encode(pair.encode("latin-1", "replace")).decode()
