"""Which mappings has each stream pattern?"""

from collections.abc import Iterable, Mapping

from target_mixpanel.errors import SettingsError, printable
from target_mixpanel.specs.events import parse_event
from target_mixpanel.specs.keys import TYPES
from target_mixpanel.specs.lookup_tables import parse_lookup_table
from target_mixpanel.specs.profiles import parse_groups, parse_users
from target_mixpanel.specs.spec import LookupTableSpec, StreamSpec
from target_mixpanel.specs.written import as_object, as_text, is_list, kind_of, one_of


def parse_streams(
    raw: object, place: str = "streams"
) -> tuple[tuple[str, tuple[StreamSpec, ...]], ...]:
    """
    Return each stream pattern with its mappings, in the order written.

    Args:
        raw: A map from pattern to a mapping or a list of mappings; or a list of mappings that each
            name their pattern as `stream`, for loaders of configuration that cannot carry a key
            with a dot.
        place: What messages call *raw*.

    Raises:
        SettingsError: Something in it is not understood; the message says where and what to write.
    """
    entries: list[tuple[str, str, object]] = []
    if isinstance(raw, Mapping):
        entries = [
            (as_text(key, f"{place}: a stream's name"), f"{place}.{printable(key)}", value)
            for key, value in raw.items()
        ]
    elif is_list(raw):
        for index, entry in enumerate(raw):
            mapping = as_object(entry, f"{place}[{index}]")
            pattern = as_text(mapping.get("stream"), f"{place}[{index}].stream")
            rest = {key: value for key, value in mapping.items() if key != "stream"}
            entries.append((pattern, f"{place}[{index}]", rest))
    else:
        raise SettingsError(f"{place}: expected a map from stream to mapping, got {kind_of(raw)}")
    if not entries:
        raise SettingsError(f'{place}: is empty; name at least one stream, or "*" for all')
    merged: dict[str, tuple[StreamSpec, ...]] = {}
    for pattern, entry_place, value in entries:
        merged[pattern] = merged.get(pattern, ()) + _parse_mappings(value, entry_place)
    _refuse_shared_tables([spec for specs in merged.values() for spec in specs])
    return tuple(merged.items())


def _refuse_shared_tables(specs: Iterable[StreamSpec]) -> None:
    places: dict[str, str] = {}
    for spec in specs:
        if not isinstance(spec, LookupTableSpec):
            continue
        if spec.lookup_table_id in places:
            raise SettingsError(
                f"{spec.place}.lookup_table_id: is that of {places[spec.lookup_table_id]}, too, "
                "and each would replace the other's rows; map one stream to it",
            )
        places[spec.lookup_table_id] = spec.place


def _parse_mappings(raw: object, place: str) -> tuple[StreamSpec, ...]:
    if not is_list(raw):
        return (_parse_mapping(raw, place),)
    if not raw:
        raise SettingsError(f"{place}: is an empty list; write one mapping at least")
    return tuple(_parse_mapping(entry, f"{place}[{index}]") for index, entry in enumerate(raw))


def _parse_mapping(raw: object, place: str) -> StreamSpec:
    mapping = as_object(raw, place)
    given = {key: value for key, value in mapping.items() if value is not None}
    match one_of(given.get("type", "events"), TYPES, f"{place}.type"):
        case "events":
            return parse_event(given, place)
        case "users":
            return parse_users(given, place)
        case "groups":
            return parse_groups(given, place)
        case "lookup_table":
            return parse_lookup_table(given, place)
