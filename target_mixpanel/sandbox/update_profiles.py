"""What do POST /engage and POST /groups answer, and what do they change?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from target_mixpanel.sandbox.answers import TEXT, Answer, RequestRefusedError, as_json
from target_mixpanel.sandbox.bodies import json_rows, unpack
from target_mixpanel.sandbox.profiles import (
    GROUP_OPERATIONS,
    USER_OPERATIONS,
    InvalidUpdateError,
    check_operand,
)
from target_mixpanel.sandbox.rules import BrokenRuleError, MalformedRowError, read_row
from target_mixpanel.sandbox.store import Rejection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_mixpanel.sandbox.answers import Incoming
    from target_mixpanel.sandbox.profile_store import Profiles
    from target_mixpanel.sandbox.profiles import ProfileId
    from target_mixpanel.sandbox.project import Project


class Kind(msgspec.Struct, frozen=True):
    """
    What tells user from group profiles.

    Attributes:
        id_fields: Name one.
        operations: May be done to it.
        has_last_seen: Mixpanel notes when it changed; documented of users only.
    """

    id_fields: tuple[str, ...]
    operations: frozenset[str]
    has_last_seen: bool = False


class Update(msgspec.Struct, frozen=True):
    """A valid update, and the line it came as."""

    token: str
    profile: ProfileId
    operations: dict[str, Any]
    line: bytes
    is_seen: bool
    """It is a sign of life: Mixpanel's "Updated at" becomes now."""


USERS = Kind(("$distinct_id",), USER_OPERATIONS, has_last_seen=True)
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
    updates = [_read(row, project, kind) for row in rows]
    is_spoilt = any(isinstance(update, InvalidUpdateError) for update in updates)
    if not (is_spoilt and project.settings.failed_profiles == "drop"):
        updates = [_apply(project, profiles, update) for update in updates]
    errors = {
        index: str(update)
        for index, update in enumerate(updates)
        if isinstance(update, InvalidUpdateError)
    }
    project.events.reject(
        Rejection(index, "", request.path, error) for index, error in errors.items()
    )
    return _answer(request, len(rows), list(errors.values()), project.settings.profile_success)


def _read(line: bytes, project: Project, kind: Kind) -> Update | InvalidUpdateError:
    try:
        return _update_of(line, project, kind)
    except InvalidUpdateError as invalid:
        return invalid
    except (BrokenRuleError, MalformedRowError) as error:
        return InvalidUpdateError(str(error))


def _update_of(line: bytes, project: Project, kind: Kind) -> Update:
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
    for operation, operand in operations.items():
        check_operand(operation, operand)
    is_seen = kind.has_last_seen and update.get("$ignore_time") is not True
    return Update(token, tuple(profile), operations, line, is_seen)


def _apply(
    project: Project, profiles: Profiles, update: Update | InvalidUpdateError
) -> Update | InvalidUpdateError:
    # Mixpanel does not say that it knows no such project: the update is dropped.
    if isinstance(update, InvalidUpdateError) or update.token != project.settings.token:
        return update
    now = datetime.fromtimestamp(project.clock(), UTC)
    seen_at = f"{now:%Y-%m-%dT%H:%M:%S}" if update.is_seen else None
    try:
        profiles.apply(update.profile, update.operations, update.line, seen_at=seen_at)
    except InvalidUpdateError as invalid:
        return invalid
    return update


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
