"""Which profiles are there, and which updates made them?"""

from __future__ import annotations

import threading
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

from target_mixpanel.sandbox.profiles import updated

if TYPE_CHECKING:
    from target_mixpanel.sandbox.profiles import ProfileId, Properties


class Profiles:
    """
    Profiles by id, the one changed last at the end, and the updates in order of arrival.

    All updates are counted, the newest *keep_updates* kept. One lock guards
    everything: tests read it from their own thread.
    """

    def __init__(self, keep_updates: int | None) -> None:
        self._keep_updates = keep_updates
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        with self._lock:
            self._profiles: dict[ProfileId, Properties] = {}
            self._updates: deque[bytes] = deque(maxlen=self._keep_updates)
            self.applied = 0

    @property
    def count(self) -> int:
        return len(self._profiles)

    def all(self) -> dict[ProfileId, Properties]:
        return dict(self.newest())

    def newest(self, limit: int | None = None) -> list[tuple[ProfileId, Properties]]:
        """Return the profiles, or up to *limit* of them, the one changed last first."""
        with self._lock:
            newest = islice(reversed(self._profiles.items()), limit)
            return [(profile, dict(known)) for profile, known in newest]

    def updates(self) -> list[bytes]:
        """Return the kept updates as received, oldest first."""
        with self._lock:
            return list(self._updates)

    def apply(
        self,
        profile: ProfileId,
        operations: dict[str, Any],
        line: bytes,
        *,
        seen_at: str | None = None,
    ) -> None:
        """
        Apply one update, which came as *line*; *seen_at* is its time, if it is a sign of life.

        Raises:
            InvalidUpdateError: The profile would grow too large; nothing was changed.
        """
        with self._lock:
            known = updated(self._profiles.get(profile), operations)
            self._profiles.pop(profile, None)
            if known is not None:
                # https://docs.mixpanel.com/docs/data-structure/property-reference/default-properties
                seen = {} if seen_at is None else {"$last_seen": seen_at}
                self._profiles[profile] = {**known, **seen}
            self._updates.append(line)
            self.applied += 1
