"""Who holds a duty, and who is behind a chat account: keys and duties, never names.

Alerts ask here whether anybody is there to be told; the chat connector asks whose thumb pressed a
button. Both get keys only, so nothing from here needs to be on the audit trail.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from sqlalchemy import ColumnElement, Connection, false, or_, select

from warning_service.access.principals import Duty, Principal, duty_at
from warning_service.access.roles import OFFICES, Place, Reach, Role
from warning_service.roster import tables as roster
from warning_service.roster.calendar import school_year_of


def holders(conn: Connection, places: Collection[str], on: date) -> dict[tuple[str, str], set[str]]:
    """(role, place) -> keys of the active staff who hold that duty on that day."""
    s, d = roster.staff, roster.duties
    found: dict[tuple[str, str], set[str]] = {}
    wanted = sorted(places)
    for start in range(0, len(wanted), 500):
        rows = conn.execute(
            select(d.c.staff, d.c.role, d.c.place)
            .join(s, s.c.staff == d.c.staff)
            .where(d.c.place.in_(wanted[start : start + 500]), s.c.active, _in_force(on))
        )
        for row in rows:
            found.setdefault((row.role, row.place), set()).add(row.staff)
    return found


def is_active(conn: Connection, staff: str) -> bool:
    """Is there such a member of staff, and do they still work here?"""
    s = roster.staff
    return bool(conn.execute(select(s.c.staff).where(s.c.staff == staff, s.c.active)).first())


def duties_of(conn: Connection, staff: str, on: date) -> tuple[Duty, ...]:
    """The duties in force that day, resolved to schools and classes; none for an inactive person.

    A duty at a place that is gone, or of a kind the role is not held at, covers nothing.
    """
    s, d = roster.staff, roster.duties
    rows = conn.execute(
        select(d.c.role, d.c.place)
        .join(s, s.c.staff == d.c.staff)
        .where(d.c.staff == staff, s.c.active, _in_force(on))
        .order_by(d.c.role, d.c.place)
    ).all()
    return tuple(_resolved(conn, Role(row.role), row.place, on) for row in rows)


def _resolved(conn: Connection, role: Role, place: str, on: date) -> Duty:
    office = OFFICES[role]
    if office.place is Place.GRADE:
        school, _, grade = place.partition(":")
        c = roster.classes
        rooms = conn.execute(
            select(c.c.id)
            .where(c.c.school == school, c.c.grade == int(grade) if grade.isdigit() else false())
            .where(c.c.school_year == school_year_of(on))
            .order_by(c.c.id)
        )
        return Duty(role, place, classes=tuple(rooms.scalars()))
    if office.reach is Reach.BOARD:
        sc = roster.schools
        held = conn.execute(select(sc.c.id).where(sc.c.board == place).order_by(sc.c.id))
        return Duty(role, place, schools=tuple(held.scalars()))
    return duty_at(role, place)


def everybody(conn: Connection, board: str, on: date) -> dict[str, tuple[Principal, str]]:
    """Staff key -> who they are with the duties of that day, and the id Slack knows them by ('').

    For what the service itself makes for each person; active staff with a duty only.
    """
    s = roster.staff
    rows = conn.execute(
        select(s.c.staff, s.c.slack_user).where(s.c.board == board, s.c.active).order_by(s.c.staff)
    ).all()
    found = {}
    for row in rows:
        if duties := duties_of(conn, row.staff, on):
            who = Principal(kind="staff", key=row.staff, board=board, csrf="", duties=duties)
            found[row.staff] = (who, row.slack_user or "")
    return found


def by_slack_user(conn: Connection, slack_user: str, board: str, on: date) -> Principal | None:
    """The member of staff of `board` whom Slack knows by that id, with the duties of that day.

    None for an unknown or inactive one, and for an id that two accounts claim: then nobody can say
    who pressed.
    """
    s = roster.staff
    rows = conn.execute(
        select(s.c.staff).where(s.c.slack_user == slack_user, s.c.board == board, s.c.active)
    ).all()
    if len(rows) != 1 or not slack_user:
        return None
    key = str(rows[0].staff)
    return Principal(
        kind="staff",
        key=key,
        board=board,
        csrf="",
        duties=duties_of(conn, key, on),
    )


def _in_force(on: date) -> ColumnElement[bool]:
    d = roster.duties
    return (d.c.from_day <= on) & or_(d.c.until_day.is_(None), d.c.until_day > on)
