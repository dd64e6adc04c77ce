"""What the other children of a home show, as columns beside a child's own features.

Two numbers, whatever the items are called: how many of the others have had the outcome, and the
highest of their points by the rule, as a root like every heavy-tailed amount. A child who lives
alone, or in a home nobody knows, has zeros, as has one whose siblings show nothing. Only boards
whose playbooks look at households have these columns; who lives with whom is the roster's, and
here a number for each home.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

OWNER = "household:sibling"
"""Under which all that siblings add to a score is told as one."""
COLUMNS = (f"{OWNER}:affected", f"{OWNER}:points")
MOST_AFFECTED = 3


class Shows(NamedTuple):
    """One child, as the others at home are concerned. `home`: below 0 for none that is known."""

    home: int
    points: float
    affected: bool


def columns(children: Sequence[Shows], elsewhere: Iterable[Shows] = ()) -> F64:
    """(children, 2): COLUMNS of each child, from all others of its home. `elsewhere`: more others,
    of whom no row is wanted. A child's own points and outcomes are never in its row.
    """
    homes: dict[int, list[Shows]] = {}
    for one in (*children, *elsewhere):
        if one.home >= 0:
            homes.setdefault(one.home, []).append(one)
    # Once for each home, not for each child of it: a number that an extract gave to a thousand
    # families by mistake would otherwise stop everybody's list.
    known = {home: _home(held) for home, held in homes.items() if len(held) > 1}
    found = np.zeros((len(children), len(COLUMNS)))
    for at, one in enumerate(children):
        if one.home in known:
            affected, most, next_most = known[one.home]
            # Where two have as many points, the next most are as many.
            points = next_most if one.points == most else most
            root = np.sign(points) * np.sqrt(abs(points))
            found[at] = min(MOST_AFFECTED, affected - one.affected), root
    return found


def _home(held: Sequence[Shows]) -> tuple[int, float, float]:
    """(children affected, most points, next most) of a home of two and more."""
    most, next_most = heapq.nlargest(2, (one.points for one in held))
    return sum(one.affected for one in held), most, next_most
