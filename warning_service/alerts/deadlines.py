"""By when an alert has to be acknowledged, and when its message may go out.

An urgent alert's minutes are minutes: a cry for help does not wait for the morning. All other
minutes only run while the school is open, by the board's calendar: what is raised on Friday evening
falls due on the next school day. A day without lessons on which the school has somebody on duty
counts as open. What can wait is not sent in quiet hours; it goes out when they end, and its
deadline runs from then.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Protocol

from warning_service.clock import at, day_of
from warning_service.playbooks.kinds import Escalation, Step
from warning_service.roster.calendar import SchoolCalendar

URGENT = "urgent"
TODAY = "today"


def chain_of(escalation: Escalation, urgency: str) -> tuple[Step, ...]:
    """The steps of that urgency, in order, for kinds without a chain of their own."""
    if urgency == URGENT:
        return escalation.urgent
    return escalation.today if urgency == TODAY else escalation.routine


class OpenDays(Protocol):
    """On which days there is somebody at a school."""

    def is_school_day(self, day: date, school: str = "") -> bool:
        """Is the school open on that day?"""
        ...

    def next_school_day(self, after: date, school: str = "") -> date:
        """The first such day later than `after`. Raises ValueError if there is none in a year."""
        ...


class StaffedDays:
    """School days, and days without lessons for which somebody is on the duty roster."""

    def __init__(self, lessons: SchoolCalendar, on_duty: Callable[[str, date], bool]) -> None:
        self.lessons = lessons
        self._on_duty = on_duty

    def is_school_day(self, day: date, school: str = "") -> bool:
        """Is there anybody at the school?"""
        return self.lessons.is_school_day(day, school) or self._on_duty(school, day)

    def next_school_day(self, after: date, school: str = "") -> date:
        """The first such day later than `after`. Raises ValueError if there is none in a year."""
        for step in range(1, 367):
            day = after + timedelta(days=step)
            if self.is_school_day(day, school):
                return day
        raise ValueError("nobody at the school within a year")


def due_after(
    start: datetime,
    minutes: int,
    *,
    urgency: str,
    escalation: Escalation,
    calendar: OpenDays,
    school: str,
) -> datetime:
    """The instant `minutes` after `start`: plain minutes if urgent, else minutes of open school."""
    never_open = escalation.school_closes <= escalation.school_opens
    if urgency == URGENT or never_open:
        return start + timedelta(minutes=minutes)
    left = timedelta(minutes=minutes)
    day = day_of(start)
    if not calendar.is_school_day(day, school):
        day = _next_open(calendar, day, school)
    while True:
        opens = at(day) + timedelta(hours=escalation.school_opens)
        closes = at(day) + timedelta(hours=escalation.school_closes)
        begin = max(start, opens)
        open_for = max(closes - begin, timedelta(0))
        if left <= open_for:
            return begin + left
        left -= open_for
        day = _next_open(calendar, day, school)


def due_of(
    start: datetime,
    step: Step,
    *,
    urgency: str,
    escalation: Escalation,
    calendar: OpenDays,
    school: str,
) -> datetime:
    """By when those of `step`, told at `start`, have to have taken it on.

    A step of school days is due when school closes on the last of them; the day on which they are
    told is not counted.
    """
    if not step.school_days:
        return due_after(
            start, step.minutes,
            urgency=urgency, escalation=escalation, calendar=calendar, school=school,
        )  # fmt: skip
    day = day_of(start)
    for _ in range(step.school_days):
        day = _next_open(calendar, day, school)
    return at(day) + timedelta(hours=escalation.school_closes)


def may_ring_at(
    moment: datetime, *, escalation: Escalation, calendar: OpenDays, school: str
) -> datetime:
    """When a message that heeds quiet hours may go out: `moment`, or when they end."""
    quiet = escalation.quiet
    if quiet.begin == quiet.end:
        return moment
    day = day_of(moment)
    opens, closes = (at(day) + timedelta(hours=hour) for hour in (quiet.end, quiet.begin))
    if quiet.begin < quiet.end:  # hours within one day, such as 0 to 6
        asleep = closes <= moment < opens
        later = False
    else:
        asleep, later = moment < opens, moment >= closes
    free = quiet.school_free_days and not calendar.is_school_day(day, school)
    if not (asleep or later or free):
        return moment
    if later or free:
        day = (
            _next_open(calendar, day, school) if quiet.school_free_days else day + timedelta(days=1)
        )
    return at(day) + timedelta(hours=quiet.end)


def retold_at(
    now: datetime, *, urgency: str, escalation: Escalation, calendar: OpenDays, school: str
) -> datetime:
    """When the last step is told again: in a day if urgent, else when school next opens."""
    if urgency == URGENT:
        return now + timedelta(days=1)
    day = _next_open(calendar, day_of(now), school)
    return at(day) + timedelta(hours=escalation.school_opens)


def _next_open(calendar: OpenDays, after_day: date, school: str) -> date:
    try:
        return calendar.next_school_day(after_day, school)
    except ValueError:  # a calendar without school days must not keep an alert from falling due
        return after_day + timedelta(days=1)
