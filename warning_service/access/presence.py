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

from sqlalchemy import BindParameter, Connection, bindparam, or_, select

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


# Asked for every call for help, so built once: making a statement costs more than running it.
_s, _d, _n, _a, _w = (
    roster.staff.c, roster.duties.c, roster.stand_ins.c, roster.absences.c, roster.working_days.c,
)  # fmt: skip
_places: BindParameter[str] = bindparam("places", expanding=True)
_boards: BindParameter[str] = bindparam("boards", expanding=True)
_HELD = (
    select(_d.staff, _d.role, _d.place, _d.from_day, _d.until_day, _s.board)
    .join(roster.staff, _s.staff == _d.staff)
    .where(_d.place.in_(_places), _s.active)
    .where(or_(_d.until_day.is_(None), _d.until_day > bindparam("first")))
)
_ON_DUTY = select(_n.place, _n.from_day, _n.until_day).where(
    _n.place.in_(_places), _n.instead_of == "",
    _n.until_day > bindparam("first"), _n.withdrawn_at.is_(None),
)  # fmt: skip
_AWAY = select(_a.staff, _a.from_at, _a.until_at).where(
    _a.board.in_(_boards), _a.until_at > bindparam("since"), _a.withdrawn_at.is_(None)
)
_WORKS = select(roster.working_days).where(_w.board.in_(_boards))


class Presence:
    """Holders of duties at `places`, from the day of `since` on, and when they are away.

    Four queries, however many places there are.
    """

    def __init__(self, conn: Connection, places: Collection[str], since: datetime) -> None:
        first = day_of(since)
        self._held: dict[tuple[str, str], list[Any]] = {}
        wanted = sorted(places)
        boards: set[str] = set()
        self._rostered: dict[str, list[Any]] = {}
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            rows = conn.execute(_HELD, {"places": part, "first": first})
            for row in rows:
                self._held.setdefault((row.role, row.place), []).append(row)
                boards.add(row.board)
            for guard in conn.execute(_ON_DUTY, {"places": part, "first": first}):
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
    found: dict[str, list[tuple[datetime, datetime]]] = {}
    for row in conn.execute(_AWAY, {"boards": sorted(boards), "since": since}):
        found.setdefault(row.staff, []).append((row.from_at, row.until_at))
    return found


def _works(conn: Connection, boards: Collection[str]) -> dict[str, dict[int, str]]:
    found: dict[str, dict[int, str]] = {}
    for row in conn.execute(_WORKS, {"boards": sorted(boards)}):
        found.setdefault(row.staff, {})[row.weekday] = row.part
    return found
