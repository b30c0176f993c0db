"""Torture the loader for as long as asked: python -m tests.torture --seed N | --minutes M."""

import argparse
import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import get_args

from tests.torture.door import SingerDoor
from tests.torture.mutants import MUTANTS
from tests.torture.rounds import Figures, play
from tests.torture.schedule import Profile, drawn


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--minutes", type=float, help="instead of --rounds")
    parser.add_argument("--profile", choices=get_args(Profile), default="mixed")
    parser.add_argument("--mutant", choices=MUTANTS)
    asked = parser.parse_args()
    figures = Figures()
    end = time.monotonic() + 60 * (asked.minutes or 0)
    failed = 0
    for seed in itertools.count(asked.seed):
        is_over = seed >= asked.seed + asked.rounds
        if time.monotonic() >= end if asked.minutes else is_over:
            break
        with tempfile.TemporaryDirectory() as folder:
            broken = play(
                drawn(seed, asked.profile), SingerDoor(asked.mutant), Path(folder), figures
            )
        if broken:
            failed += 1
            replay = f"--seed {seed} --profile {asked.profile}" + (
                f" --mutant {asked.mutant}" if asked.mutant else ""
            )
            print(f"seed {seed}: python -m tests.torture {replay}", *broken[:5], sep="\n  ")  # noqa: T201 (its output)
    print(figures.told())  # noqa: T201 (its output)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
