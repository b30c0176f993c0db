"""How does a batch travel: where to, packed how, and what does the reply mean?"""

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import msgspec

from target_mixpanel.delivery.payload import Payload, import_payload, profiles_payload
from target_mixpanel.delivery.profile_verdict import judge_profiles
from target_mixpanel.delivery.quotes import row_texts
from target_mixpanel.delivery.verdict import Reply, Verdict, judge
from target_mixpanel.errors import SettingsError
from target_mixpanel.http.endpoint import (
    GROUPS_PATH,
    USERS_PATH,
    Endpoint,
    import_endpoint,
    profiles_endpoint,
)
from target_mixpanel.limits import IMPORT_MAX_EVENTS, PROFILE_MAX_UPDATES
from target_mixpanel.model import Credentials, Row

_NEWLINE_BYTES: Final = 1


class Route(Protocol):
    """The way of a batch to one endpoint and back; shared by all threads, and never changes."""

    name: str
    """For logs."""
    endpoint: Endpoint
    max_rows: int
    """Rows that one request may have."""
    row_bytes: int
    """What packing adds to each row's body, uncompressed."""
    frame_bytes: int
    """What packing adds once, uncompressed."""

    def pack(self, rows: Sequence[Row]) -> Payload:
        """Return *rows* as one request's body."""

    def judge(self, reply: Reply, rows: Sequence[Row]) -> Verdict:
        """Return what *reply* says became of *rows*; unknown is never success."""

    def texts(self, rows: Sequence[Row]) -> Iterable[str]:
        """Yield what a server could repeat of a request of *rows*."""


class ImportRoute:
    """Events, to /import."""

    name = "import"
    max_rows = IMPORT_MAX_EVENTS
    row_bytes = _NEWLINE_BYTES
    frame_bytes = 0

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def pack(self, rows: Sequence[Row]) -> Payload:
        return import_payload(rows)

    def judge(self, reply: Reply, rows: Sequence[Row]) -> Verdict:
        return judge(reply, [row.insert_id for row in rows])

    def texts(self, rows: Sequence[Row]) -> Iterable[str]:
        return row_texts(rows)


class ProfileRoute:
    """
    Updates of user or group profiles, to /engage or /groups.

    The token stands in no row, so that it can reach no log and no dead letter: it is put into
    each when a request is packed.
    """

    max_rows = PROFILE_MAX_UPDATES

    def __init__(self, name: str, endpoint: Endpoint, token: str) -> None:
        self.name = name
        self.endpoint = endpoint
        self._prefix = b'{"$token":%b,' % msgspec.json.encode(token)
        # The prefix takes the place of a row's brace, and a comma follows all rows but the last.
        self.row_bytes = len(self._prefix)
        self.frame_bytes = len(b"[]") - len(b",")

    def pack(self, rows: Sequence[Row]) -> Payload:
        return profiles_payload(rows, self._prefix)

    def judge(self, reply: Reply, rows: Sequence[Row]) -> Verdict:
        return judge_profiles(reply, len(rows))

    def texts(self, rows: Sequence[Row]) -> Iterable[str]:
        return row_texts(rows)


def import_route(
    base_url: str,
    credentials: Credentials,
    secrets: Iterable[str] = (),
) -> ImportRoute:
    """Return the route of events."""
    return ImportRoute(import_endpoint(base_url, credentials, secrets))


def engage_route(
    base_url: str,
    token: str | None,
    secrets: Iterable[str] = (),
) -> ProfileRoute:
    """
    Return the route of user profiles.

    Raises:
        SettingsError: There is no *token*.
    """
    return _profile_route("engage", base_url, USERS_PATH, token, secrets)


def groups_route(
    base_url: str,
    token: str | None,
    secrets: Iterable[str] = (),
) -> ProfileRoute:
    """
    Return the route of group profiles.

    Raises:
        SettingsError: There is no *token*.
    """
    return _profile_route("groups", base_url, GROUPS_PATH, token, secrets)


def _profile_route(
    name: str,
    base_url: str,
    path: str,
    token: str | None,
    secrets: Iterable[str],
) -> ProfileRoute:
    if not token:
        raise SettingsError(
            "project_token: is missing; set it: user and group profiles need it, even beside a "
            "service account",
        )
    return ProfileRoute(name, profiles_endpoint(base_url, path, {token, *secrets}), token)
