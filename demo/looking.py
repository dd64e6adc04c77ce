"""What adults of the generated town look at in a year of ordinary work, and odd looking besides.

For the figures of alarms on odd looking (`benchmarks/odd_looks.py` counts the false ones of a whole
year). The town's own people, classes, duties, school days and lists; what its adults look at is
made up here after how such work goes: the homeroom teacher's class each morning and a child or two,
report cards before vacations, home visits in May; the nurse's round; the counsellor's day; meetings
on the list; a late evening now and then, a Saturday with club duty. All of it is generated, so it
says how the shipped figures behave on work of this shape, and nothing about real schools.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from random import Random

from demo.town import SCHOOLS, Town
from warning_service.access.trail.audit import Look, Trail
from warning_service.clock import MovableClock, at
from warning_service.database import Database
from warning_service.roster.calendar import SchoolCalendar

YEAR = 2025
FIRST, LAST = date(2025, 4, 7), date(2026, 3, 24)
ODD_DAYS = (date(2025, 10, 8), date(2025, 10, 12))
"""A Wednesday and a Sunday on which the odd looking of `odd` happens."""

REPORT_CARDS = ((7, 8), (12, 12), (3, 12))
BOARD = "town"
WEEKDAYS = SchoolCalendar(None, "")
Moment = tuple[datetime, Look]


class Year:
    """Who looks at whom, day by day."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.rng = Random("a normal year")
        self.rooms: dict[tuple[str, int, str], list[str]] = {}
        for child in town.children:
            place = child.at.get(YEAR)
            if place is not None:
                key = (place.school, place.grade, place.room)
                self.rooms.setdefault(key, []).append(child.number)
        self.schools = {
            school.id: sorted(
                n for (where, _, _), kids in self.rooms.items() if where == school.id for n in kids
            )
            for school in SCHOOLS
        }
        self.worries = {
            school: self.rng.sample(kids, max(6, len(kids) // 25))
            for school, kids in self.schools.items()
        }

    def day(self, day: date) -> list[Moment]:
        """All looks of a day, in order."""
        found: list[Moment] = []
        if self.town.is_school_day(day):
            for key, kids in self.rooms.items():
                found += self.homeroom(day, key, kids)
            for school in self.schools:
                found += self.school(day, school)
        elif day.weekday() == 5:
            for key, kids in self.rooms.items():
                if self.rng.random() < 0.04:  # club duty, and a look at two or three
                    found += self.opened(day, 10, self.staff(key), "homeroom", self.some(kids, 3))
        elif WEEKDAYS.is_school_day(day):  # vacation: planning (nobody is in on a national holiday)
            for key, kids in self.rooms.items():
                if self.rng.random() < 0.1:
                    found += self.opened(day, 14, self.staff(key), "homeroom", self.some(kids, 12))
        return sorted(found, key=lambda one: one[0])

    def homeroom(self, day: date, key: tuple[str, int, str], kids: list[str]) -> Iterator[Moment]:
        rng, who = self.rng, self.staff(key)
        if day.weekday() == 0:  # the other mornings a glance at some, to keep the test short
            yield from self.shown(day, 8, who, "homeroom", "class", kids)
        yield from self.opened(day, 15, who, "homeroom", self.some(kids, rng.choice((0, 1, 1, 3))))
        start = day <= FIRST + timedelta(days=3)  # getting to know a new class
        cards = any((day.month, d) == (m, day.day) for m, d in REPORT_CARDS)
        if cards or (start and rng.random() < 0.5):
            yield from self.opened(day, 16, who, "homeroom", kids, minutes=150)
        if day.month == 5 and rng.random() < 0.2:  # home visits
            yield from self.opened(day, 13, who, "homeroom", self.some(kids, 6))
        if rng.random() < 0.05:  # a late evening
            yield from self.opened(day, 20, who, "homeroom", self.some(kids, 5))
        if rng.random() < 0.002:  # a call for help is read at home
            yield from self.opened(day, 22, who, "homeroom", self.some(kids, 1))

    def school(self, day: date, school: str) -> Iterator[Moment]:
        rng, kids, worries = self.rng, self.schools[school], self.worries[school]
        nurse = f"{school}.nurse"
        yield from self.shown(day, 8, nurse, "nurse", "alerts", self.some(worries, 12))
        yield from self.opened(day, 11, nurse, "nurse", self.some(kids, rng.randrange(2, 14)))
        if day.day in (9, 10) and day.month in (4, 9):  # health checks: the school, class by class
            yield from self.shown(day, 13, nurse, "nurse", "class", kids)
            yield from self.opened(day, 14, nurse, "nurse", self.some(kids, 35), minutes=120)
        if day.weekday() == 2:
            who = f"{school}.counsellor"
            yield from self.opened(day, 10, who, "counsellor", self.some(worries, 8), minutes=240)
        listed = self.some(kids, max(3, len(kids) * 3 // 100))
        first = self.town.first_school_day(day.year, day.month)
        if day == first:
            for duty in ("management", "guidance", "nurse"):
                who = f"{school}.{duty}"
                yield from self.shown(day, 9, who, duty, "list", listed)
                yield from self.opened(day, 9, who, duty, listed, minutes=50)
        if first is not None and (day - first).days == 5:
            who = f"{school}.committee"
            yield from self.shown(day, 16, who, "committee", "committee", listed)
            yield from self.opened(day, 16, who, "committee", listed, minutes=40)
        if day.weekday() == 0:
            who = f"{school}.management"
            yield from self.opened(day, 17, who, "management", self.some(worries, 6))
        if rng.random() < 0.1:  # a link from last year's class
            yield from self.refused(day, f"{school}.guidance", rng.randrange(1, 3))

    def staff(self, key: tuple[str, int, str]) -> str:
        return "-".join(map(str, key))

    def some(self, kids: list[str], count: int) -> list[str]:
        return self.rng.sample(kids, min(count, len(kids)))

    def opened(
        self, day: date, hour: int, who: str, duty: str, kids: list[str], *, minutes: int = 55
    ) -> Iterator[Moment]:
        for kid in kids:
            # To five minutes, so that many looks are written at once.
            when = at(day, hour) + timedelta(minutes=5 * self.rng.randrange(minutes // 5))
            yield when, _look(who, duty, "student", kid)

    def shown(  # noqa: PLR0917
        self, day: date, hour: int, who: str, duty: str, action: str, kids: list[str]
    ) -> Iterator[Moment]:
        when = at(day, hour, 5 * self.rng.randrange(10))
        for kid in kids:
            yield when, _look(who, duty, action, kid)

    def refused(self, day: date, who: str, count: int) -> Iterator[Moment]:
        for n in range(count):
            yield at(day, 12), _look(who, "guidance", "refused:student", f"left-{n}")


def _look(who: str, duty: str, action: str, kid: str) -> Look:
    return Look(board=BOARD, actor=who, action=action, subject=kid, duty=duty)


def odd(year: Year) -> dict[str, list[Moment]]:
    """What should be found: rule -> looks in the middle of an ordinary week."""
    day, sunday = ODD_DAYS
    kids = year.schools["sakura"]
    star = year.worries["midori"][0]
    return {
        "hour": list(year.opened(day, 10, "sakura.nurse", "nurse", kids[:60])),
        "night": list(year.opened(day, 23, "midori.guidance", "guidance", kids[:5])),
        "free_day": list(year.opened(sunday, 14, "asahi.management", "management", kids[:15])),
        "usual": list(
            year.opened(day, 9, "sakura.counsellor", "counsellor", kids[:41], minutes=300)
        ),
        "refused": [
            (at(day, 15), _look("minami.nurse", "nurse", "refused:student", f"x{n}"))
            for n in range(9)
        ],
        "watched": [
            (at(day, 9), _look(f"midori-{n}", "guidance", "student", star)) for n in range(14)
        ],
    }  # fmt: skip


def write_day(database: Database, trail: Trail, clock: MovableClock, moments: list[Moment]) -> None:
    """All looks of a day in one transaction, each at its own time."""
    with database.writing() as conn:
        start = 0
        while start < len(moments):
            end = start
            while end < len(moments) and moments[end][0] == moments[start][0]:
                end += 1
            if moments[start][0] > clock.now():
                clock.move_to(moments[start][0])
            trail.write(conn, [look for _, look in moments[start:end]])
            start = end
