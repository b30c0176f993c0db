"""Events as the platforms spell them."""

import json
from typing import Any
from urllib.parse import quote_plus


def s3(bucket: str, *keys: str, name: str = "ObjectCreated:Put", etag: str = "") -> dict[str, Any]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html."""
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "us-east-1",
                "eventName": name,
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
                    "object": {"key": quote_plus(key), "size": 1, "eTag": etag, "sequencer": "0"},
                },
            }
            for key in keys
        ]
    }


TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "shop"}


def eventbridge(bucket: str, key: str, kind: str = "Object Created") -> dict[str, Any]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html."""
    return {
        "version": "0",
        "source": "aws.s3",
        "detail-type": kind,
        "detail": {"version": "0", "bucket": {"name": bucket}, "object": {"key": key, "size": 1}},
    }


def sns(event: Any) -> dict[str, Any]:
    return {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": json.dumps(event)}}]}


def sns_envelope(event: Any) -> dict[str, Any]:
    """What a queue gets that is subscribed to a topic."""
    return {"Type": "Notification", "MessageId": "1", "Message": json.dumps(event)}


def sqs(*bodies: Any) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": "r",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": "1"},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:1:q",
            }
            for number, body in enumerate(bodies)
        ]
    }


def failed(*numbers: int) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": f"message-{number}"} for number in numbers]}


def finalized(bucket: str, name: str, kind: str = "finalized", *, is_structured: bool = False):
    """Return headers and body: https://github.com/googleapis/google-cloudevents."""
    said = {"bucket": bucket, "name": name, "generation": "1", "contentType": "text/plain"}
    attributes = {
        "id": "1",
        "source": f"//storage.googleapis.com/projects/_/buckets/{bucket}",
        "specversion": "1.0",
        "type": f"google.cloud.storage.object.v1.{kind}",
        "subject": "objects/x",
    }
    if is_structured:
        body = {**attributes, "datacontenttype": "application/json", "data": said}
        return {"Content-Type": "application/cloudevents+json"}, json.dumps(body).encode()
    headers = {f"ce-{key}": value for key, value in attributes.items()}
    return {**headers, "Content-Type": "application/json"}, json.dumps(said).encode()
