"""What is asked of each way in, whatever comes in: for hypothesis here, for atheris outside."""

import json
import os
import signal
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from io import BytesIO
from itertools import pairwise
from types import FrameType
from typing import IO, Any, Final

import msgspec

from target_mixpanel.delivery import events
from target_mixpanel.delivery.verdict import Delivered, Refused, Verdict
from target_mixpanel.errors import SettingsError, StreamSchemaError, TargetMixpanelError
from target_mixpanel.http.replies import RETRY_AFTER_MAX_S, Answer
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.model import JsonObject, Mapped
from target_mixpanel.pipeline.pipeline import Outcome, StreamPipeline
from target_mixpanel.sandbox.rules import judge, read_row
from target_mixpanel.sandbox.settings import SandboxSettings
from target_mixpanel.settings.parse import Settings, parse_settings
from target_mixpanel.settings.sources import config_file
from target_mixpanel.singer import reader
from target_mixpanel.singer.messages import Message
from target_mixpanel.singer.reader import SingerBytesReader
from target_mixpanel.specs import parse_streams
from target_mixpanel.specs.matching import specs_for
from target_mixpanel.stop import Stop

NOW_S: Final = 1_790_000_000.0
CANARY: Final = "c4n4ry"
"""Stands in every value of a configuration that no message may show."""

HANG_S: Final = 10.0
"""Nothing small takes a thousandth of it, however busy the machine."""

KNOWN_TYPES: Final = ("SCHEMA", "RECORD", "STATE", "ACTIVATE_VERSION", "BATCH")
_PIPE_BYTES: Final = 60_000
"""What a pipe holds without a reader."""

_MAX_MESSAGE_CHARS: Final = 1_000
_MAX_REASON_CHARS: Final = 6_000
"""A reply's count, the one thing that is quoted whole, has up to 4,300 digits and their commas."""


class HangError(Exception):
    """It took so long that a run would stand still."""


@contextmanager
def no_hang(seconds: float = HANG_S) -> Iterator[None]:
    """Interrupt what takes too long; regular expressions look out for signals, too."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def nothing_fetched() -> Iterator[None]:
    """See that no URL is opened meanwhile, even where the failure would be swallowed."""
    opened: list[object] = []

    def refuse(url: object, *_: object, **__: object) -> None:
        opened.append(getattr(url, "full_url", url))
        raise OSError("no network here")

    real, urllib.request.urlopen = urllib.request.urlopen, refuse
    try:
        yield
    finally:
        urllib.request.urlopen = real
    assert not opened


def read(source: IO[bytes], on_idle: Callable[[], float | None]) -> tuple[list[Any], str | None]:
    """Return what was called back, and how an operator would be told of the end of it."""
    heard: list[Any] = []

    def take(message: Message) -> None:
        if message.dead_letter:
            singer.allow_cut_off_end()
        heard.append(
            (
                message.type,
                message.stream,
                message.record,
                bytes(message.value),
                message.line,
                message.flaw,
            )
        )

    stop = Stop(1)
    singer = SingerBytesReader(stop, on_idle, heard.append)
    try:
        singer.process_lines(source, dict.fromkeys(KNOWN_TYPES, take))
    except TargetMixpanelError as error:
        return heard, str(error)
    finally:
        stop.close()
    return heard, None


def read_piecemeal(pieces: list[bytes]) -> tuple[list[Any], str | None]:
    """Read from a pipe that gets the next piece whenever the reader asks for more."""
    reading, writing = os.pipe()
    left = list(reversed(pieces))
    open_end = [writing]

    def feed() -> float | None:
        while left:
            piece = left.pop()
            if piece:
                os.write(writing, piece)
                return None
        if open_end:
            os.close(open_end.pop())
        return None

    try:
        with os.fdopen(reading, "rb") as source:
            return read(source, feed)
    finally:
        if open_end:
            os.close(writing)


def check_reader(given: bytes, cuts: list[int]) -> None:
    """Only our errors end the reading, wherever a block ends, and they show nothing of a line."""
    given = given[:_PIPE_BYTES]
    edges = sorted({0, len(given), *(cut % (len(given) + 1) for cut in cuts)})
    pieces = [given[start:end] for start, end in pairwise(edges)]
    with no_hang():
        heard, problem = read(BytesIO(given), lambda: None)
        piecemeal = read_piecemeal(pieces)

    assert piecemeal == (heard, problem)
    for message in heard:
        if not isinstance(message, str):
            _check_message(*message)
    if problem is not None:
        assert problem.isprintable()
        assert len(problem) < _MAX_MESSAGE_CHARS
        assert CANARY not in problem


def _check_message(
    kind: str, stream: str | None, record: Any, value: bytes, line: bytes, flaw: Any
) -> None:
    assert b"\n" not in line
    assert flaw is None or kind == "RECORD"
    assert stream is None or isinstance(stream, str)
    if kind == "STATE" and value:
        # What will be printed is what Python's json reads in the line.
        assert b"\n" not in value
        text = value.decode(errors="replace")
        if "\ufffd" not in text:
            expected = json.loads(line.removeprefix(b"\xef\xbb\xbf"))["value"]
            assert repr(json.loads(text)) == repr(expected)


def check_mapping(
    mapping: object,
    schema: JsonObject,
    key_properties: tuple[str, ...],
    records: list[bytes],
    *,
    is_schema_enforced: bool = True,
) -> Outcome | None:
    """
    Compiling ends in a plan or in our errors; running in rows Mixpanel takes, or a refusal.

    Returns:
        What became of the last record, None if nothing was compiled or it is no JSON object.
    """
    before = deepcopy(schema)
    stream_schema = StreamSchema(
        "orders", schema, key_properties, is_schema_enforced, hash_key=b"a key for the hashes"
    )
    outcome = None
    with no_hang(), nothing_fetched():
        try:
            mappings = parse_streams({"orders": mapping})
            pipelines = [
                StreamPipeline(
                    specs_for("orders", mappings), stream_schema, now_ms=lambda: NOW_S * 1_000
                )
                for _ in range(2)
            ]
        except (SettingsError, StreamSchemaError) as error:
            _check_message_of_settings(str(error), may_show_names=True)
            return None
        for line in records:
            try:
                record = _decode_record(line)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                continue  # the reader's to refuse
            if record is not None:
                outcome = _check_record(pipelines, record, line)
    assert schema == before
    return outcome


def _decode_record(line: bytes) -> JsonObject | None:
    """Return a record as the reader gives it out."""
    return reader.decode_message(b'{"type":"RECORD","record":%b}' % line).record


def _check_record(pipelines: list[StreamPipeline], record: JsonObject, line: bytes) -> Outcome:
    first, second = pipelines
    outcome = first.run(record)
    assert record == _decode_record(line)
    assert outcome == second.run(_decode_record(line))
    assert outcome == first.run(record)
    backwards = first.run(dict(reversed(record.items())))
    match outcome:
        case list():
            assert [row.key for row in outcome] == [row.key for row in backwards]
            for mapped in outcome:
                _check_row(mapped)
        case refused:
            assert type(backwards) is type(refused)
            detail = refused.flaw.detail or ""
            assert detail.isprintable()
            assert CANARY not in f"{refused.flaw.reason} {detail}"
    return outcome


def _check_row(mapped: Mapped) -> None:
    assert b"\n" not in mapped.body
    json.loads(mapped.body, parse_constant=_refuse_constant)
    key = judge(
        read_row(mapped.body), size=len(mapped.body), settings=SandboxSettings(), now_s=NOW_S
    )
    assert key[3] == mapped.key


def _refuse_constant(name: str) -> None:
    raise AssertionError(name)


def check_reply(answer: Answer, insert_ids: list[str]) -> Verdict:
    """There is a verdict on every answer, and success is only what counts every row."""
    with no_hang():
        said = events.judge(answer, insert_ids, now=NOW_S)
    match said:
        case Delivered():
            assert answer.status == 200
            assert json.loads(answer.body)["num_records_imported"] == len(insert_ids)
        case Refused(rows=rows):
            assert answer.status == 400
            named = [row.index for row in rows]
            assert named == sorted(set(named))
            assert set(named) <= set(range(len(insert_ids)))
            assert named
            assert all(row.reason.isprintable() for row in rows)
        case other:
            reason = getattr(other, "reason", "")
            assert reason.isprintable()
            assert len(reason) < _MAX_REASON_CHARS
            assert 0 <= getattr(other, "at_least_s", 0) <= RETRY_AFTER_MAX_S
    return said


def check_settings(config: JsonObject) -> Settings | None:
    """A configuration is parsed, or refused in one line that shows none of its values."""
    with no_hang():
        try:
            return parse_settings(config, clock=lambda: NOW_S)
        except SettingsError as error:
            _check_message_of_settings(str(error))
    return None


def check_config_file(path: str) -> JsonObject | None:
    """Whatever bytes a file of --config has, it holds a map or is refused in one line."""
    with no_hang():
        try:
            return config_file(path)
        except SettingsError as error:
            _check_message_of_settings(str(error))
    return None


def _check_message_of_settings(message: str, *, may_show_names: bool = False) -> None:
    assert message.isprintable()
    assert may_show_names or CANARY not in message
