"""
How do the rows of files and objects get into an engine, and how far is each? For every door.

    notes = open_notes(settings.files_state)
    with Engine(settings, on_safe=notes.on_safe) as engine:
        loading = ObjectLoading(engine, notes)
        for stored in find_objects("s3://shop/orders/", "load"):
            if not loading.load(stored, stream_of(stored.url, settings.file_streams)):
                break                       # engine.stop was asked to stop
        engine.finish()
    notes.write()

A host whose time runs out asks `engine.stop.request(signal.SIGTERM)`, on any thread: `load` then
returns within a batch of rows, and what it read is settled by `finish` and noted by `write`.
"""

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from target_mixpanel.commands.ahead import Opened, OpenedAhead
from target_mixpanel.engine.engine import Engine
from target_mixpanel.engine.record_loader import RecordLoader
from target_mixpanel.errors import InputError, SettingsError, TargetMixpanelError, printable
from target_mixpanel.files.format_names import format_of
from target_mixpanel.files.formats import rows_of
from target_mixpanel.files.notes import Notes
from target_mixpanel.files.objects import (
    OpenObject,
    ReadingEndsError,
    StoredObject,
    open_object,
)
from target_mixpanel.files.places import Place, RowBatch
from target_mixpanel.settings.file_streams import FileStream
from target_mixpanel.specs.matching import specs_for
from target_mixpanel.specs.spec import LookupTableSpec

logger = logging.getLogger("target-mixpanel")

_BEGINNING: Final = Place()


class ObjectLoading:
    """Loads objects, one after the other, each from where an earlier run came to."""

    def __init__(
        self,
        engine: Engine,
        notes: Notes,
        on_rows: Callable[[int, int], None] = lambda _rows, _bytes: None,
        on_object: Callable[[StoredObject], None] = lambda _stored: None,
    ) -> None:
        """
        Args:
            engine: The run; its `on_safe` is that of *notes*.
            notes: How far earlier runs came.
            on_rows: Told of each batch: how many rows, and how many bytes of the object so far.
            on_object: Told of each object that is read to its end, now or by an earlier run.
        """
        self._engine = engine
        self._notes = notes
        self._on_rows = on_rows
        self._on_object = on_object
        self.passed_over = 0
        """Objects that were done before."""

    def load(self, stored: StoredObject, said: FileStream) -> bool:
        """
        Load *stored* as *said*; return whether it was read to its end.

        Raises:
            TargetMixpanelError: The run cannot go on.
        """
        return self.load_all([(stored, said)])

    def load_all(self, objects: Iterable[tuple[StoredObject, FileStream]]) -> bool:
        """
        Load *objects*, in their order, and ask for the next ones while one is read.

        Returns:
            Whether all of them were read to their end.

        Raises:
            TargetMixpanelError: The run cannot go on.
        """
        stop = self._engine.stop
        with OpenedAhead(self._open, lambda: stop.is_input_over) as ahead:
            try:
                return all(
                    self._load_opened(*known, opened) for known, opened in ahead.each(objects)
                )
            except ReadingEndsError:
                return False

    def _load_opened(self, stored: StoredObject, said: FileStream, opened: Opened | None) -> bool:
        if opened is None:
            self.passed_over += 1
        else:
            with opened.content as content:
                if not self._read(content, opened.start, said):
                    return False
        self._on_object(stored)
        return True

    def _open(self, stored: StoredObject, said: FileStream) -> Opened | None:
        start = self._start(stored, said)
        if start is None:
            return None
        stop = self._engine.stop
        content = open_object(stored, lambda: stop.is_input_over)
        if (said.format or format_of(stored.name)) != "parquet":
            content.begin(start.offset)
        return Opened(content, start)

    def _read(self, content: OpenObject, start: Place, said: FileStream) -> bool:
        stored = content.stored
        if start != _BEGINNING:
            logger.info("%s: goes on behind row %s", printable(stored.url), f"{start.rows:,}")
        rows = rows_of(content, said.format)
        loader = self._engine.stream(said.stream, schema=said.schema or rows.schema, key=said.key)
        place = start
        for batch in rows.batches(start):
            self._load(loader, batch, stored)
            place = batch.after
            self._mark(stored, place)
            self._on_rows(len(batch.rows), content.bytes_read)
            if self._engine.stop.is_input_over:
                return False
        self._mark(stored, place, is_done=True)
        return True

    def _load(self, loader: RecordLoader, batch: RowBatch, stored: StoredObject) -> None:
        number = 1
        try:
            for number, row in zip(batch.numbers, batch.rows, strict=True):  # noqa: B007 (below)
                loader.load_json(row)
        except TargetMixpanelError as error:
            with suppress(TargetMixpanelError):  # where delivery itself has failed
                self._mark(stored, Place(number - 1))
            if isinstance(error, InputError):
                raise InputError(
                    f"{printable(stored.url)}: row {number:,}: {error}; a file of JSON has one "
                    "object a line (of a list, jq -c '.[]' makes such)"
                ) from None
            raise

    def _mark(self, stored: StoredObject, place: Place, *, is_done: bool = False) -> None:
        self._engine.checkpoint(self._notes.mark(stored, place, is_done=is_done))
        self._notes.write_due()

    def _start(self, stored: StoredObject, said: FileStream) -> Place | None:
        """Return where to begin; a lookup table is replaced as a whole, so it is read as one."""
        specs = specs_for(said.stream, self._engine.settings.mappings)
        if any(isinstance(spec, LookupTableSpec) for spec in specs):
            return _BEGINNING
        return self._notes.place_of(stored)


def unknown_stream(stored: StoredObject) -> SettingsError:
    """Return what is said of an object that no entry of `files` fits."""
    return SettingsError(
        f"{printable(stored.url)}: no entry of files says which stream it is; add one, or give "
        "--stream"
    )
