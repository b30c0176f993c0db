"""What the properties of mappings draw: columns and values, mappings, keys."""

from decimal import Decimal

from hypothesis import strategies as st

NUMBERS = st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=8,
)
IDS = (
    st.sampled_from(["u", 5, "", "NULL", "$device:d", "$device:null", "x" * 250, "x" * 256]) | JSON
)
TIMES = st.sampled_from(
    [
        "2026-09-01",
        "2026-08-31T24:00+02:00",
        "2026-09-21T14:00",
        "1788256800",
        "1712013000000",
        1_788_256_800_123,
        Decimal("1788256800.5"),
        "1970-06-01",
        "2099-01-01",
        "soon",
        "",
    ]
)
COLUMN_SCHEMAS = st.sampled_from(
    [
        {},
        True,
        {"type": "string"},
        {"type": ["null", "string"], "format": "date-time"},
        {"type": "string", "format": "date"},
        {"type": "integer"},
        {"type": ["number", "null"]},
        {"type": "boolean"},
        {"type": "object"},
        {"type": "array", "items": {"type": "integer"}},
        {"anyOf": [{"type": "string", "format": "date-time"}, {"enum": [5, "x"]}]},
    ]
)
NAMES = st.sampled_from(["a", "b.c", "time", "token", "$insert_id", "ip", "mp_x", "é", "$os"])
IDENTITIES = st.sampled_from(
    [
        {"distinct_id": "user"},
        {"distinct_id": {"column": "user", "default": ""}},
        {"distinct_id": {"column": "user", "hash": True}},
        {"distinct_id": {"value": ""}},
        {"distinct_id": None, "user_id": "user"},
        {"distinct_id": None, "device_id": "user"},
        {"distinct_id": None, "user_id": "user", "device_id": "device"},
        {"distinct_id": {"column": "user", "nobody": ["u", 5]}},
        {"distinct_id": None, "user_id": {"column": "user", "nobody": ["u"]}, "device_id": "id"},
    ]
)
MAPPINGS = st.fixed_dictionaries(
    {
        "properties": st.sampled_from(
            ["*", ["id"], {"A": "any", "B": {"value": [1, {"a": 2**60}]}, "C": ["any", "deep"]}]
        ),
        "event": st.sampled_from([None, "Order Placed"]),
        "ip": st.sampled_from([None, "any"]),
        "insert_id": st.sampled_from(
            [None, "id", "any", ["id", "at"], ["any"], [{"column": "any", "default": 7}, "id"]]
        ),
        "time_unit": st.sampled_from(["auto", "s", "ms"]),
        "timezone": st.sampled_from(["UTC", "Europe/Berlin"]),
    }
)
KEYS = st.sampled_from([(), ("id",), ("id", "at")])
