"""One judge's scores against what happened, on rows that others can be measured on, too.

Area under precision-recall, the gain curve (how much of a list one reads to meet how many of the
hits), an interval for the within-group AUC. Pure numbers; which rows count, and what may be shown
of them, is decided elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.shares import Z95

F64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

AT = tuple(n / 20 for n in range(21))
"""Shares of a list at which the gain curve is told."""


def average_precision(scores: F64, hits: Flags) -> float | None:
    """Area under the precision-recall curve: the precision at each score that hits have, weighted
    by their share of all hits; equal scores count together. None without hits.
    """
    if not hits.any():
        return None
    order = np.argsort(-scores, kind="stable")
    sorted_, found = scores[order], np.cumsum(hits[order])
    ends = np.append(np.flatnonzero(np.diff(sorted_)), len(sorted_) - 1)
    precision = found[ends] / (ends + 1)
    gained = np.diff(np.append(0, found[ends])) / found[-1]
    return float((precision * gained).sum())


def read_until(scores: F64, hits: Flags, groups: Sequence[str]) -> F64:
    """For each hit, the share of its group one reads, best first, until it is met; sorted.

    Equal scores count as the middle of their run.
    """
    labels, met = np.array(groups, dtype=object), list[float]()
    for group in sorted(set(groups)):
        mine = labels == group
        low = np.sort(-scores[mine])
        own = -scores[mine][hits[mine]]
        first = np.searchsorted(low, own, side="left")
        last = np.searchsorted(low, own, side="right")
        met += ((first + last + 1) / 2 / len(low)).tolist()
    return np.sort(np.array(met))


def gain(met: F64) -> list[float]:
    """Share of the hits met after reading each of AT; from `read_until`."""
    if not len(met):
        return []
    return [float((met <= at + 1e-12).mean()) for at in AT]


def auc_interval(auc: float, hit: int, spared: int) -> tuple[float, float]:
    """About 95 % around an AUC (Hanley and McNeil 1982).

    `hit`, `spared`: different children among hits and negatives, so that several lists of a child
    are not several children.
    """
    if not hit or not spared:
        return 0.0, 1.0
    one, two = auc / (2 - auc), 2 * auc * auc / (1 + auc)
    spread = auc * (1 - auc) + (hit - 1) * (one - auc * auc) + (spared - 1) * (two - auc * auc)
    half = Z95 * math.sqrt(max(0.0, spread) / (hit * spared))
    return max(0.0, auc - half), min(1.0, auc + half)
