"""Where a student stands among others, and against chance: the small arithmetic features share.

Group means are exact sums (`fsum`), so that the order of the students moves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
FARTHEST = 4.0  # standard deviations; beyond it a place says nothing more


class Scale(NamedTuple):
    """A group's mean and standard deviation of something, and of how many.

    A deviation of 0: nobody stands out. `of` 0: not kept, in scales from before it was.
    """

    mean: float
    spread: float
    of: int = 0


NO_SCALE = Scale(0.0, 0.0)


def scale(known: F64) -> Scale:
    """The scale of a group's values."""
    if len(known) < 2:
        return NO_SCALE
    mean = math.fsum(known.tolist()) / len(known)
    spread = math.sqrt(math.fsum(((known - mean) ** 2).tolist()) / len(known))
    return Scale(mean, spread, len(known))


def placed(values: F64, of: Scale, seen: npt.NDArray[np.bool_] | None = None) -> F64:
    """How far from a mean, in its standard deviations, at most 4; 0 where not seen."""
    if of.spread < 1e-9:
        return np.zeros(len(values))
    found = np.clip((values - of.mean) / of.spread, -FARTHEST, FARTHEST)
    return found if seen is None else np.where(seen, found, 0.0)


def placed_instead(values: F64, of: Scale, own: float) -> F64:
    """The same of each value, had it stood in that group in the place of the one value `own`."""
    by = values - own
    mean = of.mean + by / of.of
    squares = (values - of.mean) ** 2 - (own - of.mean) ** 2 - by * by / of.of
    spread = np.sqrt(np.maximum(of.spread**2 + squares / of.of, 0.0))
    alone = spread < 1e-9
    found = np.clip((values - mean) / np.where(alone, 1.0, spread), -FARTHEST, FARTHEST)
    return np.where(by == 0.0, placed(values, of), np.where(alone, 0.0, found))


def place(values: F64, seen: npt.NDArray[np.bool_] | None = None) -> F64:
    """The same from the group's own mean."""
    return placed(values, scale(values if seen is None else values[seen]), seen)


@dataclass
class Scales:
    """What of a group goes into each of its members' features: means and deviations by name.

    `given`: those of another group, to place somebody in it who is not among these values (a child
    as it would be with other facts, the others staying as they were). `instead`: that child's own
    values in the group as it was, which each of these takes the place of; `own` collects them.
    """

    given: Mapping[str, Scale] | None = None
    instead: Mapping[str, float] | None = None
    found: dict[str, Scale] = field(default_factory=dict)
    own: dict[str, float] = field(default_factory=dict)

    def place(self, name: str, values: F64, seen: npt.NDArray[np.bool_] | None = None) -> F64:
        """The place of each value; the scale is kept under `name`."""
        of = self._of(name, values if seen is None else values[seen])
        if self.given is not None and len(values) and (seen is None or seen[0]):
            self.own[name] = float(values[0])
        if self.instead is not None and name in self.instead and of.of > 1:
            found = placed_instead(values, of, self.instead[name])
            return found if seen is None else np.where(seen, found, 0.0)
        return placed(values, of, seen)

    def middle(self, name: str, known: F64) -> float:
        """The group's mean, 0 of nothing."""
        if self.given is not None:
            return self.given.get(name, NO_SCALE)[0]
        mean = math.fsum(known.tolist()) / len(known) if len(known) else 0.0
        self.found[name] = Scale(mean, 0.0)
        return mean

    def _of(self, name: str, known: F64) -> Scale:
        if self.given is not None:
            return self.given.get(name, NO_SCALE)
        self.found[name] = scale(known)
        return self.found[name]


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
