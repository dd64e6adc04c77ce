"""In which turn a duty's channels are told: the second when the first fails or is too slow.

All deliveries of an alert are written when it is told, those of later turns too, to be due a moment
later. When their time comes and the duty was reached meanwhile, they are not needed; nobody has to
be alive to notice that the first channel failed. What fails for good brings them forward.

Whether a delivery is sent is the deliverer's; which routes there are, telling.py's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import NamedTuple

SECOND_AFTER = timedelta(seconds=30)
"""So long the channels of one turn have to take a message before those of the next get it."""

BETWEEN_DUTIES = ";"


class Route(NamedTuple):
    """Where a channel is told; the lowest `priority` first."""

    channel: str
    address: str
    priority: int


class Turn(NamedTuple):
    """One address to be told, and instead of which ones: for each duty, some of whom to reach."""

    channel: str
    address: str
    turn: int
    instead: tuple[frozenset[tuple[str, str]], ...]


def turns(routes: Iterable[Collection[Route]]) -> list[Turn]:
    """The turns of several duties' `routes`, each address once, in the order of their names.

    An address that is in the first turn of one duty and in a later one of another is told at once.
    """
    first: set[tuple[str, str]] = set()
    later: dict[tuple[str, str], list[tuple[int, frozenset[tuple[str, str]]]]] = {}
    for of_duty in routes:
        ranks = sorted({route.priority for route in of_duty})
        before: set[tuple[str, str]] = set()
        for number, rank in enumerate(ranks, start=1):
            these = {(r.channel, r.address) for r in of_duty if r.priority == rank}
            for address in these:
                if number == 1:
                    first.add(address)
                else:
                    later.setdefault(address, []).append((number, frozenset(before)))
            before |= these
    found = [Turn(*address, 1, ()) for address in first]
    found += [
        Turn(*address, min(number for number, _ in told), tuple(before for _, before in told))
        for address, told in later.items()
        if address not in first
    ]
    return sorted(found, key=lambda turn: (turn.channel, turn.address))


def noted(turn: Turn, ids: Mapping[tuple[str, str], str]) -> str:
    """How a delivery's row says instead of which it is there; `ids`: address -> delivery id."""
    duties = sorted({",".join(sorted(ids[one] for one in duty)) for duty in turn.instead})
    return BETWEEN_DUTIES.join(duties)


def named(in_place_of: str) -> set[str]:
    """All delivery ids in such a note."""
    return {one for duty in in_place_of.split(BETWEEN_DUTIES) for one in duty.split(",") if one}


def spared(in_place_of: str, sent: Collection[str]) -> bool:
    """Was every duty reached by one of the deliveries that are in `sent`?"""
    duties = [set(duty.split(",")) for duty in in_place_of.split(BETWEEN_DUTIES) if duty]
    return bool(duties) and all(not duty.isdisjoint(sent) for duty in duties)
