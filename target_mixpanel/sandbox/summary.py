"""What arrived, in numbers?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from target_mixpanel.sandbox.project import Project
    from target_mixpanel.sandbox.store import EventCount


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """
    Counts since the start or the last reset.

    Attributes:
        received: Rows that were looked at, profile updates that were refused included.
        accepted: Events ingested.
        duplicates: Accepted events whose twin was there already.
        report_rows: Events that reports show: accepted less duplicates.
        compacted_rows: Events that are left after compaction: one of a name, a
            distinct_id and an $insert_id on one day.
        ignored: Events with a truthy $ignore, which were dropped without a word.
        texts_cut: Texts of events that were cut without a word.
        identities_ignored: Identity events that changed nothing, by reason; nobody was told.
        rejected_by_message: Refused rows, most frequent first.
        users: User profiles there are.
        user_updates: Updates of users that were valid and for this project.
        statuses: Ingestion requests by status; "reset" for those without.
    """

    received: int
    accepted: int
    duplicates: int
    report_rows: int
    compacted_rows: int
    ignored: int
    texts_cut: int
    identities_ignored: dict[str, int]
    rejected: int
    rejected_by_message: dict[str, int]
    events: dict[str, EventCount]
    users: int
    user_updates: int
    groups: int
    group_updates: int
    lookup_table_rows: int
    requests: int
    statuses: dict[str, int]


def summarise(project: Project) -> Summary:
    """Count what is there now."""
    events = project.events.counts()
    messages = project.events.messages()
    accepted = sum(count.raw for count in events.values())
    rejected = sum(messages.values())
    return Summary(
        received=accepted + rejected,
        accepted=accepted,
        duplicates=project.events.duplicates,
        report_rows=sum(count.report for count in events.values()),
        compacted_rows=sum(count.compacted for count in events.values()),
        ignored=project.events.ignored,
        texts_cut=project.events.texts_cut,
        identities_ignored=project.events.unlinked(),
        rejected=rejected,
        rejected_by_message=messages,
        events=events,
        users=project.users.count,
        user_updates=project.users.applied,
        groups=project.groups.count,
        group_updates=project.groups.applied,
        lookup_table_rows=sum(table.row_count for table in project.tables.all()),
        requests=project.requests.arrived,
        statuses=project.requests.statuses(),
    )
