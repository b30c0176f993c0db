"""What do the figures look like in a document? Plain SVG, made without a library."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

WIDTH: Final = 760
LEFT: Final = 190
RIGHT: Final = 30
TOP: Final = 64
BAR: Final = 26
GAP: Final = 18

INK: Final = "#1f2430"
FAINT: Final = "#6b7280"
GRID: Final = "#e5e7eb"
FIRST: Final = "#5b3df5"
OTHERS: Final = ("#9aa3b5", "#c08a2e", "#2e8b8b")
_SMALL: Final[dict[str, Any]] = {"fill": FAINT, "font_size": 12}


def bars(title: str, subtitle: str, rows: Sequence[tuple[str, float, str]]) -> str:
    """Draw one bar for each (name, value, words behind the bar); the first stands out."""
    longest = max(len(words) for _, _, words in rows) * 6.6
    scale = (WIDTH - LEFT - RIGHT - longest) / max(value for _, value, _ in rows)
    parts = [_heading(title, subtitle)]
    for number, (name, value, words) in enumerate(rows):
        top = TOP + GAP + number * (BAR + GAP)
        middle, end = top + BAR / 2 + 4.5, LEFT + max(value * scale, 2)
        color, weight = (FIRST, 600) if number == 0 else (OTHERS[0], 400)
        parts += [
            _text(LEFT - 12, middle, name, text_anchor="end", font_weight=weight),
            f'<path d="M{LEFT} {top}H{end:.1f}v{BAR}H{LEFT}z" fill="{color}"/>',
            _text(end + 8, middle, words, **_SMALL),
        ]
    return _page(TOP + GAP + len(rows) * (BAR + GAP) + 8, parts)


def lines(title: str, subtitle: str, series: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    """Draw one line for each name's (records, value), both axes logarithmic."""
    height, left, bottom = 380, 70, 330
    sizes = sorted({size for points in series.values() for size, _ in points})
    values = [value for points in series.values() for _, value in points]
    decades = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
    low, high = decades[0], max(decades[-1], decades[0] + 1)
    start, end = math.log10(sizes[0]), math.log10(max(sizes[-1], sizes[0] + 1))

    def x(size: int) -> float:
        return left + 20 + (WIDTH - left - 290) * (math.log10(size) - start) / (end - start)

    def y(value: float) -> float:
        return bottom - (bottom - TOP - 20) * (math.log10(value) - low) / (high - low)

    parts = [_heading(title, subtitle)]
    for decade in range(low, high + 1):
        at = y(10**decade)
        parts.append(f'<path d="M{left} {at:.1f}H{WIDTH - 250}" stroke="{GRID}"/>')
        parts.append(_text(left - 8, at + 4, f"{10**decade:g} µs", text_anchor="end", **_SMALL))
    middle = {"text_anchor": "middle"} | _SMALL
    parts += [_text(x(size), bottom + 22, f"{size:,}", **middle) for size in sizes]
    for number, (name, points) in enumerate(series.items()):
        color = FIRST if number == 0 else OTHERS[(number - 1) % len(OTHERS)]
        path = "L".join(f"{x(size):.1f} {y(value):.1f}" for size, value in points)
        parts.append(f'<path d="M{path}" fill="none" stroke="{color}" stroke-width="2.5"/>')
        dots = [
            f'<circle cx="{x(s):.1f}" cy="{y(v):.1f}" r="4" fill="{color}"/>' for s, v in points
        ]
        size, value = points[-1]
        parts += [*dots, _text(x(size) + 12, y(value) + 4, f"{name}, {value:.1f}", fill=color)]
    return _page(height, parts)


def _heading(title: str, subtitle: str) -> str:
    return _text(24, 32, title, font_size=17, font_weight=600) + _text(24, 53, subtitle, **_SMALL)


def _text(x: float, y: float, text: str, **style: Any) -> str:
    style = {"fill": INK, "font_size": 13.5} | style
    looks = " ".join(f'{name.replace("_", "-")}="{value}"' for name, value in style.items())
    return f'<text x="{x:.1f}" y="{y:.1f}" {looks}>{escape(text)}</text>'


def _page(height: float, parts: Sequence[str]) -> str:
    size = f'viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}"'
    fonts = "system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{fonts}">'
    paper = '<rect width="100%" height="100%" rx="8" fill="#ffffff"/>'
    return "\n".join([head, paper, *parts, "</svg>\n"])
