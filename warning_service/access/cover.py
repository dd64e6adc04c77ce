"""What is known of a school's staff for planning: who works there, who is away, who stands in.

Reads only, with names, for covering.py, which knows who asks. Whom alerts count on at a moment is
presence.py's, which needs no names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, or_, select

from warning_service.access.presence import PARTS, span_of
from warning_service.access.roles import OFFICES, Place, Role
from warning_service.clock import day_of
from warning_service.roster import tables as roster

OVER: tuple[tuple[Table, ColumnElement[Any]], ...] = (
    (roster.absences, roster.absences.c.until_at),
    (roster.stand_ins, roster.stand_ins.c.until_day),
)
"""Tables that are cleared some time after a row is over, and when it is, for retention."""


class Held(msgspec.Struct, frozen=True):
    """A duty somebody holds today. `school`: the one its place is of or in."""

    role: str
    place: str
    school: str


class Colleague(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who works at one of the schools asked for. `works`: weekday -> part; {}: always."""

    staff: str
    name: str
    held: tuple[Held, ...]
    works: Mapping[int, str] = {}


class Away(msgspec.Struct, frozen=True, kw_only=True):
    """An absence that is not over. `part` of a single day; `mine`: the asker may take it back."""

    id: str
    staff: str
    first: date
    last: date
    part: str
    entered_by: str


class StandIn(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who holds a duty for some days. `instead_of` '': on duty without lessons (日直)."""

    id: str
    staff: str
    role: str
    place: str
    first: date
    last: date
    instead_of: str
    entered_by: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is entered for the schools of one asker, from today on. All are keys; names apart."""

    colleagues: tuple[Colleague, ...]
    away: tuple[Away, ...]
    stand_ins: tuple[StandIn, ...]


def schools_of_board(conn: Connection, board: str) -> set[str]:
    """Ids of the board's schools."""
    sc = roster.schools.c
    return set(conn.execute(select(sc.id).where(sc.board == board)).scalars())


def school_of(conn: Connection, role: Role, place: str) -> str:
    """The school a duty's place is of or in; '' for a board's."""
    kind = OFFICES[role].place
    if kind is Place.GRADE:
        return place.partition(":")[0]
    if kind is Place.SCHOOL:
        return place
    if kind is Place.CLASS:
        c = roster.classes.c
        return str(conn.execute(select(c.school).where(c.id == place)).scalar_one_or_none() or "")
    return ""


def people_at(conn: Connection, board: str, school: str, on: date) -> dict[str, list[Held]]:
    """Active staff with a duty at a school (its grades and classes too), with those duties."""
    s, d, c = roster.staff.c, roster.duties.c, roster.classes.c
    rooms = select(c.id).where(c.school == school)
    rows = conn.execute(
        select(d.staff, d.role, d.place)
        .join(roster.staff, s.staff == d.staff)
        .where(s.board == board, s.active, d.from_day <= on)
        .where(or_(d.until_day.is_(None), d.until_day > on))
        .where(
            or_(
                d.place == school,
                d.place.startswith(f"{school}:", autoescape=True),
                d.place.in_(rooms),
            )
        )
        .order_by(d.role, d.place)
    )
    found: dict[str, list[Held]] = {}
    for row in rows:
        found.setdefault(row.staff, []).append(Held(row.role, row.place, school))
    return found


def named(conn: Connection, people: Mapping[str, Sequence[Held]]) -> list[Colleague]:
    """These people by name, with the days they work."""
    s, w = roster.staff.c, roster.working_days.c
    keys = sorted(people)
    works: dict[str, dict[int, str]] = {}
    for row in conn.execute(select(roster.working_days).where(w.staff.in_(keys))):
        works.setdefault(row.staff, {})[row.weekday] = row.part
    rows = conn.execute(select(s.staff, s.name).where(s.staff.in_(keys)))
    return [
        Colleague(
            staff=row.staff, name=row.name, held=tuple(people[row.staff]),
            works=works.get(row.staff, {}),
        )
        for row in rows
    ]  # fmt: skip


def absences_of(conn: Connection, keys: Sequence[str], today: date) -> tuple[Away, ...]:
    """Absences of these people that are not over, the earliest first."""
    a = roster.absences.c
    rows = conn.execute(
        select(roster.absences)
        .where(a.staff.in_(keys), a.withdrawn_at.is_(None), a.until_at > span_of(today)[0])
        .order_by(a.from_at, a.staff)
    )
    return tuple(_as_away(row) for row in rows)


def _as_away(row: Any) -> Away:
    first = day_of(row.from_at)
    last = day_of(row.until_at - timedelta(microseconds=1))
    parts = (part for part in PARTS if span_of(first, part) == (row.from_at, row.until_at))
    return Away(
        id=row.id, staff=row.staff, first=first, last=last, part=next(parts, "day"),
        entered_by=row.entered_by,
    )  # fmt: skip


def stand_ins_of(
    conn: Connection,
    keys: Sequence[str],
    people: Mapping[str, Sequence[Held]],
    school: str,
    today: date,
) -> tuple[StandIn, ...]:
    """Stand-ins not over: of these people, or in their place, at the school."""
    n = roster.stand_ins.c
    rows = conn.execute(
        select(roster.stand_ins)
        .where(n.withdrawn_at.is_(None), n.until_day > today)
        .where(or_(n.staff.in_(keys), n.instead_of.in_(keys)))
        .order_by(n.from_day, n.role, n.place)
    )
    return tuple(
        StandIn(
            id=row.id, staff=row.staff, role=row.role, place=row.place, first=row.from_day,
            last=row.until_day - timedelta(days=1), instead_of=row.instead_of,
            entered_by=row.entered_by,
        )
        for row in rows
        if school_of(conn, Role(row.role), row.place) == school or row.staff in people
    )  # fmt: skip
