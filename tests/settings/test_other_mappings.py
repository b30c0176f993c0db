"""Mappings of users, groups and lookup tables mean one thing each, and a mistake is named."""

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_mixpanel.errors import SettingsError
from target_mixpanel.specs import parse_streams
from target_mixpanel.specs.keys import EVENT_KEYS, GROUP_KEYS, LOOKUP_TABLE_KEYS, USER_KEYS
from target_mixpanel.specs.operations import OPERATIONS
from target_mixpanel.specs.spec import (
    ALL_COLUMNS,
    Column,
    Constant,
    DistinctId,
    EventSpec,
    Filters,
    GroupSpec,
    IsOneOf,
    IsSet,
    LookupTableSpec,
    MatchedColumns,
    NamedProperties,
    Place,
    PropertyNames,
    SimplifiedId,
    UserSpec,
    WholeProfile,
)

USERS = {"type": "users", "distinct_id": "id", "properties": "*"}
GROUPS = {"type": "groups", "group_key": "company", "group_id": "id", "properties": "*"}
TABLE = {
    "type": "lookup_table",
    "lookup_table_id": "0b7a1f5e-6c3d-4e2a-9f10-1c2d3e4f5a6b",
    "key": "sku",
    "properties": ["name", "price"],
}
EVENTS = {"time": "at", "distinct_id": "user", "properties": "*"}
CANARY = "c4n4ry"
KEYS = sorted({*EVENT_KEYS, *USER_KEYS, *GROUP_KEYS, *LOOKUP_TABLE_KEYS})

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["set", "add", "unset", "delete", "original", "$email", "a", "*"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["column", "value", "$email", "a"]), inner, max_size=2)
    ),
    max_leaves=5,
)


def spec_of(mapping, **more):
    ((_, (spec,)),) = parse_streams({"s": {**mapping, **more}})
    return spec


def complaint(mapping, **more):
    with pytest.raises(SettingsError) as error:
        spec_of(mapping, **more)
    return str(error.value)


def test_the_designs_users():
    spec = spec_of(
        {
            "type": "users",
            "distinct_id": "id",
            "operation": "set",
            "properties": {"$name": "full_name", "$email": "email"},
        }
    )

    assert spec == UserSpec(
        place="streams.s",
        identity=DistinctId(Column("id")),
        operation=OPERATIONS["set"],
        properties=NamedProperties((("$name", Column("full_name")), ("$email", Column("email")))),
        timezone=UTC,
        delete_when=None,
        ip=None,
    )


def test_users_with_everything():
    spec = spec_of(
        {
            "type": "users",
            "user_id": {"column": "u", "hash": True},
            "device_id": "d",
            "operation": "set_once",
            "properties": "*",
            "exclude": ["password"],
            "timezone": "Europe/Berlin",
            "ip": "address",
            "delete_when": ["row", "deleted_at"],
            "ignore_alias": False,
            "skip_when": {"column": "kind", "is": ["guest", 3]},
            "only_when": {"column": "is_paying"},
        }
    )

    assert spec == UserSpec(
        place="streams.s",
        identity=SimplifiedId(Column("u", is_hashed=True), Column("d")),
        operation=OPERATIONS["set_once"],
        properties=MatchedColumns((ALL_COLUMNS,), exclude=("password",)),
        timezone=ZoneInfo("Europe/Berlin"),
        delete_when=IsSet(Column(("row", "deleted_at"))),
        ignores_alias=False,
        ip=Column("address"),
        filters=Filters(IsOneOf(Column("kind"), ("guest", 3)), IsSet(Column("is_paying"))),
    )


def test_the_designs_groups():
    assert spec_of(GROUPS, operation="union") == GroupSpec(
        place="streams.s",
        group_key="company",
        group_id=Column("id"),
        operation=OPERATIONS["union"],
        properties=MatchedColumns((ALL_COLUMNS,)),
        timezone=UTC,
        delete_when=None,
    )


def test_the_designs_lookup_table():
    assert spec_of(TABLE) == LookupTableSpec(
        place="streams.s",
        lookup_table_id="0b7a1f5e-6c3d-4e2a-9f10-1c2d3e4f5a6b",
        key="sku",
        properties=NamedProperties((("name", Column("name")), ("price", Column("price")))),
        timezone=UTC,
    )


@pytest.mark.parametrize("mapping", [USERS, GROUPS])
def test_the_operation_is_set_if_nothing_is_said(mapping):
    assert spec_of(mapping, operation=None).operation == OPERATIONS["set"]


@pytest.mark.parametrize("mapping", [USERS, GROUPS])
def test_an_unset_names_properties_of_mixpanel(mapping):
    spec = spec_of(mapping, operation="unset", properties=["$email", "Old Plan"])

    assert spec.properties == PropertyNames(("$email", "Old Plan"))


@pytest.mark.parametrize("mapping", [USERS, GROUPS])
def test_a_delete_needs_no_properties(mapping):
    assert spec_of(mapping, operation="delete", properties=None).properties == WholeProfile()


def test_a_stream_may_be_events_and_profiles_at_once():
    ((_, specs),) = parse_streams({"s": [EVENTS, USERS, GROUPS, TABLE]})

    assert [EventSpec, UserSpec, GroupSpec, LookupTableSpec] == [type(spec) for spec in specs]
    assert [f"streams.s[{index}]" for index in range(4)] == [spec.place for spec in specs]


# Mistakes


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        pytest.param(
            {"type": "user"},
            'type: expected one of "events", "users", "groups", "lookup_table"; did you mean '
            '"users"?',
            id="type",
        ),
        pytest.param({"distinct_id": None}, "distinct_id: is missing; name the column", id="no-id"),
        pytest.param({"user_id": "u"}, "has distinct_id beside user_id or device_id", id="two-ids"),
        pytest.param({"distinct_id": {"value": None}}, "distinct_id.value: is null", id="null-id"),
        pytest.param(
            {"operation": "$set"},
            'operation: expected one of "set", "set_once", "add", "append", "union", "remove", '
            '"unset", "delete"; did you mean "set"?',
            id="dollar",
        ),
        pytest.param({"operation": ["set"]}, "operation: expected one of ", id="list"),
        pytest.param({"operatoin": "set"}, 'operatoin: is not known; did you mean "op', id="typo"),
        pytest.param(
            {"time": "at"},
            "time: goes with type events, and this mapping is of type users; leave it out, or "
            "correct type",
            id="t",
        ),
        pytest.param(
            {"group_id": "id"}, "group_id: goes with type groups, and this mapping is", id="group"
        ),
        pytest.param({"properties": None}, 'properties: is missing; write "*", a list', id="none"),
        pytest.param({"properties": []}, "properties: is empty, so no record would say", id="[]"),
        pytest.param({"properties": {}}, "properties: is empty, so no record would say", id="{}"),
        pytest.param(
            {"operation": "unset"}, "properties: expected the list of properties to unset", id="*"
        ),
        pytest.param(
            {"operation": "unset", "properties": {"$email": "email"}},
            "properties: expected the list of properties to unset, by their names in Mixpanel, got "
            "a map",
            id="unset-map",
        ),
        pytest.param(
            {"operation": "unset", "properties": []}, "properties: expected the list of", id="no"
        ),
        pytest.param(
            {"operation": "unset", "properties": [["a", "b"]]},
            "properties: expected the list of properties to unset, by their names in Mixpanel, got "
            "another list",
            id="unset-path",
        ),
        pytest.param(
            {"operation": "unset", "properties": ["a", "a"]},
            'properties: "a" stands there twice',
            id="unset-twice",
        ),
        pytest.param(
            {"operation": "unset", "properties": ["x" * 256]},
            "properties: a name has more than 255 bytes",
            id="unset-long",
        ),
        pytest.param(
            {"operation": "unset", "properties": ["a"], "exclude": ["b"]},
            "exclude: means nothing with operation unset",
            id="unset-exclude",
        ),
        pytest.param(
            {"operation": "unset", "properties": ["a"], "new_columns": "take"},
            "new_columns: means nothing with operation unset",
            id="unset-new-columns",
        ),
        pytest.param(
            {"operation": "delete"}, "properties: means nothing with operation delete", id="delete"
        ),
        pytest.param(
            {"operation": "delete", "properties": None, "exclude": ["a"]},
            "exclude: means nothing with operation delete",
            id="delete-exclude",
        ),
        pytest.param(
            {"operation": "delete", "properties": None, "ip": "ip"},
            "ip: means nothing with operation delete",
            id="delete-ip",
        ),
        pytest.param(
            {"operation": "add", "properties": {"Plays": {"column": "n", "hash": True}}},
            'properties: "Plays" is hashed, and operation add takes numbers only',
            id="add-hash",
        ),
        pytest.param(
            {"delete_when": {"value": True}},
            "delete_when: expected a column name, or {column",
            id="all",
        ),
        pytest.param(
            {"delete_when": {"column": "d", "default": "x"}},
            "delete_when: expected a column name, or {column",
            id="delete-default",
        ),
        pytest.param(
            {"delete_when": {"column": "d", "hash": True}},
            "delete_when: expected a column name, or {column",
            id="delete-hash",
        ),
        pytest.param({"delete_when": 5}, "delete_when: expected a column name, or the", id="5"),
        pytest.param({"ip": {"column": "a", "hash": True}}, "ip.hash: means nothing here", id="ip"),
        pytest.param({"timezone": "Mars"}, 'timezone: "Mars" is not a time zone', id="zone"),
    ],
)
def test_a_mistake_in_users_is_named(mapping, expected):
    text = complaint(USERS, **mapping)

    assert text.startswith((f"streams.s.{expected}", f"streams.s: {expected}"))


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        pytest.param({"group_key": None}, "group_key: is missing; name the property of", id="key"),
        pytest.param({"group_key": " "}, "group_key: is blank", id="blank"),
        pytest.param({"group_key": {"column": "a"}}, "group_key: expected a text, got a", id="map"),
        pytest.param({"group_key": "x" * 256}, "group_key: has more than 255 bytes", id="256"),
        pytest.param({"group_id": None}, "group_id: is missing; name the column that", id="id"),
        pytest.param({"group_id": {"value": None}}, "group_id.value: is null", id="null"),
        pytest.param(
            {"operation": "add"},
            "operation: add is for user profiles only, says Mixpanel's page on profiles; write the "
            "whole value with set, or a list with union",
            id="add",
        ),
        pytest.param({"operation": "append"}, "operation: append is for user profiles", id="ap"),
        pytest.param(
            {"operation": "sett"},
            'operation: expected one of "set", "set_once", "union", "remove", "unset", "delete"',
            id="sett",
        ),
        pytest.param(
            {"ip": "ip"}, "ip: goes with type events or users, and this mapping is of", id="ip"
        ),
        pytest.param({"distinct_id": "a"}, "distinct_id: goes with type events or users", id="did"),
    ],
)
def test_a_mistake_in_groups_is_named(mapping, expected):
    assert complaint(GROUPS, **mapping).startswith(f"streams.s.{expected}")


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        pytest.param({"lookup_table_id": None}, "lookup_table_id: is missing; make the ", id="no"),
        pytest.param({"lookup_table_id": 5}, "lookup_table_id: expected a text, got a num", id="5"),
        pytest.param({"key": None}, "key: is missing; name the column that rows are", id="no-key"),
        pytest.param({"key": {"column": "sku"}}, "key: expected a column name, or the", id="map"),
        pytest.param({"properties": []}, "properties: is empty; a table needs a column", id="[]"),
        pytest.param({"properties": None}, 'properties: is missing; write "*", a list', id="none"),
        pytest.param({"properties": ["a", "a"]}, 'properties: "a" stands there twice', id="twice"),
        pytest.param({"properties": {" ": "a"}}, "properties: a property has a blank name", id=" "),
        pytest.param(
            {"properties": ["sku", "name"]},
            'properties: "sku" is the key\'s column; leave it out, or give the property another '
            "name",
            id="key-again",
        ),
        pytest.param(
            {"key": ["a", "b"], "properties": {"a.b": "c"}},
            'properties: "a.b" is the key\'s column',
            id="key-path-again",
        ),
        pytest.param({"operation": "set"}, "operation: goes with type users or groups", id="op"),
        pytest.param({"keys": "a"}, 'keys: is not known; did you mean "key"?', id="typo"),
    ],
)
def test_a_mistake_in_a_lookup_table_is_named(mapping, expected):
    assert complaint(TABLE, **mapping).startswith(f"streams.s.{expected}")


@pytest.mark.parametrize(
    "table_id",
    ["..", "a/b", "a?b=1", "a#b", "a%2fb", "ä", "a b", "-a", "a\n", "a" * 101, f"{CANARY}/", "."],
)
def test_a_tables_id_is_safe_in_a_path(table_id):
    text = complaint(TABLE, lookup_table_id=table_id)

    assert text == (
        "streams.s.lookup_table_id: is not an id of letters, digits, - and _; copy it from "
        "Mixpanel's Lexicon"
    )


def test_a_forgotten_type_is_named():
    mapping = {key: value for key, value in USERS.items() if key != "type"}

    assert complaint(mapping, operation="set") == (
        "streams.s.operation: goes with type users or groups, and this mapping is of type events; "
        "leave it out, or set type"
    )


@pytest.mark.parametrize("mapping", [USERS, GROUPS])
@pytest.mark.parametrize("operation", ["set", "union", "unset"])
@pytest.mark.parametrize(
    "name",
    ["token", "$token", "$distinct_id", "$group_key", "$group_id", "$ip", "$time", "$set", "$add"],
)
def test_a_profiles_property_is_no_part_of_the_update(mapping, operation, name):
    text = complaint(mapping, operation=operation, properties=[name])

    assert text.startswith(f'streams.s.properties: "{name}" is ')


def test_the_remedy_is_one_that_the_type_has():
    """A group has no ip, nor a user a group."""
    assert "the mapping's ip" in complaint(USERS, properties=["$ip"])
    assert "part of an update" in complaint(GROUPS, properties=["$ip"])
    assert "part of an update" in complaint(USERS, properties=["$group_id"])


# Identity events

IDENTIFY = {"$identified_id": "user", "$anon_id": "cookie"}


@pytest.mark.parametrize("event", ["$identify", "$create_alias", "$merge"])
@pytest.mark.parametrize("identity", [None, "simplified"])
@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("event", lambda event: event),
        ("event_from", lambda event: {"value": event}),
        ("event_from", lambda event: {"column": "kind", "default": event}),
    ],
)
def test_an_identity_event_needs_original_identity_merge(event, identity, key, written):
    """Else Mixpanel refuses the whole request."""
    text = complaint(EVENTS, identity=identity, **{key: written(event)})

    assert text == (
        f'streams.s.{key}: "{event}" is an identity event, for which a project with simplified '
        "identity merge refuses the whole request; set identity: original if the project's merge "
        "is original"
    )


@pytest.mark.parametrize(
    ("event", "properties"),
    [
        ("$identify", IDENTIFY),
        ("$create_alias", {"alias": "email"}),
        ("$merge", {"$distinct_ids": "pair"}),
    ],
)
def test_an_identity_event_with_its_ids(event, properties):
    spec = spec_of(EVENTS, event=event, identity="original", properties=properties)

    assert spec.is_original_identity
    assert spec.event == Constant(event)


@pytest.mark.parametrize(
    ("event", "properties", "missing"),
    [
        pytest.param("$identify", "*", '"$identified_id", "$anon_id"', id="all-takes-no-dollars"),
        pytest.param("$identify", {"$anon_id": "c"}, '"$identified_id"', id="one-of-two"),
        pytest.param("$merge", ["a"], '"$distinct_ids"', id="merge"),
        pytest.param("$create_alias", {"alias": {"value": None}}, '"alias"', id="null"),
    ],
)
def test_an_identity_event_without_its_ids_is_refused(event, properties, missing):
    """Mixpanel would take it, and ignore it."""
    text = complaint(EVENTS, event=event, identity="original", properties=properties)

    assert text == f'streams.s.event: "{event}" needs {missing}; map each by name in properties'


def test_original_identity_has_one_id():
    text = complaint(EVENTS, distinct_id=None, user_id="u", identity="original")

    assert text.startswith("streams.s.identity: is original, and user_id and device_id are of ")


def test_identity_is_simplified_if_nothing_is_said():
    assert not spec_of(EVENTS, event="Paid").is_original_identity


# Whatever is written


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([USERS, GROUPS, TABLE, EVENTS]),
    st.dictionaries(st.sampled_from([*KEYS, "x"]), JSON, max_size=3),
)
def test_whatever_is_written_is_a_mapping_or_named(mapping, more):
    try:
        spec_of(mapping, **more)
    except SettingsError as error:
        assert str(error).startswith("streams.s")  # noqa: PT017 (some are mappings)
        assert str(error).isprintable()  # noqa: PT017


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([USERS, GROUPS, TABLE]),
    st.sampled_from([key for key in KEYS if key != "timezone"]),
    st.sampled_from([CANARY, [CANARY, 1], {"value": [CANARY]}, {"column": 5, "value": CANARY}]),
)
def test_no_message_shows_a_value(mapping, key, value):
    """It may be a secret in the wrong place."""
    try:
        spec_of(mapping, **{key: value})
    except SettingsError as error:
        assert CANARY not in str(error)  # noqa: PT017


@pytest.mark.parametrize("mapping", [USERS, GROUPS], ids=["users", "groups"])
def test_a_null_clears_unless_the_mapping_says_otherwise(mapping):
    assert [spec_of(mapping).nulls, spec_of(mapping, nulls="unset").nulls] == ["clear", "unset"]
    assert complaint(mapping, nulls="drop").startswith('streams.s.nulls: expected one of "clear", ')
    assert complaint(mapping, nulls="keep", operation="union") == (
        "streams.s.nulls: goes with operation set only; with union a null says nothing, so leave "
        "it out"
    )


def test_a_user_has_a_place_and_may_have_been_seen():
    spec = spec_of(USERS, latitude="lat", longitude=["geo", "lon"], updates_last_seen=True)

    assert (spec.located_at, spec.updates_last_seen) == (
        Place(Column("lat"), Column(("geo", "lon"))),
        True,
    )


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"latitude": "lat"}, "latitude: latitude and longitude go together; name the columns of "),
        ({"longitude": "lon"}, "longitude: latitude and longitude go together; name the columns "),
        ({"updates_last_seen": "no"}, "updates_last_seen: expected true or false, got a text"),
        (
            {"operation": "delete", "properties": None, "updates_last_seen": True},
            "updates_last_seen: means nothing with operation delete; leave it out",
        ),
        (
            {"properties": {"$ignore_time": {"value": True}}},
            'properties: "$ignore_time" is set by the mapping\'s updates_last_seen; leave it ',
        ),
        (
            {"properties": {"$latitude": "lat"}},
            'properties: "$latitude" is set by the mapping\'s latitude; leave it out here, ',
        ),
    ],
)
def test_what_stands_around_an_update_has_keys_of_its_own(more, expected):
    assert complaint(USERS, **more).startswith(f"streams.s.{expected}")
