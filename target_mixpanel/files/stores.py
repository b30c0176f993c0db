"""Which bucket does a URL name, and what reads and writes there?"""

import os
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

_RETRIES: Final[Any] = {"max_retries": 5}


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


def bucket_path(url: str, place: str) -> BucketPath:
    """
    Find what a URL names, without asking the bucket for it.

    Args:
        url: `s3://bucket/path`, `gs://bucket/path` or `az://account/container/path`.
        place: Where it is written, for messages.

    Raises:
        SettingsError: It names no bucket, or what reads buckets is not installed.
    """
    try:
        from obstore.store import from_url  # noqa: PLC0415 (an extra, and slow to import)
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
    options: Any = {"allow_http": _is_local(scheme)}
    store = from_url(f"{scheme}://{host}/", client_options=options, retry_config=_RETRIES)
    return BucketPath(url, store, path)


def storage_words(error: Exception) -> str:
    """Return what went wrong in a bucket, in one line, without the server's own page."""
    if isinstance(error, FileNotFoundError):
        return "is not there"
    if isinstance(error, PermissionError):
        return "may not be read or written with the credentials at hand"
    first_line = str(error).partition("\n")[0]
    return printable(first_line.partition(" - Server returned")[0].partition("<?xml")[0])


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
