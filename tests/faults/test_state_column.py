"""The STATE and the exit code of rows whose own tests look at other things."""

from pathlib import Path
from typing import Any

import pytest

from target_mixpanel.sandbox import Sandbox
from tests.conftest import ORDERS_SCHEMA, Command, order, orders, singer, state

LAST = state(9)["value"]


def pattern(text: str) -> dict[str, Any]:
    properties = {**ORDERS_SCHEMA["schema"]["properties"], "note": {"pattern": text}}
    return {**ORDERS_SCHEMA, "schema": {"type": "object", "properties": properties}}


SPELLED = b"\xef\xbb\xbf" + singer(ORDERS_SCHEMA, b"", order(1), b"  ", state(9)).replace(
    b"\n", b"\r\n"
)
TWICE = singer(order(1)).replace(b'"note": null', b'"note": "a", "note": "b"')[:-1]
PAIR = singer(order(1, note="😀"))[:-1]
VERSION = {"type": "ACTIVATE_VERSION", "stream": "removed", "version": 1}
ODD = {"type": "HELLO"}


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        pytest.param([SPELLED.removesuffix(b"\n")], 0, id="40-blank-BOM-CRLF"),
        pytest.param([ORDERS_SCHEMA, ODD, order(1), VERSION, state(9)], 0, id="43-64-ignored"),
        pytest.param([{**ORDERS_SCHEMA, "key_properties": None}, order(1), state(9)], 0, id="45"),
        pytest.param([*[ORDERS_SCHEMA] * 10_000, order(1), state(9)], 0, id="48-10000-schemas"),
        pytest.param([ORDERS_SCHEMA, order(1), order(1), state(9)], 0, id="51-twice"),
        pytest.param([ORDERS_SCHEMA, TWICE, PAIR, state(9)], 0, id="53-56-spelled-oddly"),
        pytest.param([pattern("^(a+)+$"), order(1, note="a" * 60 + "!"), state(9)], 1, id="47"),
    ],
)
def test_faults_40_43_45_47_48_51_53_56_64_state(
    command: Command, sandbox: Sandbox, messages: list, code: int
):
    done = command.run(*messages)

    assert (done.code, done.states) == (code, [] if code else [LAST])
    assert len(sandbox.report()) == (0 if code else 1)


def test_fault_75_state(command: Command, tmp_path: Path):
    """Too large a share at the end: the run fails, and what was set aside stays settled."""
    folder = tmp_path / "rejected"
    done = command.run(
        ORDERS_SCHEMA,
        [order(n, user_id=None) for n in range(10)],
        orders(10, start=10),
        state(9),
        dead_letter_path=str(folder),
    )
    (letters,) = folder.iterdir()

    assert (done.code, done.states) == (1, [LAST])
    assert "max_rejection_rate" in done.errors[0]
    assert len(letters.read_bytes().splitlines()) == 1 + 10


def test_fault_82_state(command: Command, tmp_path: Path):
    """A key that a stream map removes is no matter for dead letters."""
    done = command.run(
        ORDERS_SCHEMA,
        order(1),
        state(9),
        stream_maps={"orders": {"id": "__NULL__"}},
        dead_letter_path=str(tmp_path / "rejected"),
    )

    assert (done.code, done.states) == (1, [])


def test_fault_82_renamed_columns_keep_the_stream_going(command: Command, sandbox: Sandbox):
    done = command.run(
        ORDERS_SCHEMA,
        orders(3),
        state(9),
        stream_maps={"orders": {"text": "note or 'none'", "note": "__NULL__"}},
    )

    assert (done.code, done.states) == (0, [LAST])
    assert {event["properties"]["text"] for event in sandbox.raw()} == {"none"}
