"""Small cells: counts of fewer than five children are not shown, nor given away by subtraction.

A count of 1 to 4 is shown as "fewer than 5" (0 tells of nobody and stays). When the total stands
beside, a single hidden count could be had by subtracting; so further counts are withheld until
every small one could as well be another, and when that cannot be reached the total is withheld.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

SMALL = 5


class Cell(msgspec.Struct, frozen=True):
    """A count as it may be shown. `why`: "" (shown), "small" (1 to 4) or "withheld"."""

    value: int | None
    why: str = ""

    @property
    def order(self) -> int:
        """For sorting: everything not shown is the same, or the order would tell."""
        return -1 if self.value is None else self.value


def is_small(count: int) -> bool:
    """Must this count be hidden by itself?"""
    return 0 < count < SMALL


def protect(counts: Sequence[int]) -> tuple[list[Cell], Cell]:
    """(cells, total) as they may be shown together."""
    small = [n for n, count in enumerate(counts) if is_small(count)]
    withheld: set[int] = set()
    spare = sorted(
        (n for n, count in enumerate(counts) if count >= SMALL), key=lambda n: (counts[n], n)
    )
    while spare and not _ambiguous(counts, small, withheld):
        withheld.add(spare.pop(0))
    total = Cell(sum(counts))
    if not _ambiguous(counts, small, withheld):
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


def _ambiguous(counts: Sequence[int], small: Sequence[int], withheld: set[int]) -> bool:
    """Could each small count be another, with the same cells shown and the same total?

    Shown by exchange: one child more here and one fewer in another hidden cell, or the other way,
    with each staying what it is shown as.
    """
    for n in small:
        others = [m for m in small if m != n]
        up = counts[n] + 1 < SMALL and (
            any(counts[m] > 1 for m in others) or any(counts[m] > SMALL for m in withheld)
        )
        down = counts[n] > 1 and (any(counts[m] + 1 < SMALL for m in others) or bool(withheld))
        if not up and not down:
            return False
    return True


def nested(part: Cell, whole: Cell) -> bool:
    """May a rate of `part` in `whole` be shown?"""
    return part.value is not None and whole.value is not None and whole.value > 0
