"""How does the SDK drive the engine? Its seams: settings, messages, the command line."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import click
from singer_sdk import Target
from singer_sdk.exceptions import (
    MapExpressionError,
    MissingKeyPropertiesError,
    RecordsWithoutSchemaException,
    StreamMapConfigError,
)
from singer_sdk.helpers._flattening import FlatteningOptions
from singer_sdk.helpers.capabilities import (
    CapabilitiesEnum,
    PluginCapabilities,
    TargetCapabilities,
)
from singer_sdk.mapper import StreamMap
from singer_sdk.plugin_base import _ConfigInput

from target_mixpanel.commands import COMMANDS
from target_mixpanel.commands.process import leave, own_process, run
from target_mixpanel.commands.progress import NoProgress, Progress, counts_line, progress_line
from target_mixpanel.engine.engine import Engine
from target_mixpanel.errors import (
    CredentialsError,
    InputError,
    MissingKeyError,
    RefusedTrialError,
    SettingsError,
    StreamSchemaError,
    TargetMixpanelError,
    printable,
)
from target_mixpanel.model import JsonObject
from target_mixpanel.pipeline.schema_reading import read_schema
from target_mixpanel.settings.fields import FlatSettings
from target_mixpanel.settings.parse import Settings, parse_settings
from target_mixpanel.settings.sources import config_file, environment
from target_mixpanel.singer.batch import batch_of, load_rows
from target_mixpanel.singer.expressions import definitions_of
from target_mixpanel.singer.input_source import InputFile, InputSource, opened_input
from target_mixpanel.singer.messages import Message
from target_mixpanel.singer.process import SAID_WELL, write_state
from target_mixpanel.singer.published_settings import PUBLISHED_SETTINGS
from target_mixpanel.singer.reader import SingerBytesReader
from target_mixpanel.singer.replays import replay_command
from target_mixpanel.singer.sinks import MixpanelSink
from target_mixpanel.singer.stream_maps import RecordPath, find_path, way_of
from target_mixpanel.singer.trial import TRIAL_STREAM, TrialPath

_STREAM_MAP_ERRORS: Final = (MapExpressionError, NotImplementedError, StreamMapConfigError)
"""What the SDK raises for stream maps that it does not understand."""

_IDLE_LINES: Final = frozenset(
    {"Parsing env var for settings config...", "Skipping parse of env var settings..."}
)

_NO_STATE: Final = frozenset({b"null", b"{}"})
"""Values of STATE that mark no place to go on from."""


@dataclass
class _GivenConfig(_ConfigInput):
    sources: tuple[str, ...] = ()
    """What `--config` was given, in order."""


class TargetMixpanel(Target):
    """Load Mixpanel from any Singer tap."""

    name = "target-mixpanel"
    package_name = "target-mixpanel"
    config_jsonschema: ClassVar[dict[str, Any]] = PUBLISHED_SETTINGS.to_dict()
    default_sink_class = MixpanelSink
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
        PluginCapabilities.BATCH,
        TargetCapabilities.VALIDATE_RECORDS,
    ]

    settings: Settings

    def __init__(
        self,
        *,
        config: Any = None,
        parse_env_config: bool = False,
        validate_config: bool = True,
        setup_mapper: bool = True,
        message_reader: Any = None,
    ) -> None:
        """
        Take the SDK's arguments; the environment's settings win over *config*.

        Raises:
            SettingsError: The settings are not fit to run with.
        """
        self.logger.addFilter(_is_worth_a_line)
        given = dict(config) if isinstance(config, Mapping) else config
        if parse_env_config:
            given = {**(given or {}), **environment(self._env_var_prefix)}
        try:
            super().__init__(
                config=given,
                validate_config=validate_config,
                setup_mapper=setup_mapper,
                message_reader=message_reader,
            )
        except _STREAM_MAP_ERRORS as error:
            raise SettingsError(f"stream_maps: {printable(str(error))}") from None
        self.schema_line = b""
        self.bookmark_properties: tuple[str, ...] = ()
        """The SCHEMA message that is being taken, as it came."""
        self._engine = Engine(
            self.settings, on_safe=self._write_state_message, ticks_by_itself=False
        )
        self._reader = SingerBytesReader(
            self._engine.stop,
            self._on_idle,
            self._ignore,
            self._engine.look_at_the_clock,
        )
        self.message_reader = message_reader or self._reader
        self._resources = ExitStack()
        self._is_open = False
        self._progress: Progress = NoProgress()
        self._schema_lines: dict[str, bytes] = {}
        self._paths: dict[str, RecordPath] = {}
        """How each stream's records reach the engine."""

    # Settings

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Parse the settings our way: the SDK's messages show the values of bad ones."""
        self.append_builtin_config(self.config_jsonschema)  # for --about
        del raise_errors  # settings that cannot be parsed cannot be run with
        self.settings = parse_settings(self._config)
        # What the SDK's mapper and sinks look up is what was parsed, texts made objects.
        for name in FlatSettings.__struct_fields__:
            if self._config.get(name) is not None:
                self._config[name] = getattr(self.settings, name)
        return []

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Add the SDK's settings, less the tap's half of BATCH: what we may read is batch_roots."""
        super().append_builtin_config(config_jsonschema)
        config_jsonschema["properties"].pop("batch_config", None)

    def setup_mapper(self) -> None:
        """Leave flattening to us: the SDK's makes texts of lists."""
        super().setup_mapper()
        self._flattening = self.mapper.flattening_options
        self.mapper.flattening_options = FlatteningOptions(enabled=False)

    # Parts

    @property
    def engine(self) -> Engine:
        """The run, opened when it is first needed."""
        if not self._is_open:
            self._resources.enter_context(self._engine)
            self._is_open = True
            self._progress = self._resources.enter_context(
                progress_line(counts_line(self._engine.summary))
            )
        return self._engine

    def _on_idle(self) -> float | None:
        self._progress.update()
        return self.engine.tick()

    def _ignore(self, kind: str) -> None:
        ignored = self.engine.summary.ignored_messages
        kind = printable(kind, max_chars=40)
        if kind not in ignored and len(ignored) == 100:  # noqa: PLR2004
            kind = "others"
        if kind not in ignored:
            self.logger.warning("%s: %s messages are ignored", self._reader.place(), kind)
        ignored[kind] += 1

    # Messages

    def _process_schema_message(self, message: Message) -> None:  # type: ignore[override]
        stream, schema = message.stream, message.schema
        if stream is None or schema is None:
            raise InputError(f'{self._reader.place()}: SCHEMA without "stream" or "schema"')
        if self._schema_lines.get(stream) == message.line:
            return
        if stream == TRIAL_STREAM:
            self._try_access(message)
            return
        key_properties = message.key_properties or []
        if not _is_list_of_names(key_properties):
            raise InputError(
                f"{self._reader.place()}: SCHEMA of {printable(stream)} has key_properties that "
                "are no list of names",
            )
        if message.dead_letter is True:
            self._reader.allow_cut_off_end()
            self.engine.refuse_tables()
        schema = _with_columns(schema, key_properties, stream)
        self.schema_line = message.line
        self.bookmark_properties = _names(message.bookmark_properties)
        if self.settings.flattening_enabled or self.settings.stream_maps:
            schema = self._as_the_sdk_takes_it(schema, stream)
        try:
            self.mapper.register_raw_stream_schema(stream, schema, key_properties)
        except _STREAM_MAP_ERRORS as error:
            raise SettingsError(f"stream_maps: {printable(str(error))}") from None
        except ValueError as error:  # two columns that flattening gives the same name
            raise StreamSchemaError(
                f"SCHEMA of {printable(stream)}: {printable(str(error))}",
            ) from None
        definitions = definitions_of(stream, self.settings.stream_maps or {})
        ways = [
            way_of(stream_map, definition, schema, self._flattening, stream)
            for stream_map, definition in zip(
                self.mapper.stream_maps[stream], definitions, strict=True
            )
        ]
        self._paths[stream] = find_path(ways, self._sink_for, self.engine)
        self._reader.fast_lines.clear()  # some may lead a stream's old path
        for sink in self._sinks_to_clear:
            sink.clean_up()
        self._sinks_to_clear = []  # the SDK would keep them to the end
        self._schema_lines[stream] = message.line

    def _try_access(self, message: Message) -> None:
        """Do what somebody wants who tests the loader: see whether Mixpanel knows it."""
        try:
            self.engine.check_access()
        except CredentialsError as error:
            raise RefusedTrialError(str(error)) from None
        self._paths[TRIAL_STREAM] = TrialPath(self.engine.summary.stream(TRIAL_STREAM))
        self._schema_lines[TRIAL_STREAM] = message.line
        self.logger.info(
            "%s: Mixpanel takes the credentials; nothing of this stream is loaded", TRIAL_STREAM
        )

    def _as_the_sdk_takes_it(self, schema: JsonObject, stream: str) -> JsonObject:
        """Return what *schema* means: the SDK's stream maps and flattening need each column's."""
        reading = read_schema(schema, stream)
        for words in reading.defects.values() if self.settings.validate_records else ():
            self.logger.warning(
                "SCHEMA of %s: %s; it may be anything, as stream_maps or flattening are set",
                printable(stream),
                words.removesuffix("?"),
            )
        return reading.schema

    def _process_record_message(self, message: Message) -> None:  # type: ignore[override]
        stream, record = message.stream, message.record
        if stream is None or record is None:
            raise InputError(f'{self._reader.place()}: RECORD without "stream" or "record"')
        path = self._path_of(stream, "RECORD")
        self._reader.remember(message.line, path.load_line)
        try:
            if message.flaw is None:
                path.load(record, message)
            else:
                path.refuse(message, message.flaw)
        except MissingKeyError as error:
            raise MissingKeyPropertiesError(str(error)) from None

    def _path_of(self, stream: str, kind: str) -> RecordPath:
        path = self._paths.get(stream)
        if path is None:
            raise RecordsWithoutSchemaException(
                f"{self._reader.place()}: a {kind} of {printable(stream)} came before its SCHEMA; "
                "the tap must be mended",
            )
        return path

    def _sink_for(self, stream_map: StreamMap) -> MixpanelSink:
        sink = self.get_sink(
            stream_map.stream_alias,
            schema=stream_map.transformed_schema,
            key_properties=stream_map.transformed_key_properties,
        )
        if not isinstance(sink, MixpanelSink):
            raise TypeError(f"unexpected sink {type(sink).__name__}")
        return sink

    def _process_state_message(self, message: Message) -> None:  # type: ignore[override]
        state = bytes(message.value).strip()
        if not state:
            raise InputError(f'{self._reader.place()}: STATE without "value"')
        self.engine.mark_tables_whole()
        if state in _NO_STATE:
            return
        try:
            state.decode()
        except UnicodeDecodeError:
            raise InputError(f"{self._reader.place()}: is not UTF-8") from None
        self.engine.checkpoint(state)

    def _process_activate_version_message(self, message: Message) -> None:  # type: ignore[override]
        self.engine.summary.ignored_messages[message.type] += 1

    def _process_batch_message(self, message: Message) -> None:  # type: ignore[override]
        place = self._reader.place()
        if not self.settings.batch_folders:
            raise InputError(
                f"{place}: BATCH messages are not taken; unset batch_config in the tap, or let "
                "batch_roots name the folder below which its files may be read",
            )
        batch = batch_of(message, place)
        path = self._path_of(batch.stream, "BATCH")
        stop = self._engine.stop
        for url, rows in batch.rows(self.settings.batch_folders, lambda: stop.is_input_over):
            try:
                load_rows(batch, url, rows, path, stop)
            except MissingKeyError as error:
                raise MissingKeyPropertiesError(str(error)) from None
            self._on_idle()
            if stop.is_input_over:
                return

    def _write_state_message(self, state: bytes) -> None:  # type: ignore[override]
        write_state(state)

    # The run

    def process_endofpipe(self) -> None:
        """Send the rest, wait until all is settled, and close the parts."""
        self.engine.warn_of_unused_mappings()
        self.engine.finish()
        for sink in self._sinks_active.values():
            sink.clean_up()
        self._resources.close()

    def run(self, source: InputSource | None) -> int:
        """Load the whole input and return the exit code."""

        def load() -> None:
            self._on_idle()  # what cannot be opened fails before stdin is read
            with opened_input(source, self._engine.stop) as file_input:
                self.listen(file_input)  # type: ignore[arg-type]

        return run(self._engine, load, said_well=SAID_WELL)

    def _setup_signal_handlers(self) -> None:
        """Set none while being made: only the command owns the process."""

    # The command line

    @classmethod
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        file_input: InputSource | None = None,
    ) -> None:
        """Run the command, and end the process with its exit code."""
        if about:
            cls.print_about(about_format)
            return
        given = config or _ConfigInput()
        stop = None
        try:
            target = cls(config=given.config, parse_env_config=given.parse_env)
            if isinstance(given, _GivenConfig):
                target._engine.summary.replay_command = replay_command(given.sources)
            stop = target._engine.stop
            own_process(target._engine)
            code = target.run(file_input)
        except TargetMixpanelError as error:
            cls.logger.error(str(error))  # noqa: TRY400 (one line, no traceback)
            code = 1
        leave(code, stop)

    @classmethod
    def cb_config(
        cls,
        ctx: click.Context,
        param: click.Option,  # noqa: ARG003
        value: tuple[str, ...],
    ) -> _ConfigInput:
        """Read the files of `--config`; later ones win."""
        merged: dict[str, Any] = {}
        try:
            for path in value:
                if path != "ENV":
                    merged |= config_file(path)
        except SettingsError as error:
            cls.logger.error(str(error))  # noqa: TRY400 (one line, no traceback)
            ctx.exit(1)
        return _GivenConfig(config=merged, parse_env="ENV" in value, sources=value)

    @classmethod
    def get_singer_command(cls) -> click.Command:
        command = super().get_singer_command()
        command.epilog = (
            f"Beside that: target-mixpanel {' | '.join(COMMANDS)}; each has its own --help."
        )
        for param in command.params:
            if param.name == "file_input":
                param.type = InputFile()
        return command


def _is_worth_a_line(line: logging.LogRecord) -> bool:
    """Say whether a line of the SDK's says something: it does not see how we read settings."""
    return line.msg not in _IDLE_LINES


def _with_columns(schema: JsonObject, key_properties: Sequence[str], stream: str) -> JsonObject:
    """Return *schema* with its columns, none of which need be named where there is a key."""
    if not schema.get("properties"):
        if not key_properties and "additionalProperties" not in schema:
            raise StreamSchemaError(
                f"SCHEMA of {printable(stream)}: names neither columns nor a key; the tap must "
                "name its columns, or say additionalProperties: true",
            )
        return {**schema, "properties": {}}  # its columns are those of the records
    if not isinstance(schema["properties"], dict):
        raise StreamSchemaError(
            f"SCHEMA of {printable(stream)}: has properties that are no map of columns; mend "
            "the tap",
        )
    return schema


def _names(said: object) -> tuple[str, ...]:
    """Return the names among what a tap says; some write one as a text."""
    names = said if isinstance(said, list) else [said]
    return tuple(name for name in names if isinstance(name, str))


def _is_list_of_names(names: object) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)
