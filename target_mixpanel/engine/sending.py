"""Who sends a run's batches, as the settings say?"""

from hashlib import blake2b
from typing import TYPE_CHECKING

from target_mixpanel.credentials import spellings
from target_mixpanel.delivery.batches import SizeLimit
from target_mixpanel.delivery.courier import Reports
from target_mixpanel.delivery.gate import Gate, SharedLimit
from target_mixpanel.delivery.repeats import RetryPolicy
from target_mixpanel.delivery.senders import OpenTransport, Senders
from target_mixpanel.errors import SettingsError
from target_mixpanel.redaction import Secrets
from target_mixpanel.settings.parse import Settings
from target_mixpanel.stop import Stop

if TYPE_CHECKING:
    from target_mixpanel.delivery.shared_rate import SharedRate


def shared_rate_of(settings: Settings) -> "SharedRate | None":
    """
    Return what this loader shares with others of its project; None: nothing.

    Raises:
        SettingsError: What speaks to Redis is not installed.
    """
    if settings.rate_limit_url is None or settings.max_events_per_second is None:
        return None
    try:
        from target_mixpanel.delivery import shared_rate  # noqa: PLC0415 (an extra, and slow)
    except ModuleNotFoundError:
        raise SettingsError(
            "rate_limit_url: needs the extra redis: pip install 'target-mixpanel[redis]'"
        ) from None
    return shared_rate.SharedRate(
        settings.rate_limit_url,
        _key_of(settings),
        shared_rate.costs_of(settings.max_events_per_second),
    )


def _key_of(settings: Settings) -> str:
    """
    Return the name of the project's limit: the same for all its loaders, and no secret.

    A token that is set wins, as most loaders have one.
    """
    project = f"{settings.url} {settings.project_token or settings.project_id}"
    return f"target-mixpanel:rate:{blake2b(project.encode(), digest_size=16).hexdigest()}"


def senders_of(  # noqa: PLR0913 (what they are made of)
    settings: Settings,
    open_transport: OpenTransport,
    stop: Stop,
    reports: Reports,
    size_limit: SizeLimit,
    *,
    shared: SharedLimit | None = None,
) -> Senders:
    """Return what makes the couriers of a run, one for each sending thread."""
    return Senders(
        open_transport,
        url=settings.url,
        timeout_s=settings.request_timeout_seconds,
        secrets=Secrets(spellings(settings.private_texts(), settings.credentials)),
        gate=Gate(
            settings.max_parallel_requests,
            stop,
            max_events_per_second=settings.max_events_per_second,
            shared=shared,
        ),
        stop=stop,
        reports=reports,
        retry=RetryPolicy(
            initial_s=settings.retry_initial_seconds,
            max_s=settings.retry_max_seconds,
            jitter_s=settings.retry_jitter_seconds,
            max_elapsed_s=settings.retry_max_elapsed_seconds,
        ),
        size_limit=size_limit,
    )
