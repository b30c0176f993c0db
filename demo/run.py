"""What does a load look like, from PostgreSQL to Mixpanel's sandbox, all on this machine?"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
import tempfile
import textwrap
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import batch
import files
import postgres
import processes
import sandbox
import shop_database
from comparison import Comparison
from console import Console, StepError
from environments import PROJECT, REPO, Installed, clean_environment
from shop_database import ORDER_EVENTS, ShopDatabase

if TYPE_CHECKING:
    from sandbox import Sandbox

LOAD: Final = ("run", "tap-postgres", "target-mixpanel")

_SAMPLE_WIDTH: Final = 96


@dataclass(frozen=True)
class Stage:
    """Everything that is up, and how to load from one end to the other."""

    console: Console
    source: ShopDatabase
    mixpanel: Sandbox
    meltano: Path
    batches: Path
    """Where a tap may write the files of BATCH messages."""

    def load(self, title: str) -> None:
        """Run the pipeline once."""
        with self.console.step(title) as step:
            processes.run([self.meltano, *LOAD], log=step.log, cwd=PROJECT, env=clean_environment())


def main() -> None:
    """Run the demo; exit with 0 only if everything arrived."""
    options = _options()
    _end_in_order()
    os.umask(0o022)  # as root, PostgreSQL runs as a user who has to read what we install
    installed = Installed()
    installed.logs.mkdir(parents=True, exist_ok=True)
    console = Console(installed.logs)
    try:
        if options.part == "files":
            is_complete = files.demonstrate(console)
        else:
            is_complete = _demonstrate(console, installed, options)
    except StepError:
        sys.exit(1)
    except KeyboardInterrupt:
        console.say("\nStopped. Nothing is left running.")
        sys.exit(130)
    if not is_complete:
        sys.exit("\nNot everything arrived as it should: see DIFFER above.")


def _demonstrate(console: Console, installed: Installed, options: argparse.Namespace) -> bool:
    console.say("PostgreSQL -> Meltano -> target-mixpanel -> a Mixpanel sandbox, all local\n")
    if not installed.is_current:
        with console.step("Install Meltano, tap-postgres and PostgreSQL, once") as step:
            installed.install(step.log)
    with ExitStack() as parts:
        stage = _set(console, installed, parts)
        is_complete = _gain(stage) if options.part == "batch" else _tell(stage)
        if options.keep:
            _wait(stage)
        else:
            console.say("\nTo look at it in a browser: make demo DEMO=--keep")
    return is_complete


def _set(console: Console, installed: Installed, parts: ExitStack) -> Stage:
    folder = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="mixpanel-demo-")))
    folder.chmod(0o711)  # PostgreSQL may run as another user, below it
    with console.step("Start a PostgreSQL of our own") as step:
        server = parts.enter_context(
            postgres.running(installed.site_packages, folder / "postgres", step.log)
        )
    title = f"Fill it: {shop_database.USERS:,} users, {shop_database.ORDERS:,} orders"
    with console.step(title):
        source = ShopDatabase.opened(server)
    with console.step("Start the sandbox") as step:
        mixpanel = parts.enter_context(
            sandbox.running(Path(sys.executable), log=step.log, cwd=REPO)
        )
        step.result = mixpanel.url
    settings = {
        **installed.meltano_settings,
        "DEMO_DATABASE_URL": server.url,
        "DEMO_SANDBOX_URL": mixpanel.url,
        "DEMO_BATCH_FILES": (folder / "batches").as_uri(),
        "MELTANO_DATABASE_URI": f"sqlite:///{folder}/meltano.db",  # it holds the bookmarks
        "TMPDIR": str(folder),
    }
    meltano = _meltano(folder / "meltano", installed, settings)
    return Stage(console, source, mixpanel, meltano, folder / "batches")


def _meltano(script: Path, installed: Installed, settings: dict[str, str]) -> Path:
    """Write a command that runs Meltano on this stage, for us and for whoever looks on."""
    words = [f"{name}={value}" for name, value in settings.items()]
    command = shlex.join(["env", *words, str(installed.meltano), "--cwd", str(PROJECT)])
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    script.chmod(0o700)
    return script


def _gain(stage: Stage) -> bool:
    return batch.gain(stage.console, stage.source, stage.mixpanel, stage.meltano, stage.batches)


def _tell(stage: Stage) -> bool:
    comparison = Comparison(stage.console, stage.source, stage.mixpanel)
    stage.load("meltano run tap-postgres target-mixpanel")
    is_complete = comparison.show()
    changes = (
        f"{shop_database.ADDED:,} rows are added, {shop_database.CHANGED:,} changed, "
        f"{shop_database.DELETED:,} deleted"
    )
    with stage.console.step(changes):
        stage.source.go_on()
    stage.load("meltano run tap-postgres target-mixpanel, again")
    is_complete = comparison.show() and is_complete
    if is_complete:
        stage.console.say("    Everything arrived, and what came twice is counted once.")
    _show_samples(stage)
    return is_complete


def _show_samples(stage: Stage) -> None:
    event = stage.mixpanel.sample(ORDER_EVENTS.title)
    buyer = event["properties"]["distinct_id"] if event else None
    user = stage.mixpanel.user_profiles().get(str(buyer))
    for title, sample in (("An order", event), ("Its buyer's profile", user)):
        if sample is not None:
            stage.console.say(f"\n{title}:")
            text = json.dumps(sample, ensure_ascii=False, default=float)
            for line in textwrap.wrap(text, _SAMPLE_WIDTH, break_on_hyphens=False):
                stage.console.say(f"    {line}")


def _wait(stage: Stage) -> None:
    server = stage.source.server
    stage.console.say(f"\nLook at it:  {stage.mixpanel.url}")
    stage.console.say(f"Query it:    {server.programs / 'psql'} '{server.url}'")
    stage.console.say(f"Load again:  {stage.meltano} {' '.join(LOAD)}")
    stage.console.say("Ctrl-C ends it all and removes the data.")
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Load a small shop's tables into Mixpanel's sandbox with Meltano, twice."
    )
    parser.add_argument(
        "part",
        nargs="?",
        choices=["batch", "files"],
        help="instead, batch: RECORD lines beside BATCH files, and what each takes; "
        "files: objects of a bucket, killed on the way and loaded again",
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave database and sandbox up until Ctrl-C"
    )
    return parser.parse_args()


def _end_in_order() -> None:
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(*_: object) -> NoReturn:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not cut short the end
        raise KeyboardInterrupt

    for number in signals:
        signal.signal(number, interrupt)


if __name__ == "__main__":
    main()
