"""How does a property name a group, so that the group's profile is found?"""

from collections.abc import Callable
from typing import Any, Final

from target_mixpanel.limits import MAX_ARRAY_ITEMS
from target_mixpanel.mapping.ids import IdKind, check_id, id_texts, spelled_id
from target_mixpanel.mapping.refusal import refuse
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.mapping.values import Converter

_GROUP: Final = IdKind(
    "group_id", "; list what means no group as nobody of the group_id that has this group_key"
)


def group_converter(
    name: str,
    field: str,
    stream_schema: StreamSchema,
    hashed: Converter | None = None,
    max_items: int = MAX_ARRAY_ITEMS,
) -> Converter | None:
    """
    Return how the property *name* is read if its values are ids of groups, None if they are not.

    An id is a text there, as on the group's profile, and several are a list of texts: to Mixpanel
    12 is another than "12". https://developer.mixpanel.com/reference/segmentation-expressions

    Args:
        name: The property's.
        field: What a refusal calls it.
        stream_schema: Knows which properties name groups.
        hashed: What replaces each id, if they are hashed.
        max_items: Of a list.
    """
    if name not in stream_schema.group_keys:
        return None
    nobody = id_texts(stream_schema.group_keys[name])
    read = _reader(field, nobody, hashed)

    def convert(value: Any) -> str | list[str] | None:
        """None: it names no group."""
        if type(value) is not list:
            return read(value)
        if len(value) > max_items:
            refuse("array_too_long", field, f"has more than {max_items} items", stage="limit")
        return [text for text in map(read, value) if text is not None]

    return convert


def _reader(
    field: str, nobody: frozenset[str], hashed: Converter | None
) -> Callable[[Any], str | None]:
    def read(value: Any) -> str | None:
        text = spelled_id(value, field, _GROUP)
        if text is None or text in nobody:
            return None
        check_id(text, field, _GROUP)
        return text if hashed is None else hashed(text)

    return read
