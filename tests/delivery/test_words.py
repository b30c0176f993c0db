"""A server's words are shown, but not what they repeat of a row."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_mixpanel.redaction import without_values


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        pytest.param("bad canary here", ["canary"], "bad … here", id="one"),
        pytest.param("canary, canary", ["canary"], "…, …", id="twice"),
        pytest.param("no value here", ["value 7", "no"], "no value here", id="none"),
        pytest.param("a bad row", ["bad", "row"], "a bad row", id="short-ones-stay"),
        pytest.param("the canary-name", ["name", "canary-name"], "the …", id="within-another"),
        pytest.param("abcdefgh", ["abcde", "defgh"], "…", id="overlapping"),
        pytest.param("aaaaaaa.", ["aaaa"], "….", id="overlapping-itself"),
        pytest.param("it is canary@pii…", ["canary@pii.example"], "it is ……", id="cut"),
        pytest.param("it is canary@pii", ["canary@pii.example"], "it is …", id="cut-silently"),
        pytest.param("", ["canary"], "", id="empty"),
    ],
)
def test_what_is_hidden(text, values, expected):
    assert without_values([text], values) == [expected]
    assert without_values(["other", text], reversed(values)) == ["other", expected]


@given(
    st.lists(st.text("ab", min_size=4, max_size=8), min_size=1, max_size=4),
    st.text("ab", max_size=30),
    st.data(),
)
@settings(deadline=None)
def test_no_value_is_left_whole_or_cut(values, text, data):
    """The letters of what is shown were in no value; a cut text hides its last one, too."""
    value = data.draw(st.sampled_from(values))
    cut = text + value[: data.draw(st.integers(4, len(value)))]
    [shown] = without_values([cut], values)

    assert shown.endswith("…")
    assert not any(each in shown for each in values)
