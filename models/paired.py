"""How far apart two judges of the same children easily are by chance: a paired standard error.

Two judges measured on the same pairs miss the same children, so their figures rise and fall
together; what chance makes of the *difference* is far less than what it makes of either. The share
of pairs in the right order is a U-statistic: every child adds its own pairs, as a hit those with
the negatives of its group and as a negative those with the hits (the placement values of DeLong,
DeLong and Clarke-Pearson, Biometrics 44, 1988). One outcome makes a hit of every sample of its
horizon, and a child is looked at every week: all that one child adds, on all days and on either
side, is one accident (Obuchowski, Biometrics 53, 1997, for clusters).

No child is kept for this. Sums are kept by PARTS fixed random parts of the children (a hash of the
key), as in surveys by random groups (Wolter, Introduction to Variance Estimation, 2007, chapter 2).
A child is always in the same part and children are taken as independent, so that the squared sums
of parts have the expectation that those of children have, whoever shares a part; with few outcomes
nearly every part holds one.

Another draw of children is one chance, another stretch of the year is another: a lead that comes
and goes from week to week is none, however many children bear each week's. So days are clusters,
too, and the two errors are put together as Cameron, Gelbach and Miller do (Journal of Business and
Economic Statistics 29, 2011): by children, plus by days, less by both at once; wider with few
clusters, as Student's t is for as many. (By children alone the refitted trees took lists on
`oulad_dev` with a lead of four errors on one course, and were worse on the next.) What neither way
sees: that a whole school goes one way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.memory import priority

F64 = npt.NDArray[np.float64]

PARTS = 64
LEAST_OUTCOMES = 8
"""Parts with a hit before an error is told: from fewer, the error is itself a guess."""
LEAST_DAYS = 4
"""Settled days before an error is told, for the same reason."""

OF, HITS, FIRST = 0, 1, 2
"""Rows of the sums: pairs a part's children stand in, its hits, then a row for each judge."""


class Apart(NamedTuple):
    """How much more of the pairs the first judge had right, and one standard error of that."""

    lead: float
    error: float


def in_order(scores: F64, hits: npt.NDArray[np.bool_], groups: Sequence[str]) -> tuple[F64, F64]:
    """(pairs each judge had right, pairs) of each student, within groups; ties count half.

    `scores` and the first result: (judges, students). Every pair is counted with both its students.
    """
    right, of = np.zeros(scores.shape), np.zeros(len(hits))
    _, numbers = np.unique(np.array(groups, dtype=str), return_inverse=True)
    for group in range(int(numbers.max(initial=-1)) + 1):
        mine = numbers == group
        high, low = np.flatnonzero(mine & hits), np.flatnonzero(mine & ~hits)
        of[high], of[low] = len(low), len(high)
        if not len(high) or not len(low):
            continue
        for judge, given in enumerate(scores):
            right[judge, high] = _below(np.sort(given[low]), given[high])
            right[judge, low] = len(high) - _below(np.sort(given[high]), given[low])
    return right, of


def _below(line: F64, scores: F64) -> F64:
    """How many of the sorted `line` are below each score; equal ones count half."""
    found = np.searchsorted(line, scores, "left") + np.searchsorted(line, scores, "right")
    return np.asarray(found / 2.0, dtype=np.float64)


def sums(students: Sequence[str], hits: npt.NDArray[np.bool_], right: F64, of: F64) -> F64:
    """One day's sums by parts: shape (FIRST + judges, PARTS)."""
    part = np.array([priority(student, 0) % PARTS for student in students], dtype=np.int64)
    rows = (of, hits & (of > 0), *right)
    return np.array([np.bincount(part, weights=row, minlength=PARTS) for row in rows])


def aucs(days: Sequence[F64]) -> F64:
    """Each judge's share of pairs in the right order over these days; NaN without pairs."""
    whole = _total(days)
    with np.errstate(invalid="ignore"):
        return np.asarray(whole[FIRST:].sum(axis=1) / whole[OF].sum(), dtype=np.float64)


def apart(days: Sequence[F64], first: int, second: int) -> Apart | None:
    """The two judges' difference over these days; None while too little bears an error."""
    if len(days) < LEAST_DAYS:
        return None
    whole = _total(days)
    known = int((whole[HITS] > 0).sum())
    if known < LEAST_OUTCOMES:
        return None
    pairs = float(whole[OF].sum()) / 2.0  # each was counted with both its students
    leads = np.stack([day[FIRST + first] - day[FIRST + second] for day in days])
    mean = float(leads.sum()) / (2.0 * pairs)
    off = leads - mean * np.stack([day[OF] for day in days])
    # A day's pairs once, but all the pairs that a child stands in, on either side.
    by_days, by_children = off.sum(axis=1) / 2.0, off.sum(axis=0)
    one, other = _squares(by_children, known), _squares(by_days, len(days))
    either = max(one, other, one + other - float((off * off).sum()))
    return Apart(mean, _wider(min(known, len(days)) - 1) * math.sqrt(either) / pairs)


def _squares(sums: F64, clusters: int) -> float:
    """Their sum of squares, corrected for the one mean that was taken from so many."""
    return float((sums * sums).sum()) * clusters / (clusters - 1)


def _wider(freedom: int) -> float:
    """How much farther out two errors lie for Student's t than for the normal curve.

    The expansion of Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5, at 2.
    """
    return 1.0 + 5.0 / (4.0 * freedom) + 147.0 / (96.0 * freedom**2)


def _total(days: Sequence[F64]) -> F64:
    return np.asarray(np.sum(np.stack(days), axis=0), dtype=np.float64)
