"""Below which folders may BATCH files be read? The setting `batch_roots`, parsed."""

from collections.abc import Sequence
from typing import Any

from target_mixpanel.errors import InputError, SettingsError
from target_mixpanel.files.objects import local_path
from target_mixpanel.files.stores import is_bucket_url


def parse_batch_roots(written: Sequence[Any] | None) -> tuple[str, ...]:
    """
    Return the folders of `batch_roots`: absolute paths, links and all, and buckets' URLs.

    Raises:
        SettingsError: One is no folder that could be read below.
    """
    return tuple(
        _folder(each, f"batch_roots: entry {number}")
        for number, each in enumerate(written or (), 1)
    )


def _folder(written: Any, place: str) -> str:
    if not isinstance(written, str) or not written.strip():
        raise SettingsError(f"{place}: must be a text, as file:///data/ or s3://bucket/folder/")
    if "*" in written:
        raise SettingsError(f"{place}: is a folder, all of it; leave out the *")
    if is_bucket_url(written):
        if not written.partition("://")[2].strip("/"):
            raise SettingsError(f"{place}: names no bucket; write s3://bucket/folder/")
        return written
    try:
        return local_path(written, place)
    except InputError:
        raise SettingsError(
            f"{place}: is no folder that is read; write file:///data/ or s3://bucket/folder/"
        ) from None
