"""/engage and /groups do to a profile what the documentation says, in order of arrival."""

import gzip
import json

import pytest


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


def test_a_wrong_token_is_told_nowhere(sandbox, update):
    assert update(sandbox, [{**user(set={"a": 1}), "$token": "other"}]).text == "1"
    assert sandbox.users == {}


def test_gzip_is_refused(start, http):
    body = gzip.compress(json.dumps([{"$token": "sandbox-token", **user(set={"a": 1})}]).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    documented, other = start(), start(profiles_accept_gzip=True)

    assert http.post(f"{documented.url}/engage", body, headers=headers).status_code == 400
    assert http.post(f"{other.url}/engage", body, headers=headers).text == "1"


def test_a_form_is_understood(sandbox, http):
    row = {"$token": "sandbox-token", **user(set={"a": 1})}
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
