"""What writes to the buckets of the settings, and how patient is it?"""

from target_mixpanel.files.writing import BucketWriter, Patience
from target_mixpanel.settings.parse import Settings


def bucket_writer(url: str, setting: str, settings: Settings) -> BucketWriter:
    """
    Return what writes below *url*, as patient as with Mixpanel.

    Raises:
        SettingsError: It names no bucket, or what writes there is not installed.
    """
    patience = Patience(
        settings.retry_initial_seconds,
        settings.retry_max_seconds,
        settings.retry_jitter_seconds,
        settings.retry_max_elapsed_seconds,
    )
    return BucketWriter(url, setting, patience, timeout_s=settings.request_timeout_seconds)
