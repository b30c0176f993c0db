"""Whatever a server answers, there is a verdict, and only what counts every row is success."""

import json

from hypothesis import given
from hypothesis import strategies as st

from target_mixpanel.http.replies import Answer
from tests.fuzz.budget import fuzzed
from tests.fuzz.json_values import JSON, SPELLINGS
from tests.fuzz.targets import check_reply

STATUSES = st.sampled_from([200, 400, 413, 429, 500, 401, 302, 408]) | st.integers(100, 999)
IDS = st.lists(st.sampled_from(["a", "b", "c", "d"]) | st.text(max_size=3), min_size=1, max_size=4)
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "index": st.integers(-2, 5) | JSON,
        "insert_id": st.sampled_from(["a", "b", ""]) | JSON,
        "$insert_id": st.sampled_from(["a", "b", ""]) | JSON,
        "field": JSON,
        "message": JSON,
    },
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "num_records_imported": st.integers(-1, 5) | JSON,
        "failed_records": st.lists(ENTRIES | JSON, max_size=5) | JSON,
        "error": JSON,
        "code": JSON,
        "status": JSON,
    },
)


@st.composite
def bodies(draw):
    text = json.dumps(draw(BODIES | JSON)).encode()
    return draw(
        st.just(text)
        | st.just(text[: draw(st.integers(0, len(text)))])
        | st.builds(lambda odd: text[:-1] + b',"num_records_imported":' + odd + b"}", SPELLINGS)
        | st.binary(max_size=30)
    )


RETRY_AFTER = (
    st.none()
    | st.sampled_from(["7", "-1", "nan", "inf", "1e999", "Wed, 21 Oct 2099 07:28:00 GMT", ", 1"])
    | st.from_regex(r"(\w{3}, )?\d{1,2} \w{3} \d{1,5} \d{1,3}:\d\d(:\d\d)? [+-]?\w{1,9}")
    | st.text(max_size=30)
)


@fuzzed
@given(STATUSES, bodies(), RETRY_AFTER, st.none() | st.text(max_size=20), IDS)
def test_every_answer_has_a_verdict(status, body, retry_after, location, insert_ids):
    check_reply(Answer(status, body, retry_after, location), insert_ids)
