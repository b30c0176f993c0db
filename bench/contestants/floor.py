"""What is the least that Python needs for this work, without an SDK and without promises?"""

import http.client
import json
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import urlsplit

import jsonschema_rs
import msgspec
from isal import igzip

EVENT: Final = "Order Placed"
BATCH_ROWS: Final = 2_000
SENDERS: Final = 8
HEADERS: Final = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_encode: Final = msgspec.json.encode


class Message(msgspec.Struct, gc=False):
    """A Singer message."""

    type: str
    stream: str = ""
    record: dict[str, Any] | None = None
    schema: dict[str, Any] | None = None
    value: msgspec.Raw = msgspec.Raw(b"")


def main(url: str) -> None:
    batches: queue.Queue[list[bytes] | None] = queue.Queue(2)
    senders = [threading.Thread(target=send, args=(url, batches)) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    state = load(batches.put)
    for _ in senders:
        batches.put(None)
    for sender in senders:
        sender.join()
    sys.stdout.buffer.write(state + b"\n")


def load(put: Callable[[list[bytes]], None]) -> bytes:
    """Make events of what stdin says; return the last STATE."""
    decode = msgspec.json.Decoder(Message).decode
    state = b"{}"
    streams: dict[str, tuple[Any, list[str], list[bytes]]] = {}
    for line in lines():
        message = decode(line)
        if message.type == "RECORD":
            validator, dates, rows = streams[message.stream]
            record = message.record
            if not validator.is_valid(record):
                sys.exit("invalid record")
            rows.append(_encode(event(message.stream, record, dates)))
            if len(rows) == BATCH_ROWS:
                put(rows.copy())
                rows.clear()
        elif message.type == "SCHEMA":
            schema = message.schema
            dates = [name for name, column in schema["properties"].items() if "format" in column]
            validator = jsonschema_rs.Draft7Validator(schema)
            streams[message.stream] = (validator, dates, [])
        elif message.type == "STATE":
            state = bytes(message.value)
    for _, _, rows in streams.values():
        if rows:
            put(rows)
    return state


def event(stream: str, record: dict[str, Any], dates: list[str]) -> dict[str, Any]:
    created_at = datetime.fromisoformat(record.pop("created_at"))
    key = _encode([1, stream, EVENT, [record["id"]]])
    properties = {
        "time": (created_at - _EPOCH) // _MILLISECOND,
        "$insert_id": blake2b(key, digest_size=16).hexdigest(),
        "distinct_id": record.pop("user_id"),
        "ip": 0,
    }
    for name in dates:
        text = record.get(name)
        if text is not None:
            moment = datetime.fromisoformat(text).astimezone(UTC)
            record[name] = moment.replace(tzinfo=None).isoformat(timespec="seconds")
    properties.update([item for item in record.items() if item[1] is not None])
    return {"event": EVENT, "properties": properties}


def lines() -> Iterator[bytes]:
    rest = b""
    while block := sys.stdin.buffer.raw.read(1 << 20):
        *whole, rest = (rest + block).split(b"\n")
        yield from whole


def send(url: str, batches: queue.Queue[list[bytes] | None]) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    while (rows := batches.get()) is not None:
        body = igzip.compress(b"\n".join(rows), 1)
        connection.request("POST", "/import?strict=1", body, HEADERS)
        reply = json.load(connection.getresponse())
        if reply["num_records_imported"] != len(rows):
            sys.exit("rows are missing")


if __name__ == "__main__":
    main(sys.argv[1])
