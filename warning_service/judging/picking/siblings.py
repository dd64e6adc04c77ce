"""Who lives in one household with whom, as numbers; and what siblings give to a child's score.

Households are random keys (roster/households.py); a 世帯番号 never comes here. A child whose family
refuses is in nobody's list of siblings, because judging holds nothing of it but its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from warning_service.playbooks.judging import Sibling

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

ALONE = -1
"""The number of a child in no household that is known."""


@dataclass(frozen=True)
class FromSiblings:
    """What its siblings give to one child: the rule's points, and what a model's columns show."""

    points: float = 0.0
    shown: tuple[float, ...] = ()


def numbered(households: Iterable[str]) -> I64:
    """A number for each child's household, the same for the same key; ALONE for ''."""
    known: dict[str, int] = {}
    return np.array(
        [known.setdefault(key, len(known)) if key else ALONE for key in households],
        dtype=np.int64,
    )


def extra_points(
    rule: Sibling | None,
    scores: F64,
    households: I64,
    elsewhere: Sequence[tuple[int, float]] = (),
) -> F64:
    """What siblings give to each child. `elsewhere`: (household, score) of children elsewhere.

    Only the siblings' own scores count: nothing is handed on from child to child.
    """
    if rule is None:
        return np.zeros(len(scores))
    high = (scores >= rule.at) & (households >= 0)
    most = max([int(households.max(initial=-1)), *(h for h, _ in elsewhere)], default=-1) + 1
    held = np.bincount(households[high], minlength=max(most, 1))
    for household, score in elsewhere:
        if household >= 0 and score >= rule.at:
            held[household] += 1
    others = np.where(households >= 0, held[np.maximum(households, 0)], 0) - high
    return np.where(others > 0, rule.points, 0.0)
