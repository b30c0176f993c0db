"""What of a server's words may be shown? Not what they repeat of the rows it was sent."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from target_mixpanel.delivery.batches import Batch
from target_mixpanel.errors import printable
from target_mixpanel.http.replies import BAD_REQUEST, OK, Answer, Reply, json_object
from target_mixpanel.model import Row
from target_mixpanel.redaction import without_values

_DOCUMENTED: Final = re.compile(
    r"Project exceeded rate limits\. Please retry the request with exponential backoff\."
    r"|Invalid (?:service account )?credentials|Unauthorized"
    r"|request exceeds max limit of \d{1,12} bytes",
)
"""What the documentation shows as errors about a whole request."""


def is_documented(error: str) -> bool:
    """Say whether *error* is word for word what Mixpanel documents, and so repeats no row."""
    return _DOCUMENTED.fullmatch(error) is not None


def row_texts(rows: Iterable[Row]) -> Iterator[str]:
    """Yield every value in *rows*, JSON objects, as text."""
    for row in rows:
        try:
            yield from value_texts(msgspec.json.decode(row.body))
        except msgspec.DecodeError:  # not JSON: that is what Mixpanel says, too
            yield row.body.decode("utf-8", "replace")


def value_texts(value: object) -> Iterator[str]:
    """Yield every value in a decoded row as text."""
    match value:
        case dict():
            for item in value.values():
                yield from value_texts(item)
        case list():
            for item in value:
                yield from value_texts(item)
        case str() | int() | float():
            yield str(value)
        case _:
            pass  # null shows nothing


def without_rows(reply: Reply, part: Batch) -> Reply:
    """
    Return *reply* less what its error repeats of the rows: it may go into a log line.

    Where single rows are blamed (200, 400) that is done row by row, when it is known which.
    """
    if not isinstance(reply, Answer) or reply.status in {OK, BAD_REQUEST}:
        return reply
    body = json_object(reply.body) or {}
    error = body.get("error")
    if not isinstance(error, str) or is_documented(error):
        return reply
    [shown] = without_values([error], part.route.texts(part.rows))
    return msgspec.structs.replace(reply, body=msgspec.json.encode({**body, "error": shown}))


def without_content(words: str, row: Row) -> str:
    """Return a server's words about *row* less what they repeat of it: they go into the log."""
    try:
        row_values = msgspec.json.decode(row.body)
    except msgspec.DecodeError:
        return words  # not JSON: that is what Mixpanel says, too
    texts = set(value_texts(row_values))
    # The words are fit for a log line already; what is hidden in them must be spelled like them.
    spelled = {printable(text, max_chars=len(text)) for text in texts}
    [shown] = without_values([words], texts | spelled)
    return shown
