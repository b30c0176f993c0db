"""What does the loader make of an operator's settings? Parsed once, at the edge."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from target_mixpanel.credentials import Credentials
from target_mixpanel.errors import SettingsError, printable
from target_mixpanel.settings.credentials import _CREDENTIALS, _credentials
from target_mixpanel.settings.fields import REGION_URLS, SECRETS, FlatSettings
from target_mixpanel.settings.url import check_url
from target_mixpanel.specs import parse_streams, unknown_key_hint
from target_mixpanel.specs.columns import all_sources
from target_mixpanel.specs.spec import Column, StreamSpec

_SDK_OBJECTS: Final = ("stream_maps", "stream_map_config", "faker_config")
_OBJECTS: Final = ("streams", *_SDK_OBJECTS)
_TYPE_NAMES: Final = {
    "array": "a list",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "object": "a map",
    "str": "a text",
}
_MSGSPEC_TYPE: Final = re.compile(rf"\b({'|'.join(_TYPE_NAMES)})\b")
_RELATIVE_TIME: Final = re.compile(r"(\d{1,5})d")
_MS_PER_DAY: Final = 86_400_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_COMPACT_DATE_DIGITS: Final = 8


class Settings(FlatSettings, frozen=True, kw_only=True):
    """The settings, checked, with everything derived from them."""

    url: str
    """Scheme and host of the ingestion API, without a slash at the end."""
    credentials: Credentials
    mappings: tuple[tuple[str, tuple[StreamSpec, ...]], ...]
    """Stream patterns, as written, each with its mappings."""
    since_ms: int | None
    until_ms: int | None
    dead_letter_folder: Path | None
    report_file: Path | None

    def secrets(self) -> Iterator[str]:
        """Yield every value that must not be shown."""
        for name in SECRETS:
            value = getattr(self, name)
            if value:
                yield value


def parse_settings(
    config: Mapping[str, Any],
    *,
    clock: Callable[[], float] = time.time,
) -> Settings:
    """
    Return *config*, checked.

    Args:
        config: Settings by name. Objects may be JSON texts and numbers texts, as the environment
            has them; null is the same as absent.
        clock: Seconds since the epoch; `since: 30d` counts back from it.

    Raises:
        SettingsError: One line that names the setting and the remedy, never a value.
    """
    flat = _flat(config)
    now_ms = int(clock() * 1_000)
    if flat.load_method != "append-only":
        raise SettingsError(
            "load_method: must be append-only; events cannot be changed once sent, and what "
            "becomes of profiles and lookup tables is said in streams",
        )
    if flat.streams is None:
        raise SettingsError('streams: is missing; map at least one stream, or "*" for all')
    mappings = parse_streams(flat.streams)
    _require_hash_key(flat, mappings)
    since_ms = _moment_ms(flat.since, "since", now_ms)
    until_ms = _moment_ms(flat.until, "until", now_ms)
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise SettingsError("since: is not before until, so no event can be loaded")
    return Settings(
        **msgspec.structs.asdict(flat),
        url=_url(flat),
        credentials=_credentials(flat),
        mappings=mappings,
        since_ms=since_ms,
        until_ms=until_ms,
        dead_letter_folder=None if flat.dead_letter_path is None else Path(flat.dead_letter_path),
        report_file=None if flat.report_path is None else Path(flat.report_path),
    )


def _flat(config: Mapping[str, Any]) -> FlatSettings:
    known = FlatSettings.__struct_fields__
    # An empty variable of the environment is a setting that is not set.
    given = {name: value for name, value in config.items() if not _is_blank(value)}
    for name in given:
        if name not in known:
            raise SettingsError(f"{printable(name)}: {unknown_key_hint(name, known)}")
    for name in _OBJECTS:
        if isinstance(given.get(name), str):
            given[name] = _json(given[name], name)
    for name in _SDK_OBJECTS:
        if name in given and not isinstance(given[name], Mapping):
            raise SettingsError(f"{name}: expected a map")
    if type(given.get("project_id")) is int:
        given["project_id"] = str(given["project_id"])
    for name, value in given.items():
        is_checked_later = name in _CREDENTIALS or name == "hash_key"
        if isinstance(value, str) and not is_checked_later and not _is_plain(value):
            raise SettingsError(f"{name}: holds a character that no setting has")
    try:
        return msgspec.convert(given, FlatSettings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(_in_our_words(str(error))) from None


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _is_plain(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _in_our_words(message: str) -> str:
    """Turn msgspec's "Expected `int` <= 2000 - at `$.batch_size_rows`" around; it has no values."""
    problem, _, place = message.rpartition(" - at ")
    name = place.strip("`").removeprefix("$.")
    if problem.startswith("Invalid enum value"):
        return f"{name}: is not one of its values; see target-mixpanel --about"
    words = _MSGSPEC_TYPE.sub(lambda kind: _TYPE_NAMES[kind[0]], problem)
    return f"{name}: {words[:1].lower()}{words[1:]}".replace(" | null", "").replace("`", "")


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise SettingsError(f"{name}: is a text that is not JSON; give it a map") from None


def _url(flat: FlatSettings) -> str:
    if flat.api_url is None:
        if flat.region is None:
            raise SettingsError(
                "region: is missing; set it to us, eu or in, as the project's data residency "
                "says: with the wrong one Mixpanel drops the data",
            )
        return REGION_URLS[flat.region]
    return check_url(flat.api_url, "api_url")


def _require_hash_key(
    flat: FlatSettings,
    mappings: tuple[tuple[str, tuple[StreamSpec, ...]], ...],
) -> None:
    if flat.hash_key is not None:
        return
    for _, specs in mappings:
        for spec in specs:
            if any(isinstance(source, Column) and source.is_hashed for source in all_sources(spec)):
                raise SettingsError(
                    f"hash_key: is missing, and {spec.place} has hashed values; set it to a long "
                    "random text, and keep it: another one makes other people of the same ids",
                )


def _moment_ms(text: str | None, name: str, now_ms: int) -> int | None:
    if text is None:
        return None
    text = text.strip()
    relative = _RELATIVE_TIME.fullmatch(text)
    if relative:
        return now_ms - int(relative.group(1)) * _MS_PER_DAY
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    # Python takes "1712013000000", an epoch number, for a compact date and a time.
    if moment is None or (text[:9].isdecimal() and len(text) != _COMPACT_DATE_DIGITS):
        raise SettingsError(
            f'{name}: is not a time; write one like "2026-10-01", "2026-10-01T12:00:00Z" or "30d"',
        )
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MILLISECOND
