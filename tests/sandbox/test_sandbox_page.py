"""The page shows what arrived, and nothing that arrived can act on it."""

import re

EVIL = "<script>alert(1)</script>"


def test_it_says_what_it_is_not(sandbox, http):
    assert "This is not Mixpanel." in http.get(sandbox.url).text


def test_it_shows_what_arrived(sandbox, event, import_, http):
    row = event("Order Placed", city="Zürich")
    import_(sandbox, [row, row, event("")])
    sandbox.script({"reset": "before_ingest"})
    page = http.get(sandbox.url).text

    assert "<td>Order Placed</td><td>2</td><td>1</td>" in page
    assert "Z\\u00fcrich" in page
    assert "&#x27;event&#x27; must not be missing or blank" in page
    assert "<td>POST /import</td><td>400</td><td>3</td>" in page


def test_what_is_stored_is_inert(sandbox, event, import_, http):
    import_(sandbox, [event(EVIL, **{EVIL: EVIL, "distinct_id": EVIL}), {"event": EVIL}])
    import_(sandbox, [{"event": "A", "properties": {EVIL: {"a": 1}}}], **{EVIL: EVIL})
    http.post(f"{sandbox.url}/import?{EVIL}", headers={"User-Agent": EVIL})
    page = http.get(sandbox.url).text

    assert "&lt;script&gt;" in page
    assert not re.search("<script", page, re.IGNORECASE)


def test_nothing_foreign_may_load_or_run(sandbox, http):
    reply = http.get(sandbox.url)
    policy = reply.headers["Content-Security-Policy"]

    assert policy.startswith("default-src 'none'; style-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_its_style_is_its_own(sandbox, http):
    [href] = re.findall(r'<link rel="stylesheet" href="([^"]+)"', http.get(sandbox.url).text)
    reply = http.get(sandbox.url + href)

    assert reply.headers["Content-Type"].startswith("text/css")


def test_it_shows_what_was_reset(sandbox, event, http):
    sandbox.script({"status": 599, "body": EVIL})
    http.post(f"{sandbox.url}/import", json=[event()])

    assert "<td>599</td>" in http.get(sandbox.url).text
