"""Which properties of events hold texts that Mixpanel will cut?"""

import logging

import msgspec

from target_mixpanel.delivery.batches import Batch
from target_mixpanel.engine.segment import Segment
from target_mixpanel.errors import printable
from target_mixpanel.limits import TEXT_MAX_BYTES
from target_mixpanel.model import JsonObject, Row

logger = logging.getLogger("target-mixpanel")


class _Event(msgspec.Struct):
    properties: JsonObject


_decode = msgspec.json.Decoder(_Event).decode


def warn_of_cut_texts(batch: Batch) -> None:
    """
    Warn, once for each property, of texts in the longest event of *batch* that are too long.

    To look at every event would cost a tenth of all there is to do; what often has long texts has
    them in the longest event.
    """
    if not isinstance(batch.tag, Segment) or not batch.rows:
        return
    longest = max(batch.rows, key=_size).body
    if len(longest) <= TEXT_MAX_BYTES:
        return
    counts = batch.tag.counts
    try:
        properties = _decode(longest).properties
    except msgspec.MsgspecError:
        return  # a hint is nothing to fail for
    for name, value in properties.items():
        if type(value) is not str or len(value.encode()) <= TEXT_MAX_BYTES:
            continue
        if counts.note_cut_text(name):
            logger.warning(
                '%s: "%s" has texts of more than %d bytes, which Mixpanel cuts there',
                printable(counts.stream),
                printable(name),
                TEXT_MAX_BYTES,
            )


def _size(row: Row) -> int:
    return len(row.body)
