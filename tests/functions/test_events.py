"""Which objects an event names: every kind that is taken, keys as each spells them."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_mixpanel.errors import InputError
from target_mixpanel.platforms.call import NamedObject
from target_mixpanel.platforms.s3_events import is_from_queue, objects_in, objects_named
from tests.functions import events

KEYS = st.text(string.printable + "äß€😀%+", min_size=1, max_size=60)


@given(KEYS)
def test_keys_are_decoded_as_each_kind_spells_them(key: str):
    """A notification spells them as a form does, EventBridge as they are."""
    expected = [NamedObject(f"s3://shop/{key}")]

    assert objects_named(events.s3("shop", key)) == expected
    assert objects_named(events.eventbridge("shop", key)) == expected


@pytest.mark.parametrize(
    ("event", "keys"),
    [
        (events.s3("shop", "a", "b"), ["a", "b"]),
        (events.s3("shop", "a", name="s3:ObjectCreated:CompleteMultipartUpload"), ["a"]),
        (events.eventbridge("shop", "a+b"), ["a+b"]),
        (events.sns(events.s3("shop", "a b")), ["a b"]),
        (events.sns_envelope(events.s3("shop", "a b")), ["a b"]),
        (events.sns_envelope(events.eventbridge("shop", "a")), ["a"]),
        (events.TEST_EVENT, []),
        (events.sns(events.TEST_EVENT), []),
        (events.s3("shop", "a", name="ObjectRemoved:Delete"), []),
        (events.s3("shop", "a", name="LifecycleExpiration:Delete"), []),
        (events.eventbridge("shop", "a", "Object Deleted"), []),
    ],
)
def test_each_kind_is_read(event, keys):
    assert [f"s3://shop/{key}" for key in keys] == [each.url for each in objects_named(event)]


def test_what_makes_no_object_is_named_once(caplog):
    objects_named(events.s3("shop", "SECRET", name="ObjectRemoved:Delete"))

    assert [record.getMessage() for record in caplog.records] == [
        "event: ObjectRemoved:Delete is passed over; only created objects are loaded"
    ]


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        "SECRET",
        {},
        {"Records": []},
        {"Records": ["SECRET"]},
        {"Records": [{"eventSource": "aws:dynamodb", "dynamodb": {"SECRET": 1}}]},
        {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {}}]},
        {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": "SECRET"}}]},
        {"source": "aws.s3", "detail-type": "Object Created", "detail": "SECRET"},
        {"source": "aws.ec2", "detail-type": "SECRET"},
        {"Type": "Notification", "Message": '{"SECRET": 1}'},
        {"Type": "Notification", "Message": "{" * 100_000},
    ],
)
def test_other_events_are_refused_in_one_line_without_content(event):
    with pytest.raises(InputError, match=r"^event: is none that") as refused:
        objects_named(event)

    assert "SECRET" not in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.recursive(st.none() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_whatever_a_message_holds_it_names_objects_or_is_refused(content):
    message = events.sns_envelope(content)
    with pytest.raises(InputError):
        objects_in(message["Message"])


def test_a_queue_is_told_by_its_messages():
    assert is_from_queue(events.sqs({}))
    assert not is_from_queue(events.s3("shop", "a"))
    assert not is_from_queue({"Records": [None]})
