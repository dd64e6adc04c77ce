"""Why the challenger's trees put a child where it is: the exact steps of each tree, item by item.

The parts add up to the score minus the mean score of what the trees were fitted on. They become the
same factors as a linear model's (evidence.py), so that the sentences are the same. Of an item's
columns, which say nearly the same of a child, trees split on whichever parted the sample best; so
the sentence is not sought behind the column that happened to get the largest part, but first behind
those that tell an amount or answer against the child's own usual. The part is the whole item's
either way, and a fact is only told on the side it is on (facts.py).
"""

from __future__ import annotations

import math

from models.challenger import Challenger
from models.features import Extract
from warning_service.judging.setup import Setup
from warning_service.judging.telling.evidence import Factor

AGAINST_USUAL = ("rate28", "change28", "rate7", "change7", "change", "last", "bad_run")
"""Columns whose facts are told against the child's own usual, the most telling first."""
LAST = ("since", "rate_ever", "mean_ever")
"""Columns whose facts say least by themselves: when it last was, and what it is on average."""


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
    return [
        Factor(owner, sums[owner] / whole, _telling(held, sums[owner]) or (owner,))
        for owner, held in owned.items()
    ]


def _telling(held: list[tuple[str, float]], whole: float) -> tuple[str, ...]:
    """An item's columns in the order in which a fact is sought behind them; none without a part."""
    if not whole:
        return ()

    def turn(one: tuple[str, float]) -> tuple[int, int, float]:
        stat = one[0].rpartition(":")[2]
        if stat in AGAINST_USUAL:
            return 0, AGAINST_USUAL.index(stat), 0.0
        return 1 + (stat in LAST), 0, -abs(one[1])

    ordered = sorted(held, key=turn)
    return tuple(
        name
        for name, part in ordered
        if part * whole > 0 or name.rpartition(":")[2] in AGAINST_USUAL
    )
