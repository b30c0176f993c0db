"""A mapping's sources are found in one place, whatever its type and wherever they are written."""

import msgspec
import pytest

from target_mixpanel.specs.columns import all_sources, id_sources, own_sources
from target_mixpanel.specs.spec import Column, Constant, LookupTableSpec
from tests.mapping.making import written

USERS = {"type": "users", "distinct_id": "whose", "properties": "*"}
GROUPS = {"type": "groups", "group_key": "company", "group_id": "whose", "properties": "*"}
TABLE = {"type": "lookup_table", "lookup_table_id": "t", "key": "k", "properties": "*"}
EVENTS = {"time": "at", "distinct_id": "who", "properties": "*"}
SIMPLIFIED = {"distinct_id": None, "user_id": "u", "device_id": "d"}
MAPPINGS = pytest.mark.parametrize(
    ("mapping", "ids", "rest"),
    [
        pytest.param(EVENTS, "who", "at", id="events"),
        pytest.param({**EVENTS, "event_from": "e", "ip": "ip"}, "who", "at e ip", id="all-events"),
        pytest.param({**EVENTS, **SIMPLIFIED}, "u d", "at", id="simplified"),
        pytest.param({**EVENTS, **SIMPLIFIED, "device_id": None}, "u", "at", id="a-user-alone"),
        pytest.param(USERS, "whose", "", id="users"),
        pytest.param({**USERS, "ip": "ip", "delete_when": "x"}, "whose", "ip x", id="all-users"),
        pytest.param({**USERS, **SIMPLIFIED}, "u d", "", id="simplified-users"),
        pytest.param(GROUPS, "whose", "", id="groups"),
        pytest.param({**GROUPS, "delete_when": "x"}, "whose", "x", id="all-groups"),
        pytest.param(TABLE, "", "k", id="lookup-table"),
    ],
)
PROPERTIES = {"A": "a", "B": ["b", "c"], "C": {"column": "d.e", "default": 0}, "D": {"value": 1}}


def paths(sources):
    return sorted(str(source.path) for source in sources if isinstance(source, Column))


def within(part):
    """Yield every source there is anywhere in a spec."""
    if isinstance(part, Column | Constant):
        yield part
    elif isinstance(part, msgspec.Struct):
        yield from within(msgspec.structs.astuple(part))
    elif isinstance(part, tuple):
        for each in part:
            yield from within(each)


@MAPPINGS
def test_its_own_sources_say_who_when_and_which(mapping, ids, rest):
    spec = written(mapping)

    assert paths(own_sources(spec)) == sorted(f"{ids} {rest}".split())
    if not isinstance(spec, LookupTableSpec):
        assert paths(id_sources(spec)) == sorted(ids.split())


@MAPPINGS
def test_properties_add_theirs(mapping, ids, rest):
    """A spec is searched through, so a key that is new and forgotten is found here."""
    spec = written({**mapping, "properties": PROPERTIES})
    found = list(all_sources(spec))

    assert paths(found) == sorted([*f"{ids} {rest}".split(), "a", "('b', 'c')", "d.e"])
    assert set(within(spec)) <= set(found)


@pytest.mark.parametrize(
    ("insert_id", "read"), [(None, []), ("i", ["i"]), (["i", "j"], ["i", "j"])]
)
def test_an_insert_id_reads_columns_that_stay_properties(insert_id, read):
    spec = written({**EVENTS, "insert_id": insert_id})

    assert paths(own_sources(spec)) == ["at", "who"]
    assert paths(all_sources(spec)) == sorted(["at", "who", *read])


@pytest.mark.parametrize("mapping", [EVENTS, USERS, GROUPS, TABLE])
def test_conditions_read_columns_that_stay_properties(mapping):
    asked = {"skip_when": "s", "only_when": {"column": ["o", "p"], "is": [1]}}
    spec, without = written({**mapping, **asked}), written(mapping)

    assert own_sources(spec) == own_sources(without)
    assert paths(all_sources(spec)) == sorted([*paths(all_sources(without)), "s", "('o', 'p')"])


@pytest.mark.parametrize("operation", ["unset", "delete"])
def test_names_alone_are_no_sources(operation):
    properties = {"unset": ["whose", "a"], "delete": None}[operation]
    spec = written({**USERS, "operation": operation, "properties": properties})

    assert paths(all_sources(spec)) == ["whose"]
