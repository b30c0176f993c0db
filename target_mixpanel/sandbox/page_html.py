"""How does what came from a request become HTML that can do nothing?"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CHARACTERS_SHOWN: Final = 400
"""Of one value: an event may have a megabyte."""

PAIRS_SHOWN: Final = 24
"""Of one profile, which may have two thousand properties."""


class Code(msgspec.Struct, frozen=True):
    """A line as it was received."""

    line: bytes


class Pairs(msgspec.Struct, frozen=True):
    """Names and JSON values."""

    by_name: Mapping[str, object]


class Column(msgspec.Struct, frozen=True):
    """A column's head, with a word below its name."""

    name: str
    note: str


Cell: TypeAlias = str | int | float | Code | Pairs | None
"""A number stands to the right, None is something undefined."""


def table(
    caption: str, head: Sequence[str | Column], rows: Sequence[Sequence[Cell]], *, note: str = ""
) -> str:
    """Render one table; whatever it is given is escaped here."""
    names = "".join(map(_head, head, rows[0] if rows else [None] * len(head)))
    lines = ["<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows]
    nothing = f'<tr><td class="none" colspan="{len(head)}">none yet</td></tr>'
    return (
        f'<div class="box"><table><caption>{_text(caption)} <small>{_text(note)}</small></caption>'
        f"\n<thead><tr>{names}</tr></thead>\n<tbody>\n"
        + ("\n".join(lines) or nothing)
        + "\n</tbody></table></div>"
    )


def numbers(by_name: Mapping[str, int]) -> str:
    """Render a row of big numbers."""
    return f'<dl class="numbers">{_pairs((name, f"{n:,}") for name, n in by_name.items())}</dl>'


def _head(column: str | Column, below: Cell) -> str:
    side = ' class="n"' if isinstance(below, (int, float)) else ""
    match column:
        case str():
            return f"<th{side}>{_text(column)}</th>"
        case Column(name=name, note=note):
            return f"<th{side}>{_text(name)}<small>{_text(note)}</small></th>"


def _cell(cell: Cell) -> str:
    match cell:
        case None:
            return '<td class="none">undefined</td>'
        case str():
            return f"<td>{_text(cell)}</td>"
        case int():
            return f'<td class="n">{cell:,}</td>'
        case float():
            return f'<td class="n">{cell:,.1f}</td>'
        case Code(line=line):
            return f'<td class="code">{_text(line.decode("utf-8", "replace"))}</td>'
        case Pairs(by_name=by_name):
            return f'<td><dl class="pairs">{_first_pairs(by_name)}</dl></td>'


def _first_pairs(by_name: Mapping[str, object]) -> str:
    shown = [(name, _json(value)) for name, value in list(by_name.items())[:PAIRS_SHOWN]]
    more = len(by_name) - len(shown)
    return _pairs([*shown, *([(f"and {more:,} more", "")] if more else [])])


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(
        f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in pairs
    )


def _json(value: object) -> str:
    if value is None:
        return "(not set)"  # as Mixpanel shows it
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _text(text: str) -> str:
    is_whole = len(text) <= CHARACTERS_SHOWN
    return escape(text if is_whole else f"{text[:CHARACTERS_SHOWN]}…")
