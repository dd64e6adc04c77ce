"""Does a stated probability come true? Bins for a calibration plot, and the error over them.

Children are sorted by their stated probability and cut into bins of about equal size; equal
probabilities are never parted. A bin with too few different children behind its hits is joined to
its neighbour, so that the plot shows no single child and no interval is narrower than the children
behind it allow (several lists of one child are not several children).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from models.shares import wilson

F64 = npt.NDArray[np.float64]


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of about the same stated probability. `children`: different ones among them."""

    n: int
    children: int
    stated: float
    hits: int
    hit_children: int

    @property
    def happened(self) -> float:
        """The share that came true."""
        return self.hits / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """95 % of that share, with no more children than there were."""
        return wilson(self.happened * self.children, self.children)


def bins(
    chances: F64, hits: npt.NDArray[np.bool_], whose: Sequence[str], *, most: int = 10,
    least: int = 5,
) -> list[Bin]:  # fmt: skip
    """At most `most` bins, by rising probability; each with 0 or at least `least` children hit,
    and with 0 or at least `least` children not hit. Empty when not even one bin is like that.
    """
    order = np.argsort(chances, kind="stable")
    score, hit = chances[order], hits[order]
    keys = np.array(whose, dtype=object)[order]
    edges = sorted({*np.linspace(0, len(score), most + 1).round().astype(int).tolist()})
    # An edge within a run of equal probabilities moves to the run's end.
    cuts = sorted({int(np.searchsorted(score, score[at - 1], side="right")) for at in edges[1:]})
    spans = list(zip([0, *cuts[:-1]], cuts, strict=True))

    def made(first: int, last: int) -> Bin:
        of, yes = keys[first:last], hit[first:last]
        return Bin(
            n=last - first, children=len(set(of)), stated=float(score[first:last].mean()),
            hits=int(yes.sum()), hit_children=len(set(of[yes])),
        )  # fmt: skip

    def shows_nobody(one: Bin) -> bool:
        spared = one.children - one.hit_children
        return all(not 0 < count < least for count in (one.hit_children, spared))

    at = 0
    while at < len(spans):
        if shows_nobody(made(*spans[at])):
            at += 1
        elif len(spans) == 1:
            return []
        else:
            with_ = at - 1 if at == len(spans) - 1 else at
            spans[with_ : with_ + 2] = [(spans[with_][0], spans[with_ + 1][1])]
            at = with_
    return [made(*span) for span in spans]


def error(found: Sequence[Bin]) -> float | None:
    """Expected calibration error: |stated - happened|, averaged over the rows. None of nothing."""
    rows = sum(one.n for one in found)
    if not rows:
        return None
    return sum(one.n * abs(one.stated - one.happened) for one in found) / rows
