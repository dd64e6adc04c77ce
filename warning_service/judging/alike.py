"""How like a child is to the children with a support history: what `similarity` weighs items by.

An item weighs the logarithm of how many times as often children with that history reach it as the
others do (never below 0: not reaching an item is no likeness). The weights are brought to a sum of
one, so that a child's likeness is the weight of the items it reaches: 0 like none of it, 1 all of
it, every item's part exact. Both shares are counted as if one more child reached the item and one
more did not, so that few children make no certainty.

What this is not: a probability, or a statement that a child is in difficulty. It finds what is
alike, including what was noticed in those who got support.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from warning_service.judging.rules import Window, reaches, usual_weights
from warning_service.judging.setup import Setup

LEAST = 5
"""Children with a support history before anything is weighed by them."""
DECIMALS = 9

Mask = npt.NDArray[np.bool_]


def learn(setup: Setup, windows: Mapping[str, Window], history: Mask) -> dict[str, float]:
    """Weights by item, from all children of a board: window values, and who has a history.

    With fewer than LEAST of them, or nothing that sets them apart: the playbook's points.
    """
    reached: dict[str, tuple[int, int]] = {}
    for use in setup.uses:
        hit = reaches(use, windows[use.spec.id], use.at)
        reached[use.spec.id] = (int((hit & history).sum()), int((hit & ~history).sum()))
    return weights(setup, reached, int(history.sum()), int((~history).sum()))


def weights(
    setup: Setup, reached: Mapping[str, tuple[int, int]], with_history: int, others: int
) -> dict[str, float]:
    """The same from counts: item -> (children with a history, others) who reach it."""
    usual = usual_weights(setup)
    if with_history < LEAST:
        return usual
    found = {}
    for item in sorted(usual):
        mine, theirs = reached[item]
        odds = (mine + 1) / (with_history + 2) / ((theirs + 1) / (others + 2))
        found[item] = max(0.0, math.log(odds))
    whole = math.fsum(found.values())
    if not whole:
        return usual
    return {item: round(value / whole, DECIMALS) for item, value in found.items()}
