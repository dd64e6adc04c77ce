"""Counts of what somebody chose freely, blurred, so that one try taken from another tells nobody.

Hiding small counts is enough where the question is fixed. A board may try any file: two that differ
in one grade or one item list nearly the same children, each count is large, and their difference
is the one child with that item in that grade. So a count of children a tried file picked out is
shown to the nearest five, up or down by chance: 12 is 10 three times in five and 15 twice. The
chance comes from the children themselves (`grain`), so that asking for the same ones again gives
the same answer, however the file words it, and many questions cannot be averaged.
"""

from __future__ import annotations

import hashlib

from teacher_portal.suppression import Cell

STEP = 5


def about(count: int, grain: str, name: str) -> int:
    """The count to the nearest five; `name`: which of the counts that share a grain."""
    whole, rest = divmod(count, STEP)
    drawn = hashlib.sha256(f"{grain}:{name}:{count}".encode()).digest()
    up = int.from_bytes(drawn[:4], "big") * STEP < rest << 32
    return STEP * (whole + up)


def blurred(cell: Cell, grain: str, name: str) -> Cell:
    """A cell's count, blurred; what is hidden stays so, and nobody is nobody."""
    if not cell.value:
        return cell
    return Cell(about(cell.value, grain, name), "about")
