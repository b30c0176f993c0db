"""Which bytes does a request carry?"""

from typing import Final

import msgspec

from target_mixpanel.http.endpoint import Body

COMPRESSION_LEVEL: Final = 1
"""isal's 1 costs a tenth of zlib's 6 and gives bodies a fifth larger."""


class Payload(msgspec.Struct, frozen=True):
    """A request's body, made once: a retry sends identical bytes."""

    body: Body
    raw_bytes: int
    """Before compression."""
    body_bytes: int
    """As sent."""
