"""Where the dots and whiskers of larger charts stand: numbers in, SVG coordinates out.

Templates draw (parts_plots.html) and put the table behind; this only computes, so that it can be
tested. A share is drawn on a square-root scale, because what matters here lies between 0 and 10 %
and would be one heap on a plain one; the axis says its numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import msgspec

SIDE, LEFT, TOP = 300.0, 60.0, 12.0
"""The square a calibration plot is drawn in, and the room for words beside and above it."""

WHISKER_LEFT, WHISKER_WIDTH, ROW = 190.0, 420.0, 30.0
_TICKS = (0.0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)


class Tick(msgspec.Struct, frozen=True):
    """A mark on an axis: where it is, and the percentage it stands for."""

    at: float
    percent: int


class Dot(msgspec.Struct, frozen=True, kw_only=True):
    """A value with its interval: `x`, `y` of the dot, the whisker from `low` to `high`."""

    x: float
    y: float
    low: float
    high: float


class Square(msgspec.Struct, frozen=True, kw_only=True):
    """A calibration plot: stated across, happened upwards; `across`, `up`: the ticks."""

    dots: tuple[Dot, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """One whisker below the other; None where nothing may be drawn. `mark`: x of each base."""

    dots: tuple[Dot | None, ...]
    marks: tuple[float | None, ...]
    ticks: tuple[Tick, ...]
    height: float


def square(bins: Sequence[tuple[float, float, float, float]]) -> Square:
    """`bins`: (stated, happened, low, high), all shares."""
    most = _most([value for one in bins for value in one])

    def place(share: float) -> float:
        return round(SIDE * sqrt(min(max(share, 0.0), most) / most), 1)

    ticks = [(tick, place(tick)) for tick in _TICKS if tick <= most]
    return Square(
        dots=tuple(
            Dot(
                x=LEFT + place(stated), y=TOP + SIDE - place(happened),
                low=TOP + SIDE - place(low), high=TOP + SIDE - place(high),
            )
            for stated, happened, low, high in bins
        ),
        across=tuple(Tick(LEFT + at, round(100 * tick)) for tick, at in ticks),
        up=tuple(Tick(TOP + SIDE - at, round(100 * tick)) for tick, at in ticks),
    )  # fmt: skip


def rows(
    values: Sequence[tuple[float, float, float] | None],
    bases: Sequence[float | None] = (),
) -> Rows:
    """`values`: (share, low, high) of each row; `bases`: what it is held against, if anything."""
    held = [number for one in values if one for number in one]
    most = _most([*held, *(base for base in bases if base is not None)])

    def place(share: float) -> float:
        return round(WHISKER_LEFT + WHISKER_WIDTH * sqrt(min(max(share, 0.0), most) / most), 1)

    marks = [*bases, *([None] * (len(values) - len(bases)))]
    return Rows(
        dots=tuple(
            None if one is None
            else Dot(x=place(one[0]), y=ROW * at + ROW / 2, low=place(one[1]), high=place(one[2]))
            for at, one in enumerate(values)
        ),
        marks=tuple(None if base is None else place(base) for base in marks),
        ticks=tuple(Tick(place(tick), round(100 * tick)) for tick in _TICKS if tick <= most),
        height=ROW * len(values),
    )  # fmt: skip


def _most(numbers: Sequence[float]) -> float:
    """The end of the axis: the first tick that holds everything."""
    largest = max(numbers, default=0.0)
    return next((tick for tick in _TICKS[1:] if tick >= largest), 1.0)
