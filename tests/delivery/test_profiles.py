"""
Updates are applied in order, none that must not be is applied twice, and none is lost.

A profile store in memory answers as Mixpanel may, whatever the network does; the result is compared
with that of applying the updates one by one.
"""

import contextlib
import itertools
import json
import random
import threading
import time
import zlib

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from target_mixpanel.delivery.batches import Batch, SizeLimit
from target_mixpanel.delivery.courier import Courier, Reports
from target_mixpanel.delivery.gate import Gate
from target_mixpanel.delivery.outbox import Outbox
from target_mixpanel.delivery.profiles import engage_route
from target_mixpanel.delivery.repeats import RetryPolicy
from target_mixpanel.errors import (
    DeliveryAbandonedError,
    RejectedRecordError,
    UnaccountedRowsError,
)
from target_mixpanel.http.replies import Answer, NoAnswer
from target_mixpanel.model import Record, Row, Span
from target_mixpanel.sandbox.profile_store import Profiles
from target_mixpanel.sandbox.profiles import InvalidUpdateError, check_operand
from target_mixpanel.stop import Stop
from tests.delivery.conftest import PassingTime

USERS = engage_route("https://api.mixpanel.com", "canary-token")
ONCE_ONLY = {"$add", "$append"}


class Update(msgspec.Struct, frozen=True):
    """One row, before it is encoded."""

    number: int
    user: str
    operation: str
    operand: object

    @property
    def is_repeatable(self):
        return self.operation not in ONCE_ONLY

    def row(self):
        body = {"$distinct_id": self.user, "n": self.number, self.operation: self.operand}
        record = Record(str(self.number).encode(), Span(0))
        return Row(msgspec.json.encode(body), "", record, self.is_repeatable)


class Store:
    """Profiles, and how often each update was applied; a lock guards them."""

    def __init__(self):
        self.profiles = Profiles(None)
        self.times = {}
        self.lock = threading.Lock()

    def apply(self, updates):
        """Apply the valid ones in order; return how many there were."""
        good = 0
        with self.lock:
            for update in updates:
                operation = next(key for key in update if key in OPERATIONS)
                with contextlib.suppress(InvalidUpdateError):
                    operand = update[operation]
                    check_operand(operation, operand)
                    self.profiles.apply((update["$distinct_id"],), {operation: operand}, b"")
                    self.times[update["n"]] = self.times.get(update["n"], 0) + 1
                    good += 1
        return good

    @property
    def users(self):
        return as_mixpanel_shows(self.profiles.all())


OPERATIONS = ("$set", "$set_once", "$add", "$append", "$union", "$remove", "$unset", "$delete")


def as_mixpanel_shows(profiles):
    """Lists have no order in analysis."""
    return {
        user[0]: {
            name: sorted(value, key=repr) if isinstance(value, list) else value
            for name, value in known.items()
        }
        for user, known in profiles.items()
    }


def one_by_one(updates):
    store = Store()
    store.apply(json.loads(update.row().body) for update in updates)
    return store.users


def verbose(status, good=None, error=None):
    body = {"status": status, "error": error}
    return Answer(200, json.dumps(body if good is None else {**body, "num_good_events": good}))


class Mixpanel:
    """A transport to a store, which meets each request with the next fault."""

    def __init__(self, store, next_fault):
        self.store = store
        self.next_fault = next_fault
        self.requests = []

    def send(self, endpoint, body):
        updates = json.loads(body)
        assert {update["$token"] for update in updates} == {"canary-token"}
        self.requests.append([update["n"] for update in updates])
        reply = self.meet(self.next_fault(), updates)
        return (
            msgspec.structs.replace(reply, body=reply.body.encode())
            if isinstance(reply, Answer) and isinstance(reply.body, str)
            else reply
        )

    def meet(self, fault, updates):  # noqa: C901, PLR0912 (a case for each fault)
        sent = len(updates)
        match fault:
            case "well":
                good = self.store.apply(updates)
                return verbose(int(good == sent), good, None if good == sent else "invalid value")
            case "uncounted":
                good = self.store.apply(updates)
                return verbose(int(good == sent), error=None if good == sent else "invalid value")
            case "plain":
                return Answer(200, "1" if self.store.apply(updates) == sent else "0")
            case "all-or-nothing":
                if Store().apply(updates) == sent:
                    return verbose(1, self.store.apply(updates))
                return verbose(0, 0, "invalid value")
            case "miscounted" if sent > 1:
                self.store.apply(updates)
                return verbose(1, sent - 1)
            case "cannot-be":
                self.store.apply(updates)
                return verbose(1, sent + 7)
            case "lost-reply":
                self.store.apply(updates)
                return NoAnswer("reset")
            case "lost-half":
                self.store.apply(updates[: sent // 2])
                return NoAnswer("reset")
            case "page":
                self.store.apply(updates)
                return Answer(200, "<html>")
            case "late-503":
                self.store.apply(updates)
                return Answer(503, "")
            case "lost-request":
                return NoAnswer("reset")
            case "nobody":
                return NoAnswer("refused", was_sent=False)
            case "too-large" if sent > 1:
                return Answer(413, "")
            case "400" if sent > 1:
                return Answer(400, "")
            case "503":
                return Answer(503, "")
            case _:
                return Answer(429, "")


FAULTS = (
    "well",
    "uncounted",
    "plain",
    "all-or-nothing",
    "miscounted",
    "cannot-be",
    "lost-reply",
    "lost-half",
    "page",
    "late-503",
    "lost-request",
    "nobody",
    "too-large",
    "400",
    "503",
    "429",
)


class Told:
    """What became of each update; several couriers may tell it."""

    def __init__(self):
        self.settled, self.rejected = [], {}

    def reports(self):
        return Reports(self.on_settled, self.on_rejected, lambda *_: None)

    def on_settled(self, batch):
        self.settled.extend(int(row.record.raw) for row in batch.rows)

    def on_rejected(self, batch, rejections):
        for rejection in rejections:
            number = int(rejection.record.raw)
            assert number not in self.rejected
            assert rejection.insert_id is None
            self.rejected[number] = rejection.flaw

    def ambiguous(self):
        return {number for number, flaw in self.rejected.items() if flaw.reason == "ambiguous"}


def batch_of(updates, lane=None):
    return Batch([update.row() for update in updates], None, 0.0, USERS, lane)


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def deliver(stop, clock, told):
    """Deliver updates as one batch through the faults, and all is well after them."""

    def deliver(updates, *faults, store=None):
        left = iter(faults)
        mixpanel = Mixpanel(store or Store(), lambda: next(left, "well"))
        gate = Gate(4, stop, clock=clock)
        gate._changed = PassingTime(clock)
        courier = Courier(
            mixpanel,
            gate,
            stop,
            told.reports(),
            host="https://api.mixpanel.com",
            retry=RetryPolicy(jitter_s=0.0, max_elapsed_s=1e6),
            size_limit=SizeLimit(9_500_000),
            clock=clock,
        )
        courier.deliver(batch_of(updates))
        return mixpanel

    return deliver


def updates_of(*operations, user="u"):
    """Make an update of each (operation, operand)."""
    return [Update(number, user, *each) for number, each in enumerate(operations)]


class TestRepeatable:
    @pytest.mark.parametrize("fault", sorted({*FAULTS} - {"cannot-be"}))
    def test_fault_80_an_id_keeps_its_order_through_any_fault(self, deliver, told, fault):
        updates = updates_of(
            ("$set", {"plan": "free"}),
            ("$set_once", {"first": 1}),
            ("$set", {"plan": "pro"}),
            ("$unset", ["first"]),
            ("$set_once", {"first": 2}),
        )
        mixpanel = deliver(updates, fault)

        assert mixpanel.store.users == {"u": {"plan": "pro", "first": 2}}
        assert told.settled == [0, 1, 2, 3, 4]
        assert told.rejected == {}

    @pytest.mark.parametrize("fault", ["well", "uncounted", "plain", "all-or-nothing"])
    def test_fault_21_the_culprit_is_found_and_named(self, deliver, told, fault):
        updates = updates_of(*[("$set", {"a": n}) for n in range(40)], ("$union", {"l": "no list"}))
        updates.insert(20, Update(99, "u", "$union", {"l": 7}))
        mixpanel = deliver(updates, *[fault] * 99)

        assert sorted(told.rejected) == [40, 99]
        assert told.rejected[99].stage == "refused"
        assert told.rejected[99].reason == {"plain": "HTTP 200, 0"}.get(fault, "invalid value")
        assert mixpanel.store.users == {"u": {"a": 39}}
        assert sorted(told.settled) == sorted([*range(41), 99])

    def test_the_reason_shows_nothing_of_the_row(self, deliver, told):
        class Echoing(Mixpanel):
            def meet(self, fault, updates):
                del updates[0]["$token"]  # that is the client's to redact
                return verbose(0, error=f"bad value in {updates[0]}")

        update = Update(1, "canary-user", "$set", {"e": "canary@pii.example"})
        deliver_through(Echoing(Store(), str), told, [update])

        assert told.rejected[1].reason.startswith("bad value in {")
        assert "canary" not in told.rejected[1].reason

    def test_the_same_bytes_are_tried_again(self, deliver, told):
        mixpanel = deliver(updates_of(("$set", {"a": 1}), ("$set", {"a": 2})), "503", "page")

        assert mixpanel.requests == [[0, 1]] * 3


def deliver_through(mixpanel, told, updates):
    """Deliver updates through a transport, on the real clock."""
    stop = Stop(25.0)
    try:
        Courier(
            mixpanel,
            Gate(4, stop),
            stop,
            told.reports(),
            host="https://api.mixpanel.com",
            retry=RetryPolicy(0.001, 0.001, 0.001, 1.0),
            size_limit=SizeLimit(9_500_000),
        ).deliver(batch_of(updates))
    finally:
        stop.close()


class TestOnceOnly:
    """$add and $append: sent again only where the first attempt certainly did nothing."""

    @pytest.mark.parametrize("fault", ["429", "nobody", "too-large"])
    @pytest.mark.parametrize("operation", ["$add", "$append"])
    def test_what_certainly_did_not_arrive_is_sent_again(self, deliver, told, fault, operation):
        mixpanel = deliver(updates_of(*[(operation, {"n": 1})] * 4), fault, fault)

        assert told.rejected == {}
        assert set(mixpanel.store.times.values()) == {1}
        assert mixpanel.store.users == {"u": {"n": 4 if operation == "$add" else [1, 1, 1, 1]}}

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param("lost-reply", id="applied"),
            pytest.param("lost-half", id="half-applied"),
            pytest.param("lost-request", id="not-applied"),
            "page",
            "late-503",
            "503",
            "400",
            "miscounted",
            "cannot-be",
        ],
    )
    def test_fault_79_no_blind_resend(self, deliver, told, fault):
        """The rows are rejections: they may have been applied, and nobody knows."""
        mixpanel = deliver(updates_of(*[("$add", {"n": 1})] * 4), fault)

        assert mixpanel.requests == [[0, 1, 2, 3]]
        assert told.ambiguous() == {0, 1, 2, 3}
        assert {flaw.stage for flaw in told.rejected.values()} == {"refused"}
        assert told.settled == [0, 1, 2, 3]

    def test_fault_79_without_dead_letters_the_run_fails_and_nothing_is_settled(
        self, deliver, told
    ):
        def on_rejected(batch, rejections):
            raise RejectedRecordError("no dead_letter_path")

        told.on_rejected = on_rejected
        with pytest.raises(RejectedRecordError):
            deliver(updates_of(("$add", {"n": 1})), "lost-reply")

        assert told.settled == []

    def test_fault_79_the_others_of_its_batch_are_sent_again_in_order(self, deliver, told, stop):
        updates = [
            Update(0, "u", "$append", {"l": "x"}),
            Update(1, "v", "$delete", None),
            Update(2, "v", "$append", {"l": "y"}),
            Update(3, "w", "$delete", None),
        ]
        mixpanel = deliver(updates, "lost-reply", "503")

        assert mixpanel.requests == [[0, 1, 2, 3], [1, 3], [1, 3]]
        assert told.ambiguous() == {0, 2}
        assert told.settled == [0, 2, 1, 3]
        assert len(stop.waits) == 2  # it does not hammer a server that is in trouble

    def test_one_that_is_refused_alone_was_not_applied(self, deliver, told):
        deliver([Update(0, "u", "$add", {"n": "one"})], "well")

        assert told.rejected[0].reason == "invalid value"

    def test_nothing_of_what_none_was_good_is_ambiguous(self, deliver, told):
        updates = updates_of(*[("$append", {"l": n}) for n in range(7)], ("$add", {"n": "one"}))
        mixpanel = deliver(updates, *["all-or-nothing"] * 20)

        assert sorted(told.rejected) == [7]
        assert told.ambiguous() == set()
        assert mixpanel.store.users == {"u": {"l": [0, 1, 2, 3, 4, 5, 6]}}

    def test_a_detail_says_what_happened_and_nothing_of_the_rows(self, deliver, told):
        deliver(updates_of(("$add", {"n": 1}), ("$add", {"n": "canary"})), "well")
        details = {flaw.detail for flaw in told.rejected.values()}

        [detail] = details

        assert detail.startswith("may have been applied, and twice is not once (some of its")
        assert "canary" not in detail


KEYS = st.sampled_from(["a", "b"])
ITEMS = st.sampled_from([1, 2, 3])
REPEATABLE = st.one_of(
    st.tuples(st.just("$set"), st.dictionaries(KEYS, ITEMS, min_size=1)),
    st.tuples(st.just("$set_once"), st.dictionaries(KEYS, ITEMS, min_size=1)),
    st.tuples(st.just("$union"), st.fixed_dictionaries({"l": st.lists(ITEMS, min_size=1)})),
    st.tuples(st.just("$remove"), st.fixed_dictionaries({"l": ITEMS})),
    st.tuples(st.just("$unset"), st.lists(st.sampled_from(["a", "b", "l"]), min_size=1)),
    st.tuples(st.just("$delete"), st.none()),
    st.tuples(st.just("$union"), st.just({"l": "invalid"})),
)
# One mapping has one operation, and $delete beside it.
COUNTED = st.one_of(
    st.tuples(st.just("$add"), st.fixed_dictionaries({"a": ITEMS, "b": ITEMS})),
    st.tuples(st.just("$add"), st.fixed_dictionaries({"a": ITEMS, "b": ITEMS})),
    st.tuples(st.just("$delete"), st.none()),
    st.tuples(st.just("$add"), st.just({"a": "invalid"})),
)
LISTED = st.one_of(
    st.tuples(st.just("$append"), st.fixed_dictionaries({"l": ITEMS})),
    st.tuples(st.just("$delete"), st.none()),
    st.tuples(st.just("$append"), st.just("invalid")),
)


def updates_from(operations):
    return st.lists(st.tuples(st.sampled_from("uv"), operations), min_size=1, max_size=7).map(
        lambda each: [
            Update(number, user, operation, operand)
            for number, (user, (operation, operand)) in enumerate(each)
        ]
    )


@given(
    updates_from(REPEATABLE) | updates_from(COUNTED) | updates_from(LISTED),
    st.lists(st.sampled_from(FAULTS), max_size=12),
    updates_from(REPEATABLE),
)
@settings(
    deadline=None,
    max_examples=600,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_the_result_is_that_of_one_by_one(deliver, told, updates, faults, before):
    """Of those that are ambiguous, each was applied in its place or not at all."""
    told.settled, told.rejected = [], {}
    store = Store()
    store.apply(json.loads(update.row().body) for update in before)
    store.times = {}
    with contextlib.suppress(UnaccountedRowsError):
        deliver(updates, *faults, store=store)
        assert sorted(told.settled) == [update.number for update in updates]
        sure = {update.number for update in updates} - set(told.rejected)
        assert {number for number in sure if number not in store.times} == set()
        assert store.users in possible_results(before, updates, told)
    once_only = {update.number for update in updates if not update.is_repeatable}
    assert {number for number in once_only if store.times.get(number, 0) > 1} == set()
    assert set(told.rejected) <= set(told.settled)


def possible_results(before, updates, told):
    maybe = sorted(told.ambiguous())
    for number_of in range(len(maybe) + 1):
        for left_out in itertools.combinations(maybe, number_of):
            yield one_by_one([*before, *(each for each in updates if each.number not in left_out)])


class Noisy:
    """Random faults, the same ones for the same seed and the same order of requests."""

    def __init__(self, seed):
        self.chance = random.Random(seed)  # noqa: S311 (repeatable)
        self.lock = threading.Lock()

    def __call__(self):
        with self.lock:
            pause_s, draw = self.chance.random() * 0.004, self.chance.random()
            fault = self.chance.choice(
                ["503", "late-503", "lost-reply", "lost-half", "lost-request", "nobody", "429"]
            )
        time.sleep(pause_s)
        return fault if draw < 0.25 else "well"


def load_in_lanes(store, updates, stop, told, *, seed):
    """Send updates as a loader does: profiles spread over lanes, a batch filled for each lane."""
    mixpanel = Mixpanel(store, Noisy(seed))
    gate = Gate(8, stop)
    chance = random.Random(seed)  # noqa: S311 (repeatable)

    @contextlib.contextmanager
    def courier():
        yield Courier(
            mixpanel,
            gate,
            stop,
            told.reports(),
            host="https://api.mixpanel.com",
            retry=RetryPolicy(0.001, 0.004, 0.001, 60.0),
            size_limit=SizeLimit(9_500_000),
        )

    lanes = {}
    with Outbox(courier, stop, senders=8) as outbox:
        for update in updates:
            lane = zlib.crc32(update.user.encode()) % 16
            waiting = lanes.setdefault(lane, [])
            waiting.append(update)
            if len(waiting) >= chance.randint(5, 30):
                outbox.submit(batch_of(lanes.pop(lane), lane))
        for lane, waiting in lanes.items():
            outbox.submit(batch_of(waiting, lane))
        outbox.drain()
    return mixpanel


@pytest.mark.parametrize("seed", range(3))
def test_fault_80_a_hundred_profiles_through_eight_senders(real_stop, told, seed):
    """Thousands of updates, random delays, resets and 503s: the result of one by one."""
    chance = random.Random(seed)  # noqa: S311 (repeatable)
    operations = [
        lambda n: ("$set", {"a": n, "b": n}),
        lambda n: ("$set", {"a": n}),
        lambda n: ("$set_once", {"b": n, "c": n}),
        lambda n: ("$union", {"l": [n % 7, n % 5]}),
        lambda n: ("$remove", {"l": n % 7}),
        lambda n: ("$unset", ["a", "c"]),
        lambda _: ("$delete", None),
        lambda _: ("$union", {"l": "invalid"}),
    ]
    updates = [
        Update(n, f"user-{chance.randrange(100)}", *chance.choice(operations)(n))
        for n in range(4_000)
    ]
    store = Store()
    load_in_lanes(store, updates, real_stop, told, seed=seed)

    assert store.users == one_by_one(updates)
    assert sorted(told.settled) == list(range(4_000))
    assert set(told.rejected) == {
        each.number for each in updates if each.operand == {"l": "invalid"}
    }


def test_fault_79_a_hundred_lists_through_eight_senders(real_stop, told):
    """Nothing is appended twice, nothing is missing that is not said to be, all is in order."""
    chance = random.Random(7)  # noqa: S311 (repeatable)
    updates = [
        Update(n, f"user-{chance.randrange(100)}", "$append", {"l": n}) for n in range(4_000)
    ]
    store = Store()
    load_in_lanes(store, updates, real_stop, told, seed=7)
    lists = [known["l"] for known in store.profiles.all().values()]
    appended = sorted(number for each in lists for number in each)

    assert all(each == sorted(each) for each in lists)
    assert len(appended) == len(set(appended))
    assert set(appended) | set(told.rejected) == set(range(4_000))
    assert told.ambiguous() == set(told.rejected)
    assert len(told.rejected) < 3_000
    assert sorted(told.settled) == list(range(4_000))


def test_a_run_that_gives_up_settles_nothing_unknown(real_stop, told):
    class Down(Mixpanel):
        def meet(self, fault, updates):
            self.store.apply(updates)
            return Answer(503, b"")

    with pytest.raises(DeliveryAbandonedError):
        deliver_through(Down(Store(), str), told, updates_of(("$set", {"a": 1})))

    assert (told.settled, told.rejected) == ([], {})
