"""Events and users find the group they name by the text that is its id, and by nothing else."""

import json


def test_a_number_is_not_the_text_that_a_group_is_called(sandbox, event, import_, update, http):
    update(
        sandbox,
        [{"$group_key": "company", "$group_id": number, "$set": {}} for number in ("12", 13)],
        path="/groups",
    )
    update(sandbox, [{"$distinct_id": "u", "$set": {"company": 12}}])
    import_(
        sandbox,
        [
            event(company="12"),
            event(company=["12", "13", 12]),
            event(company=13),
            event(company="none"),
            event(company=None),
        ],
    )
    answer = http.get(f"{sandbox.url}/sandbox/group_joins").json()
    page = http.get(sandbox.url).text

    assert answer == {
        "company": {
            "profiles": 2,
            "events": {"found": 3, "without_profile": 1, "not_text": 2},
            "users": {"found": 0, "without_profile": 0, "not_text": 1},
        }
    }
    assert "".join(f'<td class="n">{n}</td>' for n in (3, 1, 2)) in page


def test_without_groups_there_is_nothing_to_join(sandbox, event, import_):
    import_(sandbox, [event(company=12)])

    assert json.dumps(sandbox.group_joins()) == "{}"
