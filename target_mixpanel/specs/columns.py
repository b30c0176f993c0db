"""Which columns does a mapping read, and what for?"""

from collections.abc import Iterable, Iterator

from target_mixpanel.specs.spec import (
    Column,
    DistinctId,
    EventSpec,
    GroupSpec,
    Identity,
    KeyColumns,
    KeyProperties,
    LookupTableSpec,
    MatchedColumns,
    NamedProperties,
    SimplifiedId,
    Source,
    StreamName,
    StreamSpec,
    UserSpec,
    VerbatimInsertId,
)


def all_sources(spec: StreamSpec) -> Iterator[Source]:
    """
    Yield every source that *spec* names: its own, and those of conditions, ids and properties.

    What `"*"` takes, and the stream's key, only the stream's schema tells.
    """
    yield from own_sources(spec)
    for condition in (spec.filters.skip_when, spec.filters.only_when):
        if condition is not None:
            yield condition.column
    if isinstance(spec, EventSpec):
        yield from _insert_id_sources(spec)
    if isinstance(spec.properties, (MatchedColumns, NamedProperties)):
        for _, source in spec.properties.sources:
            yield source


def own_sources(spec: StreamSpec) -> tuple[Source, ...]:
    """
    Return the sources by which *spec* says who, when and which, and so what `"*"` leaves out.

    They have their own place in what is sent; not so the columns of an $insert_id, which are hashed
    for it, and so are properties as well.
    """
    match spec:
        case EventSpec():
            event = () if isinstance(spec.event, StreamName) else (spec.event,)
            return (spec.time, *event, *id_sources(spec), *_given(spec.ip))
        case UserSpec():
            own = (*id_sources(spec), *_deletion_sources(spec), *_given(spec.ip))
            place = spec.located_at
            return own if place is None else (*own, place.latitude, place.longitude)
        case GroupSpec():
            return (*id_sources(spec), *_deletion_sources(spec))
        case LookupTableSpec():
            return (Column(spec.key),)


def id_sources(spec: EventSpec | UserSpec | GroupSpec) -> tuple[Source, ...]:
    """Return the sources by which *spec* says who did it, or whose profile it is."""
    match spec:
        case EventSpec(identity=identity) | UserSpec(identity=identity):
            return _identity_sources(identity)
        case GroupSpec(group_id=group_id):
            return (group_id,)


def _deletion_sources(spec: UserSpec | GroupSpec) -> tuple[Source, ...]:
    return () if spec.delete_when is None else (spec.delete_when.column,)


def _identity_sources(identity: Identity) -> tuple[Source, ...]:
    match identity:
        case DistinctId(source=source):
            return (source,)
        case SimplifiedId(user=user, device=device):
            return (*_given(user), *_given(device))


def _insert_id_sources(spec: EventSpec) -> tuple[Source, ...]:
    match spec.insert_id:
        case KeyProperties():
            return ()
        case KeyColumns(members=members):
            return members
        case VerbatimInsertId(path=path):
            return (Column(path),)


def _given(source: Source | None) -> tuple[Source, ...]:
    return () if source is None else (source,)


def has_hashed_values(spec: StreamSpec) -> bool:
    """Say whether *spec* needs the loader's own key to hash with."""
    return any(
        isinstance(source, Column) and source.is_hashed and not source.is_plain_hash
        for source in (*all_sources(spec), *pattern_sources(spec))
    )


def pattern_sources(spec: StreamSpec) -> Iterator[Column]:
    """Yield what *spec* says of the columns that its patterns take."""
    if isinstance(spec.properties, MatchedColumns):
        yield from (pattern.column for pattern in spec.properties.patterns)


def group_keys(specs: Iterable[StreamSpec]) -> dict[str, tuple[str | int | float, ...]]:
    """Return each property that names a group, with the values that mean none in its ids."""
    keys: dict[str, tuple[str | int | float, ...]] = {}
    for spec in specs:
        if isinstance(spec, GroupSpec):
            nobody = spec.group_id.nobody if isinstance(spec.group_id, Column) else ()
            keys[spec.group_key] = keys.get(spec.group_key, ()) + nobody
    return keys
