"""Questions about places and enrolments, without names.

Whoever needs a name asks `access/gateway.py`, which knows who is asking.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, func, or_, select

from warning_service.roster import tables as t


def boards(conn: Connection) -> list[Any]:
    """All boards of the installation."""
    return list(conn.execute(select(t.boards).order_by(t.boards.c.id)))


def board(conn: Connection, board_id: str) -> Any | None:
    """One board, or None."""
    return conn.execute(select(t.boards).where(t.boards.c.id == board_id)).one_or_none()


def schools(conn: Connection, board_id: str) -> list[Any]:
    """A board's schools, in the order of their ids."""
    return list(
        conn.execute(
            select(t.schools).where(t.schools.c.board == board_id).order_by(t.schools.c.id)
        )
    )


def board_of_school(conn: Connection, school: str) -> str | None:
    """The board a school belongs to, or None."""
    return conn.execute(
        select(t.schools.c.board).where(t.schools.c.id == school)
    ).scalar_one_or_none()


def names_of_schools(
    conn: Connection, schools: Collection[str], classes: Collection[str]
) -> list[str]:
    """Names of these schools and of those these classes belong to, by school id."""
    s, c = t.schools, t.classes
    through = select(c.c.school).where(c.c.id.in_(classes))
    query = select(s.c.name).where(s.c.id.in_(schools) | s.c.id.in_(through)).order_by(s.c.id)
    return list(conn.execute(query).scalars())


def school_class(conn: Connection, class_id: str) -> Any | None:
    """One class, or None."""
    return conn.execute(select(t.classes).where(t.classes.c.id == class_id)).one_or_none()


def classes_of_board(conn: Connection, board_id: str) -> list[Any]:
    """All classes of a board's schools, the newest school year first, by grade and name."""
    c, s = t.classes, t.schools
    return list(
        conn.execute(
            select(c)
            .join(s, s.c.id == c.c.school)
            .where(s.c.board == board_id)
            .order_by(c.c.school_year.desc(), c.c.school, c.c.grade, c.c.name)
        )
    )


def enrolment_on(conn: Connection, student: str, on: date) -> Any | None:
    """The enrolment of a student on that day, or None when on no roll."""
    e = t.enrolments
    return conn.execute(
        select(e)
        .where(e.c.student == student, e.c.from_day <= on, _open_on(on))
        .order_by(e.c.from_day.desc())
        .limit(1)
    ).one_or_none()


def on_roll(conn: Connection, on: date, *, school: str = "", class_id: str = "") -> list[Any]:
    """Enrolments in force on that day at a school or in a class, ordered by student key."""
    e = t.enrolments
    query = select(e).where(e.c.from_day <= on, _open_on(on)).order_by(e.c.student)
    if school:
        query = query.where(e.c.school == school)
    if class_id:
        query = query.where(e.c.class_id == class_id)
    return list(conn.execute(query))


def opted_out(conn: Connection, student: str) -> bool:
    """Is a refusal in force now?"""
    o = t.opt_outs
    found = conn.execute(
        select(o.c.student).where(o.c.student == student, o.c.until_at.is_(None)).limit(1)
    ).first()
    return found is not None


def refusing(conn: Connection, students: Collection[str]) -> set[str]:
    """Those of these children whose families' refusal is in force now."""
    o = t.opt_outs
    wanted = sorted(students)
    found: set[str] = set()
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        found |= set(
            conn.execute(
                select(o.c.student).where(o.c.student.in_(part), o.c.until_at.is_(None))
            ).scalars()
        )
    return found


def places_of(conn: Connection, students: Collection[str], on: date) -> dict[str, Any]:
    """The enrolments of these children in force on that day, by student key."""
    e = t.enrolments
    wanted = sorted(students)
    found: dict[str, Any] = {}
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        query = select(e).where(e.c.student.in_(part), e.c.from_day <= on, _open_on(on))
        for row in conn.execute(query.order_by(e.c.from_day, e.c.class_id)):
            found[row.student] = row
    return found


def last_imports(conn: Connection, board_id: str) -> dict[str, datetime]:
    """When a file of each kind last came from which anything could be taken, by kind."""
    i = t.imports
    taken = (i.c.rows_rejected == 0) | (i.c.rows_new + i.c.rows_known + i.c.rows_left_out > 0)
    rows = conn.execute(
        select(i.c.kind, func.max(i.c.at).label("last"))
        .where(i.c.board == board_id, taken)
        .group_by(i.c.kind)
    )
    return {row.kind: row.last for row in rows}


def _open_on(on: date) -> Any:
    e = t.enrolments
    return or_(e.c.until_day.is_(None), e.c.until_day > on)
