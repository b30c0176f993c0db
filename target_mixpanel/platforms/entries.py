"""Which entry of `files` is an object's that an event names, and which objects are none's?"""

import logging
from typing import Final

from target_mixpanel.errors import InputError, SettingsError, printable
from target_mixpanel.files.globs import beginning_of, has_wildcard
from target_mixpanel.files.objects import is_hidden
from target_mixpanel.settings.file_streams import FileStream, stream_of
from target_mixpanel.settings.parse import Settings
from target_mixpanel.specs.matching import specs_for
from target_mixpanel.specs.spec import LookupTableSpec

logger = logging.getLogger("target-mixpanel")

_CROOKED: Final = frozenset({"", ".", ".."})
"""Parts of a name that what reads buckets takes for a path's."""

_NO_ENTRY: Final = (
    "no entry of files says which stream it is; add one, or let the notification leave it out"
)


def entry_of(url: str, settings: Settings) -> FileStream | None:
    """
    Return the entry of `files` for the object *url*; None: it is passed over, as the log says.

    Whoever is told of a bucket is told of all that happens there: of folders that a console makes,
    of what others leave for themselves, of our own notes, of objects that are no stream's. To fail
    for those would fill a dead-letter queue, in which nobody would see what matters.

    Raises:
        SettingsError: Its entry would make a lookup table of a part.
        InputError: Its name cannot be read.
    """
    said = stream_of(url, settings.file_streams)
    why = _why_not(url, said, settings)
    if said is None or why is not None:
        logger.warning("%s: is passed over: %s", printable(url), why or _NO_ENTRY)
        return None
    if _CROOKED & set(url.partition("://")[2].split("/")):
        raise InputError(
            f"{printable(url)}: its name has a part that is empty, . or .., which cannot be read; "
            "store it under another"
        )
    if is_table(said, settings) and has_wildcard(said.match):
        raise SettingsError(
            f"{printable(url)}: match of its entry of files stands for several objects, and each "
            "would replace the whole lookup table; name the one object that holds all of it"
        )
    return said


def is_table(said: FileStream, settings: Settings) -> bool:
    """Say whether the rows become a lookup table."""
    specs = specs_for(said.stream, settings.mappings)
    return any(isinstance(spec, LookupTableSpec) for spec in specs)


def _why_not(url: str, said: FileStream | None, settings: Settings) -> str | None:
    for name in ("files_state", "dead_letter_path", "report_path"):
        place = getattr(settings, name)
        if place is not None and f"{url}/".startswith(f"{place.rstrip('/')}/"):
            return f"it is below {name}; let the notification leave that out"
    if url.endswith("/"):
        return "it stands for a folder"
    # As `load` reads folders: what a pattern does not spell is asked whether it is hidden.
    unspelled = "" if said is None else url.removeprefix(beginning_of(said.match))
    parts = set(unspelled.split("/")) - _CROOKED
    if any(map(is_hidden, parts)) or (said is None and is_hidden(url)):
        return "a name that begins with _ or . is what others leave for themselves"
    return None
