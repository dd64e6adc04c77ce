"""School days before and after a date, and what was recorded of a child on them.

Everything evaluation says about effects is counted in the playbook's own outcome item (days absent)
over equally many school days on both sides, so that a vacation is no improvement. A child counts
only when it was on the board's roll at both ends and the record reaches back far enough; a window
that still runs is not yet known.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, select

from warning_service.clock import day_of
from warning_service.events.recorded import OnRecord
from warning_service.follow_up.tables import follow_ups, reviews
from warning_service.judging.tables import warning_lists
from warning_service.playbooks.model import Playbook
from warning_service.roster.calendar import SchoolCalendar
from warning_service.roster.tables import enrolments

SPAN = 20
"""School days on each side of a date: about a month of lessons."""

BACK = timedelta(days=200)
"""So far before the first day looked at are school days worked out."""


class Stay(NamedTuple):
    """On the roll of a school from `first` until before `until` (None: still)."""

    first: date
    until: date | None
    school: str
    grade: int

    def covers(self, day: date) -> bool:
        """Is `day` within it?"""
        return self.first <= day and (self.until is None or day < self.until)


class Act(NamedTuple):
    """One record: on which day, was it one of the playbook's support actions, was the child
    better afterwards.
    """

    on: date
    support: bool
    better: bool


class Around(msgspec.Struct, frozen=True):
    """The school days just before a date, and from it on."""

    before: Sequence[date]
    after: Sequence[date]


class Town:
    """What a board's effects are counted from; `acts` and `stays` by child, in order of time."""

    def __init__(
        self, conn: Connection, board: str, playbook: Playbook, *, record: OnRecord, first: date,
        today: date,
    ) -> None:  # fmt: skip
        self.playbook, self.today, self.first = playbook, today, first
        self.item = playbook.outcome.item
        self.record = record
        known = playbook.catalogue_items().get(self.item)
        self.countable = known is not None and known.kind == "count"
        self.since = record.first.get(self.item)
        self.calendar = SchoolCalendar(conn, board)
        self.stays = _stays(conn, board)
        # Who was under support when the first day came had been given it before.
        held = timedelta(days=playbook.list.supported_days)
        self.acts = _acts(conn, board, playbook, first - held)
        self.reviewed = _reviewed(conn, board, first, today)
        self._days: dict[str, list[date]] = {}

    def school_days(self, school: str) -> list[date]:
        """All school days from some time before `first` up to yesterday, in order."""
        if school not in self._days:
            yesterday = self.today - timedelta(days=1)
            self._days[school] = self.calendar.days(self.first - BACK, yesterday, school)
        return self._days[school]

    def around(self, school: str, day: date, span: int = SPAN, *, skip: bool = False) -> Around:
        """`span` school days before `day` and from it on (`skip`: from the day after).

        Shorter where the days have not been yet, or lie too far back.
        """
        days = self.school_days(school)
        at = bisect_left(days, day)
        after = bisect_left(days, day + timedelta(days=1)) if skip else at
        return Around(days[max(0, at - span) : at], days[after : after + span])

    def counted(self, student: str, days: Sequence[date]) -> int:
        """The item of a child, added up over these days."""
        held = self.record.days(self.item, student)
        return round(sum(held.get(day, 0.0) for day in days))

    def reaches_back(self, day: date) -> bool:
        """Does the record begin on that day or earlier?"""
        return self.since is not None and self.since <= day

    def usable(self, student: str, days: Around, span: int = SPAN) -> bool:
        """Can the child be counted on both sides? Not when a window is short or it was away."""
        if len(days.before) < span or len(days.after) < span:
            return False
        first, last = days.before[0], days.after[-1]
        if not self.reaches_back(first) or student in self.record.stopped.get(self.item, ()):
            return False
        stays = self.stays.get(student, ())
        return any(s.covers(first) for s in stays) and any(s.covers(last) for s in stays)

    def place(self, student: str, day: date) -> Stay | None:
        """Where the child was on that day, or at last before it."""
        found = None
        for stay in self.stays.get(student, ()):
            if stay.first <= day:
                found = stay
        return found

    def schools(self) -> dict[str, str]:
        """Every child's school today, or the last one it was at."""
        placed = {student: self.place(student, self.today) for student in self.stays}
        return {student: stay.school for student, stay in placed.items() if stay is not None}

    def first_support(self, student: str, since: date, until: date) -> date | None:
        """The first support given from `since` until before `until`."""
        for act in self.acts.get(student, ()):
            if act.support and since <= act.on < until:
                return act.on
        return None


def _stays(conn: Connection, board: str) -> Mapping[str, list[Stay]]:
    e = enrolments.c
    query = select(e.student, e.from_day, e.until_day, e.school, e.grade)
    found: dict[str, list[Stay]] = {}
    for row in conn.execute(query.where(e.board == board).order_by(e.from_day, e.class_id)):
        stay = Stay(row.from_day, row.until_day, row.school, row.grade)
        found.setdefault(row.student, []).append(stay)
    return found


def _acts(conn: Connection, board: str, playbook: Playbook, first: date) -> Mapping[str, list[Act]]:
    f, rules = follow_ups.c, playbook.follow_up
    query = select(f.student, f.action, f.change, f.at).where(f.board == board)
    found: dict[str, list[Act]] = {}
    for row in conn.execute(query.order_by(f.at, f.id)):
        on = day_of(row.at)
        if on >= first:
            act = Act(on, row.action in rules.support_actions, row.change in rules.better)
            found.setdefault(row.student, []).append(act)
    return found


def _reviewed(conn: Connection, board: str, first: date, today: date) -> set[str]:
    w, r = warning_lists.c, reviews.c
    query: Any = (
        select(r.student)
        .join(warning_lists, w.id == r.list_id)
        .where(w.board == board, w.list_date >= first, w.list_date <= today)
    )
    return set(conn.execute(query.distinct()).scalars())
