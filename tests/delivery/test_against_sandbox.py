"""Client, courier, gate and outbox together: whatever happens, each event is there once."""

import contextlib
import time

import msgspec
import pytest

from target_mixpanel.credentials import ProjectToken
from target_mixpanel.delivery.batches import Batch, SizeLimit
from target_mixpanel.delivery.courier import Courier, Reports
from target_mixpanel.delivery.events import import_route
from target_mixpanel.delivery.gate import Gate
from target_mixpanel.delivery.outbox import Outbox
from target_mixpanel.delivery.profiles import engage_route, groups_route
from target_mixpanel.delivery.repeats import RetryPolicy
from target_mixpanel.errors import (
    CredentialsError,
    DeliveryAbandonedError,
    EndpointError,
    UnaccountedRowsError,
)
from target_mixpanel.http.client import Client
from target_mixpanel.model import Record, Row, Span
from target_mixpanel.redaction import Secrets
from target_mixpanel.sandbox import Sandbox, SandboxSettings

NOW = int(time.time())
TOKEN = "sandbox-token"


def row(number, **properties):
    insert_id = f"id-{number}"
    event = {"time": NOW - 60, "distinct_id": "u", "$insert_id": insert_id, **properties}
    body = msgspec.json.encode({"event": "Order Placed", "properties": event})
    return Row(body, insert_id, Record(b"{}", Span(0)))


def ids(rows):
    return sorted(each.key for each in rows)


class Delivery:
    """Everything between a batch and Mixpanel, and what it reported."""

    def __init__(self, url, stop, *, token=TOKEN, timeout_s=5.0, max_elapsed_s=3.0, route=None):
        self.settled, self.rejected = [], []
        self.limit = SizeLimit(9_500_000)
        self.gate = Gate(4, stop)
        self._stop, self._url, self._timeout_s = stop, url, timeout_s
        events = import_route(url, ProjectToken(token))
        self._route = events
        if route is not None:
            self._route = route(url, token)
        self._retry = RetryPolicy(0.01, 0.05, 0.01, max_elapsed_s)

    @contextlib.contextmanager
    def courier(self):
        reports = Reports(
            lambda batch: self.settled.extend(batch.rows),
            lambda _, rejections: self.rejected.extend(rejections),
            lambda *_: None,
        )
        with Client(self._url, timeout_s=self._timeout_s, secrets=Secrets([TOKEN])) as client:
            yield Courier(
                client,
                self.gate,
                self._stop,
                reports,
                host=self._url,
                retry=self._retry,
                size_limit=self.limit,
            )

    def batch(self, rows):
        return Batch(rows, None, 0.0, self._route)

    def deliver(self, rows):
        with self.courier() as courier:
            courier.deliver(self.batch(rows))


@pytest.fixture
def delivery(sandbox, real_stop):
    def delivery(url=None, **more):
        return Delivery(url or sandbox.url, real_stop, **more)

    return delivery


@pytest.mark.parametrize(
    ("faults", "copies"),
    [
        pytest.param([{"status": 503}], 1, id="fault-09-503"),
        pytest.param([{"status": 500}, {"status": 502}, {"status": 504}], 1, id="fault-09-more"),
        pytest.param([{"status": 408}], 1, id="fault-09-408"),
        pytest.param([{"status": 429}], 1, id="fault-11-429"),
        pytest.param([{"reset": "before_reading"}], 1, id="fault-05-reset-before-reading"),
        pytest.param([{"reset": "before_ingest"}], 1, id="fault-03-not-committed"),
        pytest.param([{"reset": "after_ingest"}], 2, id="fault-04-committed"),
        pytest.param([{"truncate": 10}], 2, id="fault-06-truncated"),
        pytest.param([{"delay_s": 1.0}], 2, id="fault-04-timeout-after-commit"),
        pytest.param([{"bytes_per_s": 20}], 2, id="fault-31-slow-body"),
        pytest.param([{"bytes_per_s": 20, "slow_part": "headers"}], 2, id="fault-31-slow-headers"),
        pytest.param([{"body": "<html>Sign in</html>"}], 1, id="fault-20-page"),
        pytest.param([{"body_bytes": 3_000_000}], 1, id="fault-32-huge"),
        pytest.param([{"body_bytes": 90_000_000, "gzip": True}], 1, id="fault-32-bomb"),
        pytest.param([{"count_off_by": -1}], 2, id="fault-19-once"),
        pytest.param([{"status": 503}, {"reset": "after_ingest"}, {"truncate": 3}], 3, id="mixed"),
    ],
)
def test_a_passing_fault_leaves_each_event_once(sandbox, delivery, faults, copies):
    """The rows settle; a repeat is identical, so Mixpanel shows one of its copies."""
    rows = [row(number) for number in range(50)]
    sandbox.script(*faults)
    delivering = delivery(timeout_s=0.5)
    delivering.deliver(rows)

    assert ids(delivering.settled) == ids(rows)
    assert delivering.rejected == []
    assert len(sandbox.report()) == 50
    assert len(sandbox.raw()) == 50 * copies
    assert len({request.digest for request in sandbox.requests if request.wire_bytes}) == 1


@pytest.mark.parametrize("key", ["insert_id", "$insert_id"])
def test_fault_14_partial_400(real_stop, key):
    rows = [row(0), row(1, time=1), row(2), row(3, distinct_id="null")]
    with Sandbox(settings=SandboxSettings(failed_id_key=key)) as sandbox:
        delivering = Delivery(sandbox.url, real_stop)
        delivering.deliver(rows)

        assert [each.insert_id for each in delivering.rejected] == ["id-1", "id-3"]
        assert ids(delivering.settled) == ids(rows)
        assert len(sandbox.raw()) == 2
        assert len(sandbox.requests) == 1


def test_fault_16_400_without_failed_records(sandbox, delivery):
    """One row that is no JSON spoils its request; only that row is set aside."""
    rows = [row(number) for number in range(100)]
    rows[37] = Row(b'{"event":', "id-37", rows[37].record)
    delivering = delivery()
    delivering.deliver(rows)

    assert [each.insert_id for each in delivering.rejected] == ["id-37"]
    assert len(sandbox.raw()) == 99
    assert len(sandbox.requests) <= 1 + 2 * 7


def test_fault_26_413_on_a_large_batch(real_stop):
    rows = [row(number, text="x" * 400) for number in range(64)]
    with Sandbox(settings=SandboxSettings(max_request_bytes=10_000)) as sandbox:
        delivering = Delivery(sandbox.url, real_stop)
        delivering.deliver(rows)

        assert ids(delivering.settled) == ids(rows)
        assert len(sandbox.raw()) == 64
        assert delivering.limit.max_bytes == 10_000


def test_fault_27_413_on_one_event(real_stop):
    with Sandbox(settings=SandboxSettings(max_request_bytes=10_000)) as sandbox:
        delivering = Delivery(sandbox.url, real_stop)
        delivering.deliver([row(0, text="x" * 20_000), row(1)])

        assert [(each.insert_id, each.flaw.reason) for each in delivering.rejected] == [
            ("id-0", "too_large")
        ]
        assert len(sandbox.raw()) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        pytest.param({"status": 302, "headers": {"Location": "/x"}}, EndpointError, id="fault-22"),
        pytest.param({"status": 401}, CredentialsError, id="fault-23-401"),
        pytest.param({"status": 403}, CredentialsError, id="fault-23-403"),
        pytest.param({"status": 402}, EndpointError, id="fault-25-402"),
        pytest.param({"status": 404}, EndpointError, id="fault-25-404"),
        pytest.param({"status": 415}, EndpointError, id="fault-25-415"),
        pytest.param({"status": 418}, EndpointError, id="fault-30-418"),
        pytest.param({"status": 299}, EndpointError, id="fault-30-299"),
        pytest.param({"count_off_by": -1, "times": -1}, UnaccountedRowsError, id="fault-19"),
        pytest.param({"status": 503, "times": -1}, DeliveryAbandonedError, id="fault-10"),
        pytest.param({"body": "<html>", "times": -1}, DeliveryAbandonedError, id="fault-20"),
        pytest.param({"body_bytes": 2_000_000, "times": -1}, DeliveryAbandonedError, id="fault-32"),
        pytest.param({"body": "0", "times": -1}, DeliveryAbandonedError, id="fault-21-zero"),
        pytest.param(
            {"body": {"status": 0, "error": "x"}, "times": -1}, UnaccountedRowsError, id="fault-21"
        ),
    ],
)
def test_a_lasting_fault_ends_the_run_with_nothing_reported(sandbox, delivery, fault, kind):
    sandbox.script(fault)
    delivering = delivery(max_elapsed_s=0.2)
    with pytest.raises(kind) as raised:
        delivering.deliver([row(number) for number in range(3)])

    assert (delivering.settled, delivering.rejected) == ([], [])
    assert "sandbox-token" not in str(raised.value)
    assert "id-0" not in str(raised.value)


def test_fault_23_wrong_token(delivery):
    with pytest.raises(CredentialsError) as raised:
        delivery(token="canary-token").deliver([row(0)])

    assert "canary-token" not in str(raised.value)


def test_fault_24_401_mid_run(sandbox, delivery):
    delivering = delivery()
    delivering.deliver([row(0)])
    sandbox.script({"status": 401})
    with pytest.raises(CredentialsError):
        delivering.deliver([row(1)])

    assert ids(delivering.settled) == ["id-0"]


def test_fault_13_a_storm_narrows_the_whole_run(sandbox, delivery, real_stop):
    """Eight senders meet 429s; afterwards all is there, and fewer requests ran at once."""
    sandbox.script(*[{"status": 429}] * 12)
    delivering = delivery(max_elapsed_s=20.0)
    with Outbox(delivering.courier, real_stop, senders=8) as outbox:
        for first in range(0, 800, 20):
            outbox.submit(delivering.batch([row(first + n) for n in range(20)]))
        outbox.drain()

    assert len(sandbox.report()) == len(sandbox.raw()) == 800
    assert len(delivering.settled) == 800
    assert max(request.in_flight for request in sandbox.requests) <= 4


def update(number, user="u", is_repeatable=True, **operations):
    named = {"$distinct_id": user, "$ignore_time": True}
    body = {**named, **{f"${name}": operand for name, operand in operations.items()}}
    record = Record(str(number).encode(), Span(0))
    return Row(msgspec.json.encode(body), "", record, is_repeatable)


@pytest.fixture
def profiles(delivery):
    def profiles(**more):
        return delivery(route=engage_route, **more)

    return profiles


class TestProfiles:
    @pytest.mark.parametrize(
        "faults",
        [
            pytest.param([], id="none"),
            pytest.param([{"status": 503}, {"status": 500}], id="fault-09"),
            pytest.param([{"status": 429}], id="fault-11"),
            pytest.param([{"reset": "before_ingest"}], id="fault-03"),
            pytest.param([{"reset": "after_ingest"}], id="fault-04"),
            pytest.param([{"truncate": 10}], id="fault-06"),
            pytest.param([{"body": "<html>"}], id="fault-20"),
            pytest.param([{"body": "0"}], id="fault-21-zero"),
            pytest.param([{"body": {"status": 0, "error": "x"}}], id="fault-21-status"),
            pytest.param([{"body": {"status": 0}, "ingest": True}], id="fault-21-and-applied"),
            pytest.param([{"status": 413}], id="fault-26"),
        ],
    )
    def test_fault_80_an_id_keeps_its_order(self, sandbox, profiles, faults):
        sandbox.script(*faults)
        delivering = profiles()
        rows = [update(n, f"user-{n % 7}", set={"n": n, f"p{n}": n}) for n in range(100)]
        delivering.deliver(rows)

        assert sandbox.users == {
            f"user-{user}": {"n": max(range(user, 100, 7))}
            | {f"p{n}": n for n in range(user, 100, 7)}
            for user in range(7)
        }
        assert delivering.rejected == []
        assert len(delivering.settled) == 100

    def test_fault_21_a_200_with_a_failure_is_none(self, sandbox, profiles):
        sandbox.script({"body": "0", "times": -1})
        delivering = profiles()
        delivering.deliver([update(0, set={"a": 1})])

        assert [each.flaw.reason for each in delivering.rejected] == ["HTTP 200, 0"]
        assert sandbox.users == {}

    @pytest.mark.parametrize("success", ["all", "any"])
    def test_fault_21_the_bad_ones_are_named_by_either_reading_of_the_pages(
        self, real_stop, success
    ):
        rows = [update(n, f"user-{n}", set={"n": n}) for n in range(50)]
        rows[17] = update(17, "user-17", union={"l": "no list"})
        rows[31] = update(31, "", set={"n": 31})
        with Sandbox(settings=SandboxSettings(profile_success=success)) as sandbox:
            delivering = Delivery(sandbox.url, real_stop, route=engage_route)
            delivering.deliver(rows)

            assert [(each.record.raw, each.flaw.reason) for each in delivering.rejected] == [
                (b"17", "$union, invalid value"),
                (b"31", "$distinct_id, missing or empty"),
            ]
            assert len(sandbox.users) == 48

    @pytest.mark.parametrize("fault", ["before_ingest", "after_ingest"])
    def test_fault_79_no_blind_resend(self, sandbox, profiles, fault):
        """The reset looks the same whether the updates were applied or not."""
        sandbox.script({"reset": fault})
        delivering = profiles()
        delivering.deliver([update(n, is_repeatable=False, add={"n": 1}) for n in range(3)])

        assert {each.flaw.reason for each in delivering.rejected} == {"ambiguous"}
        assert len(delivering.rejected) == len(delivering.settled) == 3
        assert len(sandbox.requests) == 1

    def test_fault_79_a_429_applied_nothing(self, sandbox, profiles):
        sandbox.script({"status": 429}, {"status": 429})
        delivering = profiles()
        delivering.deliver([update(n, is_repeatable=False, add={"n": 1}) for n in range(3)])

        assert delivering.rejected == []
        assert sandbox.users == {"u": {"n": 3}}

    def test_groups_go_to_groups(self, sandbox, delivery):
        body = {"$group_key": "company", "$group_id": "acme", "$set": {"plan": "pro"}}
        row = Row(msgspec.json.encode(body), "", Record(b"{}", Span(0)))
        delivering = delivery(route=groups_route)
        delivering.deliver([row])

        assert sandbox.groups == {("company", "acme"): {"plan": "pro"}}
        assert [request.path for request in sandbox.requests] == ["/groups"]

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            pytest.param({"status": 401}, CredentialsError, id="fault-23"),
            pytest.param({"status": 302, "headers": {"Location": "/x"}}, EndpointError, id="22"),
            pytest.param({"status": 418}, EndpointError, id="fault-30"),
            pytest.param({"status": 503, "times": -1}, DeliveryAbandonedError, id="fault-10"),
            pytest.param({"body": "<html>", "times": -1}, DeliveryAbandonedError, id="fault-20"),
            pytest.param(
                {"body": {"status": 1, "num_good_events": 9}, "times": -1},
                UnaccountedRowsError,
                id="fault-19",
            ),
        ],
    )
    def test_a_lasting_fault_ends_the_run_with_nothing_reported(
        self, sandbox, profiles, fault, kind
    ):
        sandbox.script(fault)
        delivering = profiles(max_elapsed_s=0.2)
        with pytest.raises(kind) as raised:
            delivering.deliver([update(n, set={"a": n}) for n in range(3)])

        assert (delivering.settled, delivering.rejected) == ([], [])
        assert TOKEN not in str(raised.value)

    def test_the_token_is_redacted_from_what_mixpanel_repeats(self, sandbox, profiles):
        sandbox.script({"body": {"status": 0, "error": f"{TOKEN} is no good"}, "times": -1})
        delivering = profiles()
        delivering.deliver([update(0, set={"a": 1})])

        assert [each.flaw.reason for each in delivering.rejected] == ["[redacted] is no good"]
