"""Before and after, for some children or schools and for others: the arithmetic of effects.

Whoever is picked because things were bad is better off on average afterwards even if nobody did
anything (regression to the mean). `paired` therefore never stands alone: `adjusted` compares with
children just as badly off who were not picked, holding what was before (and the score they were
picked by) equal, by analysis of covariance. What remains can still have other causes; these
numbers describe, and only chance decides who gets help in a trial.

Every result carries its n, and below LEAST nothing is said at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

LEAST = 10
"""Children on each side below whom no effect is told."""

LEAST_SCHOOLS = 3
"""Schools on each side below which no difference between them is told."""


class Paired(msgspec.Struct, frozen=True, kw_only=True):
    """The same `n` children before and after. `p`: exact two-sided sign-flip test."""

    n: int
    before: float
    after: float
    low: float
    high: float
    p: float

    @property
    def change(self) -> float:
        """Mean change; below 0 it became less."""
        return self.after - self.before


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """How much more one side changed than the other, with 95 %; below 0: it fell by more."""

    value: float
    low: float
    high: float
    n: int
    n_others: int

    @property
    def told_apart(self) -> bool:
        """Is 0 outside the interval?"""
        return not self.low <= 0.0 <= self.high


def sign_flip(differences: Sequence[int]) -> float:
    """The exact two-sided p of a sign-flip (Fisher-Pitman) test of whole-numbered differences.

    Without an effect each difference could as well have had the other sign; the distribution of
    the sum over all such flips is worked out in full, not drawn. 1.0 for no differences.
    """
    steps = [abs(d) for d in differences if d]
    most = sum(steps)
    chance = np.zeros(2 * most + 1)
    chance[most] = 1.0
    for step in steps:
        flipped = np.zeros_like(chance)
        flipped[step:] += chance[: len(chance) - step]
        flipped[: len(chance) - step] += chance[step:]
        chance = flipped / 2.0
    seen = abs(sum(differences))
    sums = np.abs(np.arange(-most, most + 1))
    return min(1.0, float(chance[sums >= seen].sum()))


def paired(before: Sequence[int], after: Sequence[int]) -> Paired | None:
    """Mean before, after and the change's t interval; None below LEAST children."""
    n = len(before)
    if n < LEAST:
        return None
    changes = np.array(after, dtype=np.float64) - np.array(before, dtype=np.float64)
    half = _t(n - 1) * float(changes.std(ddof=1)) / math.sqrt(n)
    change = float(changes.mean())
    return Paired(
        n=n, before=float(np.mean(before)), after=float(np.mean(after)),
        low=change - half, high=change + half,
        p=sign_flip([b - a for a, b in zip(before, after, strict=True)]),
    )  # fmt: skip


def difference_in_differences(
    changes: Sequence[float], others: Sequence[float], *, least: int = LEAST_SCHOOLS
) -> Gap | None:
    """Mean change of one side minus that of the other, Welch's interval; None below `least`."""
    if min(len(changes), len(others)) < least:
        return None
    one, two = np.array(changes, dtype=np.float64), np.array(others, dtype=np.float64)
    v1, v2 = float(one.var(ddof=1)) / len(one), float(two.var(ddof=1)) / len(two)
    gap = float(one.mean() - two.mean())
    half = 0.0
    if v1 + v2 > 0:
        freedom = (v1 + v2) ** 2 / (v1**2 / (len(one) - 1) + v2**2 / (len(two) - 1))
        half = _t(freedom) * math.sqrt(v1 + v2)
    return Gap(value=gap, low=gap - half, high=gap + half, n=len(one), n_others=len(two))


def adjusted(
    after: Sequence[float], picked: Sequence[bool], held_equal: Sequence[Sequence[float]]
) -> Gap | None:
    """What being picked goes with, `held_equal` (columns: before, score) the same: ANCOVA.

    Least squares of `after` on a constant, `picked` and the columns; spread by HC3, which does not
    ask for equal spread and is careful with few rows. None below LEAST on a side, or where the
    columns cannot be told apart from being picked.
    """
    mine = np.array(picked, dtype=bool)
    n, others = int(mine.sum()), int((~mine).sum())
    if min(n, others) < LEAST:
        return None
    columns = [np.ones(len(mine)), mine.astype(np.float64)]
    for column in held_equal:
        values = np.array(column, dtype=np.float64)
        if float(values.std()) > 0:  # a column that is the same for all holds nothing equal
            columns.append((values - values.mean()) / values.std())
    x, y = np.column_stack(columns), np.array(after, dtype=np.float64)
    freedom = len(y) - x.shape[1]
    if freedom < LEAST or np.linalg.matrix_rank(x) < x.shape[1]:
        return None
    inverse = np.linalg.inv(x.T @ x)
    weights = inverse @ x.T @ y
    leverage = np.einsum("ij,jk,ik->i", x, inverse, x)
    left = (y - x @ weights) / np.maximum(1.0 - leverage, 1e-9)
    spread = inverse @ (x.T * left**2) @ x @ inverse
    value = float(weights[1])
    half = _t(freedom) * math.sqrt(float(spread[1, 1]))
    return Gap(value=value, low=value - half, high=value + half, n=n, n_others=others)


def _t(freedom: float) -> float:
    """The 97.5 % point of Student's t."""
    from scipy.special import stdtrit  # half a second of loading, only where an effect is told

    return float(stdtrit(freedom, 0.975))
