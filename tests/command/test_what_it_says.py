"""What an operator reads of a run: where streams go, what met nothing, how to go on."""

import json
import shlex
import subprocess

import pytest

from target_mixpanel.sandbox import Sandbox
from target_mixpanel.version import __version__
from tests.conftest import COMMAND, ORDERS_MAPPING, ORDERS_SCHEMA, Command, order, orders, state

USERS = {"type": "users", "distinct_id": "user_id", "properties": ["note"]}
GROUPS = {"type": "groups", "group_key": "company", "group_id": "id", "properties": ["note"]}
TABLE_ID = "5a9db0c5-0000-4000-8000-000000000001"
TABLE = {"type": "lookup_table", "lookup_table_id": TABLE_ID, "key": "id", "properties": ["note"]}
ACCOUNT = {
    "project_id": "1",
    "service_account_username": "sandbox.mp-service-account",
    "service_account_secret": "sandbox-secret",
}


def lines_of(done, level):
    """Return the log's lines of a level, less what stands before their messages."""
    return [line.split(" | ", 3)[3] for line in done.stderr.splitlines() if f"| {level} " in line]


def named(stream, schema=ORDERS_SCHEMA):
    return schema | {"stream": stream}


class TestTheStart:
    def test_it_says_which_release_and_where_each_stream_goes(self, command: Command):
        done = command.run(
            ORDERS_SCHEMA,
            order(1),
            streams={"orders": [ORDERS_MAPPING, USERS], "firms": GROUPS, "p-*": TABLE},
            **ACCOUNT,
        )

        assert lines_of(done, "INFO")[0] == (
            f"target-mixpanel {__version__}: orders → events, users; firms → groups company; "
            f"p-* → lookup table {TABLE_ID}"
        )

    def test_it_says_so_once(self, command: Command):
        done = command.run(ORDERS_SCHEMA, named("more"), streams={"*": ORDERS_MAPPING})

        assert done.stderr.count(f"target-mixpanel {__version__}") == 1

    def test_a_dry_run_is_named(self, command: Command):
        done = command.run(ORDERS_SCHEMA, dry_run=True)

        assert f"target-mixpanel {__version__}, dry run: orders → events" in done.stderr

    def test_no_name_forges_a_line(self, command: Command):
        done = command.run(
            ORDERS_SCHEMA,
            streams={"orders": ORDERS_MAPPING, "a\nforged": USERS, "b\x1b[31m": USERS},
        )

        assert "\nforged" not in done.stderr
        assert "\x1b" not in done.stderr

    def test_nothing_is_said_of_skipped_environment_variables(self, command: Command):
        for arguments in ([], ["--config", "ENV"]):
            done = command.run(ORDERS_SCHEMA, arguments=arguments)

            assert done.code == 0
            assert "env var" not in done.stderr


class TestNames:
    @pytest.mark.parametrize(
        ("stream", "mapping"),
        [
            pytest.param("public-orders", "public.orders", id="separator"),
            pytest.param("Orders", "orders", id="case"),
            pytest.param("orders", "ordres", id="typo"),
            pytest.param("public-orders", "orders", id="without-its-schema"),
            pytest.param("public-orders", "publik-order*", id="pattern"),
        ],
    )
    def test_a_stream_that_nearly_matches(self, command: Command, stream, mapping):
        streams = {mapping: ORDERS_MAPPING}
        failed = command.run(named(stream), streams=streams)
        skipped = command.run(
            named(stream),
            order(1) | {"stream": stream},
            state(1),
            streams=streams,
            unmapped_streams="skip",
        )
        report = json.loads(command.report_path.read_text())

        assert f'"{stream}"; close to it is "{mapping}"; map' in failed.errors[0]
        assert (skipped.code, skipped.states) == (0, [state(1)["value"]])
        assert lines_of(skipped, "WARNING") == [
            f'{stream}: has no mapping and is skipped; close to it is "{mapping}"',
            f'streams: no stream used the mapping "{mapping}"; close to it the tap has "{stream}"',
        ]
        assert report["unmapped_streams"] == [stream]
        assert report["unused_mappings"] == [mapping]
        assert f'  mappings that no stream used: "{mapping}"' in skipped.stderr

    def test_a_mapping_that_no_stream_used(self, command: Command):
        done = command.run(
            ORDERS_SCHEMA, order(1), streams={"orders": ORDERS_MAPPING, "visits": USERS}
        )

        assert lines_of(done, "WARNING") == [
            'streams: no stream used the mapping "visits"; the tap has "orders"'
        ]
        assert done.code == 0

    def test_a_stream_of_no_name_that_is_known_is_skipped_calmly(self, command: Command):
        done = command.run(ORDERS_SCHEMA, named("zzz"), unmapped_streams="skip")

        assert lines_of(done, "WARNING") == []
        assert "zzz: has no mapping and is skipped" in lines_of(done, "INFO")

    @pytest.mark.parametrize(
        "streams",
        [
            pytest.param({"orders": ORDERS_MAPPING, "*": USERS}, id="the-rest"),
            pytest.param({"ord*": ORDERS_MAPPING}, id="pattern"),
        ],
    )
    def test_what_is_as_it_should_be_is_not_warned_of(self, command: Command, streams):
        assert lines_of(command.run(ORDERS_SCHEMA, streams=streams), "WARNING") == []

    def test_a_run_that_failed_has_not_seen_all_streams(self, command: Command):
        done = command.run(
            ORDERS_SCHEMA, b"no JSON", streams={"orders": ORDERS_MAPPING, "later": USERS}
        )

        assert done.code != 0
        assert "no stream used" not in done.stderr


class TestDeadLetters:
    def test_the_command_that_is_named_loads_them(self, command: Command, sandbox: Sandbox):
        """Run as it stands in the report, word for word, with the cause mended."""
        place = command.folder / "it's set aside"
        done = command.run(
            ORDERS_SCHEMA,
            order(1, created_at="soon"),
            state(1),
            dead_letter_path=str(place),
            validate_records=True,
        )
        (letters,) = json.loads(command.report_path.read_text())["dead_letters"]
        path, again = letters["path"], letters["load_again"]
        (file,) = place.iterdir()
        file.write_text(file.read_text().replace('"soon"', '"2026-10-01T00:00:00Z"'))
        command.arguments()
        program, *words = shlex.split(again)
        replayed = subprocess.run([*COMMAND, *words], capture_output=True, check=True)

        assert done.code == 0
        assert (path, letters["stream"], program) == (str(file), "orders", "target-mixpanel")
        assert f"    set aside in {path}\n    to load them again: {again}\n" in done.stderr
        assert len(sandbox.report()) == 1
        assert b"accepted 1" in replayed.stderr

    def test_under_meltano_it_is_meltanos(self, command: Command, monkeypatch):
        """Its file with the loader's settings is gone after the run."""
        monkeypatch.setenv("MELTANO_PROJECT_ROOT", "/somewhere")
        monkeypatch.setenv("MELTANO_LOADER_NAME", "target-mixpanel--eu")
        command.run(
            ORDERS_SCHEMA,
            order(1, created_at="soon"),
            dead_letter_path=str(command.folder / "rejected"),
        )
        (letters,) = json.loads(command.report_path.read_text())["dead_letters"]

        assert letters["load_again"] == (
            f"meltano invoke target-mixpanel--eu --input {letters['path']}"
        )

    def test_where_none_were_written_none_are_named(self, command: Command):
        done = command.run(
            ORDERS_SCHEMA, order(1), dead_letter_path=str(command.folder / "rejected")
        )

        assert json.loads(command.report_path.read_text())["dead_letters"] == []
        assert "set aside" not in done.stderr


class TestARecordThatIsNotItsSchemas:
    def test_the_column_and_the_way_out_are_named(self, command: Command):
        bad = order(1, amount="much")
        fatal = command.run(ORDERS_SCHEMA, bad)
        place = str(command.folder / "rejected")
        warned = command.run(ORDERS_SCHEMA, bad, dead_letter_path=place)
        too_many = command.run(
            ORDERS_SCHEMA, [order(n, amount="much") for n in range(20)], dead_letter_path=place
        )
        said = [fatal.errors[0], lines_of(warned, "WARNING")[0], too_many.errors[0]]

        assert all("amount" in line and "validate_records: false" in line for line in said), said
        assert command.run(ORDERS_SCHEMA, bad, validate_records=False).code == 0


class TestTextsThatMixpanelCuts:
    def test_they_are_sent_and_named_once(self, command: Command, sandbox: Sandbox):
        long = "x" * 256
        done = command.run(
            ORDERS_SCHEMA, [order(n, note=long) for n in range(30)], batch_size_rows=10
        )

        assert sandbox.report()[0]["properties"]["note"] == "x" * 255
        assert lines_of(done, "WARNING") == [
            'orders: "note" has texts of more than 255 bytes, which Mixpanel cuts there'
        ]
        assert command.report()["cut_texts"] == ["note"]

    def test_bytes_count(self, command: Command):
        assert "255 bytes" not in command.run(ORDERS_SCHEMA, order(1, note="x" * 255)).stderr
        assert "255 bytes" in command.run(ORDERS_SCHEMA, order(1, note="é" * 128)).stderr

    def test_a_dry_run_says_so_too(self, command: Command):
        done = command.run(ORDERS_SCHEMA, order(1, note="x" * 300), dry_run=True)

        assert '"note" has texts of more than 255 bytes' in done.stderr


def test_the_metrics_count_the_rows_of_a_lookup_table(command: Command):
    done = command.run(
        ORDERS_SCHEMA, orders(3), state(2), streams={"orders": TABLE, "skipped": USERS}, **ACCOUNT
    )

    assert '"metric":"record_count","value":3' in done.stderr
    assert '"metric":"record_count","value":0' not in done.stderr


def test_the_metrics_leave_out_what_was_not_loaded(command: Command):
    done = command.run(named("skipped"), unmapped_streams="skip")

    assert "record_count" not in done.stderr
