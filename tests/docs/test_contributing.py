"""A contributor finds the house as it is drawn: layers, files, and the tests of each promise."""

import re
import tomllib
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
PAGE = (REPO / "CONTRIBUTING.md").read_text()
PACKAGE = REPO / "target_mixpanel"
(HOUSE,) = re.findall(r"^```text\n(singer/.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def layers() -> list[list[str]]:
    """Return the layers that import-linter holds, from the top, those of today only."""
    contracts = tomllib.loads((REPO / "pyproject.toml").read_text())["tool"]["importlinter"]
    (first, *_) = (one for one in contracts["contracts"] if one["type"] == "layers")
    return [
        [name for name in re.split(r" [|:] ", layer) if not name.startswith("(")]
        for layer in first["layers"]
    ]


def test_the_layers_drawn_are_those_that_are_checked():
    """From the top down; the sandbox, which knows nobody, last."""
    drawn = [line for line in HOUSE.splitlines() if re.match(r"[a-z]", line)]
    folders = [re.findall(r"([a-z]+)/(?=\s|$)", line) for line in drawn]
    files = [re.findall(r"([a-z]+)\.py", line) for line in drawn]
    names = [
        set(of_folders or of_files) for of_folders, of_files in zip(folders, files, strict=True)
    ]

    assert [set(layer) for layer in layers() if layer] == names


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?)`", PAGE)))
)
def test_each_file_named_is_there(path):
    """`tests/…` from the top, others in the package."""
    assert (REPO / path).exists() or (PACKAGE / path).exists()


def test_each_file_drawn_is_there():
    drawn = re.findall(r"([a-z_]+\.py)", HOUSE)
    there = {path.name for path in PACKAGE.rglob("*.py")}

    assert drawn
    assert set(drawn) <= there


def test_each_question_is_asked_in_the_first_line():
    """A file says what it answers; only packages and the entry point may be shorter."""
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        assert text.startswith('"""'), path
