"""Which of the operator's mappings meets which stream, what meets nothing, and what is meant?"""

import logging
from collections.abc import Sequence
from typing import Final, TypeAlias

from target_mixpanel.errors import listed, printable
from target_mixpanel.specs.matching import close_names, pattern_for
from target_mixpanel.specs.spec import EventSpec, GroupSpec, LookupTableSpec, StreamSpec, UserSpec
from target_mixpanel.version import __version__

Mappings: TypeAlias = Sequence[tuple[str, tuple[StreamSpec, ...]]]

logger = logging.getLogger("target-mixpanel")

_SHOWN: Final = 50

_KEPT: Final = 100
"""Names of streams without a mapping; memory must not grow with what a tap makes up."""

_ALL_STREAMS: Final = "*"
"""This one is no misspelt name."""


class Routing:
    """The mappings of a run, and which of them streams have met."""

    def __init__(self, mappings: Mappings) -> None:
        self._mappings = mappings
        self._used: set[str] = set()
        self.unmapped: list[str] = []
        """Streams that no mapping took."""
        self._met: list[str] = []

    def specs_for(self, stream: str) -> tuple[StreamSpec, ...]:
        """Return *stream*'s mappings, none where no pattern matches."""
        pattern = pattern_for(stream, self._mappings)
        if len(self._met) < _KEPT and stream not in self._met:
            self._met.append(stream)
        if pattern is None:
            if len(self.unmapped) < _KEPT and stream not in self.unmapped:
                self.unmapped.append(stream)
            return ()
        self._used.add(pattern)
        return dict(self._mappings)[pattern]

    @property
    def unused(self) -> list[str]:
        """Patterns that no stream has met."""
        return [
            pattern
            for pattern, _ in self._mappings
            if pattern not in self._used and pattern != _ALL_STREAMS
        ]

    def meant(self, stream: str) -> list[str]:
        """Return the patterns that look like *stream*."""
        return close_names(stream, [pattern for pattern, _ in self._mappings])

    def say_where_streams_go(self, *, is_dry_run: bool) -> None:
        """Say which release this is, and what becomes of which stream."""
        ways = [
            f"{printable(pattern)} → {', '.join(map(_destination, specs))}"
            for pattern, specs in self._mappings[:_SHOWN]
        ]
        more = len(self._mappings) - len(ways)
        rest = [f"and {more:,} more"] if more else []
        dry = ", dry run" if is_dry_run else ""
        logger.info("target-mixpanel %s%s: %s", __version__, dry, "; ".join([*ways, *rest]))

    def warn_of_unused(self) -> None:
        """Say which mappings met no stream, and which stream each may mean."""
        for pattern in self.unused[:_SHOWN]:
            close = close_names(pattern, self._met)
            logger.warning(
                'streams: no stream used the mapping "%s"; %sthe tap has %s',
                printable(pattern),
                "close to it " if close else "",
                listed(close or self._met, at_most=5),
            )


def _destination(spec: StreamSpec) -> str:
    match spec:
        case EventSpec():
            return "events"
        case UserSpec():
            return "users"
        case GroupSpec(group_key=group_key):
            return f"groups {printable(group_key)}"
        case LookupTableSpec(lookup_table_id=table_id):
            return f"lookup table {printable(table_id)}"
