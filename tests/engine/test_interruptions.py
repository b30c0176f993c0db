"""Whoever leaves an engine comes out of it, whatever a signal's handler raises, and where."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from target_mixpanel.sandbox import Sandbox
from tests.conftest import ORDERS_MAPPING
from tests.engine.interrupted import RECORDS, Outcome, Sweep
from tests.whole_model import SANDBOX, USERS_MAPPING

STEP = 13
"""Of every so many points one, in the quick tests; the others take minutes."""


def interrupt(sandbox, letters, first, step):
    settings = {
        "api_url": sandbox.url,
        "project_token": "sandbox-token",
        "streams": {"orders": ORDERS_MAPPING, "users": USERS_MAPPING},
        "batch_size_rows": 5,
        "dead_letter_path": str(letters),
        "max_rejection_rate": 1.0,
        "max_parallel_requests": 2,
        "shutdown_timeout_seconds": 5,
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.interrupted"],
        input=msgspec.json.encode(Sweep(settings, first, step)),
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    outcomes = [msgspec.json.decode(line, type=Outcome) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"it hangs after {outcomes[-1:]}:\n{done.stderr.decode()}"
    return outcomes


def not_there(sandbox, letters, outcomes):
    """Return what a run called safe that is neither in Mixpanel nor set aside."""
    events = {event["properties"]["id"] for event in sandbox.raw()}
    lines = [line for path in letters.glob("*.singer") for line in path.read_bytes().splitlines()]
    messages = [msgspec.json.decode(line) for line in lines]
    events |= {message["record"]["id"] for message in messages if message["type"] == "RECORD"}
    users = sandbox.users
    return [
        (outcome.nth, number)
        for outcome in outcomes
        for number in range(outcome.nth * RECORDS, outcome.nth * RECORDS + outcome.safe)
        if number not in events or str(number) not in users
    ]


@pytest.mark.parametrize(
    ("first", "step"),
    [
        pytest.param(1, STEP, id="some"),
        *(
            pytest.param(first, STEP, id=str(first), marks=pytest.mark.slow)
            for first in range(2, STEP + 1)
        ),
    ],
)
def test_at_every_point(tmp_path, first, step):
    with Sandbox(settings=SANDBOX) as sandbox:
        outcomes = interrupt(sandbox, tmp_path, first, step)
        assert len(outcomes) > 100
        # Where Python itself takes no exception (in a generator that is closed), the run goes on.
        assert {outcome.ended_by for outcome in outcomes[:-20]} <= {"Interrupted", None}
        assert sum(outcome.ended_by is None for outcome in outcomes[:-20]) < 5
        assert not [outcome for outcome in outcomes if outcome.threads_left]
        assert any(outcome.safe for outcome in outcomes)
        assert not not_there(sandbox, tmp_path, outcomes)
