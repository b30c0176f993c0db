"""Plans made as a run makes them: from a mapping as an operator writes it, and a schema."""

from decimal import Decimal

import msgspec

from target_mixpanel.mapping.events import compile_events
from target_mixpanel.mapping.lookup_tables import compile_lookup_table
from target_mixpanel.mapping.paths import record_splitter
from target_mixpanel.mapping.profiles import compile_profiles
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.specs import parse_streams

NOW_MS = 1_790_000_000_000
"""2026-09-21T13:33:20Z"""

ORDERS = {
    "id": {"type": "integer"},
    "created_at": {"type": "string", "format": "date-time"},
    "amount": {"type": ["null", "number"]},
    "user": {"type": ["null", "string"]},
}
ORDER = {"id": 7, "created_at": "2026-09-01T10:00:00Z", "amount": Decimal("9.50"), "user": "u-1"}

decode = msgspec.json.Decoder(float_hook=Decimal).decode
"""Decode as the reader does."""

encode = msgspec.json.Encoder(decimal_format="number").encode


def open_columns(*names):
    """Return columns of which the schema says nothing."""
    return {name: {} for name in names}


def spec_of(mapping=None, stream="orders", **more):
    """Return a mapping, parsed; of orders where nothing else is said. None leaves a key out."""
    given = {"time": "created_at", "distinct_id": "user", "properties": "*"}
    ((_, (spec,)),) = parse_streams({stream: {**given, **(mapping or {}), **more}})
    return spec


def stream_schema_of(properties=None, key=("id",), *, stream="orders", schema=None, **more):
    """Return what is known of a stream of these columns."""
    own = {"type": "object", "properties": ORDERS if properties is None else properties}
    return StreamSchema(stream, own | (schema or {}), tuple(key), **more)


def plan_of(mapping=None, stream_schema=None, **more):
    return compile_events(spec_of(mapping, **more), stream_schema or stream_schema_of())


def event_of(plan, record):
    """Return one record's event, as Mixpanel gets it."""
    event = plan.map(record_splitter(plan.slots)(record), NOW_MS)
    return decode(encode(event.content))


def properties_of(record=None, mapping=None, stream_schema=None, **more):
    """Return what one record's event has for properties."""
    return event_of(plan_of(mapping, stream_schema, **more), record or ORDER)["properties"]


def written(mapping, stream="rows"):
    """Return a mapping of any type, parsed."""
    ((_, (spec,)),) = parse_streams({stream: mapping})
    return spec


class OfRecords:
    """A plan that is given whole records."""

    def __init__(self, plan):
        self._plan = plan
        self._take = record_splitter(plan.slots)

    def map(self, record):
        return self._plan.map(self._take(record), NOW_MS)

    def __getattr__(self, name):
        return getattr(self._plan, name)


def profiles_of(mapping, columns, **more):
    """Return a plan of profile updates from a stream of these columns."""
    return OfRecords(
        compile_profiles(written(mapping), stream_schema_of(columns, stream="rows", **more))
    )


def table_of(mapping, columns, **more):
    """Return a plan of a lookup table from a stream of these columns."""
    plan = compile_lookup_table(written(mapping), stream_schema_of(columns, stream="rows", **more))
    return OfRecords(plan)
