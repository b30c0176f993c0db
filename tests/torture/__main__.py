"""Torture the loader for as long as asked: python -m tests.torture --seed N | --minutes M."""

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from tests.torture.door import DOORS, SingerDoor
from tests.torture.figures import Figures
from tests.torture.mutants import MUTANTS
from tests.torture.rounds import play
from tests.torture.schedule import Profile, drawn

PROFILES: tuple[Profile, ...] = get_args(Profile)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--rounds", type=int, default=1, help="of each profile and door")
    parser.add_argument("--minutes", type=float, help="instead of --rounds")
    parser.add_argument("--profile", choices=PROFILES, help="all of them by default")
    parser.add_argument("--door", choices=DOORS, help="all of them by default")
    parser.add_argument("--mutant", choices=MUTANTS, help="a fault in the Singer door")
    asked = parser.parse_args()
    figures = Figures()
    failed = 0
    for seed, profile, name in _rounds(asked):
        door = SingerDoor(asked.mutant) if asked.mutant else DOORS[name]()
        with tempfile.TemporaryDirectory() as folder:
            broken = play(drawn(seed, profile), door, Path(folder), figures)
        if broken:
            failed += 1
            replay = f"--seed {seed} --profile {profile} --door {name}" + (
                f" --mutant {asked.mutant}" if asked.mutant else ""
            )
            print(f"python -m tests.torture {replay}", *broken[:5], sep="\n  ", flush=True)  # noqa: T201 (its output)
    print(figures.told())  # noqa: T201 (its output)
    return 1 if failed else 0


def _rounds(asked: argparse.Namespace) -> Iterator[tuple[int, Profile, str]]:
    """Yield seed, profile and door of each round, until there were enough or the time is up."""
    end = time.monotonic() + 60 * (asked.minutes or 0)
    doors = [asked.door] if asked.door else ["singer"] if asked.mutant else list(DOORS)
    profiles = [asked.profile] if asked.profile else PROFILES
    for seed in itertools.count(asked.seed):
        if not asked.minutes and seed >= asked.seed + asked.rounds:
            return
        for profile, door in itertools.product(profiles, doors):
            if asked.minutes and time.monotonic() >= end:
                return
            yield seed, profile, door


if __name__ == "__main__":
    sys.exit(main())
