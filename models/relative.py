"""Where a student stands among others, and against chance: the small arithmetic features share.

Group means are exact sums (`fsum`), so that the order of the students moves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
FARTHEST = 4.0  # standard deviations; beyond it a place says nothing more


def place(values: F64, seen: npt.NDArray[np.bool_] | None = None) -> F64:
    """How far from the group's mean, in its standard deviations, at most 4; 0 where not seen."""
    known = values if seen is None else values[seen]
    if len(known) < 2:
        return np.zeros(len(values))
    mean = math.fsum(known.tolist()) / len(known)
    spread = math.sqrt(math.fsum(((known - mean) ** 2).tolist()) / len(known))
    if spread < 1e-9:
        return np.zeros(len(values))
    placed = np.clip((values - mean) / spread, -FARTHEST, FARTHEST)
    return placed if seen is None else np.where(seen, placed, 0.0)


def place_within(
    values: F64, parts: Sequence[str], seen: npt.NDArray[np.bool_] | None = None
) -> F64:
    """The place within each part (a class) of the group."""
    found = np.zeros(len(values))
    labels = np.array(parts, dtype=object)
    for part in sorted(set(parts)):
        mine = labels == part
        found[mine] = place(values[mine], None if seen is None else seen[mine])
    return found


def excess(happened: F64, of: F64, chance: float) -> F64:
    """How much more often than by chance, in standard deviations with one added; at most 4.

    `happened` times of `of`, where `chance` is usual. Adding one to the variance keeps a single
    occasion from looking like a habit.
    """
    spread = np.sqrt(of * chance * (1.0 - chance) + 1.0)
    return np.clip((happened - of * chance) / spread, -FARTHEST, FARTHEST)
