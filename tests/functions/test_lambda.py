"""AWS Lambda, by its own runtime: what each event loads, and what is told of what fails."""

import json
from pathlib import Path

import pytest

from target_mixpanel.sandbox import Sandbox
from tests.buckets import Bucket
from tests.conftest import ORDERS_MAPPING, ORDERS_SCHEMA, Command, orders
from tests.functions import events
from tests.functions.hosts import LambdaHost, environment_of
from tests.functions.rounds import ids
from tests.load.loads import content_of, json_lines, load, rows
from tests.waiting import wait_until

KEY = "orders/ä b+c%20d.jsonl"


def notes(bucket: Bucket, under: str = "state/") -> list[dict]:
    return [
        json.loads(bytes(bucket.store.get(each["path"]).bytes()))
        for chunk in bucket.store.list(under)
        for each in chunk
    ]


KINDS = {
    "s3": events.s3,
    "eventbridge": events.eventbridge,
    "sns": lambda bucket, key: events.sns(events.s3(bucket, key)),
    "s3-sqs": lambda bucket, key: events.sqs(events.s3(bucket, key)),
    "eventbridge-sqs": lambda bucket, key: events.sqs(events.eventbridge(bucket, key)),
    "s3-sns-sqs": lambda bucket, key: events.sqs(events.sns_envelope(events.s3(bucket, key))),
}


def test_each_kind_of_event_loads_its_object(host: LambdaHost, bucket: Bucket, sandbox: Sandbox):
    """All in one process, with keys that need care."""
    for number, (kind, event) in enumerate(KINDS.items()):
        key = f"orders/{kind} ä+%20.jsonl.gz"
        bucket.put(key, content_of("a.jsonl.gz", rows(50, number * 50)))
        expected = events.failed() if kind.endswith("sqs") else None

        assert host.invoke(event(bucket.name, key)).body == expected, host.logged

    assert list(range(50 * len(KINDS))) == ids(sandbox)
    assert len(sandbox.raw()) == 50 * len(KINDS)


def test_delivered_twice_it_is_loaded_once(host: LambdaHost, bucket: Bucket, sandbox: Sandbox):
    bucket.put(KEY, content_of("a.jsonl", rows(50)))
    for event in (events.s3, events.eventbridge, KINDS["s3-sqs"]):
        assert host.invoke(event(bucket.name, KEY)).kind == "response"

    assert len(sandbox.raw()) == 50
    assert host.logged.count("is loaded already") == 2


def test_an_object_that_changed_is_loaded_as_it_is_now(
    host: LambdaHost, bucket: Bucket, sandbox: Sandbox
):
    """An event of the first version comes after the second one was stored."""
    bucket.put(KEY, content_of("a.jsonl", rows(10)))
    first = bucket.store.head(KEY)["e_tag"].strip('"')
    host.invoke(events.s3(bucket.name, KEY, etag=first))
    bucket.put(KEY, content_of("a.jsonl", rows(20)))
    host.invoke(events.s3(bucket.name, KEY, etag=first))
    host.invoke(events.s3(bucket.name, KEY, etag=bucket.store.head(KEY)["e_tag"].strip('"')))

    assert list(range(20)) == ids(sandbox)
    assert len(sandbox.raw()) == 30
    assert host.logged.count("is loaded as it is now, not as at the event") == 1


def test_the_same_events_come_through_every_door(
    host: LambdaHost, bucket: Bucket, command: Command, sandbox: Sandbox, tmp_path: Path
):
    """Equal ids, equal events: Singer, load, Lambda."""
    content = content_of("a.jsonl", rows(200))
    by_door = []
    (tmp_path / "a.jsonl").write_bytes(content)
    bucket.put(KEY, content)
    for door in (
        lambda: command.run(ORDERS_SCHEMA, orders(200)),
        lambda: load(command, tmp_path / "a.jsonl"),
        lambda: host.invoke(events.s3(bucket.name, KEY)),
    ):
        sandbox.reset()
        door()
        by_door.append(sorted(sandbox.report(), key=lambda event: event["properties"]["id"]))

    assert len(by_door[0]) == 200
    assert by_door[0] == by_door[1] == by_door[2]


def test_one_message_that_fails_holds_no_other_up(
    host: LambdaHost, bucket: Bucket, sandbox: Sandbox
):
    """A rejection, an object that is gone, no event, no JSON: each fails alone, in one line."""
    bad = [*rows(5), {"id": "SECRET", "user_id": "u", "created_at": "SECRET"}]
    bucket.put("orders/bad.jsonl", json_lines(bad))
    bucket.put("orders/good.jsonl", json_lines(rows(10)))
    named = [events.s3(bucket.name, f"orders/{name}.jsonl") for name in ("bad", "gone", "good")]
    answer = host.invoke(events.sqs(*named, {"SECRET": 1}, "{SECRET"))
    errors = [line for line in host.logged.splitlines() if line.startswith("[ERROR]")]

    assert answer.body == events.failed(0, 1, 3, 4)
    assert list(range(10)) == ids(sandbox)
    assert len(errors) == 4
    assert "orders: a record was rejected" in errors[0]
    assert "orders/gone.jsonl: is not there" in errors[1]
    assert "SECRET" not in host.logged
    assert "Traceback" not in host.logged


def test_what_is_rejected_is_set_aside_in_a_bucket_and_loads_again(
    bucket: Bucket, sandbox: Sandbox, command: Command
):
    """Before the object counts as loaded; the report of the last call lies in a bucket, too."""
    bad = [
        {**row, "made_at": row["created_at"], "created_at": "never"} if row["id"] % 10 == 3 else row
        for row in rows(50)
    ]
    more = {
        "dead_letter_path": f"{bucket.url}rejected",
        "report_path": f"{bucket.url}report.json",
        "max_rejection_rate": 1,
    }
    bucket.put("orders/a.jsonl", json_lines(bad))
    with LambdaHost(environment_of(sandbox, bucket.url, **more) | bucket.environment) as host:
        event = KINDS["eventbridge-sqs"](bucket.name, "orders/a.jsonl")
        for _ in range(2):
            assert host.invoke(event).body == events.failed(), host.logged
        assert host.logged.count("is loaded already") == 1
        for key in ("rejected/orders.singer", "report.json"):
            host.invoke(events.s3(bucket.name, key))
            assert f"{key}: is passed over: it is below" in host.logged
    assert ids(sandbox) == [number for number in range(50) if number % 10 != 3]
    report = json.loads(bytes(bucket.store.get("report.json").bytes()))
    assert report["streams"]["orders"]["rejected"] == 5
    parts = [each["path"] for chunk in bucket.store.list("rejected/") for each in chunk]
    assert len(parts) == 1

    mended = {"orders": {**ORDERS_MAPPING, "time": "made_at"}}
    done = command.run(arguments=["--input", f"{bucket.url}{parts[0]}"], streams=mended)
    assert done.code == 0, done.stderr
    assert len(ids(sandbox)) == 50


@pytest.mark.parametrize("is_queued", [False, True], ids=["direct", "queued"])
def test_what_holds_no_rows_is_passed_over(
    host: LambdaHost, bucket: Bucket, sandbox: Sandbox, is_queued: bool
):
    """In one line each, and with success: none of it is to fill a dead-letter queue."""
    named = {
        "orders/_SUCCESS": "what others leave for themselves",
        "orders/.part-0.crc": "what others leave for themselves",
        "other/_SUCCESS": "what others leave for themselves",
        "orders/": "stands for a folder",
        "state/a.json": "below files_state",
        "other/a.jsonl": "no entry of files says which stream it is; add one",
    }
    for key in named:
        bucket.store.put(key.rstrip("/"), b"{}")
        event = events.s3(bucket.name, key)
        answer = host.invoke(events.sqs(event) if is_queued else event)

        assert answer.body == (events.failed() if is_queued else None)

    logged = [line for line in host.logged.splitlines() if "is passed over" in line]
    for line, (key, why) in zip(logged, named.items(), strict=True):
        assert line.startswith("[WARNING]")
        assert f"/{key}: is passed over" in line
        assert why in line
    assert not sandbox.raw()
    assert host.invoke(events.TEST_EVENT).body is None


@pytest.mark.parametrize("key", ["orders//a.jsonl", "orders/../a.jsonl", "orders/./a.jsonl"])
def test_a_name_that_cannot_be_read_is_named(bucket: Bucket, sandbox: Sandbox, key: str):
    files = [{"match": f"{bucket.url}orders/**", "stream": "orders"}]
    environment = environment_of(sandbox, bucket.url, files=files)
    with LambdaHost(environment | bucket.environment) as host:
        assert "has a part that is empty" in host.invoke(events.s3(bucket.name, key)).error


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"files": None}, "files: is missing"),
        ({"files_state": None}, "files_state: is missing"),
        ({"files_state": "/tmp/state"}, "files_state: is on the function's own disk"),  # noqa: S108
        ({"dead_letter_path": "/tmp/x"}, "dead_letter_path: is on the function's own disk"),  # noqa: S108
        ({"report_path": "/tmp/x.json"}, "report_path: is on the function's own disk"),  # noqa: S108
        ({"streams": None}, "streams: is missing"),
        ({"streams": "{SECRET"}, "streams: is a text that is not JSON"),
    ],
)
def test_settings_that_are_no_good_are_named(bucket: Bucket, sandbox: Sandbox, more, expected):
    bucket.put("orders/a.jsonl", json_lines(rows(1)))
    with LambdaHost(environment_of(sandbox, bucket.url, **more) | bucket.environment) as host:
        for event in (events.s3(bucket.name, "orders/a.jsonl"), KINDS["s3-sqs"](bucket.name, "a")):
            error = host.invoke(event).error

            assert error.startswith(expected)
            assert "\n" not in error
        assert "SECRET" not in host.logged
    assert not sandbox.raw()


def test_settings_may_come_from_a_file(bucket: Bucket, sandbox: Sandbox, tmp_path: Path):
    """Lambda's variables hold 4 KB; the environment wins over the file."""
    environment = environment_of(sandbox, bucket.url)
    path = tmp_path / "config.json"
    streams = json.loads(environment.pop("TARGET_MIXPANEL_STREAMS"))
    path.write_text(json.dumps({"streams": streams, "project_token": "another"}))
    bucket.put(KEY, json_lines(rows(3)))
    environment |= {"TARGET_MIXPANEL_CONFIG": str(path), **bucket.environment}
    with LambdaHost(environment) as host:
        assert host.invoke(events.s3(bucket.name, KEY)).kind == "response", host.logged
    assert ids(sandbox) == [0, 1, 2]


def test_a_warm_start_leaves_nothing_behind(host: LambdaHost, bucket: Bucket, sandbox: Sandbox):
    """Twenty calls, some of which fail, in one process: no thread, no descriptor more."""
    folder = Path(f"/proc/{host.process.pid}")

    def held() -> tuple[int, int]:
        return len(list((folder / "task").iterdir())), len(list((folder / "fd").iterdir()))

    for number in range(20):
        key = f"orders/{number}.jsonl.gz"
        if number % 4 != 3:
            bucket.put(key, content_of("a.jsonl.gz", rows(50, number * 50)))
        host.invoke(events.s3(bucket.name, key))
        if number == 4:
            settled = held()

    # Storage keeps a connection or two, which come and go; what each call leaves would be more.
    wait_until(lambda: all(now <= then + 2 for now, then in zip(held(), settled, strict=True)))
    assert len(sandbox.raw()) == 15 * 50


def test_secrets_and_content_stay_out_of_the_log(bucket: Bucket, sandbox: Sandbox):
    """Though Mixpanel's answer repeats the token."""
    sandbox.script({"status": 401, "body": '{"error": "CANARY-TOKEN is wrong"}'})
    environment = environment_of(sandbox, bucket.url, project_token="CANARY-TOKEN")
    bucket.put("orders/a.jsonl", json_lines([{**row, "note": "CANARY-NOTE"} for row in rows(5)]))
    with LambdaHost(environment | bucket.environment | {"AWS_LAMBDA_LOG_LEVEL": "DEBUG"}) as host:
        error = host.invoke(events.s3(bucket.name, "orders/a.jsonl")).error

        assert "credentials" in error.lower() or "token" in error.lower()
        assert "CANARY" not in error
        assert "CANARY" not in host.logged
