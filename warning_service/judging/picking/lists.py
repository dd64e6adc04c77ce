"""From feature blocks to places on a list: the part that must be exact, and fast at size.

One school is one float32 block. The scaler and the calibration are folded into the weights, so a
block costs one product and one `argpartition`. Scores are put on a grid of 1/1024 of a log-odd
(far finer than anything they can know), so that the order by score, the order by the probability
written out, and the places given are one and the same; ties go by student key, which is row order.

The service and `benchmarks/lists.py` call the same functions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.evaluation import sigmoid
from models.online import Folded

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

GRID = np.float32(1024)
LIMIT = 20.0  # log-odds; beyond it a probability says nothing more
NEW_FIRST_POOL = 2
"""Children without support come before supported ones within the first so many times the budget."""


def on_grid(scores: F32) -> F32:
    """Log-odds clipped and put on the grid; works in place on a float32 array."""
    np.clip(scores, -LIMIT, LIMIT, out=scores)
    scores *= GRID
    np.rint(scores, out=scores)
    scores /= GRID
    return scores


def score_block(block: F32, folded: Folded) -> F32:
    """Calibrated log-odds of every row of a block (students, columns), on the grid."""
    return on_grid(folded.score(block))


def top(scores: F32, places: int) -> I64:
    """Rows of the `places` highest scores, best first, ties by row; all when there are fewer."""
    if places >= len(scores):
        return order(scores)
    if places <= 0:
        return np.zeros(0, dtype=np.int64)
    lowest = scores[np.argpartition(scores, len(scores) - places)[len(scores) - places]]
    sure = np.flatnonzero(scores > lowest)
    ties = np.flatnonzero(scores == lowest)[: places - len(sure)]
    chosen = np.concatenate((sure, ties))
    # Stable, and `chosen` ascends within equal scores: ties stay in row order.
    return chosen[np.argsort(-scores[chosen], kind="stable")]


def order(scores: F32) -> I64:
    """All rows, best first, ties by row."""
    return np.argsort(-scores, kind="stable")


def choose(scores: F32, places: int, supported: npt.NDArray[np.bool_], *, new_first: bool) -> I64:
    """Rows that get a place, in the order of their places.

    With `new_first`, among the first NEW_FIRST_POOL times `places` ranks the children without
    support take places first and the supported ones what is left; never more than `places`.
    """
    if not new_first:
        return top(scores, places)
    pool = top(scores, NEW_FIRST_POOL * places)
    busy = supported[pool]
    return np.concatenate((pool[~busy], pool[busy]))[:places]


def probability(log_odds: float) -> float:
    """The probability a score stands for; distinct scores stay distinct."""
    return round(sigmoid(log_odds), 13)
