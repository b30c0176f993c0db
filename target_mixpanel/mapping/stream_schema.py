"""What is known of a stream before its first record?"""

import msgspec

from target_mixpanel.model import JsonObject


class StreamSchema(msgspec.Struct, frozen=True):
    """A stream's SCHEMA, with what the settings say about all streams."""

    stream: str
    schema: JsonObject
    key_properties: tuple[str, ...]
    is_schema_enforced: bool = True
    """Records are validated against the schema before they are mapped."""
    takes_metadata: bool = False
    """Whether "*" takes the `_sdc_*` columns, too."""
    hash_key: bytes | None = None
