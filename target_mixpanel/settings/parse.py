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
from target_mixpanel.settings.batch_folders import parse_batch_roots
from target_mixpanel.settings.credentials import check_credentials, parse_credentials
from target_mixpanel.settings.fields import (
    CREDENTIALS,
    JSON_SETTINGS,
    REGION_URLS,
    SECRETS,
    FlatSettings,
)
from target_mixpanel.settings.file_streams import FileStream, parse_file_streams
from target_mixpanel.settings.rate_limit import check_rate_limit, passwords_in
from target_mixpanel.settings.setting import Setting
from target_mixpanel.settings.url import check_url
from target_mixpanel.specs import parse_streams, unknown_key_hint
from target_mixpanel.specs.spec import StreamSpec

_CHECKED_AS_CREDENTIALS: Final = frozenset({*CREDENTIALS, "hash_key"})
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
_UTC_BY_NAME: Final = re.compile(r"(.*:.*\d) ?(?:UTC|GMT|Z)", re.IGNORECASE)
_MS_PER_DAY: Final = 86_400_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_COMPACT_DATE_DIGITS: Final = 8
_BATCH_CONFIG: Final = (
    "batch_config: is for the tap, which writes the files; give the folder of its storage to "
    "batch_roots here"
)


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
    batch_folders: tuple[str, ...]
    """Of `batch_roots`: absolute paths and buckets' URLs."""
    file_streams: tuple[FileStream, ...]
    """Of `files`, as it was written."""

    def secrets(self) -> Iterator[str]:
        """Yield every value that must not be shown."""
        for name in SECRETS:
            value = getattr(self, name)
            if value:
                yield value
        yield from passwords_in(self.rate_limit_url)

    def private_texts(self) -> Iterator[str]:
        """Yield what a server's words may not repeat: the secrets, and a service account's name."""
        yield from self.secrets()
        if self.service_account_username is not None:
            yield self.service_account_username


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
    since_ms = _moment_ms(flat.since, "since", now_ms)
    until_ms = _moment_ms(flat.until, "until", now_ms)
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise SettingsError("since: is not before until, so no event can be loaded")
    credentials = parse_credentials(flat)
    check_credentials(flat, credentials, [spec for _, specs in mappings for spec in specs])
    check_rate_limit(flat)
    return Settings(
        **msgspec.structs.asdict(flat),
        url=_url(flat),
        credentials=credentials,
        mappings=mappings,
        since_ms=since_ms,
        until_ms=until_ms,
        dead_letter_folder=None if flat.dead_letter_path is None else Path(flat.dead_letter_path),
        report_file=None if flat.report_path is None else Path(flat.report_path),
        batch_folders=parse_batch_roots(flat.batch_roots),
        file_streams=parse_file_streams(flat.files),
    )


def _flat(config: Mapping[str, Any]) -> FlatSettings:
    known = FlatSettings.__struct_fields__
    # An empty variable of the environment is a setting that is not set.
    given = {name: value for name, value in config.items() if not _is_blank(value)}
    for name in given:
        if name == "batch_config":
            raise SettingsError(_BATCH_CONFIG)
        if name not in known:
            raise SettingsError(f"{printable(name)}: {unknown_key_hint(name, known)}")
    for setting in JSON_SETTINGS:
        if isinstance(given.get(setting.name), str):
            given[setting.name] = _json(given[setting.name], setting)
    if type(given.get("project_id")) is int:
        given["project_id"] = str(given["project_id"])
    for name, value in given.items():
        is_checked_later = name in _CHECKED_AS_CREDENTIALS
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


def _json(text: str, setting: Setting) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        what = "a list" if setting.kind is list else "a map"
        raise SettingsError(f"{setting.name}: is a text that is not JSON; give it {what}") from None


def _url(flat: FlatSettings) -> str:
    if flat.api_url is None:
        if flat.region is None:
            raise SettingsError(
                "region: is missing; set it to us, eu or in, as the project's data residency "
                "says: with the wrong one Mixpanel drops the data",
            )
        return REGION_URLS[flat.region]
    return check_url(flat.api_url, "api_url")


def _moment_ms(text: str | None, name: str, now_ms: int) -> int | None:
    if text is None:
        return None
    text = text.strip()
    relative = _RELATIVE_TIME.fullmatch(text)
    if relative:
        return now_ms - int(relative.group(1)) * _MS_PER_DAY
    by_name = _UTC_BY_NAME.fullmatch(text)
    if by_name is not None:
        text = f"{by_name[1]}Z".upper()
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
