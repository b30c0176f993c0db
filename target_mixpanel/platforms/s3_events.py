"""Which objects does an event of AWS name?"""

import logging
from typing import Any, Final
from urllib.parse import unquote_plus

import msgspec

from target_mixpanel.errors import InputError, printable
from target_mixpanel.platforms.call import NamedObject

logger = logging.getLogger("target-mixpanel")

_TAKEN: Final = (
    "event: is none that this function takes: an S3 notification or EventBridge's Object Created, "
    "as it is, through SNS, or as the message of an SQS queue"
)


class _Bucket(msgspec.Struct):
    name: str


class _Object(msgspec.Struct):
    key: str
    etag: str = ""


class _Detail(msgspec.Struct):
    """Of EventBridge, which spells keys as they are."""

    bucket: _Bucket
    object: _Object


class _NotifiedObject(msgspec.Struct):
    key: str
    etag: str = msgspec.field(default="", name="eTag")


class _S3(msgspec.Struct):
    """Of a notification, which spells keys as forms do: + is a blank, %2B a plus."""

    bucket: _Bucket
    object: _NotifiedObject


def objects_named(event: Any) -> list[NamedObject]:
    """
    Return the objects that *event* says were created.

    Raises:
        InputError: It is of another kind.
    """
    match event:
        case {"Event": "s3:TestEvent"}:
            return []  # S3 sends one when the notification is made
        case {"Records": [_, *_] as records}:
            return [named for record in records for named in _of_record(record)]
        case {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}:
            said = _as(_Detail, detail)
            return [_named(said.bucket.name, said.object.key, said.object.etag)]
        case {"source": "aws.s3", "detail-type": str(kind)}:
            return _nothing(kind)
        case {"Type": "Notification", "Message": str(message)}:
            return objects_in(message)
        case _:
            raise InputError(_TAKEN)


def objects_in(text: str) -> list[NamedObject]:
    """
    Return the objects that the event in a message's *text* says were created.

    Raises:
        InputError: It is of another kind.
    """
    try:
        return objects_named(msgspec.json.decode(text))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise InputError(_TAKEN) from None


def is_from_queue(event: Any) -> bool:
    """Say whether *event* is messages of an SQS queue."""
    match event:
        case {"Records": [{"eventSource": "aws:sqs"}, *_]}:
            return True
        case _:
            return False


def _of_record(record: Any) -> list[NamedObject]:
    match record:
        case {"eventSource": "aws:s3", "eventName": str(name), "s3": s3}:
            if not name.removeprefix("s3:").startswith("ObjectCreated:"):
                return _nothing(name)
            said = _as(_S3, s3)
            return [_named(said.bucket.name, unquote_plus(said.object.key), said.object.etag)]
        case {"EventSource": "aws:sns", "Sns": {"Message": str(message)}}:
            return objects_in(message)
        case _:
            raise InputError(_TAKEN)


def _as(kind: type[Any], written: Any) -> Any:
    try:
        return msgspec.convert(written, kind)
    except msgspec.ValidationError:
        raise InputError(_TAKEN) from None


def _named(bucket: str, key: str, etag: str) -> NamedObject:
    return NamedObject(f"s3://{bucket}/{key}", etag)


def _nothing(kind: str) -> list[NamedObject]:
    logger.warning("event: %s is passed over; only created objects are loaded", printable(kind))
    return []
