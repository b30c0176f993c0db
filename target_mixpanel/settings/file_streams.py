"""Which stream is a file or object? The setting `files`, parsed."""

from collections.abc import Sequence
from typing import Any

import msgspec

from target_mixpanel.errors import SettingsError, printable
from target_mixpanel.files.format_names import FORMATS, Format
from target_mixpanel.files.globs import pattern_of, whole
from target_mixpanel.model import JsonObject
from target_mixpanel.specs import unknown_key_hint


class FileStream(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the rows of some objects are; `load`'s options say the same."""

    match: str = "**"
    stream: str
    key: tuple[str, ...] = ()
    schema: JsonObject | None = None
    """None: the object's own, or an open one."""
    format: Format | None = None
    """None: as its name says."""


def stream_of(url: str, known: Sequence[FileStream]) -> FileStream | None:
    """Return what the rows of the object *url* are; None: no entry of `files` fits."""
    fitting = (each for each in known if pattern_of(whole(each.match)).fullmatch(url))
    return next(fitting, None)


def parse_file_streams(written: Sequence[Any] | None) -> tuple[FileStream, ...]:
    """
    Return the entries of `files`.

    Raises:
        SettingsError: One is none.
    """
    return tuple(
        _parsed(each, f"files: entry {number}") for number, each in enumerate(written or (), 1)
    )


def _parsed(written: Any, place: str) -> FileStream:
    if not isinstance(written, dict):
        raise SettingsError(f"{place}: must be a map with match and stream")
    known = FileStream.__struct_fields__
    for name in written:
        if name not in known:
            raise SettingsError(f"{place}, {printable(str(name))}: {unknown_key_hint(name, known)}")
    for name in ("match", "stream"):
        if not isinstance(written.get(name), str) or not written[name].strip():
            raise SettingsError(f"{place}, {name}: is missing; give it a text")
    if written.get("format") not in {None, *FORMATS}:
        raise SettingsError(f"{place}, format: must be one of {', '.join(FORMATS)}")
    key = written.get("key") or []
    if not isinstance(key, list) or not all(isinstance(name, str) for name in key):
        raise SettingsError(f"{place}, key: must be a list of columns")
    if not isinstance(written.get("schema") or {}, dict):
        raise SettingsError(f"{place}, schema: must be a JSON Schema, a map")
    return FileStream(
        match=written["match"],
        stream=written["stream"],
        key=tuple(key),
        schema=written.get("schema"),
        format=written.get("format"),
    )
