"""Which plan does a mapping of any type compile to, and what does a plan make of a record?"""

from typing import TypeAlias

from target_mixpanel.mapping.events import Event, EventPlan, compile_events
from target_mixpanel.mapping.lookup_tables import LookupTablePlan, TableRow, compile_lookup_table
from target_mixpanel.mapping.profiles import ProfilePlan, ProfileUpdate, compile_profiles
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.specs.spec import EventSpec, GroupSpec, LookupTableSpec, StreamSpec, UserSpec

Plan: TypeAlias = EventPlan | ProfilePlan | LookupTablePlan

MappedRecord: TypeAlias = Event | ProfileUpdate | TableRow | None
"""What a plan's `map` returns; None: the record has nothing to say there."""


def compile_plan(spec: StreamSpec, stream_schema: StreamSchema) -> Plan:
    """
    Compile *spec* against a stream's schema.

    Raises:
        StreamSchemaError: The mapping and the schema do not fit; the message says how to mend it.
    """
    match spec:
        case EventSpec():
            return compile_events(spec, stream_schema)
        case UserSpec() | GroupSpec():
            return compile_profiles(spec, stream_schema)
        case LookupTableSpec():
            return compile_lookup_table(spec, stream_schema)
