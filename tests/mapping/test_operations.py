"""A profile operation is what one table says: to the parser, to the mapping and in the README."""

import re
from pathlib import Path

import pytest

from target_mixpanel.errors import SettingsError, listed
from target_mixpanel.pipeline.pipeline import StreamPipeline
from target_mixpanel.specs.operations import DELETE, OPERATIONS
from tests.mapping.making import decode, open_columns, profiles_of, stream_schema_of, written

USERS = {"type": "users", "distinct_id": "id"}
GROUPS = {"type": "groups", "group_key": "company", "group_id": "id"}
TYPES = pytest.mark.parametrize("mapping", [USERS, GROUPS], ids=["users", "groups"])
README = (Path(__file__).parents[2] / "README.md").read_text()
ABOUT_USERS = README.partition("\n### Users\n")[2].partition("\n### Groups\n")[0]

PROPERTIES = {"values": ["a"], "names": ["a"], "nothing": None}
"""What a mapping may say, by what its operation takes."""

OPERANDS = {"values": {"a": 5}, "names": ["a"], "nothing": None}
"""What a record with 5 in that column becomes."""

SEVERAL = {"a": [5]}
"""The same, where one value counts as a list of one."""


def mapping_of(mapping, operation):
    properties = PROPERTIES[operation.takes]
    return {**mapping, "operation": operation.name, "properties": properties}


def of(mapping):
    """Return the operations that mappings of this type have."""
    return [each for each in OPERATIONS.values() if mapping is USERS or each.is_for_groups]


@TYPES
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_each_is_parsed(mapping, operation):
    if operation in of(mapping):
        assert written(mapping_of(mapping, operation)).operation is operation
    else:
        with pytest.raises(SettingsError, match=rf"operation: {operation.name} is for user"):
            written(mapping_of(mapping, operation))


@TYPES
def test_what_is_none_is_told_those_there_are(mapping):
    with pytest.raises(SettingsError) as error:
        written({**mapping, "operation": "?", "properties": ["a"]})

    assert listed([operation.name for operation in of(mapping)]) in str(error.value)


@TYPES
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_each_is_no_property(mapping, operation):
    with pytest.raises(SettingsError, match="is part of an update"):
        written({**mapping, "properties": {operation.key: "a"}})


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_each_is_mapped(operation):
    plan = profiles_of(mapping_of(USERS, operation), open_columns("id", "a"))
    expected = SEVERAL if operation.value == "several" else OPERANDS[operation.takes]

    update = plan.map({"id": "u", "a": 5}).update

    assert {"$distinct_id": "u", operation.key: expected} == {
        key: value for key, value in update.items() if not key.startswith("$ignore_")
    }
    assert ("$ignore_alias" in update) == (operation == DELETE)
    assert ("$ignore_time" in update) == (operation != DELETE)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_each_says_whether_it_may_be_sent_again(operation):
    spec = written(mapping_of(USERS, operation))
    pipeline = StreamPipeline([spec], stream_schema_of(open_columns("id", "a")))
    (row,) = pipeline.run({"id": "u", "a": 5})

    assert operation.key in decode(row.body)
    assert operation.is_repeatable == row.is_repeatable


@TYPES
def test_the_readmes_example_lists_them(mapping):
    names = [operation.name for operation in of(mapping)]
    example = README.partition(f"type: {mapping['type']}\n")[2]
    (comment,) = re.findall(r"operation: set +# (.*)", example)[:1]

    assert f"{', '.join(names[:-1])} or {names[-1]}" == comment


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_each_is_described_in_the_readme(operation):
    assert f"`{operation.name}`" in ABOUT_USERS


def test_the_readme_says_which_do_more_when_they_are_done_twice():
    names = [f"`{each.name}`" for each in OPERATIONS.values() if not each.is_repeatable]

    assert f"changes nothing, but for {' and '.join(names)} |" in README
    assert f"**{' and '.join(names)} do more when they are done twice.**" in ABOUT_USERS
