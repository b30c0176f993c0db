"""What a record costs is counted, not timed: a count is the same on every machine."""

import sys
from collections import Counter
from math import ceil
from pathlib import Path

import pytest
import singer_sdk
from singer_sdk import Sink, Target
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.singerlib.encoding import GenericSingerReader

from target_mixpanel.engine.stream import Stream
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.pipeline.pipeline import StreamPipeline
from target_mixpanel.pipeline.typed_records import TypedRecords
from target_mixpanel.pipeline.validation import RecordValidator
from target_mixpanel.singer import reader
from target_mixpanel.singer.sinks import MixpanelSink
from target_mixpanel.singer.target import TargetMixpanel
from target_mixpanel.specs import parse_streams
from tests.conftest import ORDERS_MAPPING
from tests.speed.conftest import with_pattern

RECORDS = 300
BATCH_ROWS = 2_000
MOST_CALLS = 20
"""Of Python functions, for a record of the benchmark on the fast way, its two dates included."""

SDK = str(Path(singer_sdk.__file__).parent)
OURS = (str(Path(reader.__file__).parents[1]), "<fast path>")


@pytest.mark.parametrize("count", [1, 1_999, 2_000, 2_001, 9_000])
def test_events_go_out_in_as_few_requests_as_there_can_be(bench, load, sandbox, count):
    load(list(bench.messages(bench.Shape(count))))

    assert ceil(count / BATCH_ROWS) == len(sandbox.requests)
    assert count == len(sandbox.raw())


@pytest.mark.parametrize("streams", [4, 16])
def test_each_stream_needs_at_most_one_request_more(bench, load, sandbox, streams):
    """Interleaved as they may be: no stream's record sends another's batch off."""
    count = 9_000
    load(list(bench.messages(bench.Shape(count, streams=streams))))

    assert streams * ceil(count / streams / BATCH_ROWS) == len(sandbox.requests)


@pytest.mark.parametrize("count", [1, 9_000])
def test_profile_updates_need_at_most_one_request_more_for_each_lane(bench, load, sandbox, count):
    users = {"type": "users", "distinct_id": "user_id", "properties": ["status"]}
    load(list(bench.messages(bench.Shape(count))), streams={"*": users})
    fewest = ceil(count / BATCH_ROWS)

    assert fewest <= len(sandbox.requests) < fewest + 8
    assert count == len(sandbox.user_updates())


def watch(calls):
    """Count decodings of a line, and validations."""
    calls.watch(TypedRecords, "decode")
    calls.watch(reader, "decode_message")
    calls.watch(RecordValidator, "flaw")


def others(lines):
    return len([line for line in lines if not line.startswith(b'{"type":"RECORD"')])


def test_a_record_on_the_fast_way_is_decoded_once_and_not_validated(bench, load, calls):
    """But for a stream's first one: the reader learns from it how the stream's lines begin."""
    watch(calls)
    lines = list(bench.messages(bench.Shape(RECORDS)))
    load(lines)

    expected = {
        "TypedRecords.decode": RECORDS - 1,
        "reader.decode_message": others(lines) + 1,
        "RecordValidator.flaw": 1,
    }
    assert expected == calls


def test_a_record_on_the_careful_way_is_decoded_once_and_validated_once(bench, load, calls):
    watch(calls)
    lines = with_pattern(list(bench.messages(bench.Shape(RECORDS))))
    load(lines)

    assert {"reader.decode_message": len(lines), "RecordValidator.flaw": RECORDS} == calls


def test_a_record_that_the_fast_way_leaves_is_decoded_twice_and_validated_once(bench, load, calls):
    watch(calls)
    lines = list(bench.messages(bench.Shape(RECORDS)))
    lines[100] = lines[100].replace(b'"id":100,', b'"id":100.0,')
    load(lines)

    expected = {
        "TypedRecords.decode": RECORDS - 1,
        "reader.decode_message": others(lines) + 2,
        "RecordValidator.flaw": 2,
    }
    assert expected == calls


@pytest.mark.parametrize("is_wide", [False, True])
@pytest.mark.parametrize("has_address", [False, True])
def test_every_record_of_the_benchmark_takes_the_fast_way(bench, is_wide, has_address):
    """So that its figures are the fast way's."""
    stream_schema = bench.Shape(
        RECORDS, columns=200 if is_wide else bench.Shape(1).columns, has_address=has_address
    )
    schema, *lines = bench.messages(stream_schema)
    message = reader.decode_message(schema)
    ((_, specs),) = parse_streams({"orders": ORDERS_MAPPING})
    pipeline = StreamPipeline(specs, StreamSchema("orders", message.schema, ("id",)))
    rows = [pipeline.run_line(line) for line in lines if b'"RECORD"' in line]

    assert [len(mapped or ()) for mapped in rows] == [1] * RECORDS


def test_no_record_on_the_fast_way_passes_through_the_sdk(bench, load, calls):
    """All that the SDK does for each record, by name, with the first one's beginning to learn."""
    for owner, name in (
        (GenericSingerReader, "deserialize_json"),
        (Target, "_process_record_message"),
        (SameRecordTransform, "transform"),
        (Sink, "_validate_and_parse"),
        (Sink, "_add_sdc_metadata_to_record"),
        (Sink, "_remove_sdc_metadata_from_record"),
        (Sink, "preprocess_record"),
        (Sink, "tally_record_read"),
        (MixpanelSink, "process_record"),
        (TargetMixpanel, "_process_record_message"),
        (reader.SingerBytesReader, "deserialize_json"),
        (Stream, "load"),
    ):
        calls.watch(owner, name)
    load(list(bench.messages(bench.Shape(RECORDS))))

    assert calls == {"TargetMixpanel._process_record_message": 1, "Stream.load": 1}


def called(load, lines, files):
    """Return how often loading *lines* calls each function whose file begins so, on this thread."""
    found: Counter[str] = Counter()

    def note(frame, kind, _):
        code = frame.f_code
        if kind == "call" and code.co_filename.startswith(files):
            found[f"{Path(code.co_filename).name} {code.co_qualname}"] += 1

    sys.setprofile(note)
    try:
        load(lines)
    finally:
        sys.setprofile(None)
    return found


def test_the_sdk_is_called_no_more_often_for_more_records(bench, load):
    """Whatever a later release does for each record: none of it is in the way of ours."""
    few, many = (
        called(load, list(bench.messages(bench.Shape(n))), SDK) for n in (RECORDS, 5 * RECORDS)
    )

    assert few
    assert few == many


def test_a_record_on_the_fast_way_takes_few_python_calls(bench, load):
    """Each costs some 50 ns: a helper more for each record shows here, on a busy machine, too."""
    few, many = (
        called(load, list(bench.messages(bench.Shape(n))), OURS) for n in (RECORDS, 2 * RECORDS)
    )
    each = {name: (many[name] - few[name]) / RECORDS for name in many if many[name] - few[name]}

    assert sum(each.values()) <= MOST_CALLS, each
