"""A project is told 429 once its last window holds more than it may send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_mixpanel.sandbox.rate_limit import RollingLimit

EXCEEDED = {
    "code": 429,
    "error": "Project exceeded rate limits. Please retry the request with exponential backoff.",
    "status": "Too Many Requests",
}


def test_rows_above_the_rate_are_refused(start, event, import_):
    limited = start(events_per_second=10, rate_window_s=60)

    assert import_(limited, [event()] * 600).status_code == 200
    reply = import_(limited, [event()])
    assert reply.status_code == 429
    assert reply.json() == EXCEEDED
    assert len(limited.raw()) == 600


def test_bytes_above_the_rate_are_refused(start, event, import_):
    limited = start(bytes_per_minute=1_000)

    assert import_(limited, [event(text="x" * 900)]).status_code == 200
    assert import_(limited, [event()]).status_code == 429


def test_the_window_rolls(start, event, import_):
    limited = start(events_per_second=10, rate_window_s=0.2)
    now = 0.0
    limited.project._rows._clock = lambda: now

    assert [import_(limited, [event()] * 2).status_code for _ in range(2)] == [200, 429]
    now = 0.19
    assert import_(limited, [event()] * 2).status_code == 429
    now = 0.21
    assert import_(limited, [event()] * 2).status_code == 200


def test_a_refused_row_counts_too(start, event, import_):
    limited = start(events_per_second=1 / 60, rate_window_s=60)

    assert [import_(limited, [event("")]).status_code for _ in range(2)] == [400, 429]


def test_limits_can_be_lifted(start, event, import_):
    free = start(events_per_second=None, bytes_per_minute=None)

    assert import_(free, [event()]).status_code == 200


@pytest.mark.parametrize("path", ["/engage", "/groups"])
def test_profile_updates_share_the_limit(start, event, import_, update, path):
    limited = start(events_per_second=2 / 60, rate_window_s=60)
    import_(limited, [event()])
    one = {"$distinct_id": "u", "$group_key": "k", "$group_id": "g", "$set": {}}

    assert [update(limited, [one], path=path).status_code for _ in range(2)] == [200, 429]


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 10)), max_size=50))
def test_no_window_holds_more_than_the_limit(steps):
    """Whatever comes when: the amounts of any window add up to the limit at most."""
    now = 0.0
    admitted = []
    limit = RollingLimit(20, 3.0, clock=lambda: now)
    for pause, amount in steps:
        now += pause
        if limit.has_room(amount):
            limit.take(amount)
            admitted.append((now, amount))
        assert sum(amount for at, amount in admitted if at > now - 3.0) <= 20
