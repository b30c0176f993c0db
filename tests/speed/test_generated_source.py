"""No word of a tap's or an operator's ever becomes Python source."""

import ast
import re

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from target_mixpanel.errors import TargetMixpanelError
from target_mixpanel.pipeline import fast_path
from target_mixpanel.pipeline.pipeline import StreamPipeline
from tests.mapping.making import stream_schema_of, written

NUMBER = {"type": ["number", "null"]}
TEXT = {"type": ["string", "null"]}
TIME = {"type": "string", "format": "date-time"}
KINDS = (TIME, TEXT, TEXT, NUMBER, {"type": ["integer", "null"]}, TEXT)
"""Of the columns: the time, the user, and four properties."""

OWN_NAMES = re.compile(
    r"(?:c|column|constant|convert|default|get|id|known|read)\d+"
    r"|make_event|make_properties|fetch_time|identify|is_plain_number|map_record|map_values|name|name_event|type|str"
    r"|read_insert_id|read_ip|read_time|record|now_ms|values|time|time_ms|insert_id|content|isspace"
    r"|CloserLookError|Event|UNSET|event_field|event_text|may_change|takes|properties|beyond"
    r"|new_columns|more|widened"
)
HOSTILE = (
    '"',
    "'",
    "\\",
    "\n    import os",
    "}",
    "{record}",
    "%s",
    "record.c0",
    "__import__('os')",
    'x"); __import__("os").abort(); ("',
    "c0",
    "column0",
    "map_record",
    "None",
    "CloserLookError",
    "def",
    "\u2028",
    "#",
    "\x00",
    "é",
)
names = (st.sampled_from(HOSTILE) | st.text(min_size=1, max_size=12)).filter(str.strip)


@pytest.fixture(scope="module")
def sources():
    """Every source that the fast path has compiled since it was last cleared."""
    found = []

    def note(source, *arguments):
        found.append(source)
        return compile(source, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast_path, "compile", note, raising=False)
        yield found


def generated(sources, columns, properties, stream, words):
    """Return the source for events and for users of a stream with names of anybody's."""
    del sources[:]
    at, user, *others = columns
    shown = dict(zip(properties, [[name] for name in others], strict=True))
    first, second, third, fourth = properties
    shown[second] = {"column": [others[1]], "default": words}
    shown[fourth] = {"column": [others[3]], "hash": True}
    events = {
        "event": words,
        "time": [at],
        "distinct_id": [user],
        "insert_id": [[at], [others[0]]],
        "properties": shown | {words: {"value": words}},
        "skip_when": {"column": [others[0]], "is": [words]},
    }
    named_by_column = events | {"event": None, "event_from": [others[0]]}
    users = {
        "type": "users",
        "distinct_id": [user],
        "only_when": [user],
        "properties": {first: [others[0]], third: [others[2]]},
    }
    mappings = [
        {key: value for key, value in each.items() if value is not None}
        for each in (events, named_by_column, users)
    ]
    schema = dict(zip(columns, KINDS, strict=True))
    stream_schema = stream_schema_of(schema, (others[0],), stream=stream, hash_key=b"key")
    pipeline = StreamPipeline([written(each, stream=stream) for each in mappings], stream_schema)
    return pipeline.has_fast_path, list(sources)


INNOCENT_COLUMNS = [f"innocent_{number}" for number in range(6)]
INNOCENT_PROPERTIES = [f"Innocent {number}" for number in range(4)]
INNOCENT = (INNOCENT_COLUMNS, INNOCENT_PROPERTIES, "innocent stream", "innocent words")


def test_the_source_has_names_of_our_own_and_no_text(sources):
    has_fast_path, found = generated(sources, *INNOCENT)

    assert has_fast_path
    assert len(found) == 3
    for source in found:
        assert "innocent" not in source.lower()
        for node in ast.walk(ast.parse(source)):
            match node:
                case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                    assert OWN_NAMES.fullmatch(name), name
                case ast.Constant(value=value):
                    assert value is None or type(value) is int, value


@settings(max_examples=200, deadline=None)
@given(
    columns=st.lists(names, min_size=6, max_size=6, unique=True),
    # What $ignore says is asked of each row, so a mapping that makes it has one line more.
    properties=st.lists(names.filter("$ignore".__ne__), min_size=5, max_size=5, unique=True),
    stream=names,
)
def test_the_source_is_the_same_whatever_anything_is_called(sources, columns, properties, stream):
    """So nothing of a name can be in it, however it is spelled."""
    *properties, words = properties
    _, innocent = generated(sources, *INNOCENT)
    try:
        has_fast_path, hostile = generated(sources, columns, properties, stream, words)
    except TargetMixpanelError:  # a name that Mixpanel keeps to itself
        reject()

    assert not has_fast_path or innocent == hostile
