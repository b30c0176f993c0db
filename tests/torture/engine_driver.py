"""A program that loads with an Engine what stands on stdin, and says on stdout what is safe."""

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from target_mixpanel import Engine, parse_settings
from target_mixpanel.errors import TargetMixpanelError


def leave(number: int, frame: FrameType | None) -> None:
    """As most programs do: nothing more is settled, so nothing more is safe. Once is enough."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def say(position: bytes) -> None:
    os.write(1, position + b"\n")


def load(settings: dict[str, Any]) -> None:
    loaders: dict[str, Any] = {}
    with Engine(parse_settings(settings), on_safe=say) as engine:
        for number, line in enumerate(sys.stdin.buffer):
            message = json.loads(line)
            match message:
                case {"type": "SCHEMA", "stream": name, "schema": schema, "key_properties": key}:
                    loaders[name] = engine.stream(name, schema=schema, key=key)
                case {"type": "RECORD", "stream": name, "record": record} if number % 2:
                    loaders[name].load(record)
                case {"type": "RECORD", "stream": name, "record": record}:
                    loaders[name].load_json(json.dumps(record).encode())
                case _:
                    engine.checkpoint(json.dumps(message["value"]).encode())
        engine.mark_tables_whole()
        engine.finish()


if __name__ == "__main__":
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, leave)
    try:
        load(json.loads(Path(sys.argv[1]).read_bytes()))
    except TargetMixpanelError as error:
        sys.exit(str(error))
