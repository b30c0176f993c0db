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

    counts = '<td class="n">2</td><td class="n">1</td><td class="n">1</td>'
    assert f"<td>Order Placed</td>{counts}" in page
    assert "After compaction" in page
    assert "Z\\u00fcrich" in page
    assert "&#x27;event&#x27; must not be missing or blank" in page
    assert '<td>POST /import</td><td>400</td><td class="n">3</td>' in page


def test_it_shows_users_and_groups(sandbox, update, http):
    names = {f"p{n}": n for n in range(30)}
    update(sandbox, [{"$distinct_id": f"u{n}", "$set": {"tags": ["a"]}} for n in range(12)])
    update(sandbox, [{"$distinct_id": "wide", "$set": names}])
    update(sandbox, [{"$group_key": "k", "$group_id": "g", "$set": {"s": "x"}}], path="/groups")
    page = http.get(sandbox.url).text

    assert "Users <small>the 10 of 13 that changed last</small>" in page
    assert "<td>u11</td>" in page
    assert "<td>u2</td>" not in page
    assert "<dt>tags</dt><dd>[&quot;a&quot;]</dd>" in page
    assert "<dt>p23</dt><dd>23</dd></div><div><dt>and 6 more</dt>" in page
    assert "<td>k</td><td>g</td>" in page
    assert "<dt>s</dt><dd>x</dd>" in page


def test_it_shows_lookup_tables(start, put_table, http):
    sandbox = start(lookup_tables={"t": "Products", "e": "Empty"})
    rows = "".join(f'{n},,2021-08-21T05:36:01Z,TRUE,"[""a""]"\n' for n in range(9))
    put_table(sandbox, f"sku,name,since,sold,tags\n{rows}", table="t")
    page = http.get(sandbox.url).text

    assert "Lookup table Products <small>t · 9 rows, the first 8 below" in page
    assert "<th>sku<small>number</small></th><th>name<small>undefined</small></th>" in page
    assert (
        '<td>7</td><td class="none">undefined</td><td>2021-08-21 05:36:01 UTC</td>'
        "<td>true</td><td>[&quot;a&quot;]</td>"
    ) in page
    assert "<td>8</td>" not in page
    assert "Lookup table Empty <small>e · 0 rows</small>" in page


def test_what_is_stored_is_inert(sandbox, event, import_, update, put_table, http):
    import_(sandbox, [event(EVIL, **{EVIL: EVIL, "distinct_id": EVIL}), {"event": EVIL}])
    import_(sandbox, [{"event": "A", "properties": {EVIL: {"a": 1}}}], **{EVIL: EVIL})
    http.post(f"{sandbox.url}/import?{EVIL}", headers={"User-Agent": EVIL})
    evil = {"$distinct_id": EVIL, "$group_key": EVIL, "$group_id": EVIL, "$set": {EVIL: EVIL}}
    update(sandbox, [evil, {**evil, "$set": {EVIL: {EVIL: [EVIL]}}}])
    update(sandbox, [evil], path="/groups")
    put_table(sandbox, f'{EVIL},v\n{EVIL},"[""{EVIL}""]"\n')
    page = http.get(sandbox.url).text

    assert page.count("&lt;script&gt;") > 15
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
