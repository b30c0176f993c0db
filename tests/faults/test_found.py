"""What testing as a user once found, so that it does not come back."""

import signal

from target_mixpanel.sandbox import Sandbox
from tests.conftest import ORDERS_SCHEMA, Command, order, state
from tests.faults.test_checkpoint_writes import LARGE, signal_while_writing


def test_fault_28_keys_that_collide_when_flattened(command: Command):
    """The line names the stream and the columns; it is no internal error."""
    columns = {
        **ORDERS_SCHEMA["schema"]["properties"],
        "a": {"type": "object", "properties": {"b": {"type": "integer"}}},
        "a__b": {"type": "integer"},
    }
    schema = {**ORDERS_SCHEMA, "schema": {"type": "object", "properties": columns}}
    done = command.run(
        schema,
        order(1, a={"b": 1}, a__b=2),
        state(1),
        flattening_enabled=True,
        flattening_max_depth=2,
    )

    assert (done.code, done.states) == (1, [])
    assert "internal error" not in done.errors[0]


def test_faults_34_39_a_signal_during_an_unbuffered_checkpoint(command: Command, sandbox: Sandbox):
    """With PYTHONUNBUFFERED, as in most container images, a write may be partial: then go on."""
    done = signal_while_writing(command, sandbox, signal.SIGTERM, unbuffered="1")

    assert (done.code, done.states) == (143, [LARGE])
