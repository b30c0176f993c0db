"""The faults page has a row for each number that a test is named after."""

import re
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
ROWS = re.findall(
    r"^\| (\d+) \|.*\| `(tests/[\w/]+\.py)` \|$",
    (REPO / "docs" / "faults.md").read_text(),
    re.MULTILINE,
)
FILES = sorted((REPO / "tests").rglob("test_*.py"))


def numbers_in(text: str) -> set[int]:
    """Return the numbers of `test_fault_1_…` and `test_faults_1_2_…`."""
    names = re.findall(r"def test_faults_((?:\d{1,2}_)+)|def test_fault_(\d{1,2})_", text)
    return {
        int(number) for several, one in names for number in (several + one).split("_") if number
    }


def test_each_number_stands_there_once():
    assert [int(number) for number, _ in ROWS] == list(range(1, 86))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_test_named_after_a_fault_has_its_row(path: Path):
    assert numbers_in(path.read_text()) <= {int(number) for number, _ in ROWS}


@pytest.mark.parametrize(("number", "path"), ROWS)
def test_the_file_named_shows_the_fault(number: str, path: str):
    """By a test's name, a class's, or a case's id."""
    text = (REPO / path).read_text()
    classes = re.findall(r"class TestFaults?([\dAndTo]+)[A-Z]", text)
    ranges = [[int(each) for each in re.findall(r"\d+", name)] for name in classes]
    by_class = any(min(each) <= int(number) <= max(each) for each in ranges if each)

    assert int(number) in numbers_in(text) or by_class
