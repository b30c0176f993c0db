"""The command: opens the parts, wires them to the SDK, owns signals and exit codes."""

import logging
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import IO, Any, ClassVar, Final

import click
from singer_sdk import Target
from singer_sdk.exceptions import (
    MapExpressionError,
    MissingKeyPropertiesError,
    RecordsWithoutSchemaException,
    StreamMapConfigError,
)
from singer_sdk.helpers.capabilities import (
    CapabilitiesEnum,
    PluginCapabilities,
    TargetCapabilities,
)
from singer_sdk.mapper import StreamMap
from singer_sdk.plugin_base import _ConfigInput

from target_mixpanel.credentials import forms_of
from target_mixpanel.engine.engine import Loader
from target_mixpanel.engine.report import RunOutcome, write_report
from target_mixpanel.errors import (
    InputError,
    MissingKeyError,
    SettingsError,
    StateOutputError,
    StreamSchemaError,
    TargetMixpanelError,
    printable,
)
from target_mixpanel.redaction import Redactor
from target_mixpanel.settings.fields import FlatSettings
from target_mixpanel.settings.parse import Settings, parse_settings
from target_mixpanel.settings.sources import config_file, environment
from target_mixpanel.singer.messages import Message
from target_mixpanel.singer.progress import NoProgress, Progress, progress_line
from target_mixpanel.singer.published_settings import PUBLISHED_SETTINGS
from target_mixpanel.singer.reader import SingerBytesReader
from target_mixpanel.singer.sinks import MixpanelSink
from target_mixpanel.singer.stream_maps import RecordPath, find_path
from target_mixpanel.stop import Stop

_SIGNAL_EXIT: Final = 128
"""A process that a signal ended exits with this plus the signal's number."""

_SWITCH_INTERVAL_S: Final = 0.001
"""How long the reader's thread may go on when a sender wants to. With Python's 5 ms a sender loses
some 50 a request: 3 % fewer events a second go out, and 8 % fewer where replies take 200 ms."""

_STREAM_MAP_ERRORS: Final = (MapExpressionError, NotImplementedError, StreamMapConfigError)
"""What the SDK raises for stream maps that it does not understand."""

_NO_STATE: Final = frozenset({b"null", b"{}"})
"""Values of STATE that mark no place to go on from."""


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
        """The SCHEMA message that is being taken, as it came."""
        self._redactor = Redactor(forms_of(self.settings.secrets(), self.settings.credentials))
        self._stop = Stop(self.settings.shutdown_timeout_seconds)
        self._reader = SingerBytesReader(
            self._stop,
            self._on_idle,
            self._ignore,
            self._on_input,
        )
        self.message_reader = message_reader or self._reader
        self._resources = ExitStack()
        self._resources.callback(self._stop.close)
        self._loader: Loader | None = None
        self._progress: Progress = NoProgress()
        self._schema_lines: dict[str, bytes] = {}
        self._paths: dict[str, RecordPath] = {}
        """How each stream's records reach the loader."""

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

    # Parts

    @property
    def loader(self) -> Loader:
        """The run, opened when it is first needed."""
        if self._loader is None:
            loader = Loader(self.settings, self._stop, write_state=self._write_state_message)
            self._loader = self._resources.enter_context(loader)
            self._progress = self._resources.enter_context(progress_line(loader.summary))
        return self._loader

    def _on_idle(self) -> float | None:
        self._progress.update()
        return self.loader.tick()

    def _on_input(self) -> None:
        self.loader.look_at_the_clock()

    def _ignore(self, kind: str) -> None:
        ignored = self.loader.summary.ignored_messages
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
        key_properties = message.key_properties or []
        if not _is_list_of_names(key_properties):
            raise InputError(
                f"{self._reader.place()}: SCHEMA of {printable(stream)} has key_properties that "
                "are no list of names",
            )
        if message.dead_letter is True:
            self._reader.allow_cut_off_end()
            self.loader.refuse_tables()
        if not isinstance(schema.get("properties"), dict):
            raise StreamSchemaError(
                f"SCHEMA of {printable(stream)}: has no properties; the tap must name its columns",
            )
        self.schema_line = message.line
        try:
            self.mapper.register_raw_stream_schema(stream, schema, key_properties)
        except _STREAM_MAP_ERRORS as error:
            raise SettingsError(f"stream_maps: {printable(str(error))}") from None
        except ValueError as error:  # two columns that flattening gives the same name
            raise StreamSchemaError(
                f"SCHEMA of {printable(stream)}: {printable(str(error))}",
            ) from None
        stream_maps = self.mapper.stream_maps[stream]
        self._paths[stream] = find_path(stream_maps, self._sink_for, self.loader)
        self._reader.fast_lines.clear()  # some may lead a stream's old path
        for sink in self._sinks_to_clear:
            sink.clean_up()
        self._sinks_to_clear = []  # the SDK would keep them to the end
        self._schema_lines[stream] = message.line

    def _process_record_message(self, message: Message) -> None:  # type: ignore[override]
        stream, record = message.stream, message.record
        if stream is None or record is None:
            raise InputError(f'{self._reader.place()}: RECORD without "stream" or "record"')
        path = self._paths.get(stream)
        if path is None:
            raise RecordsWithoutSchemaException(
                f"{self._reader.place()}: a RECORD of {printable(stream)} came before its SCHEMA; "
                "the tap must be mended",
            )
        self._reader.remember(message.line, path.load_line)
        try:
            if message.flaw is None:
                path.load(record, message)
            else:
                path.refuse(message, message.flaw)
        except MissingKeyError as error:
            raise MissingKeyPropertiesError(str(error)) from None

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
        self.loader.mark_tables_whole()
        if state in _NO_STATE:
            return
        try:
            state.decode()
        except UnicodeDecodeError:
            raise InputError(f"{self._reader.place()}: is not UTF-8") from None
        self.loader.checkpoint(state)

    def _process_activate_version_message(self, message: Message) -> None:  # type: ignore[override]
        self.loader.summary.ignored_messages[message.type] += 1

    def _process_batch_message(self, _: Message) -> None:  # type: ignore[override]
        raise InputError(
            f"{self._reader.place()}: BATCH messages are not taken; unset batch_config in the tap",
        )

    def _write_state_message(self, state: bytes) -> None:  # type: ignore[override]
        """Write one STATE line, in one write."""
        rest = memoryview(state + b"\n")
        try:
            while rest:  # a stdout without buffer may take a part only, as when a signal comes
                rest = rest[sys.stdout.buffer.write(rest) :]
            sys.stdout.buffer.flush()
        except (OSError, ValueError) as error:
            raise StateOutputError(
                "stdout: STATE cannot be written "
                f"({getattr(error, 'strerror', None) or 'closed'}); what was loaded stays loaded, "
                "and a rerun sends it again under the same ids",
            ) from None

    # The run

    def process_endofpipe(self) -> None:
        """Send the rest, wait until all is settled, and close the parts."""
        self.loader.finish()
        for sink in self._sinks_active.values():
            sink.clean_up()
        self._resources.close()

    def run(self, file_input: IO[bytes] | None) -> int:
        """Load the whole input and return the exit code."""
        verdict: RunOutcome = "complete"
        problem: str | None = None
        try:
            self._on_idle()  # what cannot be opened fails before stdin is read
            self.listen(file_input)  # type: ignore[arg-type]
        except (
            TargetMixpanelError,
            RecordsWithoutSchemaException,
            MissingKeyPropertiesError,
        ) as error:
            verdict, problem = "failed", str(error)
        except Exception as error:  # noqa: BLE001 (the top: a traceback could show a record)
            verdict, problem = "failed", _internal_error(error)
            # Where, but not what: an exception's own words may be a record's.
            self.logger.debug("".join(traceback.format_tb(error.__traceback__)))
        if problem is None and self._stop.signal_number is not None:
            verdict = "stopped"
        if problem is not None:
            problem = self._redactor.redact(problem)
        self._report(verdict, problem)
        if problem is not None:
            return 1
        return _SIGNAL_EXIT + self._stop.signal_number if self._stop.signal_number else 0

    def _report(self, verdict: RunOutcome, problem: str | None) -> None:
        if self._loader is None:
            if problem is not None:
                self.logger.error(problem)
            return
        summary = self._loader.summary
        self.logger.info(summary.block(verdict))
        if problem is not None:
            self.logger.error(problem)
        if self.settings.report_file is not None:
            write_report(summary.report(verdict, problem), self.settings.report_file)

    # Signals

    def _setup_signal_handlers(self) -> None:
        """Set none while being made: only the command owns the process."""

    def _take_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle_signal)

    def _handle_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        first = self._stop.signal_number
        if first is None:
            self._stop.request(number)
        elif (first, number) != (signal.SIGINT, signal.SIGTERM):
            # Meltano sends SIGINT, then SIGTERM: one wish. Any other second signal is impatience.
            os.write(2, b"target-mixpanel: second signal, stopped at once; STATE stays\n")
            os._exit(_SIGNAL_EXIT + number)

    # The command line

    @classmethod
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        file_input: IO[bytes] | None = None,
    ) -> None:
        """Run the command, and end the process with its exit code."""
        if about:
            cls.print_about(about_format)
            return
        given = config or _ConfigInput()
        try:
            target = cls(config=given.config, parse_env_config=given.parse_env)
            target._redact_logs()
            target._take_signals()
            sys.setswitchinterval(_SWITCH_INTERVAL_S)
            code = target.run(file_input)
        except TargetMixpanelError as error:
            cls.logger.error(str(error))  # noqa: TRY400 (one line, no traceback)
            code = 1
        _leave(code)

    def _redact_logs(self) -> None:
        loggers = [logging.getLogger(), *logging.root.manager.loggerDict.values()]
        for logger in loggers:
            for handler in getattr(logger, "handlers", ()):
                handler.addFilter(self._redactor)

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
        return _ConfigInput(config=merged, parse_env="ENV" in value)

    @classmethod
    def get_singer_command(cls) -> click.Command:
        command = super().get_singer_command()
        for param in command.params:
            if param.name == "file_input":
                param.type = click.File("rb")
        return command


def _is_list_of_names(names: object) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def _internal_error(error: Exception) -> str:
    """Name a mistake of ours by its kind and place: its message could hold a record's values."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"internal error: {type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}; "
        "STATE stays where it was; please report this, with TARGET_MIXPANEL_LOGLEVEL=DEBUG"
    )


def _leave(code: int) -> None:
    """End the process; a stdout that is gone must not turn into a traceback at the very end."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(code)
