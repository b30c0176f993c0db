"""An event breaks a rule exactly where Mixpanel's documentation says so."""

import time

import pytest

NOW = int(time.time())


def nested(depth):
    return {"a": nested(depth - 1)} if depth > 1 else {"leaf": 1}


@pytest.mark.parametrize(
    ("properties", "field", "message"),
    [
        pytest.param(
            {"time": None},
            "properties.time",
            "'properties.time' is invalid: must not be missing",
            id="time-missing",
        ),
        pytest.param(
            {"time": "2026-10-01"},
            "properties.time",
            "'properties.time' is invalid: must be specified as seconds since epoch",
            id="time-is-text",
        ),
        pytest.param(
            {"time": NOW + 0.5},
            "properties.time",
            "'properties.time' is invalid: must be specified as seconds since epoch",
            id="time-is-no-integer",
        ),
        pytest.param(
            {"time": True},
            "properties.time",
            "'properties.time' is invalid: must be specified as seconds since epoch",
            id="time-is-a-boolean",
        ),
        pytest.param(
            {"time": NOW + 7_200},
            "properties.time",
            "'properties.time' is invalid: must not be in the future",
            id="time-over-an-hour-ahead",
        ),
        pytest.param(
            {"time": (NOW + 7_200) * 1000},
            "properties.time",
            "'properties.time' is invalid: must not be in the future",
            id="time-over-an-hour-ahead-in-ms",
        ),
        pytest.param(
            {"time": 31_535_999},
            "properties.time",
            "'properties.time' is invalid: must not be before 1971-01-01",
            id="time-before-1971",
        ),
        pytest.param(
            {"distinct_id": None},
            "properties.distinct_id",
            "'properties.distinct_id' is invalid: must not be missing",
            id="distinct_id-missing",
        ),
        pytest.param(
            {"distinct_id": "Anonymous"},
            "properties.distinct_id",
            "'properties.distinct_id' is invalid: must not be a placeholder",
            id="distinct_id-placeholder-in-any-case",
        ),
        pytest.param(
            {"distinct_id": 0},
            "properties.distinct_id",
            "'properties.distinct_id' is invalid: must not be a placeholder",
            id="distinct_id-number-counts-as-text",
        ),
        pytest.param(
            {"distinct_id": "x" * 256},
            "properties.distinct_id",
            "'properties.distinct_id' is invalid: must not be longer than 255 characters",
            id="distinct_id-too-long",
        ),
        pytest.param(
            {"distinct_id": {"id": 1}},
            "properties.distinct_id",
            "'properties.distinct_id' is invalid: must be a string",
            id="distinct_id-is-an-object",
        ),
        pytest.param(
            {"$user_id": "null"},
            "properties.$user_id",
            "'properties.$user_id' is invalid: must not be a placeholder",
            id="user_id-placeholder",
        ),
        pytest.param(
            {"$insert_id": None},
            "properties.$insert_id",
            "'properties.$insert_id' is invalid: must not be missing",
            id="insert_id-missing",
        ),
        pytest.param(
            {"$insert_id": 12},
            "properties.$insert_id",
            "'properties.$insert_id' is invalid: must be a string",
            id="insert_id-is-a-number",
        ),
        pytest.param(
            {"$insert_id": "x" * 37},
            "properties.$insert_id",
            "'properties.$insert_id' is invalid: must be 1 to 36 alphanumeric characters or dashes",
            id="insert_id-too-long",
        ),
        pytest.param(
            {"$insert_id": "evt_1"},
            "properties.$insert_id",
            "'properties.$insert_id' is invalid: must be 1 to 36 alphanumeric characters or dashes",
            id="insert_id-underscore",
        ),
        pytest.param(
            {"$insert_id": "é"},
            "properties.$insert_id",
            "'properties.$insert_id' is invalid: must be 1 to 36 alphanumeric characters or dashes",
            id="insert_id-accent",
        ),
        pytest.param(
            {"$insert_id": "a\n"},
            "properties.$insert_id",
            "'properties.$insert_id' is invalid: must be 1 to 36 alphanumeric characters or dashes",
            id="insert_id-newline",
        ),
        pytest.param(
            {"$insert_id": "-1"},
            "properties.$insert_id",
            "'properties.$insert_id' is invalid: must not be a placeholder",
            id="insert_id-placeholder",
        ),
        pytest.param(
            {f"p{number}": number for number in range(252)},
            "properties",
            "'properties' is invalid: must not have more than 254 properties",
            id="255-properties",
        ),
        pytest.param(
            {"list": [0] * 255},
            "properties.list",
            "'properties.list' is invalid: must not have more than 254 elements",
            id="255-elements",
        ),
        pytest.param(
            {"object": dict.fromkeys(map(str, range(255)))},
            "properties.object",
            "'properties.object' is invalid: must not have more than 254 keys",
            id="255-keys",
        ),
        pytest.param(
            {"object": nested(4)},
            "properties.object",
            "'properties.object' is invalid: must not be nested deeper than 3",
            id="four-levels",
        ),
        pytest.param(
            {"text": "x" * 1024 * 1024},
            "event",
            "'event' is invalid: must be smaller than 1048576 bytes",
            id="a-megabyte",
        ),
    ],
)
def test_a_broken_rule_is_named(sandbox, event, refusal, properties, field, message):
    assert (field, message) == refusal(sandbox, event(**properties))


@pytest.mark.parametrize("name", ["", "  ", None])
def test_an_event_needs_a_name(sandbox, event, refusal, name):
    expected = ("event", "'event' must not be missing or blank")

    assert expected == refusal(sandbox, event(name))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([1], "'event' is invalid: must be an object"),
        ({"event": 7, "properties": {}}, "'event' is invalid: must be a string"),
        ({"event": "A"}, "'properties' is invalid: must be an object"),
    ],
)
def test_an_event_has_its_shape(sandbox, refusal, row, message):
    assert message == refusal(sandbox, row)[1]


@pytest.mark.parametrize(
    "properties",
    [
        pytest.param({"time": 31_536_000}, id="1971-in-seconds"),
        pytest.param({"time": 31_536_000_000}, id="1971-in-milliseconds"),
        pytest.param({"time": NOW + 3_500}, id="less-than-an-hour-ahead"),
        pytest.param({"distinct_id": ""}, id="userless"),
        pytest.param({"distinct_id": 42}, id="number-as-distinct_id"),
        pytest.param({"distinct_id": "x" * 255}, id="longest-distinct_id"),
        pytest.param({"distinct_id": None, "$device_id": "d"}, id="device-only"),
        pytest.param({"$insert_id": "A-z0" * 9}, id="longest-insert_id"),
        pytest.param({f"p{number}": number for number in range(251)}, id="254-properties"),
        pytest.param({"list": [0] * 254}, id="254-elements"),
        pytest.param({"object": nested(3)}, id="three-levels"),
        pytest.param({"list": [nested(3)]}, id="a-list-is-no-level"),
        pytest.param({"text": "x" * 255, "texts": ["é" * 127]}, id="texts-of-255-bytes"),
        pytest.param({"huge": 10**30, "tiny": -1e-300, "none": None}, id="numbers"),
        pytest.param({"token": "any"}, id="token-is-harmless"),
    ],
)
def test_a_valid_event_is_stored_as_received(sandbox, event, import_, properties):
    row = event(**properties)
    reply = import_(sandbox, [row])

    assert reply.json() == {"code": 200, "num_records_imported": 1, "status": "OK"}
    assert [row] == sandbox.raw()


@pytest.mark.parametrize(
    ("line", "field"),
    [
        pytest.param(b'"utm_source":"\xff"', "properties.utm_source", id="byte"),
        pytest.param(b'"utm_source":"\\ud800"', "properties.utm_source", id="lone-surrogate"),
        pytest.param(b'"a":{"b":["\xff"]}', "properties.a.b", id="nested"),
    ],
)
def test_text_must_be_utf8(sandbox, import_, line, field):
    """The one known message whose field stands without quotes."""
    reply = import_(sandbox, b'{"event":"A","properties":{' + line + b"}}")

    [failed] = reply.json()["failed_records"]
    assert field == failed["field"]
    assert f"{field} is invalid: string should be valid utf8" == failed["message"]


def test_numbers_must_fit(sandbox, import_):
    reply = import_(sandbox, b'{"event":"A","properties":{"n":1e400}}')

    [failed] = reply.json()["failed_records"]
    assert failed["message"] == "'properties' is invalid: number out of range"


def test_a_thousand_levels_spoil_one_event_only(sandbox, event, import_, ndjson):
    deep = b'{"event":"A","properties":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001
    reply = import_(sandbox, ndjson([event()]) + deep)

    assert reply.json()["num_records_imported"] == 1
    assert [failed["index"] for failed in reply.json()["failed_records"]] == [1]


def test_an_original_project_insists_on_a_distinct_id(start, event, refusal):
    original = start(project_mode="original")

    _, message = refusal(original, event(distinct_id=None, **{"$device_id": "d"}))
    assert message == "'properties.distinct_id' is invalid: must not be missing"


@pytest.mark.parametrize("verb", ["$identify", "$create_alias", "$merge"])
def test_an_identity_verb_fails_the_whole_request(sandbox, event, import_, verb):
    reply = import_(sandbox, [event(), {"event": verb, "properties": {}}])

    assert reply.status_code == 400
    assert reply.json()["num_records_imported"] == 0
    assert reply.json()["failed_records"] == [
        "identity events are not allowed when project is using simplified identity management"
    ]
    assert sandbox.raw() == []


@pytest.mark.parametrize("query", [{"strict": "0"}, {"verbose": "1"}])
def test_an_identity_verb_fails_it_however_it_is_asked(sandbox, event, import_, query):
    reply = import_(sandbox, [{"event": "$merge", "properties": {}}, event()], **query)

    assert (reply.status_code, reply.json()["num_records_imported"]) == (400, 0)
    assert sandbox.raw() == []


def test_an_original_project_knows_the_identity_verbs(start, import_, http):
    original = start(project_mode="original")
    verbs = [
        {"event": "$identify", "properties": {"$identified_id": "a", "$anon_id": "b"}},
        {"event": "$create_alias", "properties": {"distinct_id": "a", "alias": "c"}},
        {"event": "$merge", "properties": {"$distinct_ids": ["a", "b"]}},
    ]
    reply = import_(original, verbs)

    assert (reply.status_code, reply.json()["num_records_imported"]) == (200, 3)
    assert verbs == original.raw() == original.report()
    assert verbs == http.get(f"{original.url}/sandbox/events").json()
    assert "<td>$create_alias</td>" in http.get(original.url).text
