"""The future is judged by Mixpanel's clock as soon as it has told the time."""

import pytest

from target_mixpanel.delivery.server_clock import ServerClock

OURS = 1_790_000_000.0


@pytest.mark.parametrize(
    ("date", "expected_s"),
    [
        pytest.param("Mon, 21 Sep 2026 14:13:20 GMT", 0.0, id="the-same"),
        pytest.param("Tue, 22 Sep 2026 14:13:20 GMT", 86_400.0, id="a-day-ahead"),
        pytest.param("Mon, 21 Sep 2026 14:13:23 GMT", 0.0, id="on-its-way"),
        pytest.param("Mon, 21 Sep 2026 14:13:20 -0000", 0.0, id="no-zone"),
        pytest.param("yesterday", 0.0, id="unreadable"),
        pytest.param("", 0.0, id="empty"),
    ],
)
def test_fault_63_ahead(date, expected_s):
    clock = ServerClock(lambda: OURS)
    clock.observe(date)

    assert expected_s == pytest.approx(clock.now() - OURS, abs=1e-6)
