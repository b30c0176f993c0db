"""The demo says DIFFER, and so ends with an error, whatever it is that differs."""

import io
import sys
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

DEMO = Path(__file__).parents[2] / "demo"
MODULES = ("comparison", "console", "postgres", "sandbox", "shop", "shop_database", "processes")

PROFILES = {"7": {"$name": "Ada", "Bought": ["b", "a"]}}
COMPANIES = {"c-1": {"Seats": 5}}
ROWS = {"a": {"sku": "a", "price": Decimal("7.9")}}


@pytest.fixture
def demo(monkeypatch):
    """The demo's modules, which know each other by their bare names."""
    monkeypatch.syspath_prepend(DEMO)
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    import comparison  # noqa: PLC0415 (after the path is set)
    import console  # noqa: PLC0415
    import sandbox  # noqa: PLC0415
    import shop_database  # noqa: PLC0415

    yield SimpleNamespace(
        comparison=comparison, console=console, sandbox=sandbox, database=shop_database
    )
    for name in MODULES:
        sys.modules.pop(name, None)


def shown(demo, tmp_path, **changes):
    """Return the verdict and what is printed, where *changes* are what Mixpanel says instead."""
    database = demo.database
    values = {
        database.USER_PROFILES: {"7": '{"$name": "Ada", "Bought": ["a", "b"]}'},
        database.COMPANY_PROFILES: {"c-1": '{"Seats": 5}'},
        database.PRODUCT_TABLE: {"a": '{"sku": "a", "price": 7.90}'},
    }
    source = SimpleNamespace(
        to_send=lambda _, bookmarks: 2 if bookmarks else 3,
        bookmarks=lambda: {"users": "then"},
        there=lambda _: 1,
        values=values.get,
        revenue=lambda: Decimal("9.50"),
    )
    answers = {
        "events": demo.sandbox.Arrived(3, 1, 1),
        "users": demo.sandbox.Arrived(3, 1),
        "groups": demo.sandbox.Arrived(3, 1),
        "table": demo.sandbox.Arrived(3, 1),
        "user_profiles": PROFILES,
        "group_profiles": COMPANIES,
        "table_rows": ROWS,
        "total": Decimal("9.5"),
        **changes,
    }
    mixpanel = SimpleNamespace(
        **{name: lambda *_, answer=answer: answer for name, answer in answers.items()}
    )
    out = io.StringIO()
    comparison = demo.comparison.Comparison(demo.console.Console(tmp_path, out), source, mixpanel)
    return comparison.show(), out.getvalue(), comparison


def test_what_is_equal_agrees(demo, tmp_path):
    """A number is the same however it is spelled, and a union is a set."""
    is_equal, text, _ = shown(demo, tmp_path)

    assert is_equal
    assert "DIFFER" not in text


@pytest.mark.parametrize("name", ["events", "users", "groups", "table"])
@pytest.mark.parametrize("counts", [(2, 1), (4, 1), (3, 0), (3, 2)])
def test_a_count_that_differs_is_seen(demo, tmp_path, name, counts):
    is_equal, text, _ = shown(demo, tmp_path, **{name: demo.sandbox.Arrived(*counts)})

    assert not is_equal
    assert "DIFFER" in text


def test_events_that_compaction_would_merge_are_seen(demo, tmp_path):
    """Reports show them on the first day, and no longer on the next."""
    is_equal, text, _ = shown(demo, tmp_path, events=demo.sandbox.Arrived(3, 1, compacted=0))

    assert not is_equal
    assert text.count("DIFFER") == 2


def test_raw_rows_reports_and_what_compaction_leaves_are_shown(demo, tmp_path):
    """What is no event is never compacted."""
    _, text, _ = shown(demo, tmp_path, events=demo.sandbox.Arrived(3, 1, 1))
    head, orders, _, users, *_ = (line.split("  ") for line in text.splitlines())
    columns = [[cell.strip() for cell in line if cell.strip()] for line in (head, orders, users)]

    assert columns[0][2:] == ["received", "in reports", "compacted"]
    assert columns[1][1:] == ["1", "3", "3", "1", "1", "agree"]
    assert columns[2][1:] == ["1", "3", "3", "1", "agree"]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"user_profiles": {}}, id="no-user"),
        pytest.param({"user_profiles": {**PROFILES, "8": {}}}, id="one-more"),
        pytest.param({"user_profiles": {"7": {"$name": "Ada", "Bought": ["a"]}}}, id="union"),
        pytest.param({"user_profiles": {"7": {**PROFILES["7"], "Plan": "pro"}}}, id="property"),
        pytest.param({"group_profiles": {"c-1": {"Seats": 6}}}, id="group"),
        pytest.param({"table_rows": {"a": {"sku": "a", "price": Decimal("7.8")}}}, id="row"),
        pytest.param({"total": Decimal("9.51")}, id="revenue"),
    ],
)
def test_a_value_that_differs_is_seen(demo, tmp_path, changes):
    is_equal, text, _ = shown(demo, tmp_path, **changes)

    assert not is_equal
    assert text.count("DIFFER") == 1


def test_what_is_sent_adds_up_over_the_loads(demo, tmp_path):
    """The second load sends what is new since the first, and Mixpanel has received both."""
    _, _, comparison = shown(demo, tmp_path)

    assert not comparison.show()
    for name in ("events", "users", "groups", "table"):
        setattr(comparison.mixpanel, name, lambda *_: demo.sandbox.Arrived(7, 1))
    assert comparison.show()
