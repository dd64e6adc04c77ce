"""Small cells: counts of fewer than five children are not shown, nor given away by subtraction.

A count of 1 to 4 is shown as "fewer than 5" (0 tells of nobody and stays). When the total stands
beside, a single hidden count could be had by subtracting; so further counts are withheld until
every small one could as well be another, and when that cannot be reached the total is withheld.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from models.hiding import SMALL, is_small

__all__ = ["SMALL", "Bounds", "Cell", "is_small", "protect"]


class Cell(msgspec.Struct, frozen=True):
    """A count as it may be shown. `why`: "" (shown), "about" (shown to the nearest five, see
    blurring.py), "small" (1 to 4) or "withheld".
    """

    value: int | None
    why: str = ""

    @property
    def order(self) -> int:
        """For sorting: everything not shown is the same, or the order would tell."""
        return -1 if self.value is None else self.value


class Bounds(msgspec.Struct, frozen=True):
    """What else is shown about a count: it is at least this, and at most that (None: not known)."""

    least: int = 0
    most: int | None = None


def protect(
    counts: Sequence[int], bounds: Sequence[Bounds] | None = None
) -> tuple[list[Cell], Cell]:
    """(cells, total) as they may be shown together.

    `bounds`: for each count what stands beside it, e.g. that no more can be supported than listed.
    """
    bounds = bounds or [Bounds()] * len(counts)
    small = {n for n, count in enumerate(counts) if is_small(count)}
    withheld: set[int] = set()
    spare = sorted(
        (n for n, count in enumerate(counts) if count >= SMALL), key=lambda n: (counts[n], n)
    )
    while spare and not _ambiguous(counts, bounds, small, withheld):
        withheld.add(spare.pop(0))
    total = Cell(sum(counts))
    if is_small(sum(counts)):
        total = Cell(None, "small")  # and then no count is large enough to be withheld
    elif not _ambiguous(counts, bounds, small, withheld):
        # Nothing can stand in for the small counts: only without the total are they safe, and then
        # nothing else need be withheld.
        withheld, total = set(), Cell(None, "withheld")
    cells = [
        Cell(None, "small")
        if n in small
        else Cell(None, "withheld")
        if n in withheld
        else Cell(count)
        for n, count in enumerate(counts)
    ]
    return cells, total


def _ambiguous(
    counts: Sequence[int], bounds: Sequence[Bounds], small: set[int], withheld: set[int]
) -> bool:
    """Could each small count be another, with the same cells shown and the same total?

    Shown by exchange: one child more here and one fewer in another hidden cell, or the other way,
    with each staying what it is shown as and within its bounds.
    """
    hidden = small | withheld

    def may_be(n: int, count: int) -> bool:
        fits = is_small(count) if n in small else count >= SMALL
        most = bounds[n].most
        return fits and count >= bounds[n].least and (most is None or count <= most)

    more = {n for n in hidden if may_be(n, counts[n] + 1)}
    fewer = {n for n in hidden if may_be(n, counts[n] - 1)}
    return all((n in more and fewer - {n}) or (n in fewer and more - {n}) for n in small)
