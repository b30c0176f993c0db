"""Through what do the records go in: how is it started, and how does it say what is safe?"""

import json
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from tests.batch.batches import FORMATS, Batches
from tests.conftest import COMMAND, singer
from tests.torture.interruptions import Interruption

KILLED: Final = -signal.SIGKILL


class Given(msgspec.Struct, frozen=True):
    """What one run is to load."""

    folder: Path
    """The round's own, the same in all its runs: for files of records, or notes of what is done."""
    config: Path
    messages: list[Any]
    """SCHEMA, RECORD and STATE, in order; a STATE's position says how many records come before."""
    whole: list[Any]
    """All that there is to load in the round, from its beginning."""


class Begun(msgspec.Struct, frozen=True):
    """What starts a run, and what it reads on stdin."""

    arguments: list[str]
    stdin: bytes


class Door(Protocol):
    """A process that loads what it is given, and says what is safe."""

    codes: Mapping[Interruption | None, set[int]]
    """The exit codes that may follow an interruption where there is time to settle what was read.
    0 is always one: it came when all was done; the oracle sees whether it was."""
    can_be_unread: bool
    """Whether it ends in time though nobody reads its stdout."""
    reads_stdin: bool
    """Whether it waits for more while that is open and silent."""

    def begin(self, given: Given) -> Begun:
        """Make ready what the run needs."""

    def safe(self, given: Given, said: list[bytes]) -> list[int]:
        """Return the positions that a run called safe, in that order; *said* is its stdout."""


class SingerDoor:
    """The real command, or one with a fault built in."""

    can_be_unread = reads_stdin = True
    codes: Mapping[Interruption | None, set[int]] = {
        None: {0},
        "kill": {KILLED, 0},
        "stop": {0},
        "term": {143, 0},
        "int": {130, 0},
        "stop, term": {143, 0},
        "term, term": {143, 75, 0},
        "int, term": {143, 130, 0},
    }

    def __init__(self, mutant: str | None = None) -> None:
        mutated = [sys.executable, str(Path(__file__).with_name("mutants.py")), str(mutant)]
        self._command = COMMAND if mutant is None else mutated

    def begin(self, given: Given) -> Begun:
        return Begun([*self._command, "--config", str(given.config)], singer(given.messages))

    def safe(self, given: Given, said: list[bytes]) -> list[int]:
        return _positions(said)


class BatchDoor(SingerDoor):
    """The same, by a tap that writes three of four stretches of a stream into files."""

    def begin(self, given: Given) -> Begun:
        folder = Path(tempfile.mkdtemp(prefix="files-", dir=given.folder))
        config = folder / "batch.json"
        config.write_text(json.dumps({"batch_roots": [folder.as_uri()]}))
        begun = super().begin(given)
        said = list(_in_files(given.messages, folder))
        return Begun([*begun.arguments, "--config", str(config)], singer(said))


def _in_files(messages: list[Any], folder: Path) -> Iterator[Any]:
    stretches = groupby(messages, lambda message: (message["type"], message.get("stream")))
    for number, ((kind, stream), stretch) in enumerate(stretches):
        way = number % (len(FORMATS) + 1)
        if kind != "RECORD" or way == len(FORMATS):
            yield from stretch
        else:
            records = [message["record"] for message in stretch]
            batches = Batches(folder / str(number), FORMATS[way], stream)
            yield batches.batch(*filter(None, (records[:1], records[1:])))


class EngineDoor:
    """A program that uses the Engine, and ends at a signal without more ado."""

    can_be_unread = False
    reads_stdin = True
    # Python's own way out, when all is done, gives signals back their power to kill.
    codes: Mapping[Interruption | None, set[int]] = {
        **SingerDoor.codes,
        "term": {143, -signal.SIGTERM, 0},
        "int": {130, -signal.SIGINT, 0},
        "stop, term": {143, -signal.SIGTERM, 0},
        "term, term": {143, -signal.SIGTERM, 0},
        "int, term": {143, 130, -signal.SIGINT, -signal.SIGTERM, 0},
    }

    def begin(self, given: Given) -> Begun:
        driver = str(Path(__file__).with_name("engine_driver.py"))
        return Begun([sys.executable, driver, str(given.config)], singer(given.messages))

    def safe(self, given: Given, said: list[bytes]) -> list[int]:
        return _positions(said)


class LoadDoor:
    """`target-mixpanel load`: each stretch of a stream is a file, the same ones in every run."""

    can_be_unread = reads_stdin = False
    codes: Mapping[Interruption | None, set[int]] = SingerDoor.codes

    def begin(self, given: Given) -> Begun:
        folder = given.folder / "load"
        config = folder / "load.json"
        if not folder.exists():
            (folder / "in").mkdir(parents=True)
            files = list(_written(given.whole, folder / "in"))
            settings = {"files": files, "files_state": str(folder / "state")}
            config.write_text(json.dumps(settings))
        configs = ["--config", str(given.config), "--config", str(config)]
        return Begun([*COMMAND, "load", *configs, str(folder / "in")], b"")

    def safe(self, given: Given, said: list[bytes]) -> list[int]:
        """Return what the notes of all files say together."""
        folder = given.folder / "load"
        notes = [json.loads(path.read_bytes()) for path in (folder / "state").glob("[0-9]*")]
        noted = {note["url"]: note for note in notes}
        position = 0
        for path in sorted((folder / "in").iterdir()):
            note = noted.get(str(path))
            position += note["rows"] if note else 0
            if not note or not note["is_done"]:
                break
        return [position]


def _written(messages: list[Any], folder: Path) -> Iterator[dict[str, Any]]:
    """Write a file for each stretch of a stream; yield what `files` says of it."""
    schemas: dict[str, Any] = {}
    states_apart = (message for message in messages if message["type"] != "STATE")
    stretches = groupby(states_apart, lambda message: (message["type"], message["stream"]))
    for number, ((kind, stream), stretch) in enumerate(stretches):
        if kind == "SCHEMA":
            *_, schemas[stream] = stretch
            continue
        path = folder / f"{number:05}-{stream}.jsonl"
        records = [json.dumps(message["record"]) + "\n" for message in stretch]
        path.write_text("".join(records))
        schema = schemas[stream]
        yield {
            "match": str(path),
            "stream": stream,
            "key": schema["key_properties"],
            "schema": schema["schema"],
        }


DOORS: Final[Mapping[str, type[SingerDoor | EngineDoor | LoadDoor]]] = {
    "singer": SingerDoor,
    "batch": BatchDoor,
    "engine": EngineDoor,
    "load": LoadDoor,
}


def _positions(said: list[bytes]) -> list[int]:
    """Return those of whole lines: a killed run's last one may be torn."""
    return [int(json.loads(line)["position"]) for line in said if line.endswith(b"\n")]
