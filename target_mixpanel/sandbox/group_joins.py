"""Do events and users find the profiles of the groups that they name?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from target_mixpanel.sandbox.project import Project


class Join(msgspec.Struct):
    """
    How often a group is named, by property; a list names several.

    Attributes:
        found: By a text that is the id of a profile.
        without_profile: By another text.
        not_text: By a number or what else is no text. Mixpanel compares types, too: 12 is not the
            group "12". https://developer.mixpanel.com/reference/segmentation-expressions
    """

    found: int = 0
    without_profile: int = 0
    not_text: int = 0


class GroupJoins(msgspec.Struct):
    """By what events and users are joined to the profiles of one group key."""

    profiles: int = 0
    events: Join = msgspec.field(default_factory=Join)
    users: Join = msgspec.field(default_factory=Join)


def group_joins(project: Project, newest_events: int | None = None) -> dict[str, GroupJoins]:
    """Return the joins of each group key that has profiles; of all events, or the newest."""
    ids: dict[str, set[str]] = {}
    for group_key, group_id in project.groups.all():
        ids.setdefault(group_key, set()).add(group_id)
    joins = {group_key: GroupJoins(profiles=len(known)) for group_key, known in ids.items()}
    if not joins:
        return joins
    events = project.events
    lines = events.raw() if newest_events is None else events.newest(newest_events)
    for line in lines:
        properties = msgspec.json.decode(line).get("properties")
        if isinstance(properties, dict):
            _count(properties, ids, {key: join.events for key, join in joins.items()})
    for user in project.users.all().values():
        _count(user, ids, {key: join.users for key, join in joins.items()})
    return joins


def _count(
    properties: Mapping[str, Any], ids: Mapping[str, set[str]], joins: Mapping[str, Join]
) -> None:
    for group_key, join in joins.items():
        for named in _items(properties.get(group_key)):
            if not isinstance(named, str):
                join.not_text += 1
            elif named in ids[group_key]:
                join.found += 1
            else:
                join.without_profile += 1


def _items(named: object) -> Iterable[object]:
    if named is None:
        return ()
    return named if isinstance(named, list) else (named,)
