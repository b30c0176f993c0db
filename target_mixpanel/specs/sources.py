"""Where does one value come from: a column, read as what and hashed, or the mapping itself?"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

import msgspec

from target_mixpanel.errors import SettingsError
from target_mixpanel.specs.spec import (
    Cast,
    Column,
    ColumnPath,
    Constant,
    Pairs,
    PlainCast,
    Source,
    path_segments,
)
from target_mixpanel.specs.written import Raw, is_list, kind_of, one_of, refuse_unknown

_CASTS: Final[tuple[PlainCast, ...]] = get_args(PlainCast)


def parse_source(raw: object, place: str) -> Source:
    """Read `column`, `[path, segments]`, `{column: …, as: …, default: …, …}` or `{value: …}`."""
    if not isinstance(raw, Mapping):
        return Column(parse_path(raw, place))
    if "value" in raw:
        refuse_unknown(raw, ("value",), place)
        return Constant(raw["value"])
    refuse_unknown(raw, ("column", "as", "default", "hash", "lower"), place)
    if "column" not in raw:
        raise SettingsError(f"{place}: expected a column name, {{column: …}} or {{value: …}}")
    hashing = raw.get("hash", False)
    if not isinstance(hashing, bool) and hashing != "sha256":
        raise SettingsError(
            f"{place}.hash: expected true (HMAC-SHA256 under hash_key) or sha256, got "
            f"{kind_of(hashing)}"
        )
    cast = _parse_cast(raw.get("as"), f"{place}.as")
    if hashing and isinstance(cast, Pairs):
        raise SettingsError(f"{place}.hash: means nothing with pairs; leave one of them out")
    return Column(
        path=parse_path(raw["column"], f"{place}.column"),
        default=_parse_default(raw, cast, f"{place}.default"),
        is_hashed=bool(hashing),
        is_plain_hash=hashing == "sha256",
        is_lowered=_parse_is_lowered(raw, place, is_hashed=bool(hashing)),
        cast=cast,
        is_in_json=cast == "json",
    )


def _parse_default(raw: Raw, cast: Cast | None, place: str) -> Any:
    default = raw.get("default", msgspec.UNSET)
    if isinstance(default, Mapping) and "column" in default:
        raise SettingsError(
            f"{place}: is a column, and a default is the same value for every record; write that "
            "value, or choose between columns in the tap or in stream_maps"
        )
    if isinstance(cast, Pairs) and not isinstance(default, (Mapping, msgspec.UnsetType)):
        raise SettingsError(f"{place}: expected a map of properties, got {kind_of(default)}")
    return default


def _parse_is_lowered(raw: Raw, place: str, *, is_hashed: bool) -> bool:
    is_lowered = raw.get("lower", False)
    if not isinstance(is_lowered, bool):
        raise SettingsError(f"{place}.lower: expected true or false, got {kind_of(is_lowered)}")
    if is_lowered and not is_hashed:
        raise SettingsError(f"{place}.lower: goes with hash; leave it out")
    return is_lowered


def _parse_cast(raw: object, place: str) -> Cast | None:
    if raw is None:
        return None
    if not isinstance(raw, Mapping):
        return one_of(raw, _CASTS, place)
    refuse_unknown(raw, ("pairs",), place)
    names = raw.get("pairs")
    if not is_list(names) or len(names) != len(Pairs.__struct_fields__):
        raise SettingsError(f"{place}.pairs: expected two names, as in {{pairs: [key, value]}}")
    if not all(isinstance(name, str) and name for name in names):
        raise SettingsError(f"{place}.pairs: expected two names, as in {{pairs: [key, value]}}")
    return Pairs(*names)


def leading_into_json(sources: Sequence[tuple[str, Source]]) -> tuple[tuple[str, Source], ...]:
    """Return named *sources* such that paths lead into the texts that one of them reads as JSON."""
    texts = [
        path_segments(source.path)
        for _, source in sources
        if isinstance(source, Column) and source.cast == "json"
    ]

    def led(source: Source) -> Source:
        if not isinstance(source, Column):
            return source
        path = path_segments(source.path)
        is_below = any(len(text) < len(path) and path[: len(text)] == text for text in texts)
        return msgspec.structs.replace(source, is_in_json=True) if is_below else source

    return tuple((name, led(source)) for name, source in sources)


def parse_needed(raw: object, place: str) -> Source:
    """Read a source without which there is no row."""
    source = parse_source(raw, place)
    if isinstance(source, Constant) and source.value is None:
        raise SettingsError(f"{place}.value: is null, so every record would be rejected")
    if isinstance(source, Column) and source.cast not in {None, "json"}:
        raise SettingsError(f"{place}.as: means nothing here but json; only properties are cast")
    return source


def parse_shown(raw: object, place: str) -> Source:
    """Read a source whose value Mixpanel must understand."""
    source = parse_needed(raw, place)
    if isinstance(source, Column) and source.is_hashed:
        raise SettingsError(f"{place}.hash: means nothing here; only properties and ids are hashed")
    return source


def parse_path(raw: object, place: str) -> ColumnPath:
    """Read a column's name, or the names that lead to it."""
    if isinstance(raw, str) and raw:
        return raw
    if is_list(raw) and raw and all(isinstance(name, str) and name for name in raw):
        return tuple(raw)
    raise SettingsError(
        f"{place}: expected a column name, or the list of names that lead to it, got "
        f"{kind_of(raw)}",
    )
