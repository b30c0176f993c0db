"""Which JSON comes in? Ordinary values, and those that parsers disagree about."""

from typing import Final

from hypothesis import strategies as st

from tests.fuzz.targets import CANARY

TEXTS: Final = st.sampled_from(
    [
        "",
        " ",
        "a",
        "b.c",
        "é",
        "\u2028",
        "\x00",
        "\U0001f600",
        "2026-09-01",
        "2026-09-01T10:00:00.123456789+05:30",
        "2026-08-31T24:00",
        "2026-06-30T23:59:60Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "1788256800",
        "1788256800123",
        "20260901",
        "null",
        "$device:",
        "x" * 254,
        "x" * 300,
        f"{CANARY}!",
    ]
) | st.text(max_size=12)
NUMBERS: Final = st.sampled_from(
    [0, -0.0, 1, -1, 2**53, 2**53 + 1, 2**64, 10**300, 0.1, 1e22, 5e-324, 1_788_256_800]
) | (st.integers() | st.floats(allow_nan=False, allow_infinity=False))
SCALARS: Final = st.none() | st.booleans() | NUMBERS | TEXTS
JSON: Final = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXTS | st.just("a"), inner, max_size=4)
    ),
    max_leaves=10,
)

ODD_VALUES: Final = [
    b"1e400",
    b"-1E-400",
    b"0.1000000000000000055511151231257827021181583404541015625",
    b"1" * 400,
    b"1" * 4_200,
    b"9" * 5_000,
    b"1e5000",
    b"1.5e99999999999",
    b"NaN",
    b"-Infinity",
    b'"\\ud800"',
    b'"\\ud83d\\ude00"',
    b'"\xff"',
    b'"\x01"',
    b"[" * 300 + b"]" * 300,
    b"[" * 900 + b"]" * 900,
    b'{"a":' * 5 + b"1" + b"}" * 5,
    b"[" * 5_000 + b"]" * 5_000,
    b"[" + b"0," * 260 + b"0]",
    b"{" + b",".join(b'"%d":0' % n for n in range(260)) + b"}",
    b'{"a":1,"a":2}',
    b"",
]
"""Values that Python's json does not write, or not so."""

SPELLINGS: Final = st.sampled_from(ODD_VALUES)
