"""What does the reply of /engage or /groups say became of the updates? Pure."""

from typing import Any, Final

from target_mixpanel.delivery.verdict import (
    BAD_REQUEST,
    OK,
    Answer,
    BlamesNobody,
    Delivered,
    DoesNotAddUp,
    OwnVerdicts,
    Reply,
    TryAgain,
    Verdict,
    json_object,
    judge_by_status,
    number,
    said,
)
from target_mixpanel.errors import printable

_PLAIN_SUCCESS: Final = b"1"
_PLAIN_FAILURE: Final = b"0"


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
    counted = f"HTTP 200 counts {number(good)} of {sent:,} updates as good"
    if good is None:
        # By one reading of the pages a 1 promises no more than that one update is good.
        return _failed(body, sent, "refused") if body.get("error") else Delivered()
    if type(good) is not int or not 0 <= good <= sent:
        return DoesNotAddUp(counted)
    if good == sent:
        return Delivered()
    return _failed(body, sent, counted)


def _failed(body: dict[str, Any], sent: int, otherwise: str) -> BlamesNobody:
    """Blame the request, in Mixpanel's words if there are any; halves will tell who it is."""
    error, good = body.get("error"), body.get("num_good_events")
    is_none_good = type(good) is int and good == 0
    return BlamesNobody(
        printable(error) if isinstance(error, str) and error else otherwise,
        is_ambiguous=sent > 1 and not is_none_good,
    )
