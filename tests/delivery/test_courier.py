"""Every row is reported once, settled or rejected, or the courier says why it cannot go on."""

import logging
import math
import signal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from target_mixpanel.delivery.batches import SizeLimit
from target_mixpanel.delivery.courier import Courier, Reports
from target_mixpanel.delivery.gate import Gate
from target_mixpanel.delivery.repeats import RetryPolicy
from target_mixpanel.errors import (
    CredentialsError,
    DeliveryAbandonedError,
    EndpointError,
    ShutdownTimeoutError,
    TargetMixpanelError,
    UnaccountedRowsError,
)
from target_mixpanel.http.replies import Answer, NoAnswer, NotConnected
from tests.delivery.conftest import PassingTime

BUSY = Answer(503, b"")
OPAQUE = Answer(400, b'{"error":"no"}')
TOO_LARGE = Answer(413, b'{"error":"request exceeds max limit of 1000 bytes"}')
SHORT = Answer(200, b'{"num_records_imported":0}')
PAGE = Answer(200, b"<html>")


class Told:
    """What a courier reported, in order."""

    def __init__(self):
        self.calls = []
        self.sent = []

    def reports(self):
        return Reports(self.on_settled, self.on_rejected, self.on_request)

    def on_settled(self, batch):
        self.calls.append(("settled", [row.key for row in batch.rows]))

    def on_rejected(self, batch, rejections):
        assert {each.insert_id for each in rejections} <= {row.key for row in batch.rows}
        self.calls.append(("rejected", [each.insert_id for each in rejections]))
        self.flaws = [each.flaw for each in rejections]

    def on_request(self, batch, body_bytes, is_retry):
        self.sent.append((len(batch.rows), body_bytes, is_retry))

    def of(self, kind):
        return [each for told, ids in self.calls if told == kind for each in ids]


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def limit():
    return SizeLimit(9_500_000)


@pytest.fixture
def gate(stop, clock):
    made = Gate(4, stop, clock=clock)
    made._changed = PassingTime(clock)
    return made


@pytest.fixture
def courier(stop, clock, told, limit, gate):
    """Make a courier for a transport; without jitter its waits are exact."""

    def courier(transport, **retry):
        return Courier(
            transport,
            gate,
            stop,
            told.reports(),
            host="https://api.mixpanel.com",
            retry=RetryPolicy(**{"jitter_s": 0.0, **retry}),
            size_limit=limit,
            clock=clock,
        )

    return courier


def ids(first, past):
    return [f"id-{number}" for number in range(first, past)]


def test_rows_that_are_accepted_are_settled(courier, scripted, ok, told, batch_of):
    courier(scripted(ok)).deliver(batch_of(3))

    assert told.calls == [("settled", ids(0, 3))]


class TestRetries:
    @pytest.mark.parametrize(
        "reply",
        [
            pytest.param(NoAnswer("ConnectionRefusedError"), id="fault-1-refused"),
            pytest.param(NoAnswer("no whole answer within 60 s"), id="fault-3-timeout"),
            pytest.param(Answer(503, b""), id="fault-9-503"),
            pytest.param(Answer(408, b""), id="fault-9-408"),
            pytest.param(Answer(429, b""), id="fault-11-429"),
            pytest.param(PAGE, id="fault-20-page"),
            pytest.param(SHORT, id="does-not-add-up-once"),
        ],
    )
    def test_a_passing_fault_is_tried_again(self, courier, scripted, ok, told, batch_of, reply):
        """The same bytes are sent, and the rows settle once."""
        transport = scripted(reply, ok)
        courier(transport).deliver(batch_of(3))

        assert told.calls == [("settled", ids(0, 3))]
        assert transport.bodies[0] == transport.bodies[1]
        assert told.sent == [
            (3, len(transport.bodies[0]), False),
            (3, len(transport.bodies[0]), True),
        ]

    def test_waits_double_up_to_the_most(self, courier, scripted, ok, stop, batch_of):
        courier(scripted(*[BUSY] * 8, ok)).deliver(batch_of(1))

        assert stop.waits == [2, 4, 8, 16, 32, 60, 60, 60]

    def test_fault_13_jitter_is_a_fifth_to_the_whole(self, courier, scripted, ok, stop, batch_of):
        courier(scripted(*[BUSY] * 300, ok), jitter_s=5.0, max_elapsed_s=1e9).deliver(batch_of(1))
        jitter = [wait - min(2 * 2**number, 60) for number, wait in enumerate(stop.waits)]

        assert 1.0 <= min(jitter) < 1.5
        assert 4.5 < max(jitter) <= 5.0

    def test_fault_11_retry_after_is_the_least(self, courier, scripted, ok, stop, batch_of):
        reply = Answer(429, b"", retry_after="7")
        courier(scripted(reply, reply, reply, ok)).deliver(batch_of(1))

        assert stop.waits == [7, 7, 8]

    @pytest.mark.parametrize("retry_after", ["-1", "nan", "soon"])
    def test_fault_12_a_bad_retry_after_leaves_our_own_wait(
        self, courier, scripted, ok, stop, batch_of, retry_after
    ):
        courier(scripted(Answer(429, b"", retry_after=retry_after), ok)).deliver(batch_of(1))

        assert stop.waits == [2]

    @pytest.mark.parametrize(
        ("reply", "words"),
        [
            pytest.param(BUSY, "HTTP 503", id="fault-10-5xx-for-ever"),
            pytest.param(NoAnswer("gaierror: x"), "gaierror: x", id="fault-1-no-such-host"),
            pytest.param(PAGE, "without JSON", id="fault-20-captive-portal"),
        ],
    )
    def test_it_gives_up_within_the_time_allowed(
        self, courier, scripted, told, stop, batch_of, reply, words
    ):
        with pytest.raises(DeliveryAbandonedError, match=f"api.mixpanel.com: .*{words}") as raised:
            courier(scripted(reply), max_elapsed_s=100.0).deliver(batch_of(3))

        assert told.calls == []
        assert stop.waits == [2, 4, 8, 16, 32]
        assert "retry_max_elapsed_seconds 100" in str(raised.value)
        assert "id-0" not in str(raised.value)

    def test_a_wait_that_would_end_too_late_is_not_begun(self, courier, scripted, stop, batch_of):
        with pytest.raises(DeliveryAbandonedError):
            courier(scripted(Answer(429, b"", retry_after="200")), max_elapsed_s=100.0).deliver(
                batch_of(1)
            )

        assert stop.waits == []

    def test_the_halves_of_a_batch_have_no_longer_than_the_whole(
        self, courier, scripted, stop, clock, batch_of
    ):
        began_at = clock.now
        with pytest.raises(DeliveryAbandonedError):
            courier(
                scripted(*[BUSY] * 4, TOO_LARGE, *[BUSY] * 3, TOO_LARGE, BUSY), max_elapsed_s=100.0
            ).deliver(batch_of(8))

        assert clock.now - began_at <= 100.0

    def test_the_rows_left_of_an_ambiguous_batch_have_no_longer_than_the_whole(
        self, courier, scripted, ok, stop, told, batch_of
    ):
        """Retry-After asks for more time than is allowed: it is not taken."""
        batch = batch_of(2)
        once_only = msgspec.structs.replace(batch.rows[0], is_repeatable=False)
        with pytest.raises(DeliveryAbandonedError, match="retry_max_elapsed_seconds 4"):
            courier(scripted(Answer(503, b"", retry_after="60"), ok), max_elapsed_s=4.0).deliver(
                batch.of([once_only, batch.rows[1]])
            )

        assert stop.waits == []
        assert told.of("settled") == told.of("rejected") == ["id-0"]

    def test_each_attempt_is_logged(self, courier, scripted, ok, batch_of, caplog):
        courier(scripted(NoAnswer("reset"), BUSY, ok)).deliver(batch_of(1))
        warned = [each.getMessage() for each in caplog.records if each.levelno > logging.DEBUG]

        assert warned == [
            "api.mixpanel.com: reset; attempt=1 next_in_seconds=2.0",
            "api.mixpanel.com: HTTP 503; attempt=2 next_in_seconds=4.0",
        ]


class TestPartialFailure:
    def test_fault_14_partial_400(self, courier, scripted, told, batch_of):
        """The named rows are rejected before the batch is settled; nothing is sent again."""
        body = b"""{"num_records_imported":2,"failed_records":[
            {"index":1,"insert_id":"id-1","field":"properties.time","message":"bad"}]}"""
        courier(scripted(Answer(400, body))).deliver(batch_of(3))

        assert told.calls == [("rejected", ["id-1"]), ("settled", ids(0, 3))]
        assert [(flaw.stage, flaw.reason, flaw.field) for flaw in told.flaws] == [
            ("refused", "bad", "properties.time")
        ]
        assert len(told.sent) == 1

    def test_fault_19_numbers_that_never_add_up(self, courier, scripted, told, batch_of):
        with pytest.raises(UnaccountedRowsError, match="rerun"):
            courier(scripted(SHORT)).deliver(batch_of(3))

        assert (len(told.sent), told.calls) == (2, [])

    def test_fault_18_other_faults_between_do_not_start_the_count_again(
        self, courier, scripted, told, batch_of
    ):
        with pytest.raises(UnaccountedRowsError):
            courier(scripted(SHORT, BUSY, PAGE, SHORT)).deliver(batch_of(3))

        assert len(told.sent) == 4


class TestHalving:
    @pytest.mark.parametrize("reply", [OPAQUE, TOO_LARGE], ids=["fault-16-400", "fault-27-413"])
    def test_the_culprit_is_found_in_a_logarithm_of_requests(
        self, courier, scripted, ok, told, batch_of, reply
    ):
        transport = scripted(lambda sent: reply if "id-1234" in sent else ok(sent))
        courier(transport).deliver(batch_of(2_000))

        assert told.of("rejected") == ["id-1234"]
        assert told.of("settled") == ids(0, 2_000)
        assert len(transport.bodies) <= 1 + 2 * math.ceil(math.log2(2_000))

    def test_fault_27_one_row_too_large(self, courier, scripted, told, batch_of):
        courier(scripted(TOO_LARGE)).deliver(batch_of(1))

        assert told.calls == [("rejected", ["id-0"]), ("settled", ["id-0"])]
        assert told.flaws[0].reason == "too_large"

    def test_fault_16_one_row_that_is_refused_alone(self, courier, scripted, told, batch_of):
        courier(scripted(OPAQUE)).deliver(batch_of(1))

        assert told.calls == [("rejected", ["id-0"]), ("settled", ["id-0"])]
        assert told.flaws[0].reason == 'HTTP 400, "no"'

    def test_fault_26_413_halves_and_learns(self, courier, scripted, ok, told, batch_of, limit):
        transport = scripted(lambda sent: TOO_LARGE if len(sent) > 500 else ok(sent))
        courier(transport).deliver(batch_of(2_000))

        assert [len(sent) for sent in transport.requests] == [
            2_000,
            1_000,
            500,
            500,
            1_000,
            500,
            500,
        ]
        assert [len(settled) for _, settled in told.calls] == [500] * 4
        assert limit.max_bytes == 1_000

    def test_fault_29_half_accepted_half_busy_for_ever(self, courier, scripted, ok, told, batch_of):
        def reply(sent):
            if len(sent) == 4:
                return OPAQUE
            return ok(sent) if "id-0" in sent else Answer(429, b"")

        with pytest.raises(DeliveryAbandonedError):
            courier(scripted(reply), max_elapsed_s=10.0).deliver(batch_of(4))

        assert told.calls == [("settled", ids(0, 2))]

    def test_nothing_is_halved_that_can_be_tried_again(self, courier, scripted, ok, told, batch_of):
        transport = scripted(OPAQUE, BUSY, ok)
        courier(transport).deliver(batch_of(4))

        assert transport.requests == [ids(0, 4), ids(0, 2), ids(0, 2), ids(2, 4)]
        assert transport.bodies[1] == transport.bodies[2]


class TestHopeless:
    @pytest.mark.parametrize(
        ("reply", "kind"),
        [
            pytest.param(NotConnected("TLS failed (x)"), EndpointError, id="fault-7-tls"),
            pytest.param(Answer(302, b""), EndpointError, id="fault-22-redirect"),
            pytest.param(Answer(401, b""), CredentialsError, id="fault-23-401"),
            pytest.param(Answer(403, b""), CredentialsError, id="fault-23-403"),
            pytest.param(Answer(402, b""), EndpointError, id="fault-25-402"),
            pytest.param(Answer(404, b""), EndpointError, id="fault-25-404"),
            pytest.param(Answer(418, b""), EndpointError, id="fault-30-418"),
            pytest.param(Answer(299, b""), EndpointError, id="fault-30-299"),
        ],
    )
    def test_what_no_repeat_can_help_ends_the_run_at_once(
        self, courier, scripted, told, stop, batch_of, reply, kind
    ):
        with pytest.raises(kind, match=r"^api\.mixpanel\.com: "):
            courier(scripted(reply)).deliver(batch_of(3))

        assert (len(told.sent), stop.waits, told.calls) == (1, [], [])


class TestStopping:
    def test_no_request_starts_after_the_time_to_stop(
        self, courier, scripted, told, stop, clock, batch_of
    ):
        stop.request(signal.SIGTERM)
        clock.now += 25.0
        with pytest.raises(ShutdownTimeoutError, match="SIGTERM"):
            courier(scripted(BUSY)).deliver(batch_of(1))

        assert told.sent == []

    def test_fault_36_retries_end_with_the_time_to_stop(
        self, courier, scripted, told, stop, clock, batch_of
    ):
        stop.on_wait = lambda: stop.request(signal.SIGINT)
        with pytest.raises(ShutdownTimeoutError, match="SIGINT"):
            courier(scripted(BUSY)).deliver(batch_of(1))

        # Asked after 2 s, then 4, 8 and 16 s of the 25 s: no fifth attempt.
        assert clock.now == 1_030.0
        assert (len(told.sent), told.calls) == (4, [])

    def test_fault_34_a_retry_that_succeeds_in_time_settles(
        self, courier, scripted, ok, told, stop, batch_of
    ):
        stop.on_wait = lambda: stop.request(signal.SIGTERM)
        courier(scripted(BUSY, BUSY, ok)).deliver(batch_of(1))

        assert told.calls == [("settled", ["id-0"])]

    def test_another_threads_error_ends_the_wait(self, courier, scripted, stop, batch_of):
        stop.on_wait = lambda: stop.fail(CredentialsError("elsewhere"))
        with pytest.raises(CredentialsError, match="elsewhere"):
            courier(scripted(BUSY)).deliver(batch_of(1))

    def test_a_report_that_fails_is_not_tried_again(self, courier, scripted, ok, told, batch_of):
        """A full disk is no fault of the network."""

        def on_rejected(batch, rejections):
            raise OSError("disk full")

        told.on_rejected = on_rejected
        with pytest.raises(OSError, match="disk full"):
            courier(scripted(OPAQUE)).deliver(batch_of(1))

        assert (len(told.sent), told.calls) == (1, [])


class TestOverload:
    def test_fault_13_overload_narrows_the_gate_for_all(
        self, courier, scripted, ok, gate, batch_of
    ):
        courier(scripted(Answer(429, b""), BUSY, ok)).deliver(batch_of(1))

        # From 4 to 2, to 1, and up again.
        assert gate.width.requests == 2.0

    @pytest.mark.parametrize(
        "reply", [NoAnswer("reset"), PAGE, Answer(408, b"")], ids=["reset", "page", "408"]
    )
    def test_what_is_no_overload_does_not(self, courier, scripted, ok, gate, batch_of, reply):
        courier(scripted(reply, ok)).deliver(batch_of(1))

        assert gate.width.requests == 4.0


def blame(*indices):
    def reply(sent):
        named = sorted({index % len(sent) for index in indices})
        entries = ",".join(f'{{"index":{index},"message":"bad"}}' for index in named)
        counted = len(sent) - len(named)
        body = f'{{"num_records_imported":{counted},"failed_records":[{entries}]}}'
        return Answer(400, body.encode())

    return reply


REPLIES = st.sampled_from(
    [BUSY, OPAQUE, TOO_LARGE, SHORT, PAGE, NoAnswer("reset"), Answer(429, b"", retry_after="9")]
) | st.lists(st.integers(0, 9), min_size=1, max_size=4).map(lambda indices: blame(*indices))
FATAL = st.sampled_from([Answer(401, b""), Answer(302, b""), NotConnected("TLS")])


@given(
    st.integers(1, 9),
    st.lists(st.one_of(REPLIES, REPLIES, REPLIES, REPLIES, FATAL, st.none()), max_size=30),
)
@settings(
    deadline=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_every_row_is_reported_once_or_the_run_ends(
    courier, scripted, ok, told, batch_of, rows, replies
):
    told.calls.clear()
    transport = scripted(*[reply or ok for reply in replies], ok)
    try:
        courier(transport).deliver(batch_of(rows))
    except TargetMixpanelError:
        is_over = True
    else:
        is_over = False
    settled, rejected = told.of("settled"), told.of("rejected")

    assert len(settled) == len(set(settled))
    assert len(rejected) == len(set(rejected))
    assert set(rejected) <= set(settled)
    # Reported in order, without a gap; all of them unless the run is over.
    assert settled == ids(0, len(settled) if is_over else rows)
    known = set()
    for kind, told_ids in told.calls:
        if kind == "rejected":
            known.update(told_ids)
        else:
            assert not known - set(settled)
            known.difference_update(told_ids)
