"""Which operations on profiles are there, and what is each like?"""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

OperandKind: TypeAlias = Literal["values", "names", "nothing"]
"""What a mapping's properties give it: a value for each, the names alone, or nothing, where the
whole profile is meant."""

ValueKind: TypeAlias = Literal["any", "number", "single", "several"]
"""What it takes for a value: whatever a property may be; a number; one value, no list; or texts and
numbers, one or a list of them."""


class Operation(msgspec.Struct, frozen=True):
    """One way to change a profile."""

    name: str
    """As a mapping says it; in an update there is a `$` before it."""
    takes: OperandKind = "values"
    value: ValueKind = "any"
    """Of an operation that takes values."""
    is_for_groups: bool = True
    """Whether profiles of groups have it, too."""
    is_repeatable: bool = True
    """Whether applying it twice is the same as once; if not, it is never blindly sent again."""

    may_delete: bool = False
    """Whether some records may delete the whole profile instead: the others then write it anew."""

    @property
    def key(self) -> str:
        """What it is called in an update."""
        return f"${self.name}"


SET: Final = Operation("set", may_delete=True)
"""What a mapping means that names no operation."""

DELETE: Final = Operation("delete", takes="nothing", may_delete=True)
"""What `delete_when` asks for, whatever the operation."""

UNSET: Final = Operation("unset", takes="names")
"""What `nulls: unset` asks for, beside the operation."""

OPERATIONS: Final[Mapping[str, Operation]] = {
    operation.name: operation
    for operation in (
        SET,
        Operation("set_once", may_delete=True),
        Operation("add", value="number", is_for_groups=False, is_repeatable=False),
        Operation("append", value="single", is_for_groups=False, is_repeatable=False),
        Operation("union", value="several"),
        Operation("remove", value="single"),
        UNSET,
        DELETE,
    )
}
"""By name, in the order in which messages list them.
https://docs.mixpanel.com/docs/data-structure/user-profiles
https://developer.mixpanel.com/reference/user-profiles and group-profiles"""
