"""What testing as a user once found, so that it does not come back."""

from tests.conftest import ORDERS_SCHEMA, Command, order, state


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
