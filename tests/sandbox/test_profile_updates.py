"""/engage and /groups do to a profile what the documentation says, in order of arrival."""

import gzip
import json
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def user(**operations):
    return {"$distinct_id": "u", **{f"${name}": operand for name, operand in operations.items()}}


@pytest.mark.parametrize(
    ("updates", "expected"),
    [
        pytest.param(
            [user(set={"a": 1, "b": 1}), user(set={"a": 2})], {"a": 2, "b": 1}, id="set-overwrites"
        ),
        pytest.param(
            [user(set={"a": 1}), user(set_once={"a": 2, "b": 3})],
            {"a": 1, "b": 3},
            id="set_once-keeps",
        ),
        pytest.param(
            [user(add={"n": 5}), user(add={"n": -2.5})], {"n": 2.5}, id="add-starts-at-zero"
        ),
        pytest.param(
            [user(append={"l": "x"}), user(append={"l": "x"})],
            {"l": ["x", "x"]},
            id="append-keeps-duplicates",
        ),
        pytest.param(
            [user(union={"l": ["x", "y", "y"]}), user(union={"l": ["y", "z"]})],
            {"l": ["x", "y", "z"]},
            id="union-drops-duplicates",
        ),
        pytest.param(
            [user(set={"l": ["x", "y", "x"]}), user(remove={"l": "x", "absent": 1})],
            {"l": ["y"]},
            id="remove",
        ),
        pytest.param(
            [user(set={"l": [True, "x", 1]}), user(remove={"l": True})],
            {"l": ["x", 1]},
            id="true-is-not-1",
        ),
        pytest.param(
            [user(set={"l": [True, "x"]}), user(union={"l": [1, 0]})],
            {"l": [True, "x", 1, 0]},
            id="1-is-not-true",
        ),
        pytest.param([user(set={"a": 1, "b": 2}), user(unset=["a", "c"])], {"b": 2}, id="unset"),
        pytest.param(
            [user(set={"a": 1}), user(delete=None), user(set={"b": 2})], {"b": 2}, id="delete"
        ),
        pytest.param([user(set={"a": 1}, unset=["a"])], {}, id="two-in-one-update"),
    ],
)
def test_an_operation_changes_the_profile(sandbox, update, updates, expected):
    assert update(sandbox, updates).text == "1"
    assert {"u": expected} == sandbox.users


@pytest.mark.parametrize(
    "one", [user(remove={"l": "x"}), user(unset=["a"]), user(delete="")], ids=str
)
def test_what_takes_away_creates_no_profile(sandbox, update, one):
    assert update(sandbox, [one]).text == "1"
    assert sandbox.users == {}


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"$set": {}}, "$distinct_id, missing or empty"),
        ({"$distinct_id": "", "$set": {}}, "$distinct_id, missing or empty"),
        ({"$distinct_id": "u", "$token": "", "$set": {}}, "$token, missing or empty"),
        ({"$distinct_id": "u"}, "no operation"),
        (user(set=[1]), "$set, invalid value"),
        (user(add={"n": "1"}), "$add, invalid value"),
        (user(add={"n": True}), "$add, invalid value"),
        (user(union={"l": []}), "$union, invalid value"),
        (user(union={"l": "x"}), "$union, invalid value"),
        (user(union={"l": [["x"]]}), "$union, invalid value"),
        (user(union={"l": [True]}), "$union, invalid value"),
        (user(unset={"a": 1}), "$unset, invalid value"),
        (user(unset=[1]), "$unset, invalid value"),
    ],
)
def test_an_invalid_update_is_told_only_in_the_body(sandbox, update, bad, error):
    good = user(set={"a": 1})

    assert ((reply := update(sandbox, [good, bad])).status_code, reply.text) == (200, "0")
    for verbose in ("1", "2"):
        reply = update(sandbox, [good, bad], verbose=verbose)
        assert {"status": 0, "error": error} == reply.json()
    assert sandbox.users == {"u": {"a": 1}}


def test_a_valid_update_in_words(sandbox, update):
    reply = update(sandbox, [user(set={})], verbose="1")

    assert reply.json() == {"status": 1, "error": None}


def test_strict_and_verbose_count_the_good_ones(sandbox, update):
    reply = update(sandbox, [user(set={}), user()], verbose="1", strict="1")

    assert reply.json()["num_good_events"] == 1


def test_the_other_documented_meaning_of_1(start, update):
    generous = start(profile_success="any")

    assert update(generous, [user(set={}), user()]).text == "1"
    assert update(generous, [user()]).text == "0"


def test_an_invalid_update_may_spoil_its_request(start, update):
    strict = start(failed_profiles="drop")

    assert update(strict, [user(set={"a": 1}), user(), user(set={"b": 1})]).text == "0"
    assert strict.users == {}
    assert strict.user_updates() == []
    assert update(strict, [user(set={"a": 1})]).text == "1"


def test_a_wrong_token_is_told_nowhere(sandbox, update):
    assert update(sandbox, [{**user(set={"a": 1}), "$token": "other"}]).text == "1"
    assert sandbox.users == {}
    assert sandbox.summary().user_updates == 0


def test_gzip_is_refused(start, http):
    body = gzip.compress(json.dumps([{"$token": "sandbox-token", **user(set={"a": 1})}]).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    documented, other = start(), start(profiles_accept_gzip=True)

    assert http.post(f"{documented.url}/engage", body, headers=headers).status_code == 400
    assert http.post(f"{other.url}/engage", body, headers=headers).text == "1"


def test_a_form_is_understood(sandbox, http):
    row = {"$token": "sandbox-token", "$ignore_time": True, **user(set={"a": 1})}
    reply = http.post(f"{sandbox.url}/engage", data={"data": json.dumps(row), "verbose": 1})

    assert reply.json() == {"status": 1, "error": None}
    assert sandbox.users == {"u": {"a": 1}}


def test_two_thousand_updates_are_the_most(sandbox, update):
    assert update(sandbox, [user(set={})] * 2_000).status_code == 200
    assert update(sandbox, [user(set={})] * 2_001).status_code == 413


def test_two_thousand_properties_are_the_most(sandbox, update):
    assert update(sandbox, [user(set={str(n): n for n in range(2_000)})]).text == "1"
    assert update(sandbox, [user(set={"one more": 1})]).text == "0"
    assert len(sandbox.users["u"]) == 2_000


def test_an_id_that_is_a_number_is_text(sandbox, update):
    update(sandbox, [{"$distinct_id": 7, "$set": {"a": 1}}])

    assert sandbox.users == {"7": {"a": 1}}


def test_no_update_at_all_is_no_request(sandbox, update):
    assert update(sandbox, []).status_code == 400


def group(**operations):
    named = {f"${name}": operand for name, operand in operations.items()}
    return {"$group_key": "company", "$group_id": "c1", **named}


def test_groups_have_a_key_and_an_id(sandbox, update, http):
    updates = [
        group(set={"a": 1, "l": ["x"]}),
        group(set_once={"a": 2}),
        group(union={"l": ["y"]}),
        group(remove={"l": "x"}),
        {**group(set={"b": 1}), "$group_key": "team"},
    ]

    assert update(sandbox, updates, path="/groups").text == "1"
    assert sandbox.groups == {
        ("company", "c1"): {"a": 1, "l": ["y"]},
        ("team", "c1"): {"b": 1},
    }
    assert http.get(f"{sandbox.url}/sandbox/groups").json()["team"] == {"c1": {"b": 1}}


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (group(add={"n": 1}), "$add, not supported"),
        (group(append={"l": 1}), "$append, not supported"),
        ({"$group_key": "company", "$set": {}}, "$group_id, missing or empty"),
        ({"$group_id": "c1", "$set": {}}, "$group_key, missing or empty"),
    ],
)
def test_groups_know_fewer_operations(sandbox, update, bad, error):
    reply = update(sandbox, [bad], path="/groups", verbose="1")

    assert {"status": 0, "error": error} == reply.json()


@pytest.mark.parametrize("path", ["/engage", "/groups"])
def test_applied_updates_are_kept_in_order_of_arrival(sandbox, update, path):
    make = user if path == "/engage" else group
    sent = [make(set={"n": n}) for n in range(5)]
    for n in range(0, 5, 2):
        update(sandbox, [*sent[n : n + 2], make()], path=path)
    kept, other = sandbox.user_updates(), sandbox.group_updates()
    if path == "/groups":
        kept, other = other, kept

    unseen = {"$token": "sandbox-token", "$ignore_time": True}
    assert [{**unseen, **row} for row in sent] == kept
    assert other == []


def test_updates_are_counted_though_none_is_kept(start, update):
    counting = start(keep_rows=0)
    update(counting, [user(set={"a": 1}), user(delete="")])
    update(counting, [group(set={"a": 1})], path="/groups")
    summary = counting.summary()

    assert (summary.user_updates, summary.group_updates) == (2, 1)
    assert counting.user_updates() == counting.group_updates() == []


@pytest.mark.parametrize(
    ("updates", "is_seen"),
    [
        ([{}], True),
        ([{"$ignore_time": False}], True),
        ([{"$ignore_time": True}], False),
        ([{}, {"$ignore_time": True}], True),
    ],
)
def test_an_update_is_a_sign_of_life_unless_it_says_no(sandbox, http, updates, is_seen):
    """What Mixpanel shows as "Updated at"."""
    rows = [{"$token": "sandbox-token", **user(set={"a": 1}), **more} for more in updates]
    http.post(f"{sandbox.url}/engage", json=rows)
    http.post(f"{sandbox.url}/groups", json=[{"$token": "sandbox-token", **group(set={"a": 1})}])

    assert ("$last_seen" in sandbox.users["u"]) is is_seen
    assert list(sandbox.groups.values()) == [{"a": 1}]
    if is_seen:
        datetime.strptime(sandbox.users["u"]["$last_seen"], "%Y-%m-%dT%H:%M:%S")  # noqa: DTZ007


@pytest.mark.parametrize(
    ("updates", "expected"),
    [
        ([user(set={"a": 1}), user(set={"a": None})], {"a": None}),
        ([user(set={"a": None}), user(set_once={"a": 1})], {"a": 1}),
        ([user(set={"a": None}), user(add={"a": 1})], {"a": 1}),
        ([user(set={"a": None}), user(union={"a": ["x"]})], {"a": ["x"]}),
    ],
)
def test_a_null_is_not_set(sandbox, update, http, updates, expected):
    update(sandbox, updates)
    page = http.get(sandbox.url).text

    assert sandbox.users["u"] == expected
    assert ("<dt>a</dt><dd>(not set)</dd>" in page) == (expected["a"] is None)


NAMES = st.sampled_from("ab")
ANY = st.integers(0, 2) | st.sampled_from(["x", "y"]) | st.booleans() | st.none()
TEXTS = st.lists(st.sampled_from(["x", "y", 1]), min_size=1, max_size=3)
ONE = st.one_of(
    st.builds(user, set=st.dictionaries(NAMES, ANY | TEXTS)),
    st.builds(user, set_once=st.dictionaries(NAMES, ANY)),
    st.builds(user, add=st.dictionaries(NAMES, st.integers(-2, 2))),
    st.builds(user, append=st.dictionaries(NAMES, ANY)),
    st.builds(user, union=st.dictionaries(NAMES, TEXTS)),
    st.builds(user, remove=st.dictionaries(NAMES, ANY)),
    st.builds(user, unset=st.lists(NAMES)),
    st.builds(user, delete=st.none()),
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)
@given(st.lists(ONE, min_size=1, max_size=12), st.integers(1, 5))
def test_requests_of_any_size_lead_to_the_same_profile(sandbox, update, updates, size):
    sandbox.reset()
    update(sandbox, updates)
    at_once = sandbox.users
    sandbox.reset()
    for start in range(0, len(updates), size):
        assert update(sandbox, updates[start : start + size]).text == "1"

    assert at_once == sandbox.users
    assert len(updates) == len(sandbox.user_updates())
