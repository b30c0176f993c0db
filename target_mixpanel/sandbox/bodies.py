"""What did the request carry, once unpacked?"""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

import msgspec

from target_mixpanel.sandbox.answers import RequestRefusedError

if TYPE_CHECKING:
    from target_mixpanel.sandbox.answers import Incoming

GZIP_WBITS: Final = 31
"""zlib's name for the gzip format. https://docs.python.org/3/library/zlib.html#zlib.decompressobj"""

MAX_GZIP_MEMBERS: Final = 100
"""Each member costs a copy of the rest: more are an attack, not an upload."""

FORM: Final = "application/x-www-form-urlencoded"

_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])


def unpack(request: Incoming, *, max_bytes: int) -> bytes:
    """
    Return the body uncompressed; never more than *max_bytes* are inflated.

    Raises:
        RequestRefusedError: 413 if it is longer, 400 if it is not what its encoding says.
    """
    if request.body is None:
        raise _too_large(max_bytes)
    match request.headers.get("content-encoding", "").lower():
        case "" | "identity":
            plain = request.body
        case "gzip":
            plain = _inflate(request.body, max_bytes)
        case _:
            raise RequestRefusedError(400, "unsupported content encoding")
    if len(plain) > max_bytes:
        raise _too_large(max_bytes)
    request.plain_bytes = len(plain)
    return plain


def json_rows(request: Incoming, plain: bytes) -> list[bytes]:
    """
    Split a JSON array, or a form's `data`, into its elements, undecoded.

    Raises:
        RequestRefusedError: 400, it is neither, or empty.
    """
    if request.content_type == FORM:
        plain = _form_data(request, plain)
    elif request.content_type != "application/json":
        raise RequestRefusedError(400, "unsupported content type")
    try:
        rows = [bytes(raw) for raw in _LIST.decode(_as_list(plain))]
    except (msgspec.DecodeError, RecursionError) as error:
        raise RequestRefusedError(400, f"invalid JSON: {error}") from error
    return _counted(request, rows)


def event_rows(request: Incoming, plain: bytes) -> list[bytes]:
    """
    Split as json_rows does, or at newlines if the content type says so.

    Raises:
        RequestRefusedError: 400, as json_rows.
    """
    if request.content_type != "application/x-ndjson":
        return json_rows(request, plain)
    return _counted(request, [line for line in plain.split(b"\n") if line and not line.isspace()])


def _counted(request: Incoming, rows: list[bytes]) -> list[bytes]:
    if not rows:
        raise RequestRefusedError(400, "request must not be empty")
    request.rows = len(rows)
    return rows


def _form_data(request: Incoming, plain: bytes) -> bytes:
    try:
        fields = dict(parse_qsl(plain.decode("ascii"), strict_parsing=True, errors="strict"))
        text = fields.pop("data").strip()
        request.query.update(fields)
        if text.startswith(("[", "{")):
            return text.encode()
        return base64.b64decode(text, validate=True)
    except (KeyError, ValueError, binascii.Error) as error:
        raise RequestRefusedError(400, "invalid form: no JSON in 'data'") from error


def _as_list(plain: bytes) -> bytes:
    # Older official libraries send a lone object.
    return b"[" + plain + b"]" if plain.lstrip()[:1] == b"{" else plain


def _too_large(max_bytes: int) -> RequestRefusedError:
    return RequestRefusedError(413, f"request exceeds max limit of {max_bytes} bytes")


def _inflate(rest: bytes, max_bytes: int) -> bytes:
    pieces: list[bytes] = []
    room = max_bytes
    for _ in range(MAX_GZIP_MEMBERS):
        member = zlib.decompressobj(GZIP_WBITS)
        try:
            pieces.append(member.decompress(rest, room + 1))
        except zlib.error as error:
            raise RequestRefusedError(400, "invalid gzip") from error
        room -= len(pieces[-1])
        if room < 0:
            raise _too_large(max_bytes)
        rest = member.unused_data
        if not member.eof:
            break
        if not rest:
            return b"".join(pieces)
    raise RequestRefusedError(400, "invalid gzip")
