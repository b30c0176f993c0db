"""How do profile updates travel: to /engage or /groups, and what does the reply say of them?"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from target_mixpanel.delivery.payload import Payload
from target_mixpanel.delivery.quotes import row_texts
from target_mixpanel.delivery.verdict import (
    Delivered,
    OwnVerdicts,
    RefusedUnattributed,
    TryAgain,
    Unaccounted,
    Verdict,
    judge_by_status,
)
from target_mixpanel.errors import printable
from target_mixpanel.http.endpoint import Endpoint, headers_of
from target_mixpanel.http.replies import (
    BAD_REQUEST,
    OK,
    Answer,
    Reply,
    count_text,
    json_object,
    said,
)
from target_mixpanel.limits import PROFILE_MAX_UPDATES
from target_mixpanel.model import Row

USERS_PATH: Final = "/engage"


GROUPS_PATH: Final = "/groups"


_PLAIN_SUCCESS: Final = b"1"

_PLAIN_FAILURE: Final = b"0"


def profiles_endpoint(base_url: str, path: str) -> Endpoint:
    """
    Return /engage or /groups, strict and verbose, for a JSON array that holds the token.

    It takes no gzip, no header says who sends, and without ip=0 the loader's own address would
    become the profiles' city. https://developer.mixpanel.com/reference/profile-set
    """
    return Endpoint(
        url=f"{base_url}{path}?ip=0&verbose=1&strict=1",
        auth=None,
        headers=headers_of("application/json"),
    )


def profiles_payload(rows: Sequence[Row], prefix: bytes) -> Payload:
    """
    Return *rows* as a JSON array, each opened with *prefix* instead of its brace.

    Args:
        rows: Each a JSON object with at least one key.
        prefix: An opening brace, keys with their values, and a comma.
    """
    body = b"[%b]" % b",".join([prefix + row.body[1:] for row in rows])
    return Payload(body, len(body), len(body))


class ProfileRoute:
    """
    Updates of user or group profiles, to /engage or /groups.

    The token stands in no row, so that it can reach no log and no dead letter: it is put into
    each when a request is packed.
    """

    max_rows = PROFILE_MAX_UPDATES
    shares_the_rate = False

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


def engage_route(base_url: str, token: str) -> ProfileRoute:
    """Return the route of user profiles."""
    return ProfileRoute("engage", profiles_endpoint(base_url, USERS_PATH), token)


def groups_route(base_url: str, token: str) -> ProfileRoute:
    """Return the route of group profiles."""
    return ProfileRoute("groups", profiles_endpoint(base_url, GROUPS_PATH), token)


def judge_profiles(reply: Reply, sent: int, *, now: float | None = None) -> Verdict:
    """
    Return what *reply* says of the *sent* updates.

    HTTP 200 says nothing: the body does. Asked to be strict and verbose, Mixpanel answers
    `{"status":1,"error":null,"num_good_events":n}`; the count may be missing, and what does not
    know `verbose` answers `1` or `0`. The pages disagree whether a failure means that some updates
    are bad or all are, and whether the good ones among them were applied: a failure is ambiguous
    unless the reply counts none as good, or there was only one update.
    https://developer.mixpanel.com/reference/profile-set

    Args:
        reply: What came back.
        sent: The number of updates.
        now: Seconds since the epoch, for a `Retry-After` that is a date.
    """
    own: OwnVerdicts = {
        OK: lambda answer: _judge_ok(answer, sent),
        BAD_REQUEST: lambda answer: _failed(json_object(answer.body) or {}, sent, said(answer)),
    }
    return judge_by_status(reply, own, now=now)


def _judge_ok(answer: Answer, sent: int) -> Verdict:
    plain = answer.body.strip()
    if plain == _PLAIN_SUCCESS:
        return Delivered()
    if plain == _PLAIN_FAILURE:
        return _failed({}, sent, "HTTP 200, 0")
    body = json_object(answer.body) or {}
    status = body.get("status")
    if type(status) is int and status == 0:
        return _failed(body, sent, "refused")
    if type(status) is int and status == 1:
        return _judge_success(body, sent)
    return TryAgain("HTTP 200 without a status, as a proxy's page or a cut reply")


def _judge_success(body: dict[str, Any], sent: int) -> Verdict:
    good = body.get("num_good_events")
    counted = f"HTTP 200 counts {count_text(good)} of {sent:,} updates as good"
    if good is None:
        # By one reading of the pages a 1 promises no more than that one update is good.
        return _failed(body, sent, "refused") if body.get("error") else Delivered()
    if type(good) is not int or not 0 <= good <= sent:
        return Unaccounted(counted)
    if good == sent:
        return Delivered()
    return _failed(body, sent, counted)


def _failed(body: dict[str, Any], sent: int, otherwise: str) -> RefusedUnattributed:
    """Blame the request, in Mixpanel's words if there are any; halves will tell who it is."""
    error, good = body.get("error"), body.get("num_good_events")
    is_none_good = type(good) is int and good == 0
    return RefusedUnattributed(
        printable(error) if isinstance(error, str) and error else otherwise,
        is_ambiguous=sent > 1 and not is_none_good,
    )
