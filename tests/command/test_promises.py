"""The six promises, each through the real command."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from target_mixpanel.sandbox import Sandbox, SandboxSettings
from tests.conftest import ORDERS_SCHEMA, Command, order, orders, state
from tests.waiting import wait_until


def insert_ids(events: list[dict]) -> list[str]:
    return sorted(event["properties"]["$insert_id"] for event in events)


class TestPromise1StateCoversOnlySettledRecords:
    def test_state_waits_for_the_reply(self, command: Command, sandbox: Sandbox):
        """A STATE is printed when the records before it are accepted, and not before."""
        sandbox.script({"delay_s": 1.0})
        with command.start(batch_size_rows=10) as running:
            started_at = time.monotonic()
            running.write(ORDERS_SCHEMA, orders(10), state(9))
            printed = running.read_state()
            waited_s = time.monotonic() - started_at

        assert printed == state(9)["value"]
        assert waited_s >= 1.0

    def test_state_is_printed_while_the_tap_goes_on(self, command: Command):
        """Each batch that settles releases its STATE; nobody waits for the end."""
        with command.start(batch_size_rows=10) as running:
            running.write(ORDERS_SCHEMA, orders(10), state(9))
            assert running.read_state() == state(9)["value"]
            running.write(orders(10, start=10), state(19))
            assert running.read_state() == state(19)["value"]

    def test_state_does_not_pass_a_batch_that_cannot_be_delivered(
        self, command: Command, sandbox: Sandbox
    ):
        with command.start(batch_size_rows=10, retry_max_elapsed_seconds=0.5) as running:
            running.write(ORDERS_SCHEMA, orders(10), state(9))
            assert running.read_state() == state(9)["value"]
            sandbox.script({"status": 503, "times": -1})
            running.write(orders(10, start=10), state(19), orders(10, start=20), state(29))
            done = running.finish()

        assert (done.code, done.states) == (1, [])

    def test_state_is_as_the_tap_spelled_it(self, command: Command):
        """Numbers that a float cannot hold come out as they went in, and key order stays."""
        spelled = b'{"b": 1.10, "a": 12345678901234567890.123456789, "c": [1E400, null]}'
        done = command.run(ORDERS_SCHEMA, b'{"type":"STATE","value":' + spelled + b"}")

        assert done.stdout.encode() == spelled + b"\n"

    @pytest.mark.parametrize("value", [None, {}], ids=["null", "empty"])
    def test_an_empty_state_is_never_printed(self, command: Command, value: object):
        done = command.run(ORDERS_SCHEMA, orders(3), {"type": "STATE", "value": value})

        assert (done.code, done.stdout) == (0, "")

    def test_a_repeated_state_is_printed_once(self, command: Command):
        done = command.run(ORDERS_SCHEMA, orders(3), state(2), state(2), state(2))

        assert done.states == [state(2)["value"]]


class TestPromise2ARepeatIsInvisible:
    def test_two_runs_show_each_record_once(self, command: Command, sandbox: Sandbox):
        for _ in range(2):
            assert command.run(ORDERS_SCHEMA, orders(50)).code == 0

        assert len(sandbox.raw()) == 100
        assert len(sandbox.report()) == 50

    def test_changes_of_a_row_on_one_day_survive_compaction(
        self, command: Command, sandbox: Sandbox
    ):
        """Compaction merges what has one id on one day; repeats of each change stay one."""
        changes = [
            order(1, created_at=f"2026-10-01T{hour}:00:00Z", note=note)
            for hour, note in (("08", "new"), ("09", "paid"), ("15", "shipped"))
        ]
        for _ in range(2):
            assert command.run(ORDERS_SCHEMA, changes).code == 0

        left = [event["properties"]["note"] for event in sandbox.compacted()]
        assert left == ["new", "paid", "shipped"]
        assert (len(sandbox.raw()), len(sandbox.report())) == (6, 3)

    def test_a_reply_that_is_lost_after_the_commit(self, command: Command, sandbox: Sandbox):
        sandbox.script({"reset": "after_ingest"}, {"ingest": True, "status": 504})
        done = command.run(ORDERS_SCHEMA, orders(50), state(49))

        assert (done.code, done.states) == (0, [state(49)["value"]])
        assert (len(sandbox.raw()), len(sandbox.report())) == (150, 50)
        assert len({request.digest for request in sandbox.requests}) == 1

    def test_a_replayed_dead_letter_keeps_its_id(
        self, command: Command, sandbox: Sandbox, tmp_path: Path
    ):
        """A cause mended in the mapping, the file of the rejected is an input like any other."""
        folder = tmp_path / "rejected"
        records = [*orders(5), order(5, user_id=None), order(6, user_id=None)]
        first = command.run(ORDERS_SCHEMA, records, state(6), dead_letter_path=str(folder))
        (letters,) = folder.iterdir()
        mapping = dict(
            command.config["streams"]["orders"],
            distinct_id={"column": "user_id", "default": ""},
        )
        replay = command.run(arguments=["--input", str(letters)], streams={"orders": mapping})
        noted = [
            json.loads(line)["rejection"]["insert_id"]
            for line in letters.read_text().splitlines()[1:]
        ]
        replayed = [
            event["properties"]["$insert_id"]
            for event in sandbox.report()
            if event["properties"]["distinct_id"] == ""
        ]

        assert (first.code, first.states, replay.code) == (0, [state(6)["value"]], 0)
        assert len(sandbox.report()) == 7
        assert sorted(noted) == sorted(replayed)


class TestPromise3NothingDisappears:
    def test_every_record_is_accounted_for(self, command: Command, tmp_path: Path):
        records = [
            *orders(20),
            order(20, user_id=None),
            order(21, amount="many"),
            order(22, created_at="2020-01-01T00:00:00Z"),
        ]
        command.run(
            ORDERS_SCHEMA,
            records,
            dead_letter_path=str(tmp_path / "rejected"),
            since="2026-01-01",
        )
        report = command.report()

        counted = {name: report[name] for name in ("read", "accepted", "rejected", "filtered")}
        assert counted == {"read": 23, "accepted": 20, "rejected": 2, "filtered": 1}
        assert report["pending"] == 0

    def test_a_failed_run_says_what_is_pending(self, command: Command, sandbox: Sandbox):
        sandbox.script({"status": 503, "times": -1})
        done = command.run(ORDERS_SCHEMA, orders(20), retry_max_elapsed_seconds=0.2)

        assert done.code == 1
        assert command.report()["pending"] == 20
        assert "PENDING 20" in done.stderr


class TestPromise4MemoryDoesNotGrowWithTheInput:
    def test_a_slow_mixpanel_stops_the_reading(self, command: Command, sandbox: Sandbox):
        """With replies held back, only so much is read; the rest stays in the tap's pipe."""
        sandbox.script({"status": 503, "times": -1})
        written = 0
        with command.start(
            batch_size_rows=10,
            max_parallel_requests=2,
            retry_max_elapsed_seconds=60,
            shutdown_timeout_seconds=0.1,
        ) as running:
            running.write(ORDERS_SCHEMA)

            def feed() -> None:
                nonlocal written
                try:
                    for start in range(0, 100_000, 100):
                        running.write(orders(100, start=start))
                        written += 100
                except (BrokenPipeError, ValueError):
                    return

            feeder = threading.Thread(target=feed)
            feeder.start()
            wait_until(lambda: len(sandbox.requests) >= 2)
            held_at = -1
            while held_at < written:  # until nothing more is taken for a second
                held_at = written
                feeder.join(timeout=1)
            running.process.kill()
            feeder.join()

        assert 0 < held_at < 5_000

    def test_peak_memory_is_the_same_for_ten_times_the_input(self, command: Command):
        peaks = {}
        for count in (10_000, 100_000):
            with command.start(batch_size_rows=500) as running:
                running.write(ORDERS_SCHEMA)
                for start in range(0, count, 10_000):
                    running.write(orders(10_000, start=start % 1_000_000), state(start))
                assert running.finish().code == 0
                peaks[count] = running.process.peak_rss

        assert peaks[100_000] < 1.2 * peaks[10_000]


CANARY_TOKEN = "c4narytoken0123456789abcdef"
CANARY_PERSON = "canary.person@example.com"


class TestPromise5NoSecretAndNoRecordContentIsShown:
    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param({}, id="healthy"),
            pytest.param({"status": 401}, id="refused-credentials"),
            pytest.param({"status": 503, "times": -1}, id="down"),
            pytest.param({"reset": "before_ingest", "times": -1}, id="reset"),
            pytest.param({"status": 400, "body": {"error": "no"}, "times": -1}, id="opaque-400"),
            pytest.param({"status": 302, "headers": {"Location": "http://x.test/"}}, id="redirect"),
            pytest.param({"body": "<html></html>", "times": -1}, id="html"),
            pytest.param({"count_off_by": -1, "times": -1}, id="miscount"),
        ],
    )
    def test_with_a_fault_of_mixpanel(self, tmp_path: Path, fault: dict):
        with Sandbox(settings=SandboxSettings(token=CANARY_TOKEN)) as sandbox:
            if fault:
                sandbox.script(fault)
            command = Command(tmp_path, sandbox.url)
            done = command.run(
                ORDERS_SCHEMA,
                [order(1, user_id=CANARY_PERSON, note=CANARY_PERSON)],
                project_token=CANARY_TOKEN,
                retry_max_elapsed_seconds=0.2,
                env={**os.environ, "LOGLEVEL": "DEBUG"},
            )

        shown = done.stdout + done.stderr + command.report_path.read_text()
        assert CANARY_TOKEN not in shown
        assert CANARY_PERSON not in shown
        assert "Traceback" not in shown

    @pytest.mark.parametrize(
        "line",
        [
            pytest.param('{"type":"RECORD","stream":"orders","record":{"id":"%s"}}', id="invalid"),
            pytest.param('{"type":"RECORD","stream":"orders","record":{"note":"%s"}}', id="no-key"),
            pytest.param('{"type":"RECORD","stream":"orders","record":["%s"]}', id="no-object"),
            pytest.param('{"type":"RECORD","stream":"%s","record":{}}', id="no-schema"),
            pytest.param(
                '{"type":"RECORD","stream":"orders","record":{"id":1,"note":"%s', id="cut"
            ),
            pytest.param(
                '{"type":"RECORD","stream":"orders","record":{"a":NaN,"b":"%s"}}', id="NaN"
            ),
            pytest.param('"%s"', id="text"),
            pytest.param('{"type":"STATE","valu":"%s"}', id="state-without-value"),
        ],
    )
    def test_with_a_fault_of_the_tap(self, command: Command, line: str):
        done = command.run(
            ORDERS_SCHEMA,
            (line % CANARY_PERSON).encode(),
            env={**os.environ, "LOGLEVEL": "DEBUG"},
        )

        assert done.code == 1
        assert len(done.errors) == 1
        if "no-schema" not in os.environ["PYTEST_CURRENT_TEST"]:  # a stream's name is no content
            assert CANARY_PERSON not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


class TestPromise6ExitCodes:
    def test_0_at_the_end_of_the_input(self, command: Command):
        assert command.run(ORDERS_SCHEMA, orders(3)).code == 0

    def test_1_when_it_cannot_go_on(self, command: Command, sandbox: Sandbox):
        sandbox.script({"status": 401})

        assert command.run(ORDERS_SCHEMA, orders(3)).code == 1

    @pytest.mark.parametrize(
        ("number", "code"),
        [(signal.SIGTERM, 143), (signal.SIGINT, 130)],
        ids=["SIGTERM", "SIGINT"],
    )
    def test_a_signal_settles_what_was_read(
        self, command: Command, sandbox: Sandbox, number: signal.Signals, code: int
    ):
        """Records that wait for company and the STATE behind them do not wait for the next run."""
        with command.start() as running:
            running.write(ORDERS_SCHEMA, orders(10), state(9))
            running.wait_until_read()
            assert sandbox.raw() == []
            running.send_signal(number)
            done = running.finish()

        assert (done.code, done.states) == (code, [state(9)["value"]])
        assert len(sandbox.report()) == 10

    def test_75_when_a_signal_cannot_be_obeyed_in_time(self, command: Command, sandbox: Sandbox):
        sandbox.script({"status": 503, "times": -1})
        with command.start(shutdown_timeout_seconds=0.5) as running:
            running.write(ORDERS_SCHEMA, orders(10), state(9))
            running.wait_until_read()
            running.send_signal(signal.SIGTERM)
            done = running.finish()

        assert (done.code, done.states) == (75, [])
        assert "shutdown_timeout_seconds" in done.errors[0]
