"""Did it help? Four ways of asking, none of which can prove it, and each says what it cannot.

Who is listed was picked because things were bad, and things that are bad get better on average by
themselves (regression to the mean). So the plain before-and-after of supported children
(Aizumisato) stands beside a comparison: children just above the cut with children just below it on
the same lists, what was before and the score held equal. Schools with lists are held against
schools without (Fuchu-shi), breaks are looked at for whether support went on (Sado), and the funnel
counts children from ranked to better (Tsukuba, Fukuoka, Takagi).

Children below the cut may have been helped too, and support is not given by chance: the figures
describe. Below models/effects.py's least numbers nothing is told but the numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import pairwise
from math import log

import msgspec

from models.effects import Gap, Paired, adjusted, difference_in_differences, paired
from models.shares import Share
from warning_service.follow_up.evaluating.days import SPAN, Town
from warning_service.follow_up.evaluating.lists import Known, Ranked, Scored
from warning_service.roster.calendar import school_year_of

SCHOOL_SPAN = 60
"""School days on each side in the comparison of schools."""

LEAST_SPAN = 20
"""Fewer than so many and schools are not compared."""

STARTED_WITHIN = timedelta(days=28)
"""Schools whose first list came within so many days of the very first began together."""

MET_WITHIN = 28
"""Support goes on over a break when somebody recorded something within so many days after it."""

LONG_BREAK = 7
"""So many days without lessons in a row are a break, when some of them are closed days."""


class BeforeAfter(msgspec.Struct, frozen=True, kw_only=True):
    """Supported children; `n` with both windows whole, `running` whose time is not over yet."""

    n: int
    running: int
    result: Paired | None


class Corrected(msgspec.Struct, frozen=True, kw_only=True):
    """Listed children just above the cut against unlisted ones just below it.

    The means are of the same children as `gap`, which holds before and score equal.
    """

    n: int
    n_others: int
    before: float
    after: float
    others_before: float
    others_after: float
    gap: Gap | None


class Schools(msgspec.Struct, frozen=True, kw_only=True):
    """Schools with lists against those without, days for each child and `span` school days.

    `since`: the first list; None when no school began with lists in the time looked at. `earlier`:
    the same between the two halves of the days before it, when there was no list anywhere: schools
    that went apart already then are not made comparable by subtracting.
    """

    span: int
    since: date | None
    with_lists: tuple[tuple[str, float, float], ...]  # school, before, after
    without: tuple[tuple[str, float, float], ...]
    gap: Gap | None
    earlier: Gap | None


class Break(msgspec.Struct, frozen=True, kw_only=True):
    """Support over a break. `met`: of the children under support before, those recorded after.

    `moved`: only those who went from primary school to junior high over it.
    """

    last: date
    first: date
    moved: bool
    met: Share
    known: bool
    known_on: date


class Steps(msgspec.Struct, frozen=True, kw_only=True):
    """Children, each once: how many came how far."""

    ranked: int
    listed: int
    reviewed: int
    supported: int
    better: int


def before_and_after(town: Town, known: Known, school: str = "") -> BeforeAfter:
    """Supported children before and after their first support in the time after a list."""
    before, after, running = [], [], 0
    for student, one in first_listings(known).items():
        if (school and one.school != school) or not town.countable:
            continue
        until = one.on + timedelta(days=town.playbook.list.supported_days)
        given = town.first_support(student, one.on, until)
        if given is None:
            continue
        days = town.around(one.school, given, skip=True)
        if len(days.after) < SPAN:
            running += 1
        elif town.usable(student, days):
            before.append(town.counted(student, days.before))
            after.append(town.counted(student, days.after))
    return BeforeAfter(n=len(before), running=running, result=paired(before, after))


def corrected(town: Town, known: Known, *, supported_only: bool) -> Corrected:
    """The comparison around the cut; `supported_only`: of the listed, those who got support.

    Each child counts once, by the first list it was near the cut of. Below the cut only children
    without support at the time and never listed before.
    """
    sides: tuple[list[tuple[int, int, float]], list[tuple[int, int, float]]] = ([], [])
    if town.countable:
        for student, (one, child) in _around_cut(town, known).items():
            until = one.on + timedelta(days=town.playbook.list.supported_days)
            if child.listed and supported_only and not town.first_support(student, one.on, until):
                continue
            days = town.around(one.school, one.on)
            if town.usable(student, days):
                line = (town.counted(student, days.before), town.counted(student, days.after),
                        _log_odds(child.score))  # fmt: skip
                sides[not child.listed].append(line)
    mine, others = sides
    rows = [*mine, *others]
    return Corrected(
        n=len(mine), n_others=len(others),
        before=_mean([b for b, _, _ in mine]), after=_mean([a for _, a, _ in mine]),
        others_before=_mean([b for b, _, _ in others]),
        others_after=_mean([a for _, a, _ in others]),
        gap=adjusted(
            [a for _, a, _ in rows],
            [True] * len(mine) + [False] * len(others),
            [[b for b, _, _ in rows], [score for _, _, score in rows]],
        ),
    )  # fmt: skip


def _around_cut(town: Town, known: Known) -> dict[str, tuple[Scored, Ranked]]:
    """By child: the first list it was near the cut of, just above or just below."""
    found: dict[str, tuple[Scored, Ranked]] = {}
    listed_before = set(known.listed_earlier)
    given = timedelta(days=town.playbook.list.supported_days)
    for one in sorted(known.lists, key=lambda one: (one.on, one.id)):
        listed = sorted((c for c in one.children if c.listed), key=lambda c: -c.rank)
        half = listed[: (len(listed) + 1) // 2]
        below = [
            child
            for child in one.children  # by rank: the highest scores first
            if not child.listed
            and child.student not in listed_before
            and town.first_support(child.student, one.on - given, one.on) is None
        ]
        for child in (*half, *below[: len(half)]):
            if child.counts and child.student not in listed_before:
                found.setdefault(child.student, (one, child))
        listed_before |= {child.student for child in listed}
    return found


def first_listings(known: Known) -> dict[str, Scored]:
    """By child: the first list it stood on in the time looked at."""
    found: dict[str, Scored] = {}
    for one in sorted(known.lists, key=lambda one: (one.on, one.id)):
        for child in one.children:
            if child.listed:
                found.setdefault(child.student, one)
    return found


def schools_apart(town: Town, known: Known, schools: Sequence[str]) -> Schools:
    """Change at schools that began with lists against the change at schools without, on the same
    days, and whether they already went apart before.

    Everybody on a school's roll at both ends counts, listed or not; refusing families' children do
    not. The school is one observation, because what happens at a school happens to all of it. Who
    began within a month of the first counts as having lists; who had them long before, or began
    while the days after were running, stands on neither side.
    """
    since = min((day for day in known.since.values() if day >= known.first), default=None)
    if since is None or not town.countable:
        return Schools(span=0, since=since, with_lists=(), without=(), gap=None, earlier=None)
    began = {s: known.since.get(s, date.max) for s in schools}
    spans = {s: town.around(s, since, SCHOOL_SPAN) for s in schools if began[s] >= since}
    span = min(
        (min(len(_reach(town, days.before)), len(days.after)) for days in spans.values()), default=0
    )
    lines: tuple[list[tuple[str, float, float]], ...] = ([], [])
    trends: tuple[list[float], ...] = ([], [])
    for school in spans if span >= LEAST_SPAN else ():
        days = town.around(school, since, span)
        last = days.after[-1]
        if began[school] - since >= STARTED_WITHIN and began[school] <= last:
            continue
        held = [
            student
            for student in town.stays
            if student not in known.refusing
            and (place := town.place(student, last)) is not None
            and place.school == school
            and town.usable(student, days, span)
        ]
        if held:
            side, half = began[school] > last, span // 2
            early, late, after = (
                _mean([town.counted(s, part) for s in held])
                for part in (days.before[-2 * half : -half], days.before[-half:], days.after)
            )
            before = _mean([town.counted(s, days.before) for s in held])
            lines[side].append((school, before, after))
            trends[side].append(late - early)
    return Schools(
        span=span, since=since, with_lists=tuple(lines[0]), without=tuple(lines[1]),
        gap=difference_in_differences(*([after - before for _, before, after in s] for s in lines)),
        earlier=difference_in_differences(*trends),
    )  # fmt: skip


def _reach(town: Town, days: Sequence[date]) -> list[date]:
    return [day for day in days if town.reaches_back(day)]


def breaks(town: Town, refusing: Iterable[str], school: str = "") -> list[Break]:
    """Every break since `town.first`, newest first; over a new school year also who moved up."""
    days = town.school_days(school)
    gone = set(refusing)
    found = []
    for last, first in pairwise(days):
        if (first - last).days <= LONG_BREAK or last < town.first:
            continue
        given = timedelta(days=town.playbook.list.supported_days)
        under = [
            student
            for student in town.acts
            if student not in gone
            and town.first_support(student, last - given, first) is not None
            and _there(town, student, first, school)
        ]
        moved = [s for s in under if _moved_up(town, s, last, first)]
        new_year = school_year_of(last) != school_year_of(first)
        for members, only_moved in ((under, False), (moved, True)):
            if only_moved and not new_year:
                continue
            until = first + timedelta(days=MET_WITHIN)
            met = sum(any(first <= act.on < until for act in town.acts[s]) for s in members)
            found.append(
                Break(
                    last=last, first=first, moved=only_moved, met=Share(met, len(members)),
                    known=until <= town.today, known_on=until,
                )
            )  # fmt: skip
    return sorted(found, key=lambda one: (one.first, not one.moved), reverse=True)


def _there(town: Town, student: str, day: date, school: str) -> bool:
    return any(
        stay.covers(day) and school in ("", stay.school) for stay in town.stays.get(student, ())
    )


def _moved_up(town: Town, student: str, last: date, first: date) -> bool:
    old, new = town.place(student, last), town.place(student, first)
    return (
        old is not None and new is not None and old.grade <= 6 < new.grade
        and old.school != new.school
    )  # fmt: skip


def steps(town: Town, known: Known, school: str = "") -> Steps:
    """The funnel of the whole time, each child once, from its first list on."""
    ranked = {
        child.student for one in known.lists if school in ("", one.school) for child in one.children
    }
    listed = {s: one for s, one in first_listings(known).items() if school in ("", one.school)}
    supported = better = 0
    for student, one in listed.items():
        until = one.on + timedelta(days=town.playbook.list.supported_days)
        given = town.first_support(student, one.on, until)
        if given is not None:
            supported += 1
            within = [act for act in town.acts[student] if given <= act.on < until]
            better += within[-1].better
    return Steps(
        ranked=len(ranked), listed=len(listed),
        reviewed=len(listed.keys() & town.reviewed), supported=supported, better=better,
    )  # fmt: skip


def _log_odds(chance: float) -> float:
    held = min(max(chance, 1e-6), 1 - 1e-6)
    return log(held / (1 - held))


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers) if numbers else 0.0
