"""`target-mixpanel load`: files and objects into Mixpanel."""

import logging
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NoReturn

import click
import msgspec

from target_mixpanel.commands.objects import ObjectLoading, unknown_stream
from target_mixpanel.commands.process import leave, own_process, run
from target_mixpanel.commands.progress import progress_line
from target_mixpanel.commands.watching import Watching
from target_mixpanel.engine.engine import Engine
from target_mixpanel.errors import SettingsError, TargetMixpanelError, listed, printable
from target_mixpanel.files.format_names import FORMATS, Format, is_singer
from target_mixpanel.files.notes import open_notes
from target_mixpanel.files.objects import StoredObject, find_objects
from target_mixpanel.model import JsonObject
from target_mixpanel.settings.file_streams import FileStream, stream_of
from target_mixpanel.settings.parse import Settings, parse_settings
from target_mixpanel.settings.sources import config_file, environment
from target_mixpanel.stop import Stop

logger = logging.getLogger("target-mixpanel")

_PREFIX: Final = "TARGET_MIXPANEL_"

_EXAMPLE: Final = """
\b
Examples:
  target-mixpanel load --config config.json --stream orders --key id 'orders/*.jsonl.gz'
  target-mixpanel load --config config.json s3://shop/orders/    # files says which stream
"""


@click.command(name="load", epilog=_EXAMPLE)
@click.argument("urls", metavar="URL…", nargs=-1, required=True)
@click.option(
    "--config", "sources", multiple=True, help="A JSON file of settings, or ENV.", metavar="FILE"
)
@click.option("--stream", help="Which entry of streams maps the rows; default: as files says.")
@click.option("--key", multiple=True, metavar="COLUMN", help="What makes a row the same one.")
@click.option("--schema", "schema_file", metavar="FILE", help="A JSON Schema of one row.")
@click.option("--format", "file_format", type=click.Choice(FORMATS), help="Default: by the name.")
def command(  # noqa: PLR0913 (one an option)
    *,
    urls: tuple[str, ...],
    sources: tuple[str, ...],
    stream: str | None,
    key: tuple[str, ...],
    schema_file: str | None,
    file_format: Format | None,
) -> None:
    """
    Load files into Mixpanel: JSON lines, CSV, TSV and Parquet, also within gzip and zstd.

    A URL is a path, a folder, a glob, or s3://…, gs://…, az://…; dead letters are one, too
    """
    _log_to_stderr()
    stop: Stop | None = None
    try:
        settings = parse_settings(_config(sources))
        said = None
        if stream is not None:
            schema = None if schema_file is None else _schema(schema_file)
            said = FileStream(stream=stream, key=key, schema=schema, format=file_format)
        elif key or schema_file or file_format:
            raise SettingsError("load: --key, --schema and --format go with --stream")
        code, stop = _load(settings, urls, said, sources)
    except _SingerMessages:
        _load_messages(urls, sources)
    except TargetMixpanelError as error:
        logger.error(str(error))  # noqa: TRY400 (one line, no traceback)
        code = 1
    leave(code, stop)


class _SingerMessages(BaseException):
    """What is found are dead letters, which say themselves which stream they are of."""


def _load_messages(urls: Sequence[str], sources: Sequence[str]) -> NoReturn:
    """Let the Singer door read them, in this process, as if it had been asked."""
    logger.info("load: Singer messages, which are read as by target-mixpanel --input")
    python = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv[1:])]
    asked = [*_options(sources), "--input", *urls]
    os.execv(sys.executable, [sys.executable, *python, *asked])  # noqa: S606 (our own words)


def _options(sources: Sequence[str]) -> list[str]:
    return [word for path in sources for word in ("--config", path)]


def _load(
    settings: Settings, urls: Sequence[str], said: FileStream | None, sources: Sequence[str]
) -> tuple[int, Stop]:
    notes = open_notes(settings.files_state)
    engine = Engine(settings, on_safe=notes.on_safe)
    engine.summary.replay_command = shlex.join(["target-mixpanel", *_options(sources), "--input"])
    own_process(engine)
    resources = ExitStack()

    def load() -> None:
        found, hidden = _found(urls)
        engine.summary.names_passed_over = len(hidden)
        if said is None and all(is_singer(each.name) for each in found) and len(urls) == 1:
            raise _SingerMessages
        known = [(each, _stream(each, said, settings)) for each in found]
        resources.enter_context(engine)
        watching = Watching(engine.summary, [each.size for each, _ in known])
        watching.line = resources.enter_context(progress_line(watching.words))
        loading = ObjectLoading(engine, notes, watching.on_rows, watching.on_object)
        if loading.load_all(known):
            engine.mark_tables_whole()
        engine.finish()
        watching.say()
        resources.close()

    code = run(engine, load)
    notes.write()
    return code, engine.stop


def _stream(stored: StoredObject, said: FileStream | None, settings: Settings) -> FileStream:
    of = said or stream_of(stored.url, settings.file_streams)
    if is_singer(stored.name) and (of is None or of.format is None):
        raise SettingsError(
            f"{printable(stored.url)}: holds Singer messages; give it to target-mixpanel --input"
        )
    if of is None:
        raise unknown_stream(stored)
    return of


def _found(urls: Sequence[str]) -> tuple[list[StoredObject], list[str]]:
    """Return what *urls* stand for, in their order, each object once; and the hidden names."""
    hidden: dict[str, None] = {}

    def note(name: str) -> None:
        hidden[name] = None

    found = {each.url: each for url in urls for each in find_objects(url, "load", note)}
    left_out = [name for name in hidden if name not in found]
    if left_out:
        logger.warning(
            "load: passed over %s names that begin with _ or . (%s); to load one, name it itself",
            f"{len(left_out):,}",
            listed(left_out),
        )
    return list(found.values()), left_out


def _config(sources: Sequence[str]) -> dict[str, Any]:
    """Return the settings of `--config`; later ones win, and the environment over all."""
    merged: dict[str, Any] = {}
    for source in sources:
        if source != "ENV":
            merged |= config_file(source)
    return merged | environment(_PREFIX) if "ENV" in sources else merged


def _schema(path: str) -> JsonObject:
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise SettingsError(
            f"--schema {printable(path)}: cannot be read ({error.strerror})"
        ) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise SettingsError(f"--schema {printable(path)}: must hold one JSON object") from None


def _log_to_stderr() -> None:
    """Let log lines look as the Singer target's do."""
    logging.basicConfig(
        format="{asctime:23s} | {levelname:8s} | {name:20s} | {message}",
        style="{",
        level=os.environ.get("TARGET_MIXPANEL_LOGLEVEL", "INFO").upper(),
        stream=sys.stderr,
    )
