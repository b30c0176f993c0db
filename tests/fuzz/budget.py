"""How long is fuzzed? Seconds, and with --run-slow minutes."""

import sys
from collections.abc import Callable
from typing import Any, Final

from hypothesis import HealthCheck, settings

QUICK_EXAMPLES: Final = 200
LONG_EXAMPLES: Final = 5_000


def fuzzed(test: Callable[..., Any]) -> Any:
    """Give *test*, a property, as many examples as the run has time for."""
    is_long = "--run-slow" in sys.argv
    return settings(
        max_examples=LONG_EXAMPLES if is_long else QUICK_EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )(test)
