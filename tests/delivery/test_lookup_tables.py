"""A lookup table is replaced as a whole, or the run says why not; its rows are in no message."""

import gzip
import json
import time

import pytest

from target_mixpanel.credentials import ServiceAccount
from target_mixpanel.delivery.batches import SizeLimit
from target_mixpanel.delivery.courier import Courier, Reports
from target_mixpanel.delivery.gate import Gate
from target_mixpanel.delivery.lookup_tables import LookupTable
from target_mixpanel.delivery.payload import Payload
from target_mixpanel.delivery.repeats import RetryPolicy
from target_mixpanel.delivery.table_spool import TableSpool
from target_mixpanel.delivery.table_verdict import judge_table, tables_there_are
from target_mixpanel.delivery.verdict import (
    Delivered,
    Fatal,
    NoSuchTable,
    TableRefused,
    TryAgain,
)
from target_mixpanel.errors import (
    CredentialsError,
    DeliveryAbandonedError,
    LookupTableError,
    TargetMixpanelError,
)
from target_mixpanel.http.client import Client
from target_mixpanel.http.replies import Answer, NoAnswer
from target_mixpanel.redaction import Secrets
from target_mixpanel.sandbox import Sandbox, SandboxSettings
from target_mixpanel.sandbox.settings import TABLE_ID

ACCOUNT = ServiceAccount("sandbox.mp-service-account", "sandbox-secret", "1")
PLACE = "streams.products"
CSV = b"sku,name\r\ncanary-1,canary-name\r\ncanary-2,\r\n,canary-3\r\n"


def payload_of(text):
    body = gzip.compress(text)
    return Payload(body, len(text), len(body))


def table_of(url="https://api.mixpanel.com", table_id=TABLE_ID, credentials=ACCOUNT):
    return LookupTable(url, credentials, table_id, place=PLACE)


def answer(status, body=b"", **headers):
    return Answer(status, body if isinstance(body, bytes) else json.dumps(body).encode(), **headers)


def verdict_on(reply, text=CSV):
    return judge_table(reply, table_of().table, payload_of(text))


def failed(*entries, **more):
    return answer(400, {"code": 400, "error": "failed validation", "failed_records": entries})


class TestVerdict:
    @pytest.mark.parametrize("body", [{"code": 200, "status": "OK"}, {"status": "OK"}])
    def test_success(self, body):
        assert verdict_on(answer(200, body)) == Delivered()

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"1",
            b"<html>",
            {},
            {"code": 200},
            {"code": 200, "status": 1},
            {"code": 200, "status": "Not Found"},
            {"code": 400, "status": "OK"},
            {"code": 200, "status": "OK", "error": "x"},
            {"code": 200, "status": "OK", "failed_records": [{"index": 1}]},
        ],
        ids=str,
    )
    def test_nothing_unknown_is_success(self, body):
        assert isinstance(verdict_on(answer(200, body)), TryAgain)

    def test_a_refused_table_names_its_first_rows(self):
        entries = [{"index": n, "message": f"invalid row: wrong number {n}"} for n in range(1, 6)]
        verdict = verdict_on(failed(*entries))

        assert isinstance(verdict, TableRefused)
        assert verdict.message == (
            "streams.products: Mixpanel refused the table and keeps the old one: failed "
            "validation; row 1: invalid row: wrong number 1; row 2: invalid row: wrong number 2; "
            "row 3: invalid row: wrong number 3; and 2 more (row 0 is the header); mend the source "
            "or the mapping"
        )

    @pytest.mark.parametrize(
        "reply",
        [
            failed({"index": 1, "message": "bad canary-1 and canary-name"}),
            failed({"index": "1", "message": "bad canary-1"}, {"index": 3, "message": "canary-3"}),
            failed({"message": "bad canary-2"}),
            failed({"index": 77, "message": "all is well"}, {"message": "not canary-name"}),
            answer(400, {"error": "no good: canary-1, canary-2, canary-3, canary-name"}),
            answer(400, {"error": "x" * 190 + " canary-name"}),
        ],
    )
    def test_its_message_shows_nothing_of_the_rows(self, reply):
        message = verdict_on(reply).message

        assert "canary" not in message
        assert message.isprintable()

    def test_words_about_what_is_no_table_are_not_shown(self):
        reply = answer(400, {"error": "invalid CSV: canary"})
        for text in (b"\xff\xfe,canary", b'a,"' + b"x" * 200_000):
            assert "canary" not in verdict_on(reply, text).message

    @pytest.mark.parametrize(
        "entries", [{"a": 1}, [7, None, "x"], [{}], [{"index": -1, "message": None}], []]
    )
    def test_whatever_it_blames(self, entries):
        verdict = verdict_on(answer(400, {"failed_records": entries}))

        assert isinstance(verdict, TableRefused)
        assert verdict.message.isprintable()

    @pytest.mark.parametrize("hostile", ["\n", "\x1b[2J", "x" * 5_000])
    def test_a_servers_words_stay_on_one_short_line(self, hostile):
        entries = [{"index": 1, "message": hostile}] * 10
        message = verdict_on(answer(400, {"error": hostile, "failed_records": entries})).message

        assert message.isprintable()
        assert len(message) < 1_200

    def test_a_table_too_large(self):
        verdict = verdict_on(answer(413, {"error": "request exceeds max limit of 100 bytes"}))

        assert "streams.products: Mixpanel takes no table of 54 bytes (HTTP 413" in verdict.message

    def test_the_days_share_is_no_reason_to_slow_events_down(self):
        verdict = verdict_on(answer(429, retry_after="86400"))

        assert not verdict.is_rate_limit
        assert not verdict.is_overload
        assert verdict.at_least_s == 0.0
        assert "100 replacements in 24 hours" in verdict.reason

    def test_no_such_table(self):
        verdict = verdict_on(answer(404, {"code": 200, "error": "was not found"}))

        assert isinstance(verdict, NoSuchTable)
        assert verdict.listing.method == "GET"

    @pytest.mark.parametrize("status", [401, 403, 302, 402, 405, 201])
    def test_all_else_is_as_for_events(self, status):
        assert isinstance(verdict_on(answer(status)), Fatal)


class TestListing:
    def test_the_tables_there_are(self):
        results = [{"id": f"id-{n}", "name": f"Table {n}"} for n in range(25)]
        words = tables_there_are(answer(200, {"results": results}))

        assert words.startswith('it has id-0 ("Table 0"), id-1 ("Table 1"), ')
        assert 'id-19 ("Table 19") and 5 more; correct lookup_table_id' in words

    @pytest.mark.parametrize(
        ("reply", "words"),
        [
            (answer(200, {"results": []}), "it has none"),
            (answer(404), "could not be read (HTTP 404)"),
            (answer(200, b"<html>"), "could not be read (HTTP 200)"),
            (NoAnswer("reset"), "could not be read (reset)"),
        ],
    )
    def test_without_any(self, reply, words):
        assert words in tables_there_are(reply)

    def test_names_are_short_and_on_one_line(self):
        results = [{"id": "\x1b" * 999, "name": "n" * 999}, {}, {"name": ["x"]}, 7] * 30
        words = tables_there_are(answer(200, {"results": results}))

        assert words.isprintable()
        assert len(words) < 20 * 330


class Upload:
    """A table on its way to a sandbox."""

    def __init__(self, url, stop, *, table_id=TABLE_ID, credentials=ACCOUNT, max_elapsed_s=3.0):
        self.settled, self.rejected, self.requests = [], [], []
        self._table = table_of(url, table_id, credentials)
        self._stop, self._url = stop, url
        self._retry = RetryPolicy(0.01, 0.05, 0.01, max_elapsed_s)

    def put(self, payload):
        reports = Reports(
            lambda batch: self.settled.append(batch.tag),
            lambda *told: self.rejected.append(told),
            lambda _, body_bytes, is_retry: self.requests.append((body_bytes, is_retry)),
        )
        with Client(self._url, timeout_s=2.0, secrets=Secrets(["sandbox-secret"])) as client:
            courier = Courier(
                client,
                Gate(4, self._stop),
                self._stop,
                reports,
                host=self._url,
                retry=self._retry,
                size_limit=SizeLimit(1_000),
            )
            courier.deliver(self._table.batch(payload, "tag", closed_at=0.0))


@pytest.fixture
def upload(sandbox, real_stop):
    def upload(**options):
        return Upload(sandbox.url, real_stop, **options)

    return upload


def rows_in(sandbox):
    return sandbox.project.tables.find(TABLE_ID).rows


def spooled(rows):
    spool = TableSpool(PLACE)
    for number in range(rows):
        spool.put(str(number), b"%d,name of %d\r\n" % (number, number))
    return spool


def test_a_table_is_replaced(sandbox, upload):
    uploading = upload()
    with spooled(50_000) as spool:
        payload = spool.csv(b"sku,name\r\n")
        uploading.put(payload)

        assert uploading.requests == [(payload.body_bytes, False)]
    assert uploading.settled == ["tag"]
    assert rows_in(sandbox) == [[str(n), f"name of {n}"] for n in range(50_000)]


@pytest.mark.parametrize(
    "faults",
    [
        [{"status": 503}, {"status": 500}],
        [{"status": 429}],
        [{"reset": "before_ingest"}],
        [{"reset": "after_ingest"}],
        [{"truncate": 5}],
        [{"body": "<html>"}],
    ],
    ids=str,
)
def test_a_passing_fault_is_tried_again_with_the_same_bytes(sandbox, upload, faults):
    sandbox.script(*faults)
    uploading = upload()
    with spooled(1_000) as spool:
        uploading.put(spool.csv(b"sku,name\r\n"))

    assert uploading.settled == ["tag"]
    assert len(rows_in(sandbox)) == 1_000
    assert len({request.digest for request in sandbox.requests}) == 1
    assert [is_retry for _, is_retry in uploading.requests] == [False] + [True] * len(faults)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"sku,name\r\na,1\r\na,2\r\n", "row 2: invalid row: row indexes 1 and 2 have the same"),
        (b"sku,name\r\n,canary-1\r\n", "row 1: primary key is required and cannot be blank"),
        (b"sku,name\r\ncanary-1\r\n", "row 1: invalid row: wrong number of fields"),
        (b"sku\r\ncanary-1\r\n", "row 0: invalid header: fewer than 2 columns"),
    ],
)
def test_a_bad_table_ends_the_run_and_the_old_one_stays(sandbox, upload, text, words):
    upload().put(payload_of(b"sku,name\r\nold,1\r\n"))
    uploading = upload()
    with pytest.raises(LookupTableError, match=words) as raised:
        uploading.put(payload_of(text))

    assert "canary" not in str(raised.value)
    assert (uploading.settled, uploading.rejected) == ([], [])
    assert rows_in(sandbox) == [["old", "1"]]


def test_a_table_that_is_not_there_ends_the_run_with_those_that_are(upload):
    uploading = upload(table_id="no-such-table")
    with pytest.raises(LookupTableError) as raised:
        uploading.put(payload_of(CSV))

    assert str(raised.value) == (
        "streams.products: Mixpanel has no lookup table no-such-table; it has "
        f'{TABLE_ID} ("Products"); correct lookup_table_id, or create the table in Mixpanel\'s '
        "Lexicon"
    )
    assert uploading.settled == []


def test_an_id_of_another_alphabet_is_shown_on_one_line(upload):
    with pytest.raises(LookupTableError) as raised:
        upload(table_id="\x1b[31m/../a?b#c").put(payload_of(CSV))

    assert str(raised.value).isprintable()


def test_wrong_credentials_end_the_run(upload):
    uploading = upload(credentials=ServiceAccount("canary-user", "canary-secret", "1"))
    with pytest.raises(CredentialsError) as raised:
        uploading.put(payload_of(CSV))

    assert "canary" not in str(raised.value)


def test_the_days_share_is_used_up(real_stop):
    """It is tried again for as long as any request is, not for hours."""
    with Sandbox(settings=SandboxSettings(max_table_calls=1)) as sandbox:
        started = time.monotonic()
        Upload(sandbox.url, real_stop).put(payload_of(b"sku,name\r\na,1\r\n"))
        with pytest.raises(DeliveryAbandonedError, match="100 replacements in 24 hours"):
            Upload(sandbox.url, real_stop, max_elapsed_s=0.2).put(payload_of(CSV))

        assert time.monotonic() - started < 2
        assert rows_in(sandbox) == [["a", "1"]]


@pytest.mark.parametrize("status", [401, 403, 302, 404, 413, 415])
def test_whatever_ends_the_run_settles_nothing(sandbox, upload, status):
    sandbox.script({"status": status, "times": -1})
    uploading = upload()
    with pytest.raises(TargetMixpanelError):
        uploading.put(payload_of(CSV))

    assert (uploading.settled, uploading.rejected) == ([], [])
