"""What a shell or a test in another process can ask of the sandbox and make it do."""

import pytest

USER = {"$distinct_id": "u", "$set": {"a": 1}}


def test_faults_can_be_queued_looked_at_and_dropped(sandbox, event, import_, http):
    url = f"{sandbox.url}/sandbox/faults"
    http.post(url, json=[{"status": 503, "times": 2}, {"reset": "after_ingest", "path": "/engage"}])
    import_(sandbox, [event()])

    assert http.get(url).json()["pending"] == [
        {"path": "/", "left": 1, "fault": "status=503"},
        {"path": "/engage", "left": 1, "fault": "reset=after_ingest"},
    ]
    assert http.delete(url).json()["pending"] == []
    assert import_(sandbox, [event()]).status_code == 200


def test_chaos_is_the_same_for_the_same_seed(sandbox, event, import_, http):
    def statuses():
        chaos = {"rate": 0.5, "seed": 7, "kinds": ["503", "html"]}
        assert http.post(f"{sandbox.url}/sandbox/chaos", json=chaos).status_code == 200
        return [import_(sandbox, [event()]).status_code for _ in range(20)]

    first = statuses()

    assert {200, 503} == set(first)
    assert first == statuses()


def test_chaos_ends(sandbox, event, import_, http):
    http.post(f"{sandbox.url}/sandbox/chaos", json={"rate": 1, "kinds": ["500"]})
    assert import_(sandbox, [event()]).status_code == 500
    http.post(f"{sandbox.url}/sandbox/chaos", json={"rate": 0})

    assert import_(sandbox, [event()]).status_code == 200


@pytest.mark.parametrize("spec", [{"rate": 1, "kinds": ["flood"]}, {"rate": 2}, {}, []])
def test_chaos_that_makes_no_sense_is_refused(sandbox, http, spec):
    assert http.post(f"{sandbox.url}/sandbox/chaos", json=spec).status_code == 400


def test_chaos_may_be_bound_to_a_path(sandbox, event, import_, update, http):
    chaos = {"rate": 1, "kinds": ["503"], "path": "/engage"}
    http.post(f"{sandbox.url}/sandbox/chaos", json=chaos)

    assert import_(sandbox, [event()]).status_code == 200
    assert update(sandbox, [USER]).status_code == 503


def test_chaos_may_deny_success(sandbox, update, http):
    chaos = {"rate": 1, "seed": 1, "kinds": ["zero", "status_0"]}
    http.post(f"{sandbox.url}/sandbox/chaos", json=chaos)

    denials = {update(sandbox, [USER]).text for _ in range(20)}
    assert denials == {"0", '{"status":0,"error":"scripted"}'}
    assert sandbox.users == {}


def test_profiles_are_limited_the_last_changed_first(sandbox, update, http):
    users = [{"$distinct_id": user, "$set": {"n": n}} for n, user in enumerate("abca")]
    groups = [{"$group_key": "k", "$group_id": n, "$set": {"n": n}} for n in range(3)]
    update(sandbox, users)
    update(sandbox, groups, path="/groups")

    def get(what, **query):
        return http.get(f"{sandbox.url}/sandbox/{what}", params=query).json()

    assert get("users") == {"a": {"n": 3}, "c": {"n": 2}, "b": {"n": 1}}
    assert list(get("users", limit=2)) == ["a", "c"]
    assert get("groups", limit=1) == {"k": {"2": {"n": 2}}}
    unseen = {"$token": "sandbox-token", "$ignore_time": True}
    assert {**unseen, **users[3]} == get("user_updates", limit=1)[0]
    assert [{**unseen, **row} for row in groups] == get("group_updates")


def test_events_are_filtered_and_limited(sandbox, event, import_, http):
    rows = [event("A"), event("B"), event("A")]
    import_(sandbox, [*rows, rows[0]])

    def get(**query):
        return http.get(f"{sandbox.url}/sandbox/events", params=query).json()

    assert rows == get()
    assert [*rows, rows[0]] == get(view="raw")
    assert rows == get(view="compacted")
    assert [rows[1]] == get(event="B")
    assert [rows[2]] == get(limit=1)


@pytest.mark.parametrize("query", [{"view": "x"}, {"limit": "x"}, {"limit": "0"}])
def test_questions_that_make_no_sense_are_refused(sandbox, http, query):
    reply = http.get(f"{sandbox.url}/sandbox/events", params=query)

    assert reply.status_code == 400
    assert "error" in reply.json()


def test_the_oracle_of_loss(sandbox, event, import_, http):
    rows = [event() for _ in range(3)]
    import_(sandbox, rows)

    ids = [row["properties"]["$insert_id"] for row in rows]
    assert ids == http.get(f"{sandbox.url}/sandbox/insert_ids").json()


def test_the_summary_counts(sandbox, event, import_, update, http):
    import_(sandbox, [event("A"), event("B"), event("")])
    import_(sandbox, [event()], auth=None)
    update(sandbox, [{"$distinct_id": "u", "$set": {"a": 1}}])
    summary = http.get(f"{sandbox.url}/sandbox/summary").json()

    assert summary == {
        "received": 3,
        "accepted": 2,
        "duplicates": 0,
        "report_rows": 2,
        "compacted_rows": 2,
        "ignored": 0,
        "texts_cut": 0,
        "identities_ignored": {},
        "rejected": 1,
        "rejected_by_message": {"'event' must not be missing or blank": 1},
        "events": {
            "A": {"raw": 1, "report": 1, "compacted": 1},
            "B": {"raw": 1, "report": 1, "compacted": 1},
        },
        "users": 1,
        "user_updates": 1,
        "groups": 0,
        "group_updates": 0,
        "lookup_table_rows": 0,
        "requests": 3,
        "statuses": {"200": 1, "400": 1, "401": 1},
    }


def test_requests_are_listed(sandbox, event, import_, http):
    import_(sandbox, [event()], project_id="1", headers={"User-Agent": "me"})
    [request] = http.get(f"{sandbox.url}/sandbox/requests").json()

    assert {
        "number": 1,
        "method": "POST",
        "path": "/import",
        "query": {"strict": "1", "project_id": "1"},
        "status": 401,
        "content_type": "application/x-ndjson",
        "user_agent": "me",
        "in_flight": 1,
        "fault": "",
    }.items() <= request.items()


def test_rejected_rows_are_listed(sandbox, event, import_, http):
    import_(sandbox, [event(), event("", **{"$insert_id": "x"})])
    [rejected] = http.get(f"{sandbox.url}/sandbox/rejections").json()

    assert rejected["rejection"]["insert_id"] == "x"
    assert rejected["rejection"]["index"] == 1


def test_a_reset_forgets_everything(sandbox, event, import_, update, http):
    import_(sandbox, [event(), event("")])
    update(sandbox, [{"$distinct_id": "u", "$set": {"a": 1}}])
    sandbox.script({"status": 503})
    http.post(f"{sandbox.url}/sandbox/reset")
    summary = http.get(f"{sandbox.url}/sandbox/summary").json()

    assert not any(summary.values())
    assert import_(sandbox, [event()]).status_code == 200


def test_a_script_has_a_size(sandbox, http):
    reply = http.post(f"{sandbox.url}/sandbox/faults", data=b" " * 2_000_000)

    assert reply.status_code == 400
