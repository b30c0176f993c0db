"""How does a mapping say that one record cannot become a row?"""

from typing import NoReturn

from target_mixpanel.model import Flaw, Stage


class UnmappableError(Exception):
    """This record has no row; raised and caught once per bad record, never on the good path."""

    def __init__(self, flaw: Flaw, insert_id: str | None = None) -> None:
        super().__init__(flaw.reason)
        self.flaw = flaw
        self.insert_id = insert_id


def refuse(reason: str, field: str, detail: str, *, stage: Stage = "map") -> NoReturn:
    """
    End the mapping of this record.

    Args:
        reason: A short code.
        field: The column at fault.
        detail: What is wrong with it; must not show record content.
        stage: Whose rule it breaks.
    """
    raise UnmappableError(Flaw(stage, reason, field, detail))
