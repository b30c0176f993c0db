"""A call whose time is up settles, notes its place and fails; the next one goes on from there."""

import random
import time

import pytest

from target_mixpanel.platforms.call import Call
from target_mixpanel.sandbox import Sandbox
from target_mixpanel.settings.parse import parse_settings
from tests.buckets import Bucket
from tests.faults.test_kills import moment
from tests.functions import events
from tests.functions.hosts import LambdaHost, environment_of, settings_of
from tests.functions.rounds import Rounds, ids
from tests.functions.test_lambda import notes
from tests.load.loads import json_lines, rows
from tests.waiting import wait_until

KEY = "orders/a.jsonl"
WIDE = 200
"""Rows: a place is noted behind each megabyte, which is some ten of them. More of them than are
sent before any deadline here, however fast the machine is."""


def wide(count: int) -> list[dict]:
    """Return rows of which a block holds some."""
    return [{**row, "note": "x" * 100_000} for row in rows(count)]


def slow(sandbox: Sandbox, bucket: Bucket, **more) -> dict[str, str]:
    """Let each request take long, and few rows go with it."""
    few = {"batch_size_rows": 5, "max_parallel_requests": 1, **more}
    return bucket.environment | environment_of(sandbox, bucket.url, **few)


def test_time_is_up_and_the_next_calls_go_on(bucket: Bucket, sandbox: Sandbox):
    """In one process, by its own clock; what was sent before is not sent again."""
    bucket.put(KEY, json_lines(wide(WIDE)))
    sandbox.script({"delay_s": 0.2, "times": -1})
    with LambdaHost(slow(sandbox, bucket)) as host:
        host.invoke(events.TEST_EVENT)  # started
        ended = host.invoke(events.s3(bucket.name, KEY), seconds=10)
        (note,) = notes(bucket)
        sent = len(sandbox.raw())
        sandbox.script({"delay_s": 0.0, "times": -1})
        again = host.invoke(events.s3(bucket.name, KEY))

    assert 0 < note["rows"] == sent < WIDE
    assert not note["is_done"]
    assert ended.error == (
        f"{bucket.url}{KEY}: time is up behind row {note['rows']}; the next call goes on from there"
    )
    assert again.kind == "response"
    assert list(range(WIDE)) == ids(sandbox)
    assert len(sandbox.raw()) == WIDE


def test_what_cannot_be_settled_in_time_is_not_noted(bucket: Bucket, sandbox: Sandbox):
    """Mixpanel takes nothing any more: the call still ends before it is killed."""
    bucket.put(KEY, json_lines(rows(50)))
    sandbox.script({"status": 503, "times": -1})
    with LambdaHost(slow(sandbox, bucket)) as host:
        ended = host.invoke(events.s3(bucket.name, KEY), seconds=4)

    assert "time is up behind row 0; the next call goes on from there" in ended.error
    assert not notes(bucket)


def test_messages_without_time_are_failures(bucket: Bucket, sandbox: Sandbox):
    """The first takes all of it; those behind it were not begun, and come again."""
    named = [f"orders/{number}.jsonl" for number in range(3)]
    for key in named:
        bucket.put(key, json_lines(wide(WIDE)))
    sandbox.script({"delay_s": 0.1, "times": -1})
    with LambdaHost(slow(sandbox, bucket)) as host:
        host.invoke(events.TEST_EVENT)  # started
        queued = events.sqs(*(events.s3(bucket.name, key) for key in named))
        answer = host.invoke(queued, seconds=6)

        assert answer.body == events.failed(0, 1, 2)
        assert host.logged.count("time is up before it was begun") == 2
        assert "orders/0.jsonl: time is up behind row" in host.logged
        assert "[ERROR]" not in host.logged


@pytest.mark.parametrize(
    ("left_s", "timeout_s", "kept_s"),
    [(900, 25, 30), (60, 25, 30), (30, 25, 16.5), (3, 25, 1.65), (60, 0, 5), (0, 25, 0)],
)
def test_what_is_kept_for_the_end(sandbox: Sandbox, left_s, timeout_s, kept_s):
    """shutdown_timeout_seconds and a margin; of a short call at most a little more than half."""
    settings = settings_of(sandbox, "s3://shop/", shutdown_timeout_seconds=timeout_s)
    call = Call(parse_settings(settings), lambda: left_s)

    assert call._kept_s == pytest.approx(kept_s)


def kill_lambda(sandbox: Sandbox, bucket: Bucket, kills: int, seed: int) -> Rounds:
    """Kill at random moments by SIGKILL, or at a deadline as the platform does."""
    rounds = Rounds(sandbox, random.Random(seed))  # noqa: S311 (the same kills when one fails)
    environment = environment_of(sandbox, bucket.url, batch_size_rows=7) | bucket.environment
    number = 0
    host = LambdaHost(environment)
    try:
        while rounds.kills < kills:
            number += 1
            named = rounds.begin(bucket, number)
            queued = events.sqs(*(events.s3(bucket.name, key) for key in named))
            while True:
                kill_when = moment(sandbox, rounds.chance)
                seconds = rounds.chance.choice([900.0, rounds.chance.uniform(0.05, 1.0)])
                host.begin(queued, seconds)
                deadline = time.monotonic() + seconds
                wait_until(
                    lambda: (
                        not host.api.answers.empty()  # noqa: B023 (this round's)
                        or kill_when()  # noqa: B023
                        or time.monotonic() > deadline  # noqa: B023
                    )
                )
                answer = host.answer(0.001)
                if answer is not None:
                    if answer.body == events.failed():
                        break
                    assert answer.kind == "response", host.logged
                    rounds.kills += 1  # by its deadline
                    continue
                host.__exit__()
                rounds.kills += 1
                host = LambdaHost(environment)
            rounds.end(named)
    finally:
        host.__exit__()
    return rounds


def test_killed_at_random(sandbox: Sandbox, bucket: Bucket):
    """Nothing missing, nothing twice in reports."""
    assert kill_lambda(sandbox, bucket, 6, 12).kills >= 6


@pytest.mark.slow
def test_killed_at_random_sixty_times(sandbox: Sandbox, bucket: Bucket):
    rounds = kill_lambda(sandbox, bucket, 60, 1)
    print(f"Lambda: {rounds.kills} kills, {rounds.sent} rows sent for {rounds.rows}")  # noqa: T201

    assert rounds.kills >= 60
