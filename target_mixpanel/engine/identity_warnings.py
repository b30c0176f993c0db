"""What of a stream's ids has an operator to know, and was it said yet?"""

import logging
from collections.abc import Iterator, Sequence

from target_mixpanel.errors import printable
from target_mixpanel.mapping.identity_risks import identity_risks, is_told_by_key
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.specs.spec import StreamSpec

logger = logging.getLogger("target-mixpanel")


class IdentityWarnings:
    """Warns once in a run of what makes two events of one, or one of two."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[str, ...]] = {}
        self._said: set[str] = set()

    def look_at(self, specs: Sequence[StreamSpec], stream_schema: StreamSchema) -> None:
        """Warn of what *specs* and a stream's SCHEMA make of its records together."""
        for warning in self._warnings(specs, stream_schema):
            if warning not in self._said:
                self._said.add(warning)
                logger.warning("%s", warning)

    def _warnings(self, specs: Sequence[StreamSpec], stream_schema: StreamSchema) -> Iterator[str]:
        for spec in specs:
            yield from identity_risks(spec, stream_schema)
        stream, key = stream_schema.stream, stream_schema.key_properties
        if self._keys.setdefault(stream, key) != key and any(map(is_told_by_key, specs)):
            yield (
                f"{printable(stream)}: its key_properties change within the run, and every "
                "$insert_id with them, so repeats become new events; set insert_id to the columns "
                "of one key"
            )
