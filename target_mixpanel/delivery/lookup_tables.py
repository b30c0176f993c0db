"""How is a lookup table replaced?"""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import quote

from target_mixpanel.credentials import ServiceAccount
from target_mixpanel.delivery.batches import Batch
from target_mixpanel.delivery.payload import Payload
from target_mixpanel.delivery.table_verdict import Table, judge_table, table_texts
from target_mixpanel.delivery.verdict import Verdict
from target_mixpanel.http.endpoint import Endpoint, headers_of
from target_mixpanel.http.replies import Reply
from target_mixpanel.model import Row

TABLES_PATH: Final = "/lookup-tables"


class LookupTable:
    """One of Mixpanel's lookup tables, which a run replaces as a whole."""

    def __init__(
        self,
        base_url: str,
        account: ServiceAccount,
        table_id: str,
        *,
        place: str,
    ) -> None:
        """
        Args:
            base_url: Scheme and host.
            account: Who replaces it; no other credential may.
            table_id: As Mixpanel's Lexicon shows it.
            place: Where in the configuration the table stands, for messages.
        """
        self.endpoint = table_endpoint(base_url, account, table_id)
        self.table = Table(place, table_id, tables_endpoint(base_url, account))

    def batch(
        self, payload: Payload, tag: Any, *, closed_at: float, lane: int | None = None
    ) -> Batch:
        """
        Return the request that replaces the table: a batch without rows.

        It is settled when Mixpanel has confirmed the whole table; no part of it is ever rejected.
        *payload* must stay as it is until then.

        Args:
            payload: The gzipped CSV.
            tag: What the caller needs to know again when it is settled.
            closed_at: When it was ready to go.
            lane: As of any batch.
        """
        return Batch((), tag, closed_at, TableRoute(self.endpoint, self.table, payload), lane)


class TableRoute:
    """The way of one whole table; its body is made, so there are no rows to pack."""

    name = "lookup-tables"
    max_rows = 0
    row_bytes = 0
    frame_bytes = 0
    shares_the_rate = False

    def __init__(self, endpoint: Endpoint, table: Table, payload: Payload) -> None:
        self.endpoint = endpoint
        self._table = table
        self._payload = payload

    def pack(self, rows: Sequence[Row]) -> Payload:  # noqa: ARG002
        return self._payload

    def judge(self, reply: Reply, rows: Sequence[Row]) -> Verdict:  # noqa: ARG002
        return judge_table(reply, self._table, self._payload)

    def texts(self, rows: Sequence[Row]) -> Iterable[str]:  # noqa: ARG002
        return table_texts(self._payload)


def table_endpoint(
    base_url: str,
    account: ServiceAccount,
    table_id: str,
) -> Endpoint:
    """
    Return where a gzipped CSV replaces a lookup table.

    https://developer.mixpanel.com/reference/replace-lookup-table
    """
    path = f"{TABLES_PATH}/{quote(table_id, safe='')}"
    return Endpoint(
        url=f"{base_url}{path}?project_id={account.project_id}",
        auth=(account.username, account.secret),
        headers=headers_of("text/csv", is_gzip=True),
        method="PUT",
    )


def tables_endpoint(
    base_url: str,
    account: ServiceAccount,
) -> Endpoint:
    """
    Return where the lookup tables are listed.

    https://developer.mixpanel.com/reference/list-lookup-tables
    """
    return Endpoint(
        url=f"{base_url}{TABLES_PATH}?project_id={account.project_id}",
        auth=(account.username, account.secret),
        headers=headers_of(None),
        method="GET",
    )
