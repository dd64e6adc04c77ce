"""How far two ways of looking at the same children agree: percent, and beyond chance.

Percent agreement alone flatters where most children are unremarkable both ways, so Cohen's kappa
stands beside it and is named as such. Neither way of looking is the truth here, and the two are
never averaged: a child whom one sees and the other does not is what is worth knowing.
"""

from __future__ import annotations

import math

import msgspec

from models.shares import Z95, Share


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """A two by two table of children."""

    both: int
    first_only: int
    second_only: int
    neither: int

    @property
    def n(self) -> int:
        """All children looked at both ways."""
        return self.both + self.first_only + self.second_only + self.neither

    @property
    def agreed(self) -> Share:
        """Children of whom both say the same."""
        return Share(self.both + self.neither, self.n)

    @property
    def kappa(self) -> tuple[float, float, float] | None:
        """(kappa, low, high), Cohen's of 1960 with his standard error; None where it means nothing
        (no child, or each way says the same of all).
        """
        if not self.n:
            return None
        first = (self.both + self.first_only) / self.n
        second = (self.both + self.second_only) / self.n
        by_chance = first * second + (1 - first) * (1 - second)
        if by_chance >= 1.0:
            return None
        observed = (self.both + self.neither) / self.n
        found = (observed - by_chance) / (1 - by_chance)
        half = Z95 * math.sqrt(observed * (1 - observed) / self.n) / (1 - by_chance)
        return found, max(-1.0, found - half), min(1.0, found + half)
