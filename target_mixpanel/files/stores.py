"""Which bucket does a URL name, and what reads and writes there?"""

import os
import re
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from target_mixpanel.errors import SettingsError, printable

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES: Final = frozenset({"s3", "gs", "az"})
"""Of URLs that name a bucket, and what is in it."""

_ENDPOINTS: Final = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
}
"""Variables that name another S3, as they are called everywhere, or another Google's."""

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

_RETRIES: Final = 5

_STORES_KEPT: Final = 8
"""Of the buckets used last; each has connections of its own, and is asked from any thread."""

_OF_STORES: Final = re.compile("AWS_|GOOGLE_|AZURE_|HTTPS?_PROXY|ALL_PROXY|NO_PROXY", re.IGNORECASE)

_STATUS: Final = re.compile(r"status code: (\d{3}(?: [A-Za-z]+)*)")

_URL: Final = re.compile(r"(\w+://)(?:[^/\s@]*@)?([^/\s?#]*)\S*")
"""Its path is what was asked for; its user, its password and what is signed in it are nobody's."""

_REFUSED: Final = frozenset({"401", "403"})

_MAY_PASS: Final = frozenset({"408", "409", "425", "429"})
"""Of the 4xx: what may be otherwise in a moment."""

_OF_CREDENTIALS: Final = ("://169.254.", "://metadata.", "token request", "credential error")
"""Stand in what is said where there are none, in the words of several clouds."""


class BucketPath(msgspec.Struct, frozen=True):
    """An object in a bucket, or the beginning of the names of several."""

    url: str
    store: "ObjectStore"
    """The bucket; credentials are the environment's, or the platform's role."""
    path: str
    """Within it, without a slash at the beginning."""


def is_bucket_url(text: str) -> bool:
    """Say whether *text* names something in a bucket, and no local file."""
    scheme, found, _ = text.partition("://")
    return bool(found) and scheme in SCHEMES


def bucket_path(
    url: str, place: str, *, retries: int = _RETRIES, timeout_s: float | None = None
) -> BucketPath:
    """
    Find what a URL names, without asking the bucket for it.

    Args:
        url: `s3://bucket/path`, `gs://bucket/path` or `az://account/container/path`.
        place: Where it is written, for messages.
        retries: Of each request, with waits that hear no signal.
        timeout_s: Of each request; None: as the library has it.

    Raises:
        SettingsError: It names no bucket, or what reads buckets is not installed.
    """
    try:
        from obstore.exceptions import BaseError  # noqa: PLC0415 (an extra)
    except ImportError:
        raise SettingsError(
            f"{place}: buckets need the extra files: pip install 'target-mixpanel[files]'"
        ) from None
    scheme, host, path = _parts(url)
    if scheme == "az":
        container, _, path = path.partition("/")
        host = f"{host}/{container}" if container else ""
    if scheme not in SCHEMES or not host:
        raise SettingsError(
            f"{place}: {printable(url)} names no bucket; write s3://bucket/path, gs://bucket/path "
            "or az://account/container/path"
        )
    try:
        store = _store(f"{scheme}://{host}/", retries, timeout_s, _environment())
    except (BaseError, ValueError) as error:
        raise SettingsError(f"{place}: {printable(url)} {storage_words(error)}") from None
    return BucketPath(url, store, path)


@lru_cache(maxsize=_STORES_KEPT)
def _store(
    root: str,
    retries: int,
    timeout_s: float | None,
    environment: tuple[tuple[str, str], ...],  # noqa: ARG001 (a part of the key)
) -> "ObjectStore":
    """Return what reads and writes one bucket: its connections, and its look at TLS roots."""
    from obstore.store import from_url  # noqa: PLC0415 (an extra, and slow to import)

    options: Any = {"allow_http": _is_local(root.partition("://")[0])}
    if timeout_s is not None:
        options["timeout"] = timedelta(seconds=timeout_s)
    return from_url(root, client_options=options, retry_config={"max_retries": retries})


def _environment() -> tuple[tuple[str, str], ...]:
    """Return what a store takes from the environment: endpoints, credentials, a proxy."""
    given = os.environ.items()
    return tuple((name, value) for name, value in given if _OF_STORES.match(name))


def storage_words(error: Exception) -> str:
    """Return what went wrong in a bucket, in one line, without the server's own page."""
    status = _status(error)
    if isinstance(error, FileNotFoundError) or status.startswith("404"):
        return "is not there"
    if lacks_credentials(error):
        return "needs credentials: the environment has none that are good, nor has the platform"
    if status[:3] in _REFUSED:
        return "may not be read or written with the credentials at hand"
    if status:
        return f"is answered with {status}"
    return printable(_first_line(error))


def is_no_proof(error: Exception) -> bool:
    """Say whether a list was refused to somebody who may yet be allowed to write."""
    return _status(error)[:3] in _REFUSED and not lacks_credentials(error)


def is_lasting(error: Exception) -> bool:
    """Say whether the same request will fail again, however long one waits."""
    if isinstance(error, FileNotFoundError | ValueError):
        return True
    if lacks_credentials(error):  # the platform's may be late
        return False
    status = _status(error)[:3]
    is_elsewhere = "incorrectly configured region" in str(error)
    return is_elsewhere or (status.startswith("4") and status not in _MAY_PASS)


def _status(error: Exception) -> str:
    found = _STATUS.search(_first_line(error))
    return found[1] if found else ""


def lacks_credentials(error: Exception) -> bool:
    """Say whether it did not even come to a request, since nobody said who asks."""
    said = _first_line(error).partition(" - Server returned")[0]
    return any(words in said for words in _OF_CREDENTIALS)


def _first_line(error: Exception) -> str:
    """Return what the library says, with each URL down to its host."""
    first_line = str(error).partition("\n")[0].partition("<?xml")[0]
    return _URL.sub(r"\1\2", first_line)


def _parts(url: str) -> tuple[str, str, str]:
    # Not urlsplit's path: a name may hold ? and #.
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    return scheme, host, path


def _is_local(scheme: str) -> bool:
    """Say whether the bucket is an emulator's on this machine; http is for no other."""
    names = _ENDPOINTS.get(scheme, ())
    endpoint = next((os.environ[name] for name in names if os.environ.get(name)), "")
    return urlsplit(endpoint).hostname in _LOOPBACK
