"""What do POST /engage and POST /groups answer, and what do they change?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from target_mixpanel.sandbox.answers import TEXT, Answer, RequestRefusedError, as_json
from target_mixpanel.sandbox.bodies import json_rows, unpack
from target_mixpanel.sandbox.profiles import (
    GROUP_OPERATIONS,
    USER_OPERATIONS,
    InvalidUpdateError,
    Profiles,
)
from target_mixpanel.sandbox.rules import BrokenRuleError, MalformedRowError, read_row
from target_mixpanel.sandbox.store import Rejection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_mixpanel.sandbox.answers import Incoming
    from target_mixpanel.sandbox.project import Project


class Kind(msgspec.Struct, frozen=True):
    """What tells user from group profiles: the fields that name one, and what may be done to it."""

    id_fields: tuple[str, ...]
    operations: frozenset[str]


USERS = Kind(("$distinct_id",), USER_OPERATIONS)
GROUPS = Kind(("$group_key", "$group_id"), GROUP_OPERATIONS)


def update_users(project: Project, request: Incoming) -> Answer:
    """Answer POST /engage; raises as _update."""
    return _update(project, request, project.users, USERS)


def update_groups(project: Project, request: Incoming) -> Answer:
    """Answer POST /groups; raises as _update."""
    return _update(project, request, project.groups, GROUPS)


def _update(project: Project, request: Incoming, profiles: Profiles, kind: Kind) -> Answer:
    """
    Apply the valid updates of one request, in order.

    Raises:
        RequestRefusedError: Nothing was applied.
    """
    is_gzip = request.headers.get("content-encoding", "").lower() == "gzip"
    if is_gzip and not project.settings.profiles_accept_gzip:
        raise RequestRefusedError(400, "gzip is not supported for profiles")
    plain = unpack(request, max_bytes=project.settings.max_request_bytes)
    rows = json_rows(request, plain)
    project.admit(request)
    errors: list[str] = []
    for index, row in enumerate(rows):
        try:
            _apply(project, row, profiles, kind)
        except (InvalidUpdateError, BrokenRuleError, MalformedRowError) as error:
            errors.append(str(error))
            project.events.reject([Rejection(index, "", request.path, str(error))])
    return _answer(request, len(rows), errors, project.settings.profile_success)


def _apply(project: Project, line: bytes, profiles: Profiles, kind: Kind) -> None:
    if len(line) > project.settings.max_event_bytes:
        raise InvalidUpdateError("update is too large")
    update = read_row(line)
    if not isinstance(update, dict):
        raise InvalidUpdateError("update, not an object")
    token, *profile = (_text(update, field) for field in ("$token", *kind.id_fields))
    operations = {name: update[name] for name in update if name in USER_OPERATIONS}
    if not operations:
        raise InvalidUpdateError("no operation")
    if unsupported := operations.keys() - kind.operations:
        raise InvalidUpdateError(f"{min(unsupported)}, not supported")
    # Mixpanel does not say that it knows no such project: the update is dropped.
    if token == project.settings.token:
        profiles.apply(tuple(profile), operations)


def _text(update: dict[str, Any], field: str) -> str:
    value = update.get(field)
    if value is None or value == "" or isinstance(value, (dict, list)):
        raise InvalidUpdateError(f"{field}, missing or empty")
    return str(value)


def _answer(request: Incoming, rows: int, errors: Sequence[str], success: str) -> Answer:
    is_success = not errors or (success == "any" and len(errors) < rows)
    if not request.is_verbose:
        return Answer(200, b"1" if is_success else b"0", TEXT)
    content: dict[str, object] = {
        "status": int(is_success),
        "error": errors[0] if errors else None,
    }
    if request.query.get("strict") == "1":
        content["num_good_events"] = rows - len(errors)
    return as_json(200, content)
