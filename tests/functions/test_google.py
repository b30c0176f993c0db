"""Google Cloud Functions, by its own framework: what an event loads, and what it answers."""

import json
import random
import threading
from pathlib import Path

import pytest

from target_mixpanel.sandbox import Sandbox
from tests.buckets import GcsBucket
from tests.conftest import Command
from tests.faults.test_kills import moment
from tests.functions.events import finalized
from tests.functions.hosts import GoogleHost, environment_of
from tests.functions.rounds import Rounds, ids
from tests.functions.test_deadlines import WIDE, wide
from tests.load.loads import content_of, json_lines, load, rows
from tests.waiting import wait_until

KEY = "orders/ä b+c%20d.jsonl.gz"


@pytest.fixture
def google(sandbox: Sandbox, gcs_bucket: GcsBucket):
    """The framework with the function in it, which loads `orders/*` of the bucket."""
    environment = environment_of(sandbox, gcs_bucket.url) | gcs_bucket.environment
    with GoogleHost(environment) as running:
        yield running


def notes(bucket: GcsBucket) -> list[dict]:
    return [json.loads(each) for name, each in bucket.contents().items() if name[:6] == "state/"]


def logged(host: GoogleHost) -> list[dict]:
    """Return the lines of our own, which Google reads as they are."""
    return [json.loads(line) for line in host.logged.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("is_structured", [False, True], ids=["binary", "structured"])
def test_an_event_loads_its_object_once(
    google: GoogleHost, gcs_bucket: GcsBucket, sandbox: Sandbox, is_structured: bool
):
    """Also when it is delivered twice; when the object has changed, it is loaded anew."""
    event = finalized(gcs_bucket.name, KEY, is_structured=is_structured)
    for count in (50, 50, 60):
        gcs_bucket.put(KEY, content_of("a.jsonl.gz", rows(count)))
        assert google.post(*event)[0] == 200, google.logged
        assert google.post(*event)[0] == 200

    assert ids(sandbox) == list(range(60))
    assert google.logged.count("is loaded already") >= 3


def test_the_same_events_as_through_load(
    google: GoogleHost, gcs_bucket: GcsBucket, command: Command, sandbox: Sandbox, tmp_path: Path
):
    content = content_of("a.jsonl.gz", rows(200))
    (tmp_path / "a.jsonl.gz").write_bytes(content)
    gcs_bucket.put(KEY, content)
    by_door = []
    for door in (
        lambda: load(command, tmp_path / "a.jsonl.gz"),
        lambda: google.post(*finalized(gcs_bucket.name, KEY)),
    ):
        sandbox.reset()
        door()
        by_door.append(sorted(sandbox.report(), key=lambda event: event["properties"]["id"]))

    assert len(by_door[0]) == 200
    assert by_door[0] == by_door[1]


def test_what_fails_is_answered_so_that_it_is_tried_again(
    google: GoogleHost, gcs_bucket: GcsBucket, sandbox: Sandbox
):
    """In one line, without content: a rejection, an object that is gone, another's event."""
    bad = [*rows(5), {"id": "SECRET", "user_id": "u", "created_at": "SECRET"}]
    gcs_bucket.put("orders/bad.jsonl", json_lines(bad))
    headers, _ = finalized(gcs_bucket.name, KEY)
    answers = [
        google.post(*finalized(gcs_bucket.name, "orders/bad.jsonl")),
        google.post(*finalized(gcs_bucket.name, "orders/gone.jsonl")),
        google.post(headers, b'{"SECRET": 1}'),
        google.post(headers | {"ce-type": "google.cloud.audit.log.v1.written"}, b'{"SECRET": 1}'),
    ]
    errors = [each["message"] for each in logged(google) if each["severity"] == "ERROR"]

    assert [status for status, _ in answers] == [503] * 4
    assert len(errors) == 4
    assert "orders: a record was rejected" in errors[0]
    assert "orders/gone.jsonl: is not there" in errors[1]
    assert "is none that this function takes" in errors[2]
    assert "google.cloud.audit.log.v1.written is none that" in errors[3]
    assert len(sandbox.raw()) == 5
    for text in (google.logged, *(body for _, body in answers)):
        assert "SECRET" not in text
        assert "Traceback" not in text


@pytest.mark.parametrize(
    ("name", "kind", "why"),
    [
        ("orders/a.jsonl", "deleted", "only finalized objects are loaded"),
        ("other/a.jsonl", "finalized", "no entry of files says which stream it is"),
        ("orders/", "finalized", "stands for a folder"),
        ("orders/_SUCCESS", "finalized", "what others leave for themselves"),
        ("state/a.json", "finalized", "below files_state"),
    ],
)
def test_what_holds_no_rows_is_passed_over(
    google: GoogleHost, gcs_bucket: GcsBucket, sandbox: Sandbox, name: str, kind: str, why: str
):
    assert google.post(*finalized(gcs_bucket.name, name, kind))[0] == 200
    (warning,) = [each["message"] for each in logged(google) if each["severity"] == "WARNING"]

    assert why in warning
    assert not sandbox.raw()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"files_state": "/tmp/state"}, "files_state: is on the function's own disk"),  # noqa: S108
        ({"streams": None}, "streams: is missing"),
        ({"project_token": None}, "project_token"),
    ],
)
def test_settings_that_are_no_good_are_named(
    gcs_bucket: GcsBucket, sandbox: Sandbox, more: dict, expected: str
):
    environment = environment_of(sandbox, gcs_bucket.url, **more) | gcs_bucket.environment
    with GoogleHost(environment) as host:
        assert host.post(*finalized(gcs_bucket.name, KEY))[0] == 503
        (error,) = logged(host)

    assert error["severity"] == "ERROR"
    assert expected in error["message"]


def test_no_timeout_is_the_usual_one(gcs_bucket: GcsBucket, sandbox: Sandbox):
    """The framework reads 0 as none, but the platform has one."""
    gcs_bucket.put(KEY, content_of("a.jsonl.gz", rows(5)))
    environment = environment_of(sandbox, gcs_bucket.url) | gcs_bucket.environment
    with GoogleHost({**environment, "CLOUD_RUN_TIMEOUT_SECONDS": "0"}) as host:
        assert host.post(*finalized(gcs_bucket.name, KEY))[0] == 200, host.logged


def test_time_is_up_and_the_next_call_goes_on(gcs_bucket: GcsBucket, sandbox: Sandbox):
    """What was sent before is not sent again."""
    gcs_bucket.put("orders/wide.jsonl", json_lines(wide(WIDE)))
    sandbox.script({"delay_s": 0.2, "times": -1})
    few = {"batch_size_rows": 5, "max_parallel_requests": 1}
    environment = environment_of(sandbox, gcs_bucket.url, **few) | gcs_bucket.environment
    event = finalized(gcs_bucket.name, "orders/wide.jsonl")
    with GoogleHost({**environment, "CLOUD_RUN_TIMEOUT_SECONDS": "10"}) as host:
        status, _ = host.post(*event)
        (note,) = notes(gcs_bucket)
        sent = len(sandbox.raw())
        last = logged(host)[-1]
    with GoogleHost(environment) as host:
        sandbox.script({"delay_s": 0.0, "times": -1})
        again, _ = host.post(*event)

    assert (status, again) == (503, 200)
    assert last["severity"] == "WARNING"
    assert 0 < note["rows"] == sent < WIDE
    assert f"time is up behind row {sent}; the next call goes on from there" in last["message"]
    assert list(range(WIDE)) == ids(sandbox)
    assert len(sandbox.raw()) == WIDE


def test_a_warm_start_leaves_nothing_behind(
    google: GoogleHost, gcs_bucket: GcsBucket, sandbox: Sandbox
):
    """Twenty calls, some of which fail, in one process: no thread, no descriptor more."""
    of = Path(f"/proc/{google.process.pid}")
    (worker,) = (of / "task" / of.name / "children").read_text().split()

    def held() -> tuple[int, int]:
        folder = Path(f"/proc/{worker}")
        return len(list((folder / "task").iterdir())), len(list((folder / "fd").iterdir()))

    for number in range(20):
        key = f"orders/{number}.jsonl.gz"
        if number % 4 != 3:
            gcs_bucket.put(key, content_of("a.jsonl.gz", rows(50, number * 50)))
        google.post(*finalized(gcs_bucket.name, key))
        if number == 9:
            settled = held()

    # Storage keeps a connection or two, which come and go; what three calls leave would be more.
    wait_until(lambda: all(now <= then + 2 for now, then in zip(held(), settled, strict=True)))
    assert len(sandbox.raw()) == 15 * 50


def kill_google(sandbox: Sandbox, bucket: GcsBucket, kills: int, seed: int) -> Rounds:
    """Kill at random moments by SIGKILL; the platform sends each event again until it is taken."""
    rounds = Rounds(sandbox, random.Random(seed))  # noqa: S311 (the same kills when one fails)
    environment = environment_of(sandbox, bucket.url, batch_size_rows=7) | bucket.environment
    number = 0
    host = GoogleHost(environment)
    try:
        while rounds.kills < kills:
            number += 1
            named = rounds.begin(bucket, number)
            for key in named:
                while (status := _posted(host, finalized(bucket.name, key), rounds)) != 200:
                    assert status == 0, host.logged
                    host.__exit__()
                    rounds.kills += 1
                    host = GoogleHost(environment)
            rounds.end(named)
    finally:
        host.__exit__()
    return rounds


def _posted(host: GoogleHost, event: tuple[dict, bytes], rounds: Rounds) -> int:
    """Return the status; 0: killed before it answered."""
    kill_when = moment(rounds.sandbox, rounds.chance, within=15)
    statuses: list[int] = []
    call = threading.Thread(target=lambda: statuses.append(host.post(*event)[0]))
    call.start()
    wait_until(lambda: statuses or kill_when())
    if not statuses:
        host.kill()
    call.join()
    return statuses[0]


def test_killed_at_random(sandbox: Sandbox, gcs_bucket: GcsBucket):
    """Nothing missing, nothing twice in reports."""
    assert kill_google(sandbox, gcs_bucket, 6, 12).kills >= 6


@pytest.mark.slow
def test_killed_at_random_sixty_times(sandbox: Sandbox, gcs_bucket: GcsBucket):
    rounds = kill_google(sandbox, gcs_bucket, 60, 1)
    print(f"Google: {rounds.kills} kills, {rounds.sent} rows sent for {rounds.rows}")  # noqa: T201

    assert rounds.kills >= 60
