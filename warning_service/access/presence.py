"""Who holds a duty at a moment, and is there: duties, stand-ins, absences, part-time days.

Alerts ask here whom they can reach. Somebody is taken to be there unless an absence or the days
they work say otherwise: what the school has not entered, nobody knows. Keys only, never names, so
nothing from here needs to be on the trail. Not here: what a duty allows (roles.py); somebody who is
away still may do all that their duty allows, they are just not counted on.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, or_, select

from warning_service.clock import at, day_of
from warning_service.roster import tables as roster

NOON = 12
PARTS = ("day", "am", "pm")
"""Parts of a day somebody works or is away: all of it, until noon, from noon on."""


def span_of(day: date, part: str = "day") -> tuple[datetime, datetime]:
    """From when until before when a part of a day lasts, in Japan."""
    return (
        at(day, NOON) if part == "pm" else at(day),
        at(day, NOON) if part == "am" else at(day + timedelta(days=1)),
    )


class Presence:
    """Holders of duties at `places`, from the day of `since` on, and when they are away.

    Four queries, however many places there are.
    """

    def __init__(self, conn: Connection, places: Collection[str], since: datetime) -> None:
        first = day_of(since)
        self._held: dict[tuple[str, str], list[Any]] = {}
        s, d, n = roster.staff, roster.duties, roster.stand_ins
        wanted = sorted(places)
        boards: set[str] = set()
        self._rostered: dict[str, list[Any]] = {}
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            rows = conn.execute(
                select(d.c.staff, d.c.role, d.c.place, d.c.from_day, d.c.until_day, s.c.board)
                .join(s, s.c.staff == d.c.staff)
                .where(d.c.place.in_(part), s.c.active)
                .where(or_(d.c.until_day.is_(None), d.c.until_day > first))
            )
            for row in rows:
                self._held.setdefault((row.role, row.place), []).append(row)
                boards.add(row.board)
            on_duty = conn.execute(
                select(n.c.place, n.c.from_day, n.c.until_day).where(
                    n.c.place.in_(part), n.c.instead_of == "",
                    n.c.until_day > first, n.c.withdrawn_at.is_(None),
                )
            )  # fmt: skip
            for guard in on_duty:
                self._rostered.setdefault(guard.place, []).append(guard)
        self.anybody_rostered = bool(self._rostered)
        self._away = _away(conn, boards, since)
        self._works = _works(conn, boards)

    def holders(self, role: str, place: str, on: date) -> set[str]:
        """Keys of those who hold that duty on that day, stand-ins too, wherever they are."""
        return {
            row.staff
            for row in self._held.get((role, place), ())
            if row.from_day <= on and (row.until_day is None or row.until_day > on)
        }

    def people(self) -> set[str]:
        """Keys of all who hold any of the duties, now or later."""
        return {row.staff for rows in self._held.values() for row in rows}

    def there(self, role: str, place: str, moment: datetime) -> set[str]:
        """Those of the holders of that moment's day who are not away then."""
        found = self.holders(role, place, day_of(moment))
        return {staff for staff in found if not self.is_away(staff, moment)}

    def is_away(self, staff: str, moment: datetime) -> bool:
        """Has an absence been entered, or does this person not work then?"""
        if any(begin <= moment < end for begin, end in self._away.get(staff, ())):
            return True
        days = self._works.get(staff)
        if days is None:
            return False
        day = day_of(moment)
        part = days.get(day.weekday())
        if part is None:
            return True
        begin, end = span_of(day, part)
        return not begin <= moment < end

    def rostered(self, place: str, on: date) -> bool:
        """Is somebody on duty at this school on that day without lessons (日直)?"""
        return any(row.from_day <= on < row.until_day for row in self._rostered.get(place, ()))


def _away(
    conn: Connection, boards: Collection[str], since: datetime
) -> dict[str, list[tuple[datetime, datetime]]]:
    a = roster.absences
    found: dict[str, list[tuple[datetime, datetime]]] = {}
    rows = conn.execute(
        select(a.c.staff, a.c.from_at, a.c.until_at).where(
            a.c.board.in_(sorted(boards)), a.c.until_at > since, a.c.withdrawn_at.is_(None)
        )
    )
    for row in rows:
        found.setdefault(row.staff, []).append((row.from_at, row.until_at))
    return found


def _works(conn: Connection, boards: Collection[str]) -> dict[str, dict[int, str]]:
    w = roster.working_days
    found: dict[str, dict[int, str]] = {}
    for row in conn.execute(select(w).where(w.c.board.in_(sorted(boards)))):
        found.setdefault(row.staff, {})[row.weekday] = row.part
    return found
