"""What may a log line not show? Secrets, in whatever form they come."""

import logging
from collections.abc import Iterable, Sequence
from typing import Final

REDACTED: Final = "[redacted]"

SHORTEST_HIDDEN_CHARS: Final = 4
"""A shorter secret is none, and a shorter value stands in a server's words by chance; to hide it
would blacken half of every line."""

_CUT: Final = "…"
"""Stands for what is hidden of a server's words, and at the end of a text that was cut."""


class Secrets:
    """What nobody may see, in each of its spellings."""

    def __init__(self, spellings: Iterable[str]) -> None:
        kept = {spelling for spelling in spellings if len(spelling) >= SHORTEST_HIDDEN_CHARS}
        # The longest first: one secret may hold another.
        self._texts = sorted(kept, key=len, reverse=True)
        self._bytes = [text.encode("utf-8", "surrogatepass") for text in self._texts]

    def hide(self, text: str) -> str:
        """Return *text* without them."""
        for secret in self._texts:
            text = text.replace(secret, REDACTED)
        return text

    def hide_in_bytes(self, body: bytes) -> bytes:
        """Return *body*, UTF-8 or whatever a server sent, without them."""
        for secret in self._bytes:
            body = body.replace(secret, REDACTED.encode())
        return body


class Redactor(logging.Filter):
    """Replace secrets in messages, arguments and tracebacks; on a handler it sees all loggers."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self._hide = secrets.hide

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            # A library's slip; logging itself would print the arguments as they are.
            message = record.msg = f"{record.msg} (with arguments that do not fit)"
            record.args = ()
        shown = self._hide(message)
        if shown != message:
            record.msg, record.args = shown, ()
        if record.exc_info:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
            record.exc_info = None
        for name, value in record.__dict__.items():  # the traceback, and what `extra` brought
            if isinstance(value, str):
                record.__dict__[name] = self._hide(value)
        return True


def without_values(texts: Sequence[str], values: Iterable[str]) -> list[str]:
    """
    Return a server's *texts* with all that is part of any of *values* hidden.

    Values may overlap, and the last one of a text that was cut may be cut with it.
    """
    wholes = [text.removesuffix(_CUT) for text in texts]
    masks = [bytearray(len(whole)) for whole in wholes]
    for value in values:
        if len(value) >= SHORTEST_HIDDEN_CHARS:
            for whole, mask in zip(wholes, masks, strict=True):
                _hide(whole, mask, value)
    return [
        _shown(whole, mask) + text[len(whole) :]
        for text, whole, mask in zip(texts, wholes, masks, strict=True)
    ]


def _hide(text: str, mask: bytearray, value: str) -> None:
    probe = value[:SHORTEST_HIDDEN_CHARS]
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
        elif not shown or shown[-1] != _CUT:
            shown.append(_CUT)
    return "".join(shown)
