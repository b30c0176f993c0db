"""What fuzzing once found, so that it does not come back."""

import io
import json
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from target_mixpanel.delivery.events import judge
from target_mixpanel.errors import SettingsError, StreamSchemaError
from target_mixpanel.http.replies import Answer
from target_mixpanel.pipeline.schema_reading import read_schema
from target_mixpanel.pipeline.validation import RecordValidator
from target_mixpanel.settings.parse import parse_settings
from target_mixpanel.settings.sources import config_file
from target_mixpanel.singer.reader import SingerBytesReader
from target_mixpanel.stop import Stop

COMMAND = str(Path(sys.executable).with_name("target-mixpanel"))
CONFIG = {
    "region": "us",
    "project_token": "t",
    "streams": {"orders": {"time": "at", "distinct_id": "u", "properties": "*"}},
}


@contextmanager
def within(seconds):
    def ring(*_):
        raise TimeoutError(f"more than {seconds} s for one record")

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.fixture
def reading():
    stop = Stop(1)

    def read(given):
        heard = []
        reader = SingerBytesReader(stop, lambda: None, heard.append)
        stats = reader.process_lines(io.BytesIO(given), {"RECORD": heard.append})
        return heard, stats

    yield read
    stop.close()


class TestReader:
    def test_an_exponent_beyond_what_decimal_holds(self, reading):
        """Decimal refuses it with an ArithmeticError; the record is set aside all the same."""
        (record,), _ = reading(
            b'{"type":"RECORD","stream":"s","record":{"a":1e9999999999999999999}}'
        )

        assert record.flaw is not None

    @pytest.mark.parametrize(
        "part", [b'"time_extracted":5', b'"key_properties":[1]', b'"dead_letter":"x"']
    )
    def test_a_part_of_the_wrong_type_is_no_lone_surrogate(self, reading, part):
        """The record is loaded; its values are text as good as any."""
        (record,), _ = reading(b'{"type":"RECORD","stream":"s","record":{"a":1},%b}' % part)

        assert record.flaw is None or record.flaw.reason != "lone_surrogate"

    def test_unknown_types_take_no_memory_each(self, reading):
        """Memory does not grow with the kinds of messages that nobody knows."""
        _, stats = reading(b"".join(b'{"type":"%d"}\n' % number for number in range(10_000)))

        assert len(stats) < 1_000


class TestValidator:
    @pytest.mark.parametrize(
        "schema",
        [
            {"properties": {"p": {"$ref": "#/default"}}, "default": {"pattern": "^(a+)+$"}},
            {"properties": {"p": {"$ref": "#/examples/0"}}, "examples": [{"pattern": "^(a+)+$"}]},
            {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "properties": {"p": {"$ref": "#/$defs"}},
                "$defs": {"pattern": "^(a+)+$"},
            },
        ],
        ids=["default", "examples", "a-map-of-schemas-taken-for-one"],
    )
    def test_a_pattern_behind_a_ref_cannot_hang_the_run(self, schema):
        """A reference may lead into what is no schema where it stands."""
        with within(5), suppress(StreamSchemaError):
            RecordValidator(read_schema(schema, "s"), "s").flaw({"p": "a" * 40 + "!"})

    def test_references_that_double_cannot_hang_the_run(self):
        """Eighteen definitions took 30 s a record, forty would take for ever."""
        names = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(18)}
        schema = {
            "properties": {"a": {"$ref": "#/$defs/d0"}},
            "$defs": {**names, "d18": {"type": "integer"}},
        }
        with within(5), suppress(StreamSchemaError):
            RecordValidator(read_schema(schema, "s"), "s").flaw({"a": "x"})

    def test_a_list_with_a_repeat_cannot_hang_the_run(self):
        """Comparing each item with each took 7 s for 25 KB."""
        validator = RecordValidator(
            read_schema({"properties": {"a": {"uniqueItems": True}}}, "s"), "s"
        )
        items = [{"a": number} for number in range(4_000)]
        with within(5):
            assert validator.flaw({"a": [*items, items[-1]]}) is not None


def test_a_count_of_thousands_of_digits_is_not_quoted_whole():
    """Texts of a server are cut at 200 characters; this number makes one log line of 5.7 KB."""
    said = judge(Answer(200, b'{"num_records_imported":' + b"1" * 4_200 + b"}"), ["a"])

    assert len(said.reason) < 1_000


class TestSettings:
    @pytest.mark.parametrize(
        "content",
        [
            pytest.param("[" * 100_000, id="RecursionError"),
            pytest.param('{"batch_size_rows":' + "1" * 5_000 + "}", id="ValueError"),
        ],
    )
    def test_a_config_file_that_json_cannot_take(self, tmp_path, content):
        """Row 76. The operator sees a traceback."""
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(SettingsError):
            config_file(str(tmp_path / "config.json"))

    def test_half_a_character_in_a_number(self):
        """JSON can say it, and no number has it."""
        with pytest.raises(SettingsError):
            parse_settings({**CONFIG, "batch_size_rows": "\ud8005"})

    @pytest.mark.parametrize("name", ["report_path", "dead_letter_path"])
    def test_a_path_that_is_none(self, tmp_path, name):
        """ValueError "embedded null byte": a traceback, or an internal error."""
        config = {**CONFIG, name: "\0"}
        (tmp_path / "config.json").write_text(json.dumps(config))
        done = subprocess.run(
            [COMMAND, "--config", str(tmp_path / "config.json")],
            input=b"",
            capture_output=True,
            check=False,
            timeout=60,
        )

        assert done.returncode == 1
        assert b"Traceback" not in done.stderr
        assert b"internal error" not in done.stderr
