"""Which columns does a mapping leave out, take unasked, or miss; said once a stream?"""

import logging
from collections.abc import Mapping, Sequence

from target_mixpanel.engine.summary import StreamCounts
from target_mixpanel.errors import listed, printable
from target_mixpanel.mapping.stream_schema import NewColumn
from target_mixpanel.pipeline.pipeline import StreamPipeline

logger = logging.getLogger("target-mixpanel")


def note_columns(counts: StreamCounts, pipeline: StreamPipeline) -> None:
    """Say what is known of a stream's columns before its first record."""
    left_out = {
        name: why for name, why in pipeline.left_out.items() if counts.note_left_out(name, why)
    }
    if left_out:
        level = logging.INFO if pipeline.has_properties else logging.WARNING
        _say_left_out(level, counts.stream, left_out)
    undeclared = pipeline.undeclared
    if undeclared.from_records:
        logger.log(
            logging.INFO if undeclared.is_expected else logging.WARNING,
            "%s: %s not in the SCHEMA, which is open: read from the records, null where there is "
            "none",
            printable(counts.stream),
            _are(undeclared.from_records),
        )
    if undeclared.defaults:
        logger.warning(
            "%s: %s not in the SCHEMA, so the default is taken",
            printable(counts.stream),
            _are(undeclared.defaults),
        )
    if pipeline.not_excluded:
        logger.info(
            "%s: exclude names %s, which the SCHEMA does not have",
            printable(counts.stream),
            listed(list(pipeline.not_excluded)),
        )


def note_new_columns(counts: StreamCounts, columns: Sequence[NewColumn]) -> None:
    """Say of columns that only records have what becomes of them."""
    taken = [each.name for each in columns if each.left_out is None]
    fresh = [name for name in taken if counts.note_new_column(name)]
    if fresh:
        logger.info(
            "%s: takes %s from the records, though the SCHEMA does not have them (new_columns)",
            printable(counts.stream),
            listed(fresh),
        )
    left_out = [each for each in columns if each.left_out is not None]
    for level, is_lost in ((logging.WARNING, True), (logging.INFO, False)):
        reasons = {
            each.name: str(each.left_out)
            for each in left_out
            if each.is_lost is is_lost and counts.note_left_out(each.name, str(each.left_out))
        }
        if reasons:
            _say_left_out(level, counts.stream, reasons)


def _say_left_out(level: int, stream: str, columns: Mapping[str, str]) -> None:
    """Name columns that become no property, those of one reason together."""
    by_reason: dict[str, list[str]] = {}
    for name, why in columns.items():
        by_reason.setdefault(why, []).append(name)
    parts = [f"{listed(names)} ({why})" for why, names in by_reason.items()]
    logger.log(level, "%s: leaves out columns: %s", printable(stream), "; ".join(parts))


def _are(names: Sequence[str]) -> str:
    return f"{listed(list(names))} {'is' if len(names) == 1 else 'are'}"
