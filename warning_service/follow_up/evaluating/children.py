"""Precision, recall, lift, lead time and misses: by list, and by child over a year's lists.

By list each child counts once, so the interval is that of so many children. Over a year the same
child stands on many lists; then each child counts once for the whole year: *found* when the outcome
began within the horizon of a list it was on, *missed* when it was ranked on lists within whose
horizon it began and on none of them listed, a *false alarm* when it was listed and it never began.
A hit is not a success: support that works prevents the outcome.

`missed` at the end asks the other way round, of children and not of lists: who was affected, or
given support, and had never been on any list before that day, however long before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from statistics import median, quantiles

import msgspec
import numpy as np

from models import reliability
from models.shares import Ratio, Share, lift
from warning_service.follow_up.evaluating.lists import Known, Scored


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What a set of children comes to. `listed_hits` are found, the rest of `hits` missed."""

    listed: int
    listed_hits: int
    ranked: int
    hits: int

    @property
    def precision(self) -> Share:
        """Of the listed, those the outcome came to."""
        return Share(self.listed_hits, self.listed)

    @property
    def recall(self) -> Share:
        """Of those the outcome came to, the listed."""
        return Share(self.listed_hits, self.hits)

    @property
    def base(self) -> Share:
        """Of all ranked, those the outcome came to."""
        return Share(self.hits, self.ranked)

    @property
    def false_alarms(self) -> Share:
        """Of those the outcome did not come to, the listed."""
        return Share(self.listed - self.listed_hits, self.ranked - self.hits)

    @property
    def missed(self) -> Share:
        """Of those the outcome came to, the never listed."""
        return Share(self.hits - self.listed_hits, self.hits)

    @property
    def lift(self) -> Ratio | None:
        """Precision as a multiple of the base rate."""
        return lift(self.precision, self.base)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One child over settled lists. `began`: the outcome's beginning that is counted, or None.

    `first_listed`: the first list it stood on before that (or at all, without one).
    """

    student: str
    school: str
    began: date | None
    first_listed: date | None
    new_to_us: bool

    @property
    def lead_days(self) -> int | None:
        """Days from the first list it stood on to the beginning."""
        if self.began is None or self.first_listed is None:
            return None
        return (self.began - self.first_listed).days


class Spread(msgspec.Struct, frozen=True):
    """Median and quartiles of `n` numbers."""

    n: int
    low: float
    middle: float
    high: float


def of_lists(lists: Iterable[Scored]) -> Figures:
    """Figures of lists on which no child stands twice (one date)."""
    counted = [child for one in lists for child in one.children if child.counts]
    listed = [child for child in counted if child.listed]
    return Figures(
        listed=len(listed), listed_hits=sum(c.began is not None for c in listed),
        ranked=len(counted), hits=sum(c.began is not None for c in counted),
    )  # fmt: skip


def standings(lists: Sequence[Scored]) -> list[Standing]:
    """Every child ranked on these lists once, by key. `school`: of the latest list it was on.

    A child counts as found when it was on a list within whose horizon the outcome began. Only the
    first beginning counts, so that a year with two does not count a child twice.
    """
    ordered = sorted(lists, key=lambda one: (one.on, one.id))
    starts: dict[str, date] = {}
    for one in ordered:
        for child in one.children:
            if child.began is not None and child.counts:
                starts[child.student] = min(child.began, starts.get(child.student, child.began))
    schools: dict[str, str] = {}
    firsts: dict[str, tuple[date, bool]] = {}
    for one in ordered:
        for child in one.children:
            if not child.counts:
                continue
            schools[child.student] = one.school
            # Of a child it came to, only lists that looked at this beginning can have found it.
            looked = child.listed and child.began == starts.get(child.student)
            if looked and child.student not in firsts:
                firsts[child.student] = (one.on, child.new_to_us)
    return [
        Standing(
            student=student, school=school, began=starts.get(student),
            first_listed=firsts[student][0] if student in firsts else None,
            new_to_us=student in firsts and firsts[student][1],
        )
        for student, school in sorted(schools.items())
    ]  # fmt: skip


def figures(children: Iterable[Standing]) -> Figures:
    """Figures over a year, each child once."""
    held = list(children)
    listed = [child for child in held if child.first_listed is not None]
    return Figures(
        listed=len(listed), listed_hits=sum(c.began is not None for c in listed),
        ranked=len(held), hits=sum(c.began is not None for c in held),
    )  # fmt: skip


def lead(children: Iterable[Standing]) -> Spread | None:
    """How many days before its beginning a found child was first listed; None of nobody."""
    days = [child.lead_days for child in children if child.lead_days is not None]
    return spread(days)


def spread(numbers: Sequence[float]) -> Spread | None:
    """Median and quartiles (inclusive); None of nothing."""
    if not numbers:
        return None
    if len(numbers) == 1:
        return Spread(1, numbers[0], numbers[0], numbers[0])
    low, _, high = quantiles(numbers, n=4, method="inclusive")
    return Spread(len(numbers), low, median(numbers), high)


def new_to_us(children: Iterable[Standing]) -> Share:
    """Of the children listed, those without support when they first were."""
    listed = [child for child in children if child.first_listed is not None]
    return Share(sum(child.new_to_us for child in listed), len(listed))


def calibration(lists: Sequence[Scored], *, most: int = 8) -> list[reliability.Bin]:
    """Bins of stated probability over all children of these lists; see models/reliability.py.

    Lists made before any probability had been measured stated none, and are not in it.
    """
    held = [c for one in lists for c in one.children if c.counts and c.chance is not None]
    if not held:
        return []
    return reliability.bins(
        np.array([child.chance for child in held]),
        np.array([child.began is not None for child in held]),
        [child.student for child in held],
        most=most,
    )


# -- missed --------------------------------------------------------------------------------------


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """Where a child stood on one list: known then, and nothing of later."""

    list_id: str
    on: date
    rank: int
    ranked: int
    listed: int
    points: float


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """A child never listed before it was affected or supported. `lines`: lists before that day."""

    student: str
    school: str
    began: date | None
    supported: date | None
    lines: tuple[Line, ...]


class MissedCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Never listed before, of all: with the outcome, and of those given support."""

    affected: Share
    supported: Share


def missed(
    known: Known, supported: dict[str, date], schools: dict[str, str]
) -> tuple[list[Missed], dict[str, MissedCounts]]:
    """(children never listed before, counts by school).

    `supported`: child -> first support given in the time looked at; `schools`: child -> where it is
    now or was last. The outcome counts from its first beginning after the first list of all. The
    horizon does not matter here: who was affected much later was missed all the same.
    """
    if not known.lists:
        return [], {}
    start = min(one.on for one in known.lists)
    lines: dict[str, list[tuple[Line, bool]]] = {}
    for one in sorted(known.lists, key=lambda one: (one.on, one.id)):
        size = sum(child.listed for child in one.children)
        for child in one.children:
            line = Line(
                list_id=one.id, on=one.on, rank=child.rank, ranked=len(one.children),
                listed=size, points=child.points,
            )  # fmt: skip
            lines.setdefault(child.student, []).append((line, child.listed))
    began = {
        student: min(days)
        for student, had in known.spells.items()
        if (days := [on for on, _ in had if start < on <= known.today])
    }
    found, counts = [], {school: [0, 0, 0, 0] for school in set(schools.values())}
    for student in sorted(began.keys() | supported.keys()):
        if student in known.refusing or student not in schools:
            continue
        first, given = began.get(student), supported.get(student)
        late = [
            moment is not None
            and student not in known.listed_earlier
            and not any(listed and line.on <= moment for line, listed in lines.get(student, ()))
            for moment in (first, given)
        ]
        tally = counts[schools[student]]
        for at, moment in enumerate((first, given)):
            tally[2 * at] += late[at]
            tally[2 * at + 1] += moment is not None
        if any(late):
            before = min(
                m for m, is_late in zip((first, given), late, strict=True) if m and is_late
            )
            found.append(
                Missed(
                    student=student, school=schools[student],
                    began=first if late[0] else None, supported=given if late[1] else None,
                    lines=tuple(line for line, _ in lines.get(student, ()) if line.on <= before),
                )
            )  # fmt: skip
    return found, {
        school: MissedCounts(affected=Share(a, b), supported=Share(c, d))
        for school, (a, b, c, d) in counts.items()
    }
