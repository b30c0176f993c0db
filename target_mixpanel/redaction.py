"""What may a log line not show? Secrets, in whatever form they come."""

import logging
from collections.abc import Iterable, Sequence
from typing import Final

REDACTED: Final = "[redacted]"
_SHORTEST_SECRET_CHARS: Final = 4
"""A shorter one would blacken half of every line, and is none."""


_SHORT: Final = 3
"""A value of so few characters may stand in a server's words by chance."""

_PROBE: Final = _SHORT + 1

_HIDDEN: Final = "…"


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


def without_values(texts: Sequence[str], values: Iterable[str]) -> list[str]:
    """
    Return a server's *texts* with all that is part of any of *values* hidden.

    Values may overlap, and the last one of a text that was cut may be cut with it.
    """
    wholes = [text.removesuffix(_HIDDEN) for text in texts]
    masks = [bytearray(len(whole)) for whole in wholes]
    for value in values:
        if len(value) > _SHORT:
            for whole, mask in zip(wholes, masks, strict=True):
                _hide(whole, mask, value)
    return [
        _shown(whole, mask) + text[len(whole) :]
        for text, whole, mask in zip(texts, wholes, masks, strict=True)
    ]


def _hide(text: str, mask: bytearray, value: str) -> None:
    probe = value[:_PROBE]
    start = text.find(probe)
    while start >= 0:
        # As much of it as there is room for: it may be cut where the text is.
        part = value[: len(text) - start]
        if text.startswith(part, start):
            mask[start : start + len(part)] = b"\1" * len(part)
        start = text.find(probe, start + 1)


def _shown(text: str, mask: bytearray) -> str:
    if not any(mask):
        return text
    shown: list[str] = []
    for char, is_hidden in zip(text, mask, strict=True):
        if not is_hidden:
            shown.append(char)
        elif not shown or shown[-1] != _HIDDEN:
            shown.append(_HIDDEN)
    return "".join(shown)
