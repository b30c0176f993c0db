"""Interrupted and refused at random, the loader keeps its promises; one with a fault is seen."""

from pathlib import Path
from typing import get_args

import pytest

from tests.torture.door import SingerDoor
from tests.torture.mutants import MUTANTS
from tests.torture.rounds import Figures, play
from tests.torture.schedule import Profile, drawn

SEEDS: dict[Profile, range] = {"mixed": range(1, 7), "signals": range(1, 4), "kills": range(1, 5)}
ROUNDS = [(profile, seed) for profile, seeds in SEEDS.items() for seed in seeds]
MOST_SEEDS = 12
SHOWN_BY: dict[str, Profile] = {"rest-lost-at-a-signal": "signals", "settled-too-early": "kills"}
"""What would be a rare find in a mixed round."""


def tortured(seed: int, profile: Profile, folder: Path, mutant: str | None = None) -> list[str]:
    return play(drawn(seed, profile), SingerDoor(mutant), folder, Figures())


@pytest.mark.parametrize(("profile", "seed"), ROUNDS)
def test_no_promise_is_broken(tmp_path: Path, profile: Profile, seed: int):
    assert tortured(seed, profile, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1_000, 1_020))
@pytest.mark.parametrize("profile", get_args(Profile))
def test_no_promise_is_broken_in_many_rounds(tmp_path: Path, profile: Profile, seed: int):
    assert tortured(seed, profile, tmp_path) == []


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_fault_is_seen_by_a_seed_that_the_loader_passes(tmp_path: Path, mutant: str):
    """Threads take turns as they like, so one seed may miss what the next one shows."""
    profile = SHOWN_BY.get(mutant, "mixed")
    for seed in range(1, MOST_SEEDS + 1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        if tortured(seed, profile, folder, mutant):
            sound = tmp_path / "sound"
            sound.mkdir()
            assert tortured(seed, profile, sound) == []
            return
    pytest.fail(f"{mutant}: none of {MOST_SEEDS} seeds shows it")
