"""Who receives the events and profile updates? A server that inflates, counts and says yes."""

import argparse
import asyncio
import json
import os
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass
from typing import Final

import msgspec
from isal import igzip

COUNTS_PATH: Final = "/counts"
USERS_PATH: Final = "/engage"

_HEADERS_END: Final = b"\r\n\r\n"
_count_array: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


@dataclass
class Counts:
    """What has arrived so far."""

    requests: int = 0
    events: int = 0
    """Profile updates, too."""
    wire_bytes: int = 0
    """Bodies, as they came."""
    raw_bytes: int = 0
    """Bodies, inflated."""
    cpu_s: float = 0.0
    """Of this process, to show that it is not what limits the others."""


class Exchange(asyncio.Protocol):
    """One connection: any number of requests, one after the other."""

    def __init__(self, counts: Counts, delay_s: float) -> None:
        self._counts = counts
        self._delay_s = delay_s
        self._received = bytearray()
        self._head: dict[str, str] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport if isinstance(transport, asyncio.Transport) else None

    def data_received(self, data: bytes) -> None:
        self._received += data
        while True:
            if self._head is None:
                end = self._received.find(_HEADERS_END)
                if end < 0:
                    return
                self._head = _parse(bytes(self._received[:end]))
                del self._received[: end + len(_HEADERS_END)]
            length = int(self._head.get("content-length", 0))
            if len(self._received) < length:
                return
            body = bytes(self._received[:length])
            del self._received[:length]
            head, self._head = self._head, None
            self._answer(head, body)

    def _answer(self, head: dict[str, str], body: bytes) -> None:
        if head["path"].startswith(COUNTS_PATH):
            self._counts.cpu_s = time.process_time()
            self._write("200 OK", json.dumps(asdict(self._counts)))
            return
        if "transfer-encoding" in head:
            self._write("411 Length Required", "{}")
            return
        events = self._count(head, body)
        if head["path"].startswith(USERS_PATH):
            reply = f'{{"status":1,"error":null,"num_good_events":{events}}}'
        else:
            reply = f'{{"code":200,"num_records_imported":{events},"status":"OK"}}'
        if self._delay_s:
            loop = asyncio.get_running_loop()
            loop.call_later(self._delay_s, self._write, "200 OK", reply)
        else:
            self._write("200 OK", reply)

    def _count(self, head: dict[str, str], body: bytes) -> int:
        raw = igzip.decompress(body) if head.get("content-encoding") == "gzip" else body
        if raw[:1] == b"[":
            events = len(_count_array(raw))
        else:
            events = raw.count(b"\n") + (not raw.endswith(b"\n"))
        self._counts.requests += 1
        self._counts.events += events
        self._counts.wire_bytes += len(body)
        self._counts.raw_bytes += len(raw)
        return events

    def _write(self, status: str, body: str) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode(),
        )


def _parse(head: bytes) -> dict[str, str]:
    request_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {"path": request_line.split(" ")[1]}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return headers


async def _serve(delay_s: float) -> None:
    # asyncio switches Nagle's delay off only where the listening socket names its protocol.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    counts = Counts()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Exchange(counts, delay_s), sock=listening)
    print(listening.getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reply-delay-ms", type=float, default=0)
    delay_s = parser.parse_args().reply_delay_ms / 1_000
    threading.Thread(target=_end_with_parent, daemon=True).start()
    asyncio.run(_serve(delay_s))


if __name__ == "__main__":
    main()
