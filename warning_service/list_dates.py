"""On which days warning lists fall due: the playbook's cadence on the school calendar.

A day is looked for in each school's own calendar; where children are picked from the whole board at
once, in the board's, and one slot stands for all schools. Slots that were missed come in their
order, from the day after the last that ran. Nothing is made here: schedule.py appends the events.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, func, or_, select

from warning_service.clock import at, day_of
from warning_service.events.tables import job_runs
from warning_service.playbooks.judging import Cadence, ListRule
from warning_service.roster import queries
from warning_service.roster.calendar import SchoolCalendar
from warning_service.roster.tables import enrolments

NOT_BEFORE: dict[Cadence, int] = {
    "first_school_day_of_month": 21, "first_school_day_of_week": 7, "every_school_day": 1,
}  # fmt: skip
"""Days of data before a first list. A monthly one on the day children enrol would be a lottery."""


class Due(NamedTuple):
    """One list, or (`school` '') those of a whole board."""

    moment: datetime
    job: str
    on: date
    school: str


def due(conn: Connection, board: str, rule: ListRule, first: date, now: datetime) -> list[Due]:
    """Lists of a board whose moment has come and that were not made, oldest first for each school.

    `first`: the first day anybody was on a roll. A list needs children on the roll of its day.
    """
    if rule.cadence == "none":
        return []
    schools = [row.id for row in queries.schools(conn, board)]
    whole = f"warning_list:board:{board}"
    jobs = {"": whole} if rule.scope == "board" else {s: f"warning_list:{s}" for s in schools}
    # A board that has changed between the two begins where it was, and not again.
    before = [whole] if rule.scope == "school" else [f"warning_list:{s}" for s in schools]
    changed = max((day for job in before if (day := ran_until(conn, job))), default=None)
    calendar = SchoolCalendar(conn, board)
    found = []
    for school, job in jobs.items():
        last = ran_until(conn, job)
        last = max((day for day in (last, changed) if day is not None), default=None)
        period = _begin(rule.cadence, first) if last is None else _next(rule.cadence, last)
        while period <= day_of(now):
            after = _next(rule.cadence, period)
            on = _day(calendar, school, rule, period, after)
            period = after
            if on is None or on < first + timedelta(days=NOT_BEFORE[rule.cadence]):
                continue
            moment = at(on, rule.hour)
            if moment <= now and _anybody(conn, board, school, on):
                found.append(Due(moment, job, on, school))
    return found


def falls_on(calendar: SchoolCalendar, rule: ListRule, school: str, day: date) -> bool:
    """Is that day one of the playbook's for a school ('': the board)? Whether made or not."""
    begin = _begin(rule.cadence, day)
    if rule.cadence == "none":
        return False
    return _day(calendar, school, rule, begin, _next(rule.cadence, begin)) == day


def _anybody(conn: Connection, board: str, school: str, on: date) -> bool:
    """Is anybody on the roll of that day at the school, or at any of the board's?"""
    e = enrolments.c
    here = e.school == school if school else e.board == board
    still = or_(e.until_day.is_(None), e.until_day > on)
    found = conn.execute(select(e.student).where(here, e.from_day <= on, still).limit(1)).first()
    return found is not None


def ran_until(conn: Connection, job: str) -> date | None:
    """The latest slot of a job that ran."""
    last = conn.execute(
        select(func.max(job_runs.c.slot)).where(job_runs.c.job == job)
    ).scalar_one_or_none()
    return None if last is None else date.fromisoformat(last)


def _begin(cadence: Cadence, day: date) -> date:
    """The first day of the period a day lies in: its month, its week from Monday, itself."""
    if cadence == "first_school_day_of_month":
        return day.replace(day=1)
    if cadence == "first_school_day_of_week":
        return day - timedelta(days=day.weekday())
    return day


def _next(cadence: Cadence, day: date) -> date:
    """The first day of the next period."""
    begin = _begin(cadence, day)
    if cadence == "first_school_day_of_month":
        return (begin + timedelta(days=32)).replace(day=1)
    return begin + timedelta(days=7 if cadence == "first_school_day_of_week" else 1)


def _day(
    calendar: SchoolCalendar, school: str, rule: ListRule, begin: date, end: date
) -> date | None:
    """The first school day of a period, if it is in one of the playbook's months."""
    day = begin
    while day < end:
        if calendar.is_school_day(day, school):
            return day if not rule.months or day.month in rule.months else None
        day += timedelta(days=1)
    return None
