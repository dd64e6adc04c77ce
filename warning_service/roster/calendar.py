"""Which days are school days.

A school day is a weekday that is neither a national holiday (jpholiday) nor in the board's or the
school's list of closed days (vacations, founding day). Saturday lessons are not modelled.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import jpholiday
from sqlalchemy import Connection, select

from warning_service.roster.tables import closed_days


@lru_cache(maxsize=4096)
def _free_everywhere(day: date) -> bool:
    return day.weekday() >= 5 or bool(jpholiday.is_holiday(day))


def school_year_of(day: date) -> int:
    """The school year a day lies in: it begins on 1 April and carries that year's number."""
    return day.year if day.month >= 4 else day.year - 1


class SchoolCalendar:
    """School days of one board; closed days are loaded once, make a new one after changes."""

    def __init__(self, conn: Connection | None, board: str) -> None:
        self._closed: dict[str, set[date]] = {}
        if conn is not None:
            for row in conn.execute(select(closed_days).where(closed_days.c.board == board)):
                self._closed.setdefault(row.school, set()).add(row.day)

    def is_school_day(self, day: date, school: str = "") -> bool:
        """Are there lessons at `school` ('' = at schools in general)?"""
        if _free_everywhere(day) or day in self._closed.get("", ()):
            return False
        return day not in self._closed.get(school, ())

    def is_closed(self, day: date, school: str) -> bool:
        """Has the board or the school closed a day that would have lessons (a vacation)?"""
        return not _free_everywhere(day) and not self.is_school_day(day, school)

    def next_school_day(self, after: date, school: str = "") -> date:
        """The first school day later than `after`. Raises ValueError if there is none in a year."""
        for step in range(1, 367):
            day = after + timedelta(days=step)
            if self.is_school_day(day, school):
                return day
        raise ValueError("no school day within a year")

    def first_school_day(self, year: int, month: int, school: str = "") -> date | None:
        """The first school day of a month; None in a month without any."""
        day = date(year, month, 1)
        while day.month == month:
            if self.is_school_day(day, school):
                return day
            day += timedelta(days=1)
        return None

    def days(self, first: date, last: date, school: str = "") -> list[date]:
        """All school days from `first` to `last`, both included."""
        span = (last - first).days + 1
        every = (first + timedelta(days=n) for n in range(span))
        return [day for day in every if self.is_school_day(day, school)]
