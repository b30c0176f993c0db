"""No lookup table is sent while another of the run may be half: chance would say what is there."""

import time

import pytest

from target_mixpanel.delivery.batches import Batch, SizeLimit
from target_mixpanel.engine.checkpoints import CheckpointLedger
from target_mixpanel.engine.destinations import Destinations, TableDestination
from target_mixpanel.errors import LookupTableError
from target_mixpanel.model import Mapped, Record, Span
from target_mixpanel.settings.parse import parse_settings

ONE = "11111111-2222-4333-8444-555555555555"
OTHER = "66666666-7777-4888-9999-000000000000"


def destinations(submitted: list[Batch]) -> Destinations:
    table = {"type": "lookup_table", "key": "sku", "properties": ["name"]}
    settings = parse_settings(
        {
            "api_url": "http://127.0.0.1:1",
            "service_account_username": "someone",
            "service_account_secret": "secret",
            "project_id": "1",
            "streams": {
                "one": {**table, "lookup_table_id": ONE},
                "other": {**table, "lookup_table_id": OTHER},
            },
        }
    )
    return Destinations(
        settings,
        CheckpointLedger(),
        submitted.append,
        size_limit=SizeLimit(settings.batch_size_bytes),
        clock=time.monotonic,
    )


def add_row(all_of_them: Destinations, table_id: str) -> None:
    table = all_of_them._tables[table_id]
    table.open(table_id, b"sku,name\r\n")
    table.add(Mapped(0, b"1,Bolt\r\n", "1"), Record(b"", Span(0)))


def test_a_whole_one_waits_for_one_that_is_not():
    submitted: list[Batch] = []
    all_of_them = destinations(submitted)
    add_row(all_of_them, ONE)
    all_of_them.mark_tables_whole()
    add_row(all_of_them, OTHER)
    with pytest.raises(LookupTableError, match=r"streams\.other: the tap wrote no STATE"):
        all_of_them.replace_tables(is_stopped=False)
    all_of_them.close()

    assert submitted == []


def test_both_are_sent_when_both_are_whole():
    submitted: list[Batch] = []
    all_of_them = destinations(submitted)
    for table_id in (ONE, OTHER):
        add_row(all_of_them, table_id)
    all_of_them.mark_tables_whole()
    all_of_them.replace_tables(is_stopped=False)
    tags = [batch.tag for batch in submitted]
    all_of_them.close()

    assert [tag.stream for tag in tags if isinstance(tag, TableDestination)] == [ONE, OTHER]
