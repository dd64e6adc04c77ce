"""How like a child is to the children with a support history: what `similarity` weighs items by.

An item weighs the logarithm of how many times as often children with that history reach it as the
others do (never below 0: not reaching an item is no likeness). The weights are brought to a sum of
one, so that a child's likeness is the weight of the items it reaches: 0 like none of it, 1 all of
it, every item's part exact. To both groups two children are added who reach the item as often as
all children do, so that few children make no certainty and equal shares no difference.

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
ADDED = 2
"""Children with the usual share that are added to each group."""
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
        found[item] = 0.0
        if mine:
            usual_share = ADDED * (mine + theirs) / (with_history + others)
            share = (mine + usual_share) / (with_history + ADDED)
            others_share = (theirs + usual_share) / (others + ADDED)
            found[item] = max(0.0, math.log(share / others_share))
    whole = math.fsum(found.values())
    if not whole:
        return usual
    return {item: round(value / whole, DECIMALS) for item, value in found.items()}
