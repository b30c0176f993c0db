"""/import answers in the documented words, and ingests what they say."""

import base64
import gzip
import json

import pytest
import requests

PARTLY_FAILED = "some data points in the request failed validation"


def test_valid_rows_land_beside_failed_ones(sandbox, event, import_):
    rows = [event(), event(time=None, **{"$insert_id": "bad"}), event()]
    reply = import_(sandbox, rows)

    assert reply.status_code == 400
    assert reply.json() == {
        "code": 400,
        "error": PARTLY_FAILED,
        "status": "Bad Request",
        "num_records_imported": 2,
        "failed_records": [
            {
                "index": 1,
                "insert_id": "bad",
                "field": "properties.time",
                "message": "'properties.time' is invalid: must not be missing",
            }
        ],
    }
    assert [rows[0], rows[2]] == sandbox.report()


def test_the_other_documented_key_of_failed_records(start, event, import_):
    reply = import_(start(failed_id_key="$insert_id"), [event("", **{"$insert_id": "bad"})])

    assert reply.json()["failed_records"][0]["$insert_id"] == "bad"


def test_verbose_turns_status_into_a_number(sandbox, event, import_):
    assert import_(sandbox, [event()], verbose="1").json()["status"] == 1
    assert import_(sandbox, [event("")], verbose="1").json()["status"] == 0


def test_without_strict_the_reply_is_text_and_rules_are_off(sandbox, event, import_):
    reply = import_(sandbox, [event(), event(time=None)], strict="0")

    assert (reply.status_code, reply.text) == (200, "1")
    assert reply.headers["Content-Type"].startswith("text/plain")
    assert len(sandbox.raw()) == 2


def test_without_strict_bad_rows_may_be_dropped(start, event, import_):
    dropping = start(lenient_rows="drop")

    assert import_(dropping, [event(time=None)], strict="0").text == "0"
    assert import_(dropping, [event()], strict="0", verbose="1").json()["status"] == 1
    assert len(dropping.raw()) == 1


def test_strict_is_the_default(sandbox, event, http):
    reply = http.post(f"{sandbox.url}/import", json=[event("")], auth=("sandbox-token", ""))

    assert reply.status_code == 400


@pytest.mark.parametrize(
    ("content_type", "encode"),
    [
        pytest.param("application/json", json.dumps, id="array"),
        pytest.param("application/json; charset=utf-8", json.dumps, id="charset"),
        pytest.param("application/json", lambda rows: json.dumps(rows[0]), id="lone-object"),
        pytest.param(
            "application/x-ndjson", lambda rows: "\r\n\n".join(map(json.dumps, rows)), id="crlf"
        ),
    ],
)
def test_bodies_that_are_understood(sandbox, event, import_, content_type, encode):
    rows = [event()]
    import_(sandbox, encode(rows).encode(), headers={"Content-Type": content_type})

    assert rows == sandbox.raw()


@pytest.mark.parametrize("is_base64", [True, False])
def test_the_older_libraries_form(sandbox, event, http, is_base64):
    text = json.dumps([event()])
    form = {
        "data": base64.b64encode(text.encode()).decode() if is_base64 else text,
        "verbose": "1",
    }
    reply = http.post(f"{sandbox.url}/import", data=form, auth=("sandbox-token", ""))

    assert reply.json()["status"] == 1
    assert len(sandbox.raw()) == 1


def test_gzip_is_unpacked(sandbox, event, import_, ndjson):
    plain = ndjson([event()])
    # Two members, as concatenated files have.
    packed = gzip.compress(plain) + gzip.compress(ndjson([event()]))
    import_(sandbox, packed, headers={"Content-Encoding": "gzip"})

    assert len(sandbox.raw()) == 2
    assert sandbox.requests[-1].wire_bytes == len(packed)
    assert sandbox.requests[-1].plain_bytes == 2 * len(plain)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(b"", {}, id="empty"),
        pytest.param(b"\n\n", {}, id="blank-lines"),
        pytest.param(b"{", {}, id="not-json"),
        pytest.param(b'{"event":NaN}', {}, id="nan"),
        pytest.param(b"[]", {"Content-Type": "application/json"}, id="empty-array"),
        pytest.param(b'[{"a":1}', {"Content-Type": "application/json"}, id="open-array"),
        pytest.param(b"[]", {"Content-Type": "text/plain"}, id="content-type"),
        pytest.param(b"x", {"Content-Encoding": "gzip"}, id="no-gzip"),
        pytest.param(gzip.compress(b"{}")[:-9], {"Content-Encoding": "gzip"}, id="cut-gzip"),
        pytest.param(b"x", {"Content-Encoding": "br"}, id="other-encoding"),
    ],
)
def test_an_unreadable_request_is_refused_as_a_whole(sandbox, import_, body, headers):
    reply = import_(sandbox, body, headers=headers)

    assert reply.status_code == 400
    assert reply.json().keys() == {"code", "error", "status"}


def test_one_malformed_line_spoils_the_request(sandbox, event, import_, ndjson):
    reply = import_(sandbox, ndjson([event()]) + b'{"event":')

    assert reply.status_code == 400
    assert "failed_records" not in reply.json()
    assert sandbox.raw() == []


def too_large(n):
    return {
        "code": 413,
        "error": f"request exceeds max limit of {n} bytes",
        "status": "Request Entity Too Large",
    }


def test_the_limit_counts_uncompressed_bytes(start, event, import_, ndjson):
    small = start(max_request_bytes=10_000)
    packed = gzip.compress(ndjson([event(text="x" * 10_000)]))
    reply = import_(small, packed, headers={"Content-Encoding": "gzip"})

    assert reply.status_code == 413
    assert too_large(10_000) == reply.json()


def test_the_limit_itself_is_allowed(start, event, import_, ndjson):
    body = ndjson([event()])

    assert import_(start(max_request_bytes=len(body)), body).status_code == 200
    assert import_(start(max_request_bytes=len(body) - 1), body).status_code == 413


def test_a_body_far_too_long_still_hears_the_reply(sandbox, import_):
    reply = import_(sandbox, b"x" * 30_000_000)

    assert too_large(10_485_760) == reply.json()


def test_a_gzip_bomb_is_not_inflated(sandbox, import_):
    bomb = gzip.compress(bytes(1_000_000_000), compresslevel=1)
    reply = import_(sandbox, bomb, headers={"Content-Encoding": "gzip"})

    assert too_large(10_485_760) == reply.json()


@pytest.mark.parametrize("status", [400, 413])
def test_two_thousand_rows_are_the_most(start, event, import_, status):
    choosy = start(too_many_events_status=status)

    assert import_(choosy, [event() for _ in range(2_000)]).status_code == 200
    assert import_(choosy, [event() for _ in range(2_001)]).status_code == status
    assert len(choosy.raw()) == 2_000


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_other_methods_are_not_allowed(sandbox, method):
    assert requests.request(method, f"{sandbox.url}/import", timeout=60).status_code == 405


def test_a_trailing_slash_is_the_same(sandbox, event, http):
    reply = http.post(f"{sandbox.url}/import/", json=[event()], auth=("sandbox-token", ""))

    assert reply.status_code == 200
