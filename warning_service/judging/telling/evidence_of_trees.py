"""Why the challenger's trees put a child where it is: the exact steps of each tree, item by item.

The parts add up to the score minus the mean score of what the trees were fitted on. They become the
same factors as a linear model's (evidence.py), so that the sentences are the same.
"""

from __future__ import annotations

import math

from models.challenger import Challenger
from models.features import Extract
from warning_service.judging.setup import Setup
from warning_service.judging.telling.evidence import Factor


def from_trees(setup: Setup, extract: Extract, challenger: Challenger, row: int) -> list[Factor]:
    """Contributions per item; their absolute shares add up to one.

    Raises AssertionError while the challenger is silent.
    """
    assert challenger.forest is not None
    schema = setup.schema
    parts = challenger.forest.contributions(extract.block[row]).tolist()
    owned: dict[str, list[tuple[str, float]]] = {}
    for name, owner, part in zip(schema.names, schema.owner, parts, strict=True):
        owned.setdefault(owner, []).append((name, part))
    sums = {owner: math.fsum(part for _, part in held) for owner, held in owned.items()}
    whole = math.fsum(abs(s) for s in sums.values()) or 1.0
    found = []
    for owner, held in owned.items():
        agree = [(name, part) for name, part in held if part * sums[owner] > 0]
        agree.sort(key=lambda h: -abs(h[1]))
        found.append(
            Factor(owner, sums[owner] / whole, tuple(name for name, _ in agree) or (owner,))
        )
    return found
