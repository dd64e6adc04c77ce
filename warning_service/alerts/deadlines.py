"""By when an alert has to be acknowledged.

An urgent alert's minutes are minutes: a cry for help does not wait for the morning. Minutes of
what is due "today" only run while the school is open, by the board's calendar: what is raised on
Friday evening falls due on the next school day.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from warning_service.clock import at, day_of
from warning_service.playbooks.kinds import Escalation, Step
from warning_service.roster.calendar import SchoolCalendar

URGENT = "urgent"
TODAY = "today"


def chain_of(escalation: Escalation, urgency: str) -> tuple[Step, ...]:
    """The steps for that urgency, in order."""
    return escalation.urgent if urgency == URGENT else escalation.today


def due_after(
    start: datetime,
    minutes: int,
    *,
    urgency: str,
    escalation: Escalation,
    calendar: SchoolCalendar,
    school: str,
) -> datetime:
    """The instant `minutes` after `start`: plain minutes if urgent, else minutes of open school."""
    never_open = escalation.school_closes <= escalation.school_opens
    if urgency == URGENT or never_open:
        return start + timedelta(minutes=minutes)
    left = timedelta(minutes=minutes)
    day = day_of(start)
    if not calendar.is_school_day(day, school):
        day = _next_school_day(calendar, day, school)
    while True:
        opens = at(day) + timedelta(hours=escalation.school_opens)
        closes = at(day) + timedelta(hours=escalation.school_closes)
        begin = max(start, opens)
        open_for = max(closes - begin, timedelta(0))
        if left <= open_for:
            return begin + left
        left -= open_for
        day = _next_school_day(calendar, day, school)


def retold_at(
    now: datetime, *, urgency: str, escalation: Escalation, calendar: SchoolCalendar, school: str
) -> datetime:
    """When the last step is told again: in a day if urgent, else when school next opens."""
    if urgency == URGENT:
        return now + timedelta(days=1)
    day = _next_school_day(calendar, day_of(now), school)
    return at(day) + timedelta(hours=escalation.school_opens)


def _next_school_day(calendar: SchoolCalendar, after_day: date, school: str) -> date:
    try:
        return calendar.next_school_day(after_day, school)
    except ValueError:  # a calendar without school days must not keep an alert from falling due
        return after_day + timedelta(days=1)
