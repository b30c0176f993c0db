"""A stream gets the mappings of its own name, else of the closest pattern."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_mixpanel.specs.matching import specs_for


@pytest.mark.parametrize(
    ("stream", "patterns", "expected"),
    [
        pytest.param("orders", ["orders"], "orders", id="name"),
        pytest.param("orders", ["*", "orders"], "orders", id="name-over-all"),
        pytest.param("orders", ["order*", "*", "orders"], "orders", id="name-over-longest-prefix"),
        pytest.param("public-orders", ["*", "pub*", "public-*"], "public-*", id="longest-prefix"),
        pytest.param("public-orders", ["public-*", "pub*", "*"], "public-*", id="in-any-order"),
        pytest.param("public-orders", ["*-orders", "p*"], "p*", id="only-the-prefix-counts"),
        pytest.param("public-orders", ["*-orders", "*"], "*-orders", id="first-of-equals"),
        pytest.param("public-orders", ["*", "*-orders"], "*", id="first-of-equals-in-order"),
        pytest.param("orders", ["order?"], "order?", id="question-mark"),
        pytest.param("orders", ["order[rs]"], "order[rs]", id="choice"),
        pytest.param("orders[1]", ["orders[1]", "*"], "orders[1]", id="name-with-brackets"),
        pytest.param("orders1", ["orders[1]"], "orders[1]", id="same-as-pattern"),
        pytest.param("Orders", ["orders"], None, id="case-counts"),
        pytest.param("orders", ["order"], None, id="no-part-of-a-name"),
        pytest.param("public.orders", ["public.*"], "public.*", id="dot-is-a-dot"),
        pytest.param("publicXorders", ["public.*"], None, id="and-nothing-else"),
        pytest.param("a\nb", ["a*"], "a*", id="line-feed"),
        pytest.param("orders", [], None, id="nothing"),
    ],
)
def test_the_closest_entry_wins(stream, patterns, expected):
    mappings = [(pattern, (pattern,)) for pattern in patterns]

    assert (() if expected is None else (expected,)) == specs_for(stream, mappings)


@settings(max_examples=300, deadline=None)
@given(
    st.text("ab-", min_size=1, max_size=6), st.lists(st.text("ab*?[]-", max_size=6), unique=True)
)
def test_a_stream_is_mapped_exactly_if_something_matches(stream, patterns):
    mappings = [(pattern, (pattern,)) for pattern in [*patterns, stream]]

    assert specs_for(stream, mappings) == (stream,)
    assert specs_for(stream, [("*", ("*",)), *mappings[:-1]]) != ()


def test_a_hostile_pattern_does_not_hang():
    assert specs_for("a" * 60 + "!", [("*a" * 30, ("x",))]) == ()
