"""Where do a stream's rows go: into batches of its own, a profile's lane, or a lookup table?"""

from collections.abc import Callable, Sequence
from typing import Final

from target_mixpanel.delivery.batches import BatchBuilder, SizeLimit, Submit, send, send_due
from target_mixpanel.delivery.events import import_route
from target_mixpanel.delivery.lookup_tables import LookupTable
from target_mixpanel.delivery.profiles import ProfileRoute, engage_route, groups_route
from target_mixpanel.delivery.route import Route
from target_mixpanel.engine.checkpoints import CheckpointLedger
from target_mixpanel.engine.lookup_tables import TableDestination
from target_mixpanel.engine.segment import Destination
from target_mixpanel.errors import StreamSchemaError
from target_mixpanel.model import Mapped, Record, Row
from target_mixpanel.settings.credentials import profile_token, table_account
from target_mixpanel.settings.parse import Settings
from target_mixpanel.specs.spec import EventSpec, GroupSpec, LookupTableSpec, StreamSpec, UserSpec


class OwnBatches:
    """Batches of one stream's rows under one SCHEMA, delivered in any order: events."""

    def __init__(self, builder: BatchBuilder, submit: Submit) -> None:
        self.builders: Final = (builder,)
        self._add = builder.add
        self._submit = submit

    def add(self, mapped: Mapped, record: Record) -> None:
        full = self._add(Row(mapped.body, mapped.key, record))
        if full is not None:
            self._submit(full)


class ProfileLanes:
    """
    Batches of profile updates of all streams, such that updates of one profile keep their order.

    A profile's id always leads into the same lane, and the batches of a lane are delivered one
    after the other; different lanes go in parallel.
    """

    builders: Final = ()
    """Every stream's rows are in the lanes, in the order in which they were read."""

    def __init__(self, route: ProfileRoute, lanes: Sequence[BatchBuilder], submit: Submit) -> None:
        self.route: Final = route
        self.lanes: Final = lanes
        self._submit = submit

    def add(self, mapped: Mapped, record: Record) -> None:
        lane = self.lanes[hash(mapped.key) % len(self.lanes)]
        # An event's $insert_id is told in dead letters; a profile's id is in the record anyway.
        row = Row(mapped.body, "", record, mapped.is_repeatable, mapped.is_deletion)
        full = lane.add(row)
        if full is not None:
            self._submit(full)


class Destinations:
    """All of a run's destinations. For the reader's thread, but for `settle` of a table."""

    def __init__(
        self,
        settings: Settings,
        ledger: CheckpointLedger,
        submit: Submit,
        *,
        size_limit: SizeLimit,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._submit = submit
        self._size_limit = size_limit
        self._clock = clock
        specs = [spec for _, specs in settings.mappings for spec in specs]
        url = settings.url
        self._events = import_route(url, settings.credentials)
        kinds = {type(spec) for spec in specs}
        self._profiles: dict[type[StreamSpec], ProfileLanes] = {}
        for kind, make_route in ((UserSpec, engage_route), (GroupSpec, groups_route)):
            if kind in kinds:
                route = make_route(url, profile_token(settings))
                self._profiles[kind] = self._profile_lanes(route)
        self._tables: dict[str, TableDestination] = {}
        self._is_replay = False
        for spec in specs:
            if isinstance(spec, LookupTableSpec):
                account = table_account(settings.credentials, spec.place)
                table = LookupTable(url, account, spec.lookup_table_id, place=spec.place)
                self._tables[spec.lookup_table_id] = TableDestination(table, ledger, spec.place)

    def of(self, spec: StreamSpec, stream: str, tag: object, header: bytes | None) -> Destination:
        """
        Return where the rows of *stream* go that the mapping *spec* makes.

        Args:
            spec: The mapping.
            stream: The stream's name.
            tag: What the batches are known by that hold this stream's rows alone.
            header: Of a lookup table.

        Raises:
            StreamSchemaError: Another stream fills the lookup table, or its columns changed, or it
                would be replaced by what was once set aside.
        """
        match spec:
            case EventSpec():
                return OwnBatches(self._builder(self._events, tag), self._submit)
            case UserSpec() | GroupSpec():
                return self._profiles[type(spec)]
            case LookupTableSpec(lookup_table_id=table_id):
                if self._is_replay:
                    raise StreamSchemaError(
                        f"{spec.place}: dead letters are a part of the lookup table, and it is "
                        "replaced as a whole; mend the cause and run the tap again, or leave this "
                        "mapping out to replay the others",
                    )
                table = self._tables[table_id]
                table.open(stream, header or b"")
                return table

    def send_due(self, now: float) -> list[float]:
        """Send the batches of profiles that are old enough; return how long the others have."""
        builders = [lane for lanes in self._profiles.values() for lane in lanes.lanes]
        return send_due(builders, now, self._submit)

    def send_rest(self) -> None:
        """Send every profile update that waits for company."""
        for lanes in self._profiles.values():
            for lane in lanes.lanes:
                send(lane, self._submit)

    def refuse_tables(self) -> None:
        """Note that dead letters come, which are no whole table."""
        self._is_replay = True

    def mark_tables_whole(self) -> None:
        """Note that the tap wrote a STATE, so it was not within a table."""
        for table in self._tables.values():
            table.mark_whole()

    def replace_tables(self, *, is_stopped: bool) -> None:
        """
        Send the lookup tables.

        Raises:
            LookupTableError: One may not be whole; none was sent.
        """
        uploads = []
        for table in self._tables.values():
            if is_stopped:
                table.refuse_half("the run was stopped")
            uploads.append(table.upload(self._clock()))
        for batch in uploads:
            if batch is not None:
                self._submit(batch)

    def close(self) -> None:
        """Give the room of lookup tables back."""
        for table in self._tables.values():
            table.close()

    def _profile_lanes(self, route: ProfileRoute) -> ProfileLanes:
        count = self._settings.max_parallel_requests
        first = count * len(self._profiles)
        lanes = [self._builder(route, lane=lane) for lane in range(first, first + count)]
        return ProfileLanes(route, lanes, self._submit)

    def _builder(self, route: Route, tag: object = None, lane: int | None = None) -> BatchBuilder:
        return BatchBuilder(
            tag,
            route=route,
            lane=lane,
            max_rows=self._settings.batch_size_rows,
            size_limit=self._size_limit,
            max_age_s=self._settings.batch_wait_limit_seconds,
            clock=self._clock,
        )
