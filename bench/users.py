"""How fast are user profiles, beside events of the same records?"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import table
from contestants import MAPPING, target_command
from data import Shape, make
from measure import receiving
from rounds import describe, figures, in_turns, load_singer, median_ratio

_USERS: Final = {"type": "users", "distinct_id": "user_id", "properties": "*"}
_EVENTS_TITLE: Final = "type: events"
_MAPPINGS: Final[Mapping[str, Any]] = {
    _EVENTS_TITLE: MAPPING,
    "type: users": _USERS,
    "both, of each record": [MAPPING, _USERS],
}


def measure_users(shape: Shape, rounds: int, reply_delay_ms: float) -> dict[str, Any]:
    """Return what a record costs that becomes an event, an update of a profile, or both."""
    make(shape, with_rows=False)
    with receiving(reply_delay_ms) as receiver:
        ways = {
            title: partial(
                load_singer,
                target_command(receiver.url, mapping, name=f"users-{number}"),
                shape,
                receiver,
                "users",
                rows_per_record=len(mapping) if isinstance(mapping, list) else 1,
            )
            for number, (title, mapping) in enumerate(_MAPPINGS.items())
        }
        runs = in_turns(ways, rounds)
    found = [
        {
            "title": title,
            **figures(each),
            "of_events_rate": median_ratio(
                each, runs[_EVENTS_TITLE], lambda run: run.records_per_s
            ),
        }
        for title, each in runs.items()
    ]
    print(f"\n{describe(shape, reply_delay_ms)}\n\n{table.users(found)}")
    return {"users": found}
