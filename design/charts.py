"""Where the lines of small charts run: numbers in, SVG coordinates out.

Templates draw; this only computes, so that it can be tested. Nothing here knows what is charted.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

WIDTH, HEIGHT, EDGE = 120.0, 32.0, 3.0


class Line(msgspec.Struct, frozen=True):
    """A line in a 120 x 32 box: `runs` as SVG point lists, `lone` as single points."""

    runs: list[str]
    lone: list[tuple[float, float]]


def spark(
    points: Sequence[tuple[str, float | None]], lo: float, hi: float, flip: bool = False
) -> Line:
    """The line through `points` (label, value), broken where a value is None.

    Values outside `lo`..`hi` are drawn at the edge. `flip`: small values are drawn up.
    """
    span = (hi - lo) or 1.0
    step = (WIDTH - 2 * EDGE) / max(len(points) - 1, 1)
    runs: list[list[tuple[float, float]]] = [[]]
    for n, (_, value) in enumerate(points):
        if value is None:
            runs.append([])
            continue
        share = min(max((value - lo) / span, 0.0), 1.0)
        share = 1.0 - share if flip else share
        y = HEIGHT - EDGE - share * (HEIGHT - 2 * EDGE)
        runs[-1].append((round(EDGE + n * step, 1), round(y, 1)))
    return Line(
        runs=[" ".join(f"{x},{y}" for x, y in run) for run in runs if len(run) > 1],
        lone=[run[0] for run in runs if len(run) == 1],
    )
