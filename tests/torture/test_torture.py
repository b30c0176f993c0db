"""Interrupted and refused at random, the loader keeps its promises; one with a fault is seen."""

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest

from tests.torture.door import DOORS, SingerDoor
from tests.torture.figures import Figures
from tests.torture.interruptions import Interruption
from tests.torture.mutants import MUTANTS
from tests.torture.rounds import play
from tests.torture.schedule import FAULTS, Kind, Outage, Profile, drawn

SEEDS: Mapping[str, Mapping[Profile, range]] = {
    "singer": {
        "mixed": range(1, 5),
        "signals": range(1, 3),
        "kills": range(1, 3),
        "deadlines": range(1, 4),
    },
    "engine": {
        "mixed": range(1, 3),
        "signals": range(1, 2),
        "kills": range(1, 2),
        "deadlines": range(1, 2),
    },
}
ROUNDS = [
    (door, profile, seed)
    for door, profiles in SEEDS.items()
    for profile, seeds in profiles.items()
    for seed in seeds
]
MOST_SEEDS = 12
SHOWN_BY: dict[str, Profile] = {"rest-lost-at-a-signal": "signals", "settled-too-early": "kills"}
"""What would be a rare find in a mixed round."""


def tortured(seed: int, profile: Profile, folder: Path, mutant: str | None = None) -> list[str]:
    return play(drawn(seed, profile), SingerDoor(mutant), folder, Figures())


@pytest.mark.parametrize(("door", "profile", "seed"), ROUNDS)
def test_no_promise_is_broken(tmp_path: Path, door: str, profile: Profile, seed: int):
    assert play(drawn(seed, profile), DOORS[door](), tmp_path, Figures()) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1_000, 1_020))
@pytest.mark.parametrize("profile", get_args(Profile))
@pytest.mark.parametrize("door", DOORS)
def test_no_promise_is_broken_in_many_rounds(
    tmp_path: Path, door: str, profile: Profile, seed: int
):
    assert play(drawn(seed, profile), DOORS[door](), tmp_path, Figures()) == []


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


def test_the_profiles_draw_every_kind_of_input_and_interruption():
    """Or a share that is 0 by mistake would be missed by nobody."""
    schedules = [drawn(seed, profile) for seed in range(60) for profile in get_args(Profile)]
    runs = [run for schedule in schedules for run in schedule.runs]

    assert {item.kind for schedule in schedules for item in schedule.items} == set(get_args(Kind))
    assert {run.interruption for run in runs} == {None, *get_args(Interruption)}
    assert {run.outage for run in runs} == {None, *get_args(Outage)}
    assert {kind for schedule in schedules for kind in schedule.kinds} == {"", *FAULTS}
    assert any(run.silent_after is not None for run in runs)
    assert any(run.is_unread for run in runs)
    assert any(schedule.restarts for schedule in schedules)
    assert any(schedule.schema_changes for schedule in schedules)
