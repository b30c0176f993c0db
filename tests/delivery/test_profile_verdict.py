"""A reply to profile updates is success only where it says so of all of them."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_mixpanel.delivery.profiles import judge_profiles
from target_mixpanel.delivery.verdict import (
    Delivered,
    Fatal,
    RefusedUnattributed,
    TooLarge,
    TryAgain,
    Unaccounted,
)
from target_mixpanel.http.replies import Answer, NoAnswer, NotConnected


def answer(status, body=b"", **headers):
    return Answer(status, body if isinstance(body, bytes) else json.dumps(body).encode(), **headers)


class TestSuccess:
    @pytest.mark.parametrize(
        "body",
        [
            pytest.param({"status": 1, "error": None}, id="verbose"),
            pytest.param({"status": 1, "error": None, "num_good_events": 3}, id="strict"),
            pytest.param({"status": 1, "num_good_events": None}, id="no-count"),
            pytest.param({"status": 1}, id="nothing-else"),
            pytest.param(b"1", id="plain"),
            pytest.param(b"1\n", id="plain-line"),
        ],
    )
    def test_all_were_applied(self, body):
        assert judge_profiles(answer(200, body), 3) == Delivered()

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"<html>Sign in</html>", id="captive-portal"),
            pytest.param(b'{"status":1,"error":null', id="truncated"),
            pytest.param(b"11", id="more-than-a-one"),
            pytest.param(b'"1"', id="text"),
            pytest.param(b"[1]", id="list"),
            pytest.param(b"{}", id="no-status"),
            pytest.param({"status": "OK", "num_good_events": 3}, id="other-status"),
            pytest.param({"status": True}, id="true"),
            pytest.param({"status": 1.0}, id="float"),
            pytest.param({"status": "1"}, id="text-one"),
            pytest.param({"num_good_events": 3, "error": None}, id="count-alone"),
        ],
    )
    def test_fault_20_200_that_says_nothing_known(self, body):
        verdict = judge_profiles(answer(200, body), 3)

        assert isinstance(verdict, TryAgain)
        assert verdict.is_ambiguous


class TestFailure:
    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            pytest.param(b"0", "HTTP 200, 0", id="zero"),
            pytest.param({"status": 0}, "refused", id="status-0"),
            pytest.param(
                {"status": 0, "error": "$distinct_id, missing or empty"},
                "$distinct_id, missing or empty",
                id="status-0-with-words",
            ),
            pytest.param({"status": 0, "error": ["x"]}, "refused", id="no-words"),
            pytest.param({"status": 0, "num_good_events": 3}, "refused", id="though-all-good"),
            pytest.param(
                {"status": 1, "num_good_events": 2},
                "HTTP 200 counts 2 of 3 updates as good",
                id="not-all",
            ),
            pytest.param({"status": 1, "error": "bad"}, "bad", id="words-beside-success"),
        ],
    )
    def test_fault_21_a_200_may_be_a_failure(self, body, reason):
        """And some of the updates may have been applied."""
        assert judge_profiles(answer(200, body), 3) == RefusedUnattributed(
            reason, is_ambiguous=True
        )

    @pytest.mark.parametrize(
        ("body", "sent"),
        [
            pytest.param({"status": 0, "num_good_events": 0}, 3, id="none-was-good"),
            pytest.param({"status": 1, "num_good_events": 0}, 3, id="success-of-none"),
            pytest.param({"status": 0, "error": "x"}, 1, id="the-only-one"),
            pytest.param(b"0", 1, id="the-only-one-plain"),
        ],
    )
    def test_fault_79_where_nothing_was_applied_it_may_be_sent_again(self, body, sent):
        assert not judge_profiles(answer(200, body), sent).is_ambiguous

    @pytest.mark.parametrize("good", [-1, 4, "3", 3.0, True, [3]])
    def test_counts_that_cannot_be(self, good):
        body = {"status": 1, "num_good_events": good}

        assert isinstance(judge_profiles(answer(200, body), 3), Unaccounted)

    def test_a_400_is_like_a_zero(self):
        """Of /import it is known that a 400 may have applied the rest."""
        body = {"status": 0, "error": "gzip is not supported for profiles"}

        assert judge_profiles(answer(400, body), 3) == RefusedUnattributed(
            "gzip is not supported for profiles", is_ambiguous=True
        )
        assert judge_profiles(answer(400, b"<html>"), 1) == RefusedUnattributed(
            "HTTP 400", is_ambiguous=False
        )

    @pytest.mark.parametrize("hostile", ["\n", "\x1b[2J", "\u2028", "x" * 5_000])
    def test_a_servers_words_stay_on_one_short_line(self, hostile):
        verdict = judge_profiles(answer(200, {"status": 0, "error": hostile}), 3)

        assert verdict.reason.isprintable()
        assert len(verdict.reason) < 300


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(answer(413, {"error": "limit of 2097152 bytes"}), TooLarge, id="413"),
        pytest.param(answer(401, {"error": "x", "status": "error"}), Fatal, id="401"),
        pytest.param(answer(403), Fatal, id="403"),
        pytest.param(answer(302, location="/x"), Fatal, id="302"),
        pytest.param(answer(204), Fatal, id="204"),
        pytest.param(answer(503), TryAgain, id="503"),
        pytest.param(answer(408), TryAgain, id="408"),
        pytest.param(NotConnected("TLS"), Fatal, id="tls"),
    ],
)
def test_all_else_is_as_for_events(reply, kind):
    assert isinstance(judge_profiles(reply, 3), kind)


@pytest.mark.parametrize(
    ("reply", "is_ambiguous"),
    [
        pytest.param(answer(429), False, id="429"),
        pytest.param(NoAnswer("ConnectionRefusedError", was_sent=False), False, id="refused"),
        pytest.param(NoAnswer("reset"), True, id="reset"),
        pytest.param(answer(500), True, id="500"),
        pytest.param(answer(503), True, id="503"),
        pytest.param(answer(408), True, id="408"),
    ],
)
def test_fault_79_whether_the_updates_may_have_arrived(reply, is_ambiguous):
    assert judge_profiles(reply, 3).is_ambiguous is is_ambiguous


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 5) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "status": st.integers(-1, 2) | JSON,
        "num_good_events": st.integers(-1, 5) | JSON,
        "error": JSON,
        "code": JSON,
    },
)


@given(
    st.sampled_from([200, 400]) | st.integers(100, 999),
    BODIES.map(lambda body: json.dumps(body).encode()) | st.binary(max_size=20),
    st.integers(1, 4),
)
@settings(deadline=None, max_examples=500)
def test_nothing_unknown_is_delivered(status, body, sent):
    verdict = judge_profiles(Answer(status, body), sent)
    if isinstance(verdict, Delivered) and body.strip() != b"1":
        said = json.loads(body)
        assert status == 200
        assert said["status"] == 1
        assert said.get("num_good_events") in {None, sent}
        assert not (said.get("num_good_events") is None and said.get("error"))
    if isinstance(verdict, RefusedUnattributed) and sent > 1 and not verdict.is_ambiguous:
        assert json.loads(body)["num_good_events"] == 0
