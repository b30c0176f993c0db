"""Who sends a run's batches, as the settings say?"""

from target_mixpanel.credentials import spellings
from target_mixpanel.delivery.batches import SizeLimit
from target_mixpanel.delivery.courier import Reports
from target_mixpanel.delivery.gate import Gate
from target_mixpanel.delivery.repeats import RetryPolicy
from target_mixpanel.delivery.senders import OpenTransport, Senders
from target_mixpanel.redaction import Secrets
from target_mixpanel.settings.parse import Settings
from target_mixpanel.stop import Stop


def senders_of(
    settings: Settings,
    open_transport: OpenTransport,
    stop: Stop,
    reports: Reports,
    size_limit: SizeLimit,
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
