"""Whatever bytes come in, the reader calls back or names the line; it never hangs or shows it."""

import json
import os
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from target_mixpanel.errors import InputError
from target_mixpanel.singer import reader
from target_mixpanel.singer.messages import LINE_MAX_BYTES
from target_mixpanel.singer.reader import SingerBytesReader
from target_mixpanel.stop import Stop
from tests.fuzz.budget import fuzzed
from tests.fuzz.json_values import JSON, SPELLINGS
from tests.fuzz.targets import check_reader

TYPES = st.sampled_from(
    ["SCHEMA", "RECORD", "STATE", "ACTIVATE_VERSION", "BATCH", "state", "", "\n"]
)
PARTS = {
    "type": TYPES | JSON,
    "stream": st.sampled_from(["orders", ""]) | JSON,
    "record": st.dictionaries(st.text(max_size=4), JSON, max_size=3) | JSON,
    "schema": JSON,
    "key_properties": st.lists(st.text(max_size=3), max_size=2) | JSON,
    "version": JSON,
    "time_extracted": JSON,
    "value": JSON,
    "dead_letter": st.booleans() | JSON,
}
MESSAGES = st.fixed_dictionaries(
    {"type": TYPES, "stream": PARTS["stream"]},
    optional={name: part for name, part in PARTS.items() if name not in {"type", "stream"}},
) | st.fixed_dictionaries({}, optional=PARTS)


@st.composite
def lines(draw):
    """Return a line of the input: a message, one with an odd value in it, or anything."""
    message = draw(MESSAGES)
    text = json.dumps(message, ensure_ascii=draw(st.booleans()))
    line = text.encode(errors="surrogatepass")
    if draw(st.booleans()):
        name = draw(st.sampled_from([*PARTS, "other"]))
        line = line[:-1] + (b", " if message else b"") + f'"{name}":'.encode()
        line += draw(st.sampled_from([b"%b", b'{"a":%b}', b"[%b]"])) % draw(SPELLINGS) + b"}"
    return draw(
        st.just(line)
        | st.just(line[: draw(st.integers(0, len(line)))])
        | st.binary(max_size=20)
        | st.sampled_from([b"", b"\r", b" \t", b"\xef\xbb\xbf", b"\xef\xbb\xbf" + line, b"\0"]),
    )


INPUTS = st.builds(
    lambda found, end, ending: end.join(found) + ending,
    st.lists(lines(), max_size=5),
    st.sampled_from([b"\n", b"\r\n", b"\n\n"]),
    st.sampled_from([b"\n", b""]),
)


@fuzzed
@given(INPUTS | st.binary(max_size=200), st.lists(st.integers(0, 10_000), max_size=4))
@example(b'{"type":"STATE","value":' + b"[" * 20_000, [])
@example(b'{"type":"RECORD","stream":"a","record":{"a":NaN}}', [3])
def test_only_our_errors_end_the_reading(given_bytes, cuts):
    check_reader(given_bytes, cuts)


def test_a_line_without_end_takes_no_more_memory_than_a_line_may():
    reading, writing = os.pipe()
    piece = b'{"type":"RECORD' + b" " * 60_000
    written = 0

    def feed():
        nonlocal written
        written += os.write(writing, piece)

    stop = Stop(1)
    tracemalloc.start()
    try:
        with os.fdopen(reading, "rb") as source, pytest.raises(InputError, match="more than"):
            SingerBytesReader(stop, feed, lambda _: None).process_lines(source, {})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        os.close(writing)
        stop.close()

    assert LINE_MAX_BYTES < written < LINE_MAX_BYTES + 2 * reader._BLOCK_BYTES
    assert peak < 2 * LINE_MAX_BYTES
