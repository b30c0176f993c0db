"""What ends a run, named for what the operator should do; one line each, no record content."""

from typing import Final

SERVER_TEXT_MAX_CHARS: Final = 200
"""Of a text that came from outside, what a message quotes at most."""


class TargetMixpanelError(Exception):
    """A run that cannot go on. The message gives the place, what is wrong, and what to do."""


class SettingsError(TargetMixpanelError):
    """A setting must be changed; nothing was read from the tap yet."""


class StreamSchemaError(TargetMixpanelError):
    """A SCHEMA message, or the mapping that meets it, must be changed."""


class InputError(TargetMixpanelError):
    """The input is not a sequence of Singer messages; the tap must be looked at."""


class RejectedRecordError(TargetMixpanelError):
    """A record was rejected and there is no `dead_letter_path` to set it aside."""


class MissingKeyError(RejectedRecordError):
    """The rejected record lacks a key property."""


class UnfinishedRunError(TargetMixpanelError):
    """The engine's caller left it without `finish`; what it loaded may not be delivered."""


class RejectionRateError(TargetMixpanelError):
    """More of a stream's records were rejected than `max_rejection_rate` allows."""


class CredentialsError(TargetMixpanelError):
    """Mixpanel refused the credentials."""


class RefusedTrialError(CredentialsError):
    """Mixpanel refused the credentials when all that was asked was whether it takes them."""


class EndpointError(TargetMixpanelError):
    """What answers is not Mixpanel's ingestion API as configured: host, proxy, TLS or plan."""


class DeliveryAbandonedError(TargetMixpanelError):
    """Mixpanel did not take a batch within `retry_max_elapsed_seconds`."""


class UnaccountedRowsError(TargetMixpanelError):
    """Mixpanel's reply does not say what became of every row that was sent."""


class LookupTableError(TargetMixpanelError):
    """A lookup table cannot be replaced: its rows, its id, or room for them must be looked at."""


class DeadLetterError(TargetMixpanelError):
    """A rejection could not be written down safely."""


class FilesStateError(TargetMixpanelError):
    """How far objects are loaded could not be noted, or read."""


class StorageError(TargetMixpanelError):
    """A bucket does not take an object; the message is only what is wrong."""


class StateOutputError(TargetMixpanelError):
    """A STATE line could not be written to stdout."""


class ThreadsError(TargetMixpanelError):
    """The machine has no room for the run's threads."""


class TimeIsUpError(TargetMixpanelError):
    """A function's call had no time for the rest; the next one goes on."""


class InternalError(TargetMixpanelError):
    """A mistake of ours, named by its kind and place."""


class ShutdownTimeoutError(TargetMixpanelError):
    """What was read could not be settled within `shutdown_timeout_seconds` of a signal."""


def printable(text: str, *, max_chars: int = SERVER_TEXT_MAX_CHARS) -> str:
    """
    Return *text*, which somebody else chose, fit for one log line.

    Line breaks, terminal escapes and other unprintable characters are shown as escapes,
    so that a stream's name or a server's reply cannot forge a log line.
    """
    cut = text[:max_chars]
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode()
        for char in cut
    )
    return shown if len(text) <= max_chars else f"{shown}…"


def listed(names: list[str], *, at_most: int = 20) -> str:
    """Return *names* quoted and joined for a message, the rest counted."""
    shown = ", ".join(f'"{printable(name)}"' for name in names[:at_most])
    return shown if len(names) <= at_most else f"{shown} and {len(names) - at_most} more"
