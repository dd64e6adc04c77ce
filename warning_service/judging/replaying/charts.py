"""Plots of a replay's report as SVG text: numbers in, a picture with its own axes out.

Each line has its own dash, mark and name at its end, so that none is told by colour alone; the
numbers stand in a table beside it. No style, script or outside resource: presentation attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 340
LEFT, RIGHT, TOP, BOTTOM = 56, 168, 16, 48
INK, SOFT, LINE = "#1d2a33", "#4c5b66", "#d5dde2"
LOOKS = (
    ("#0b6472", "", "circle"),
    ("#7a4a00", "7 4", "square"),
    ("#1d5c7a", "2 3", "diamond"),
    ("#5b2a6e", "10 3 2 3", "triangle"),
    ("#4c5b66", "1 4", "dot"),
)
"""Colour, dash and mark of the first, second … line."""
LEAST_GAP = 15


@dataclass(frozen=True)
class Line:
    """A line through (x, y) in 0..1 of both axes; None breaks it."""

    name: str
    points: Sequence[tuple[float, float | None]]
    marks: bool = True


def _x(share: float) -> float:
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _y(share: float) -> float:
    return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def top_of(values: Sequence[float | None]) -> float:
    """A round number at or above all values, in tenths: where an axis ends."""
    most = max((value for value in values if value is not None), default=0.0)
    return min(1.0, max(0.1, -(-int(most * 1000) // 100) / 10))


def plot(
    lines: Sequence[Line],
    *,
    label: str,
    x_ticks: Sequence[tuple[float, str]],
    y_ticks: Sequence[tuple[float, str]],
    x_name: str,
    y_name: str,
    diagonal: bool = False,
) -> str:
    """The picture. `label` says for readers of screens what it shows."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="{escape(label)}" font-size="12" fill="{INK}">'
    ]
    for share, words in y_ticks:
        at = _y(share)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}" stroke="{LINE}"/>'
            f'<text x="{LEFT - 6}" y="{at + 4}" text-anchor="end">{escape(words)}</text>'
        )
    for share, words in x_ticks:
        parts.append(
            f'<text x="{_x(share)}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
            f"{escape(words)}</text>"
        )
    if diagonal:
        parts.append(
            f'<line x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}" stroke="{SOFT}"'
            ' stroke-dasharray="1 4"/>'
        )
    ends: list[tuple[float, str, tuple[str, str, str]]] = []
    for at, line in enumerate(lines):
        colour, dash, mark = LOOKS[at % len(LOOKS)]
        parts += _line(line, colour, dash, mark)
        last = next((y for _, y in reversed(line.points) if y is not None), None)
        if last is not None:
            ends.append((_y(last), line.name, LOOKS[at % len(LOOKS)]))
    parts += _names(ends)
    parts.append(
        f'<text x="{_x(0.5)}" y="{HEIGHT - 8}" text-anchor="middle" fill="{SOFT}">'
        f"{escape(x_name)}</text>"
        f'<text x="{-HEIGHT / 2}" y="14" transform="rotate(-90)" text-anchor="middle"'
        f' fill="{SOFT}">{escape(y_name)}</text></svg>'
    )
    return "".join(parts)


def _line(line: Line, colour: str, dash: str, mark: str) -> list[str]:
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in line.points:
        if y is None:
            runs.append([])
        else:
            runs[-1].append((_x(x), _y(min(1.0, max(0.0, y)))))
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    parts = [
        f'<polyline fill="none" stroke="{colour}" stroke-width="2"{dashed}'
        f' points="{" ".join(f"{x},{y}" for x, y in run)}"/>'
        for run in runs
        if len(run) > 1
    ]
    if line.marks:
        parts += [_mark(mark, x, y, colour) for run in runs for x, y in run]
    return parts


def _mark(mark: str, x: float, y: float, colour: str) -> str:
    if mark in ("circle", "dot"):
        return f'<circle cx="{x}" cy="{y}" r="{3.5 if mark == "circle" else 2}" fill="{colour}"/>'
    corners = {
        "square": ((-3, -3), (3, -3), (3, 3), (-3, 3)),
        "diamond": ((0, -4.5), (4.5, 0), (0, 4.5), (-4.5, 0)),
        "triangle": ((0, -4.5), (4, 3.5), (-4, 3.5)),
    }[mark]
    points = " ".join(f"{round(x + dx, 1)},{round(y + dy, 1)}" for dx, dy in corners)
    return f'<polygon points="{points}" fill="{colour}"/>'


def _names(ends: Sequence[tuple[float, str, tuple[str, str, str]]]) -> list[str]:
    """The lines' names and looks at their ends, moved apart where they would cover each other."""
    parts, free, left = [], float(TOP), WIDTH - RIGHT + 10
    for y, name, (colour, dash, mark) in sorted(ends):
        at = round(max(y + 4, free), 1)
        free = at + LEAST_GAP
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        parts.append(
            f'<line x1="{left}" x2="{left + 26}" y1="{at - 4}" y2="{at - 4}" stroke="{colour}"'
            f' stroke-width="2"{dashed}/>{_mark(mark, left + 13, at - 4, colour)}'
            f'<text x="{left + 32}" y="{at}" fill="{colour}">{escape(name)}</text>'
        )
    return parts
