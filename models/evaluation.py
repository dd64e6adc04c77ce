"""Measuring a score against what happened: pairs put in the right order, and calibration.

AUC is counted within groups (a school on a day): of all pairs of one later hit and one later
negative of the same group, the share that the score put in the right order, ties counting half.
Pairs, not averages of averages, so that small groups weigh what they are. All of it is measured on
scores given *before* the label was known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


def pairs_in_order(scores: F64, hits: npt.NDArray[np.bool_]) -> tuple[float, int]:
    """(pairs in the right order, pairs) of one group; ties count half."""
    high, low = scores[hits], np.sort(scores[~hits])
    below = np.searchsorted(low, high, side="left").sum()
    upto = np.searchsorted(low, high, side="right").sum()
    return float(below + upto) / 2.0, len(high) * len(low)


def within_groups(
    scores: F64, hits: npt.NDArray[np.bool_], groups: Sequence[str]
) -> tuple[float, int]:
    """Pairs in order and pairs, summed over groups."""
    right, pairs = 0.0, 0
    labels = np.array(groups, dtype=object)
    for group in sorted(set(groups)):
        mine = labels == group
        one, of = pairs_in_order(scores[mine], hits[mine])
        right, pairs = right + one, pairs + of
    return right, pairs


def sigmoid(value: float) -> float:
    """Log-odds to probability, without overflow."""
    if value >= 0:
        return 1.0 / (1.0 + math.exp(-value))
    power = math.exp(value)
    return power / (1.0 + power)


def calibrate(
    raw: F64,
    hits: npt.NDArray[np.bool_],
    *,
    slope: float,
    shift: float,
    weights: F64 | None = None,
    trust: float = 4.0,
) -> tuple[float, float]:
    """(slope, shift) that turn raw scores into honest log-odds on settled student-dates.

    Logistic regression on one number by Newton's method, pulled towards the given slope and shift
    with the strength of `trust` student-dates, so that little evidence changes little. Sums run in
    the order given, which callers keep the same. The slope stays positive: a calibration never
    turns an order around.
    """
    a, b = slope, shift
    worth = np.ones(len(raw)) if weights is None else weights
    for _ in range(25):
        chances = 1.0 / (1.0 + np.exp(-np.clip(a * raw + b, -500.0, 500.0)))
        errors, spreads = (chances - hits) * worth, chances * (1.0 - chances) * worth
        ga = float((errors * raw).sum()) + trust * (a - slope)
        gb = float(errors.sum()) + trust * 0.25 * (b - shift)
        haa = float((spreads * raw * raw).sum()) + trust
        hab = float((spreads * raw).sum())
        hbb = float(spreads.sum()) + trust * 0.25
        det = haa * hbb - hab * hab
        if det <= 0:
            break
        da = max(-2.0, min(2.0, (hbb * ga - hab * gb) / det))
        db = max(-2.0, min(2.0, (haa * gb - hab * ga) / det))
        a, b = max(0.05, a - da), b - db
        if abs(da) + abs(db) < 1e-9:
            break
    return a, b
