"""Would Mixpanel take what this run has for it? Asked without loading anything."""

from collections.abc import Iterator
from typing import Final

import msgspec

from target_mixpanel.credentials import ProjectToken
from target_mixpanel.delivery.batches import Batch, SizeLimit
from target_mixpanel.delivery.courier import Reports
from target_mixpanel.delivery.probes import import_probe, tables_probe
from target_mixpanel.delivery.senders import OpenTransport
from target_mixpanel.engine.sending import senders_of
from target_mixpanel.settings.credentials import profile_token, table_account
from target_mixpanel.settings.parse import Settings
from target_mixpanel.specs.spec import EventSpec, GroupSpec, LookupTableSpec, UserSpec
from target_mixpanel.stop import Stop

_PATIENCE_S: Final = 30.0
"""Somebody waits for the answer."""


def check_access(settings: Settings, open_transport: OpenTransport, stop: Stop) -> None:
    """
    See that each credential that a mapping needs is one, and each lookup table there.

    Raises:
        TargetMixpanelError: Something is not; the message says what, and what to do.
    """
    patience_s = min(_PATIENCE_S, settings.retry_max_elapsed_seconds)
    hasty = msgspec.structs.replace(settings, retry_max_elapsed_seconds=patience_s)
    reports = Reports(lambda _: None, lambda *_: None, lambda *_: None)
    senders = senders_of(hasty, open_transport, stop, reports, SizeLimit(hasty.batch_size_bytes))
    with senders.courier() as courier:
        for probe in _probes(settings):
            courier.deliver(probe)


def _probes(settings: Settings) -> Iterator[Batch]:
    specs = [spec for _, specs in settings.mappings for spec in specs]
    asking = []
    if any(isinstance(spec, EventSpec) for spec in specs):
        asking.append(settings.credentials)
    if any(isinstance(spec, (UserSpec, GroupSpec)) for spec in specs):
        asking.append(ProjectToken(profile_token(settings)))
    for credentials in dict.fromkeys(asking):
        yield import_probe(settings.url, credentials)
    tables = [spec for spec in specs if isinstance(spec, LookupTableSpec)]
    if tables:
        account = table_account(settings.credentials, tables[0].place)
        ids = [(spec.place, spec.lookup_table_id) for spec in tables]
        yield tables_probe(settings.url, account, ids)
