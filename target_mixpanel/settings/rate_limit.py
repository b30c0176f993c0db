"""Which Redis keeps the limit that several loaders share, and may it be asked?"""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from target_mixpanel.errors import SettingsError
from target_mixpanel.settings.fields import FlatSettings

_PLACE: Final = "rate_limit_url"
_TLS_FILES: Final = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
"""All that its query may say: nothing there switches the checking of certificates off."""

_DATABASE: Final = re.compile(r"/?|/\d{1,5}")


def check_rate_limit(flat: FlatSettings) -> None:
    """
    See that `rate_limit_url` names a Redis, and that there is a limit to share.

    Raises:
        SettingsError: It does not, or there is none; the message has nothing of the URL.
    """
    url = flat.rate_limit_url
    if url is None:
        return
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise SettingsError(f"{_PLACE}: {_NO_URL}") from None
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname or parts.fragment:
        raise SettingsError(f"{_PLACE}: {_NO_URL}")
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        raise SettingsError(f"{_PLACE}: holds white space; write it as %20 and the like")
    if parts.username and not parts.password:
        raise SettingsError(
            f"{_PLACE}: holds a user and no password; write redis://user:password@host, or "
            "redis://:password@host"
        )
    if not _DATABASE.fullmatch(parts.path):
        raise SettingsError(f"{_PLACE}: ends in what is no number of a database; write …:6379/0")
    _check_query(parts.query, is_tls=parts.scheme == "rediss")
    if flat.max_events_per_second is None:
        raise SettingsError(
            f"max_events_per_second: is missing; it is what the loaders share by {_PLACE}, so set "
            "the same one for each of them",
        )


_NO_URL: Final = (
    "is not the URL of a Redis; write rediss://:password@host:6379/0, with what is special in the "
    "password as %23 and the like"
)


def _check_query(query: str, *, is_tls: bool) -> None:
    for name, _ in parse_qsl(query, keep_blank_values=True):
        if name not in _TLS_FILES:
            raise SettingsError(
                f"{_PLACE}: its query may only name files: ssl_ca_certs, ssl_certfile, ssl_keyfile"
            )
        if not is_tls:
            raise SettingsError(f"{_PLACE}: names a file for TLS; write rediss://")


def passwords_in(url: str | None) -> Iterator[str]:
    """Yield the password in *url*, which was checked, as it stands there and as it is."""
    password = urlsplit(url or "").password
    if password:
        yield password
        yield unquote(password)
