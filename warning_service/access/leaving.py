"""Who has left, and the end of what the roster and access hold of them.

Children who are on no roll any more, adults without any duty: found by the day on which the last
one ended. Everything here is within the caller's write transaction and may be repeated. What other
rooms hold of a child is deleted by `warning_service/keeping`, before the name goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, delete, exists, func, or_, select, update

from warning_service.access import tables as access
from warning_service.roster import tables as roster


class Left(NamedTuple):
    """Somebody, and the first day on which nothing held them here any more."""

    key: str
    on: date


def children_who_left(conn: Connection, board: str, before: date, limit: int) -> list[Left]:
    """Children of a board who left by a day and are still in the roster, the earliest first.

    `on` is the first day off the roll, so whoever was on it to 31 March left on 1 April and belongs
    to the school year before: a clock's day counts, too. A child that never was on a roll has not
    left: it is about to come.
    """
    e, s = roster.enrolments, roster.students
    gone = func.max(func.coalesce(e.c.until_day, date.max))
    query = (
        select(e.c.student, gone.label("on"))
        .join(s, s.c.student == e.c.student)
        .where(e.c.board == board)
        .group_by(e.c.student)
        .having(gone <= before)
        .order_by(gone, e.c.student)
        .limit(limit)
    )
    return [Left(row.student, row.on) for row in conn.execute(query)]


def children_who_can_sign_in(conn: Connection, left: Sequence[Left]) -> list[Left]:
    """Those of `left` who still have a seat, a session or an account at a provider."""
    keys = [one.key for one in left]
    found: set[str] = set()
    for _table, key, more in _child_doors():
        for start in range(0, len(keys), 500):
            query = select(key).where(key.in_(keys[start : start + 500]), *more)
            found |= set(conn.execute(query).scalars())
    return [one for one in left if one.key in found]


def _child_doors() -> list[tuple[Table, ColumnElement[str], list[ColumnElement[bool]]]]:
    i, x, s = roster.identities, roster.expected_accounts, access.sessions
    return [
        (roster.seats, roster.seats.c.student, []),
        (i, i.c.key, [i.c.kind == "child"]),
        (x, x.c.key, [x.c.kind == "child"]),
        (s, s.c.key, [s.c.kind == "child"]),
    ]


def shut_out_children(conn: Connection, students: Sequence[str]) -> None:
    """Take away every way in."""
    for table, key, more in _child_doors():
        conn.execute(delete(table).where(key.in_(students), *more))


def shred_keys(conn: Connection, students: Sequence[str]) -> None:
    """Destroy data keys: what is sealed with them is unreadable from here on, in backups too.

    (In a backup the key itself may be; see docs/operations.md for how old one may grow.)
    """
    t = roster.student_secrets
    conn.execute(delete(t).where(t.c.student.in_(students)))


def forget_names(conn: Connection, students: Sequence[str]) -> None:
    """Delete the names. The last step: whoever is still named here is begun with again."""
    t = roster.students
    conn.execute(delete(t).where(t.c.student.in_(students)))


def known_children(conn: Connection, students: Sequence[str]) -> list[str]:
    """Those of `students` who are in the roster."""
    t = roster.students
    found: list[str] = []
    for start in range(0, len(students), 500):
        part = list(students[start : start + 500])
        found += conn.execute(select(t.c.student).where(t.c.student.in_(part))).scalars()
    return sorted(found)


# -- adults ----


def staff_who_left(
    conn: Connection, board: str, before: date, limit: int, *, with_sign_in: bool
) -> list[Left]:
    """Staff whose last duty ended by a day (its first day off counts), the earliest first.

    `with_sign_in`: only those who still have a password, factor or account. Who never had a duty
    has not left.
    """
    s, d = roster.staff, roster.duties
    gone = func.max(func.coalesce(d.c.until_day, date.max))
    query = (
        select(s.c.staff, gone.label("on"))
        .join(d, d.c.staff == s.c.staff)
        .where(s.c.board == board)
        .group_by(s.c.staff)
        .having(gone <= before)
        .order_by(gone, s.c.staff)
        .limit(limit)
    )
    if with_sign_in:
        left = [exists().where(key == s.c.staff, *more) for _, key, more in _staff_doors()]
        something = (s.c.password_hash != "", s.c.slack_user.is_not(None), s.c.active)
        query = query.where(or_(*something, *left))
    return [Left(row.staff, row.on) for row in conn.execute(query)]


def _staff_doors() -> list[tuple[Table, ColumnElement[str], list[ColumnElement[bool]]]]:
    i, x, s = roster.identities, roster.expected_accounts, access.sessions
    plain = (access.staff_factors, access.recovery_codes, access.passkeys)
    return [
        *((table, table.c.staff, list[ColumnElement[bool]]()) for table in plain),
        (i, i.c.key, [i.c.kind == "staff"]),
        (x, x.c.key, [x.c.kind == "staff"]),
        (s, s.c.key, [s.c.kind == "staff"]),
    ]


def shut_out_staff(conn: Connection, staff: Sequence[str]) -> None:
    """Take away every way in; the name stays for the trail."""
    s = roster.staff
    conn.execute(
        update(s)
        .where(s.c.staff.in_(staff))
        .values(password_hash="", slack_user=None, active=False)
    )
    for table, key, more in _staff_doors():
        conn.execute(delete(table).where(key.in_(staff), *more))


def forget_staff(conn: Connection, staff: Sequence[str]) -> None:
    """Delete names, duties and what was counted and decided about these people."""
    shut_out_staff(conn, staff)
    r, x = roster, access
    for table in (
        r.duties, r.absences, r.stand_ins, r.working_days, x.looking, x.rights_reviews, r.staff
    ):  # fmt: skip
        conn.execute(delete(table).where(table.c.staff.in_(staff)))


# -- rows of imports that were never taken ----


def rejects_before(conn: Connection, before: datetime, limit: int | None = None) -> list[Any]:
    """(id, at): rejected rows of files taken in before an instant, the oldest first."""
    r, i = roster.rejects, roster.imports
    query = (
        select(r.c.id, i.c.at)
        .join(i, i.c.id == r.c.import_id)
        .where(i.c.at < before)
        .order_by(i.c.at, r.c.id)
        .limit(limit)
    )
    return list(conn.execute(query))


def drop_rejects(conn: Connection, ids: Sequence[str]) -> None:
    """Delete rejected rows."""
    for start in range(0, len(ids), 500):
        part = ids[start : start + 500]
        conn.execute(delete(roster.rejects).where(roster.rejects.c.id.in_(part)))
