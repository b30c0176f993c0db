"""Does Mixpanel know us? Asked in a way that leaves nothing there."""

from collections.abc import Iterable, Sequence
from typing import Final

from target_mixpanel.credentials import Credentials, ServiceAccount
from target_mixpanel.delivery.batches import Batch
from target_mixpanel.delivery.events import import_endpoint, import_payload
from target_mixpanel.delivery.lookup_tables import tables_endpoint
from target_mixpanel.delivery.payload import Payload
from target_mixpanel.delivery.route import Route
from target_mixpanel.delivery.table_verdict import listed_ids, tables_there_are
from target_mixpanel.delivery.verdict import (
    Delivered,
    Fatal,
    OwnVerdicts,
    TableRefused,
    TryAgain,
    Verdict,
    judge_by_status,
)
from target_mixpanel.errors import printable
from target_mixpanel.http.endpoint import Endpoint
from target_mixpanel.http.replies import BAD_REQUEST, OK, Answer, Reply
from target_mixpanel.model import Record, Row, Span

_INVALID_EVENT: Final = Row(
    b'{"event":"target-mixpanel check","properties":{}}', "", Record(b"", Span(0))
)
"""It has no time and no id, so /import refuses it, once it knows who asks: 401 comes before 400.
https://developer.mixpanel.com/reference/import-events"""


def import_probe(base_url: str, credentials: Credentials) -> Batch:
    """
    Return the request by which /import says whether it takes *credentials*.

    It stands for /engage and /groups, too, which take any token and drop what they are sent.
    """
    return _asking(_ImportProbe(import_endpoint(base_url, credentials)))


def tables_probe(
    base_url: str, account: ServiceAccount, tables: Sequence[tuple[str, str]]
) -> Batch:
    """
    Return the request that asks which lookup tables *account* sees.

    Args:
        base_url: Scheme and host.
        account: Who replaces them.
        tables: Those that must be there: the place in the configuration of each, and its id.
    """
    return _asking(_TablesProbe(tables_endpoint(base_url, account), tables))


def _asking(route: Route) -> Batch:
    return Batch((), None, 0.0, route)


class _Probe:
    """A request without rows: there is nothing to pack, and nothing to be quoted."""

    max_rows = row_bytes = frame_bytes = 0
    shares_the_rate = False
    payload = Payload(b"", 0, 0)

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def pack(self, rows: Sequence[Row]) -> Payload:  # noqa: ARG002
        return self.payload

    def texts(self, rows: Sequence[Row]) -> Iterable[str]:  # noqa: ARG002
        return ()


class _ImportProbe(_Probe):
    name = "check"
    payload = import_payload([_INVALID_EVENT])

    def judge(self, reply: Reply, rows: Sequence[Row]) -> Verdict:  # noqa: ARG002
        own: OwnVerdicts = {
            BAD_REQUEST: lambda _: Delivered(),
            OK: lambda _: Fatal(
                "HTTP 200 for what is no event, so it is not Mixpanel's /import; "
                "check region or api_url"
            ),
        }
        return judge_by_status(reply, own)


class _TablesProbe(_Probe):
    name = "check-lookup-tables"

    def __init__(self, endpoint: Endpoint, tables: Sequence[tuple[str, str]]) -> None:
        super().__init__(endpoint)
        self._tables = tables

    def judge(self, reply: Reply, rows: Sequence[Row]) -> Verdict:  # noqa: ARG002
        return judge_by_status(reply, {OK: self._judge_listing})

    def _judge_listing(self, answer: Answer) -> Verdict:
        there = listed_ids(answer)
        if there is None:
            return TryAgain("HTTP 200 without a list of lookup tables, as a proxy's page")
        for place, table_id in self._tables:
            if table_id.lower() not in there:
                return TableRefused(
                    f"{place}: Mixpanel has no lookup table {printable(table_id)}; "
                    f"{tables_there_are(answer)}",
                )
        return Delivered()
