"""What Mixpanel does to an event without a word can be seen here."""

import pytest

COOKIE = "5a9db0c5-1f2e-4d3c-9b8a-000102030405"


@pytest.mark.parametrize(
    ("ignore", "is_dropped"),
    [(True, True), ("yes", True), ("false", True), ("", False), (False, False)],
)
@pytest.mark.parametrize("strict", ["1", "0"])
def test_an_event_that_says_so_is_dropped(
    sandbox, event, import_, http, ignore, is_dropped, strict
):
    reply = import_(sandbox, [event("A", **{"$ignore": ignore}), event("B")], strict=strict)

    assert reply.text == "1" if strict == "0" else reply.json()["num_records_imported"] == 2
    assert [row["event"] for row in sandbox.raw()] == (["B"] if is_dropped else ["A", "B"])
    assert sandbox.summary().ignored == is_dropped
    assert ("truthy $ignore" in http.get(sandbox.url).text) == is_dropped


def test_texts_are_cut_at_255_bytes(sandbox, event, import_, http):
    long = {"text": "x" * 256, "list": ["é" * 128, 5, "y"], "object": {"a": ["€" * 86]}}
    import_(sandbox, [event("A", **long)])
    (row,) = sandbox.raw()

    assert row["properties"]["text"] == "x" * 255
    assert row["properties"]["list"] == ["é" * 127, 5, "y"]
    assert row["properties"]["object"] == {"a": ["€" * 85]}
    assert sandbox.summary().texts_cut == 3
    assert "Texts cut at 255 bytes" in http.get(sandbox.url).text


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ({"$anon_id": COOKIE, "$identified_id": "ada"}, {}),
        (
            {"$anon_id": "cookie", "$identified_id": "ada"},
            {"$anon_id is no UUID v4": 1},
        ),
        ({"$identified_id": "ada"}, {"$anon_id is no UUID v4": 1}),
        (
            {"$anon_id": COOKIE, "$identified_id": COOKIE},
            {"$anon_id is the $identified_id": 1},
        ),
    ],
)
def test_an_identify_that_links_nobody_is_answered_with_200(
    start, event, import_, http, ids, expected
):
    sandbox = start(project_mode="original")
    reply = import_(sandbox, [event("$identify", **ids)])

    assert reply.status_code == 200
    assert sandbox.summary().identities_ignored == expected
    assert all(f"Identity events: {why}" in http.get(sandbox.url).text for why in expected)
