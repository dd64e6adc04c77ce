"""Which groups of a table must not be shown, where nobody may be recognised and sums are known.

A number of 1 to 4 children is small. Hiding it is not enough: what groups beside known sums lack of
them is had by subtracting, so more must go. Shared by the pages and by a replay's report; what a
hidden number is called is theirs to say. Numbers only, nothing of a child.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

SMALL = 5


def is_small(count: int) -> bool:
    """Must this count be hidden by itself?"""
    return 0 < count < SMALL


Parts = Sequence[tuple[int, int]]
"""By group: (part, rest) of a whole, e.g. of the children it came to: (missed, found)."""


class Hidden(msgspec.Struct, frozen=True):
    """Groups of which nothing is shown, and for each measure those whose parts are not."""

    whole: frozenset[int]
    parts: tuple[frozenset[int], ...]


def hide(measures: Sequence[Parts]) -> Hidden | None:
    """What must be hidden of groups that stand beside known sums; None: everything.

    A group goes as a whole when a whole of it is 1 to 4 in any measure (who knows the size of a
    school knows the one from the other), and its parts when one of them is. What is hidden is not
    said to be small, and never one group alone: then each hidden number could as well be one more
    or one fewer, with another hidden group making up for it. What the hidden ones add up to follows
    from the sum: as long as that is 1 to 4, further groups go. Where a sum itself is small no other
    group can make up for anything, and nothing is shown.
    """
    for parts in measures:
        part, rest = sum(p for p, _ in parts), sum(r for _, r in parts)
        if any(map(is_small, (part, rest, part + rest))):
            return None
    groups = range(len(measures[0]))
    wholes = [[part + rest for part, rest in parts] for parts in measures]
    gone = {at for at in groups if any(is_small(whole[at]) for whole in wholes)}
    while len(gone) == 1 or any(is_small(sum(whole[at] for at in gone)) for whole in wholes):
        # One with nobody in it could not make up for anything.
        others = [at for at in groups if at not in gone and any(whole[at] for whole in wholes)]
        gone.add(min(others, key=lambda at: (wholes[0][at], at)))
    hidden = []
    for parts, whole in zip(measures, wholes, strict=True):
        mine = gone | {at for at in groups if any(map(is_small, parts[at]))}
        while len(mine) == 1 or any(
            is_small(sum(p[side] for p in _of(parts, mine))) for side in (0, 1)
        ):
            # One with nobody in it could not make up for anything; that there is one with
            # somebody follows from the sums not being small.
            others = [at for at in groups if at not in mine and whole[at]]
            mine.add(min(others, key=lambda at: (whole[at], at)))
        hidden.append(frozenset(mine))
    return Hidden(frozenset(gone), tuple(hidden))


def _of(parts: Parts, rows: set[int]) -> list[tuple[int, int]]:
    return [parts[at] for at in sorted(rows)]
