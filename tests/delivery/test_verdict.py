"""A reply's verdict is the documented one, and nothing unknown is ever taken for success."""

import json
import time
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_mixpanel.delivery.events import judge
from target_mixpanel.delivery.verdict import (
    Delivered,
    Fatal,
    Refused,
    RefusedRow,
    RefusedUnattributed,
    TooLarge,
    TryAgain,
    Unaccounted,
)
from target_mixpanel.http.replies import Answer, NoAnswer, NotConnected, retry_after_s

IDS = ["a", "b", "c"]
NOW = 1_800_000_000.0
ALL_VALID = {"code": 200, "num_records_imported": 3, "status": "OK"}
PARTLY = "some data points in the request failed validation"


def answer(status, body=b"", **headers):
    return Answer(status, body if isinstance(body, bytes) else json.dumps(body).encode(), **headers)


def bad_request(*failed, imported=None, **more):
    body = {"code": 400, "error": PARTLY, "failed_records": list(failed), **more}
    return answer(400, body if imported is None else {**body, "num_records_imported": imported})


def failed(index=None, key="insert_id", **more):
    """Return an entry of failed_records; `id` goes under *key*."""
    entry = {"field": "properties.time", "message": "bad"}
    if index is not None:
        entry["index"] = index
    if "id" in more:
        entry[key] = more.pop("id")
    return entry | more


def http_date(seconds):
    return format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)


def rows(verdict):
    return [row.index for row in verdict.rows]


class TestSuccess:
    @pytest.mark.parametrize("status", ["OK", 1], ids=["words", "verbose"])
    def test_every_row_counted(self, status):
        assert judge(answer(200, {**ALL_VALID, "status": status}), IDS) == Delivered()

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param({**ALL_VALID, "num_records_imported": 2}, id="fewer"),
            pytest.param({**ALL_VALID, "num_records_imported": 4}, id="more"),
            pytest.param({**ALL_VALID, "num_records_imported": "3"}, id="text"),
            pytest.param({**ALL_VALID, "num_records_imported": 3.0}, id="float"),
            pytest.param({**ALL_VALID, "num_records_imported": None}, id="null"),
            pytest.param({"code": 200, "status": "OK"}, id="no-count"),
            pytest.param({"status": 0, "error": "x"}, id="fault-21-status-0"),
            pytest.param({**ALL_VALID, "failed_records": [{"index": 0}]}, id="blames-a-row"),
        ],
    )
    def test_fault_19_200_that_does_not_count_every_row(self, body):
        assert isinstance(judge(answer(200, body), IDS), Unaccounted)

    def test_true_is_not_one(self):
        assert isinstance(judge(answer(200, {"num_records_imported": True}), ["a"]), Unaccounted)

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"<html>Sign in</html>", id="captive-portal"),
            pytest.param(b'{"code":200,"num_records_imported":3', id="truncated"),
            pytest.param(b'{"num_records_imported":3} trailing', id="trailing"),
            pytest.param(b"1", id="not-strict"),
            pytest.param(b"0", id="fault-21-zero"),
            pytest.param(b"[]", id="array"),
            pytest.param(b"\xff\xfe", id="not-utf8"),
            pytest.param(b'{"a":' * 100_000, id="deep"),
        ],
    )
    def test_fault_20_200_without_json(self, body):
        assert isinstance(judge(answer(200, body), IDS), TryAgain)


class TestPartialFailure:
    @pytest.mark.parametrize("key", ["insert_id", "$insert_id"])
    def test_fault_14_partial_400(self, key):
        """Both documented keys; the other rows were accepted."""
        verdict = judge(bad_request(failed(1, key, id="b"), imported=2), IDS)

        assert verdict == Refused((RefusedRow(1, "bad", "properties.time"),))

    @pytest.mark.parametrize(
        ("entries", "expected"),
        [
            pytest.param([failed(2), failed(0)], [0, 2], id="in-the-batch's-order"),
            pytest.param([failed(id="c")], [2], id="by-id-alone"),
            pytest.param([failed(0, id="")], [0], id="empty-id"),
            pytest.param([{"index": 0}], [0], id="nothing-but-index"),
            pytest.param([failed(0, id=None)], [0], id="null-id"),
            pytest.param(
                [{"index": 9, "insert_id": None, "$insert_id": "b"}],
                [1],
                id="the-other-is-null",
            ),
            pytest.param([failed(0, id="b")], [1], id="index-and-id-disagree"),
            pytest.param([failed("1", id="b")], [1], id="fault-17-text-index"),
            pytest.param([failed(-1, id="c")], [2], id="fault-17-negative-index"),
            pytest.param([failed(3, id="a")], [0], id="fault-17-out-of-range"),
            pytest.param([failed(True, id="c")], [2], id="fault-17-bool-index"),
            pytest.param([failed(1.0, id="c")], [2], id="fault-17-float-index"),
        ],
    )
    def test_which_rows_are_meant(self, entries, expected):
        verdict = judge(bad_request(*entries, imported=3 - len(entries)), IDS)

        assert expected == rows(verdict)

    def test_fault_15_400_listing_all(self):
        verdict = judge(bad_request(failed(0), failed(1), failed(2), imported=0), IDS)

        assert rows(verdict) == [0, 1, 2]

    @pytest.mark.parametrize("missing", ["error", "code", "status", "num_records_imported"])
    def test_every_other_key_is_optional(self, missing):
        body = {"code": 400, "error": PARTLY, "status": "x", "num_records_imported": 2}
        body = {**body, "failed_records": [failed(0)]}
        del body[missing]

        assert rows(judge(answer(400, body), IDS)) == [0]

    @pytest.mark.parametrize(
        "reply",
        [
            pytest.param(bad_request(failed(3), imported=2), id="fault-17-out-of-range"),
            pytest.param(bad_request(failed(-1), imported=2), id="fault-17-negative"),
            pytest.param(bad_request(failed("0"), imported=2), id="fault-17-text"),
            pytest.param(bad_request(failed(1), failed(1), imported=1), id="fault-17-twice"),
            pytest.param(bad_request(failed(1), failed(1)), id="fault-17-twice-uncounted"),
            pytest.param(bad_request({}, imported=2), id="fault-17-nameless"),
            pytest.param(bad_request(failed(0, id="zz"), imported=2), id="fault-17-foreign-id"),
            pytest.param(bad_request(failed(0), imported=1), id="fault-18-too-few"),
            pytest.param(bad_request(failed(0), imported=3), id="fault-18-too-many"),
            pytest.param(bad_request(failed(0), imported="2"), id="fault-18-text"),
            pytest.param(bad_request(failed(0), imported=-1), id="fault-18-negative"),
        ],
    )
    def test_numbers_that_do_not_add_up(self, reply):
        assert isinstance(judge(reply, IDS), Unaccounted)

    def test_fault_51_an_id_of_two_rows_needs_its_index(self):
        twins = ["a", "a", "b"]

        assert rows(judge(bad_request(failed(1, id="a"), imported=2), twins)) == [1]
        assert isinstance(judge(bad_request(failed(7, id="a"), imported=2), twins), Unaccounted)

    @pytest.mark.parametrize(
        ("reply", "reason"),
        [
            pytest.param(answer(400, {"error": "quota"}), 'HTTP 400, "quota"', id="no-list"),
            pytest.param(answer(400, {"failed_records": []}), "HTTP 400", id="empty-list"),
            pytest.param(answer(400, {"failed_records": {"a": 1}}), "HTTP 400", id="object"),
            pytest.param(answer(400, b"<html>"), "HTTP 400", id="html"),
            pytest.param(answer(400), "HTTP 400", id="empty"),
            pytest.param(bad_request("no identity", imported=0), "no identity", id="texts"),
            pytest.param(bad_request(7, None), f'HTTP 400, "{PARTLY}"', id="numbers"),
            pytest.param(bad_request(failed(0), "odd"), "odd", id="mixed"),
        ],
    )
    def test_fault_16_400_without_failed_records(self, reply, reason):
        assert judge(reply, IDS) == RefusedUnattributed(reason)


class TestOtherAnswers:
    def test_413_says_its_limit(self):
        words = "request exceeds max limit of 2097152 bytes"

        assert judge(answer(413, {"error": words}), IDS) == TooLarge(f'HTTP 413, "{words}"')

    @pytest.mark.parametrize(
        ("status", "is_overload", "is_ambiguous"),
        [
            (408, False, True),
            (429, True, False),
            *[(status, True, True) for status in (500, 502, 503, 504, 524, 599, 999)],
        ],
    )
    def test_fault_9_try_again(self, status, is_overload, is_ambiguous):
        expected = TryAgain(
            f"HTTP {status}",
            is_overload=is_overload,
            is_rate_limit=status == 429,
            is_ambiguous=is_ambiguous,
        )

        assert expected == judge(answer(status), IDS)

    def test_fault_11_the_wait_asked_for(self):
        assert judge(answer(429, retry_after="7"), IDS, now=NOW).at_least_s == 7.0
        assert judge(answer(503, retry_after="7"), IDS, now=NOW).at_least_s == 7.0

    def test_no_answer(self):
        assert judge(NoAnswer("reset"), IDS) == TryAgain("reset")

    def test_fault_7_tls(self):
        verdict = judge(NotConnected("TLS failed (certificate has expired)"), IDS)

        assert isinstance(verdict, Fatal)
        assert not verdict.is_about_credentials
        assert "certificate has expired" in verdict.reason

    @pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
    def test_fault_22_redirects(self, status):
        verdict = judge(answer(status, location="https://else.where/\r\n\x1b"), IDS)

        assert isinstance(verdict, Fatal)
        assert "https://else.where/\\r\\n\\x1b is not followed" in verdict.reason

    @pytest.mark.parametrize("status", [401, 403])
    def test_fault_23_credentials(self, status):
        verdict = judge(answer(status, {"error": "Invalid credentials"}), IDS)

        assert verdict.is_about_credentials
        assert f'HTTP {status}, "Invalid credentials"' in verdict.reason
        assert "region" in verdict.reason

    @pytest.mark.parametrize("status", [402, 404, 405, 415])
    def test_fault_25_remedies(self, status):
        verdict = judge(answer(status, {"error": "\x1b[31m" + "x" * 10_000}), IDS)

        assert isinstance(verdict, Fatal)
        assert "\x1b" not in verdict.reason
        assert len(verdict.reason) < 400
        assert any(remedy in verdict.reason for remedy in ("api_url", "plan"))

    @pytest.mark.parametrize("status", [102, 103, 201, 202, 204, 206, 299, 409, 410, 418, 425, 451])
    def test_fault_30_unknown_statuses(self, status):
        """Even with a body that says all is well."""
        assert isinstance(judge(answer(status, ALL_VALID), IDS), Fatal)

    @pytest.mark.parametrize("hostile", ["\n", "\r", "\x1b[2J", "\u2028", "\u202e", "\0"])
    def test_a_servers_words_stay_on_one_line(self, hostile):
        whole = judge(answer(400, {"error": f"a{hostile}b"}), IDS)
        entry = failed(0, message=hostile, field=hostile)
        [row] = judge(bad_request(entry, imported=2), IDS).rows

        assert all(text.isprintable() for text in (whole.reason, row.reason, row.field))

    def test_a_servers_words_are_capped(self):
        entry = failed(0, message="m" * 5_000, field="f" * 5_000)
        [row] = judge(bad_request(entry, imported=2), IDS).rows

        assert len(row.reason) == len(row.field) == 201


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("header", "expected"),
        [
            pytest.param(None, 0.0, id="none"),
            pytest.param("7", 7.0, id="seconds"),
            pytest.param("1.5", 1.5, id="fraction"),
            pytest.param(" 7 ", 7.0, id="blanks"),
            pytest.param("0", 0.0, id="zero"),
            pytest.param("-1", 0.0, id="negative"),
            pytest.param("nan", 0.0, id="nan"),
            pytest.param("1e9", 300.0, id="1e9"),
            pytest.param("inf", 300.0, id="inf"),
            pytest.param("", 0.0, id="empty"),
            pytest.param("soon", 0.0, id="words"),
            pytest.param("7, 9", 0.0, id="two"),
            pytest.param(http_date(NOW + 7), 7.0, id="date"),
            pytest.param(http_date(NOW - 7), 0.0, id="past"),
            pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", 300.0, id="far"),
            pytest.param("Mon, 99 Foo 2026 99:99:99 GMT", 0.0, id="no-date"),
        ],
    )
    def test_fault_12_forms(self, header, expected):
        assert expected == retry_after_s(header, NOW)

    @pytest.mark.parametrize("zone", ["", " -0000", " +0000"])
    def test_fault_12_a_date_without_zone_is_utc(self, monkeypatch, zone):
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        try:
            date = datetime.fromtimestamp(NOW + 7, UTC)

            assert retry_after_s(f"{date:%a, %d %b %Y %H:%M:%S}{zone}", NOW) == 7.0
        finally:
            monkeypatch.undo()
            time.tzset()

    @given(st.text(max_size=60) | st.floats().map(str) | st.datetimes().map(format_datetime))
    @settings(deadline=None)
    def test_fault_12_whatever_it_says(self, header):
        assert 0.0 <= retry_after_s(header, NOW) <= 300.0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 5) | st.floats() | st.sampled_from(["", "a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["index", "insert_id", "$insert_id", "message", "field", "error"]),
            inner,
        )
    ),
    max_leaves=12,
)
likely_bodies = st.fixed_dictionaries(
    {},
    optional={
        "num_records_imported": st.integers(-1, 4) | json_values,
        "failed_records": st.lists(json_values, max_size=4) | json_values,
        "error": json_values,
        "status": json_values,
    },
)


class TestWhateverComes:
    @given(
        st.integers(0, 999) | st.sampled_from([200, 400, 413, 429]),
        likely_bodies.map(lambda body: json.dumps(body).encode()) | st.binary(max_size=200),
        st.text(max_size=20) | st.none(),
    )
    @settings(deadline=None, max_examples=400)
    def test_nothing_unknown_is_delivered(self, status, body, header):
        verdict = judge(Answer(status, body, header, header), IDS)
        if isinstance(verdict, Delivered):
            assert status == 200
            assert json.loads(body)["num_records_imported"] == len(IDS)
        if isinstance(verdict, Refused):
            assert status == 400
            assert 0 < len(verdict.rows) <= len(IDS)
            assert rows(verdict) == sorted(set(rows(verdict)))
            assert set(rows(verdict)) <= set(range(len(IDS)))
            imported = json.loads(body).get("num_records_imported")
            assert imported is None or imported + len(verdict.rows) == len(IDS)

    @given(st.binary(max_size=2_000), st.sampled_from([200, 400, 401, 413, 503]))
    @settings(deadline=None)
    def test_bytes_never_raise(self, body, status):
        assert judge(Answer(status, body), IDS) != Delivered()
