"""Changes to who is who: places, people, enrolments, opt-outs.

Names go to the roster schema; what the rest of the service needs to know goes to the log, by random
student key. The identity half is written first and in a transaction of its own: on SQLite it lives
in another file, and one transaction over two files is not atomic. Repeating a call is harmless, so
a crash between the halves is mended by importing the file again.

Not here: reading files (connectors/records) and looking people up for a page (access/).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection, select, update

from warning_service.database import Database, insert_new, upsert
from warning_service.events.log import Log, UnitOfWork
from warning_service.events.types import (
    EnrolmentEnded,
    EnrolmentStarted,
    NewEvent,
    OptOutRecorded,
    OptOutWithdrawn,
    derived_id,
    new_id,
)
from warning_service.roster import households
from warning_service.roster import tables as t

KeyMaker = Callable[[], str]


def random_key() -> str:
    """A student or staff key: 80 random bits, telling nothing about the person."""
    return secrets.token_hex(10)


def put_rows(
    conn: Connection, table: Any, keys: list[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert rows or bring them up to date, by their keys."""
    if rows:
        conn.execute(upsert(conn, table, keys), [dict(row) for row in rows])


def class_codes(conn: Connection, class_ids: Sequence[str]) -> dict[str, str]:
    """Class id -> the five digits a shared tablet is set to; a class keeps the code it has.

    Digits, because a child of six taps them; made from the id, so that a second import of the same
    file into a fresh database gives the same. Not a secret: the child's pictures are.
    """
    held = {row.id: row.code for row in conn.execute(select(t.classes.c.id, t.classes.c.code))}
    taken = set(held.values())
    found = {}
    for class_id in class_ids:
        code = held.get(class_id)
        number = int.from_bytes(hashlib.sha256(class_id.encode()).digest()[:4], "big")
        while code is None or (class_id not in held and code in taken):
            code = str(10_000 + number % 90_000)
            number += 1
        taken.add(code)
        found[class_id] = code
    return found


def student_keys(
    database: Database,
    board: str,
    people: Iterable[Mapping[str, Any]],
    make_key: KeyMaker = random_key,
) -> dict[str, str]:
    """Store or update children by their number; return number -> student key.

    Each of `people` has the columns of `StudentRow` except `student`, `board` and `home`. A child
    already known keeps its key; children of one 世帯番号 get one random key for it.
    """
    wanted = list(people)
    with database.writing() as conn:
        known = {
            row.number: row.student
            for row in conn.execute(
                select(t.students.c.number, t.students.c.student).where(t.students.c.board == board)
            )
        }
        keys = {p["number"]: known.get(p["number"]) or make_key() for p in wanted}
        homes = households.keys_for(conn, board, [p["household"] for p in wanted], make_key)
        put_rows(
            conn,
            t.students,
            ["student"],
            [
                {
                    **p,
                    "student": keys[p["number"]],
                    "board": board,
                    "home": homes[p["household"]],
                }
                for p in wanted
            ],
        )
    return keys


def enrol(
    unit: UnitOfWork,
    *,
    board: str,
    student: str,
    school: str,
    class_id: str,
    grade: int,
    on: date,
    actor: str,
) -> bool:
    """Put a student on a class's roll from `on`; an earlier open enrolment ends then.

    Returns False when the student is in that class already.
    """
    e = t.enrolments
    open_ = unit.conn.execute(
        select(e).where(e.c.student == student, e.c.until_day.is_(None))
    ).all()
    if any(row.class_id == class_id for row in open_):
        return False
    for row in open_:
        end_enrolment(unit, board=board, student=student, class_id=row.class_id, on=on, actor=actor)
    unit.conn.execute(
        insert_new(unit.conn, e).values(
            student=student, class_id=class_id, from_day=on, until_day=None,
            board=board, school=school, grade=grade,
        )
    )  # fmt: skip
    unit.append(
        NewEvent(
            id=derived_id("enrolment", student, class_id, on.isoformat()),
            board=board, student=student, on=on, actor=actor,
            body=EnrolmentStarted(school=school, class_id=class_id, grade=grade),
        )
    )  # fmt: skip
    return True


def end_enrolment(
    unit: UnitOfWork, *, board: str, student: str, class_id: str, on: date, actor: str
) -> None:
    """Take a student off a class's roll from `on`."""
    e = t.enrolments
    unit.conn.execute(
        update(e)
        .where(e.c.student == student, e.c.class_id == class_id, e.c.until_day.is_(None))
        .values(until_day=on)
    )
    unit.append(
        NewEvent(
            id=derived_id("enrolment_end", student, class_id, on.isoformat()),
            board=board, student=student, on=on, actor=actor,
            body=EnrolmentEnded(class_id=class_id),
        )
    )  # fmt: skip


def set_opt_out(log: Log, *, board: str, student: str, refused: bool, actor: str) -> None:
    """Record a 不同意書 (or its withdrawal), in force as soon as this returns."""
    with log.unit_of_work() as unit:
        opt_out(unit, log, board=board, student=student, refused=refused, actor=actor)


def opt_out(
    unit: UnitOfWork, log: Log, *, board: str, student: str, refused: bool, actor: str
) -> None:
    """As `set_opt_out`, in the caller's transaction: in force once that is committed."""
    now = log.clock.now()
    o = t.opt_outs
    in_force = unit.conn.execute(
        select(o.c.from_at).where(o.c.student == student, o.c.until_at.is_(None))
    ).first()
    if refused == (in_force is not None):
        return
    if refused:
        unit.conn.execute(
            insert_new(unit.conn, o).values(
                student=student, from_at=now, until_at=None, board=board
            )
        )
    else:
        unit.conn.execute(
            update(o).where(o.c.student == student, o.c.until_at.is_(None)).values(until_at=now)
        )
    unit.append(
        NewEvent(
            id=new_id(), board=board, student=student, on=log.clock.today(), actor=actor,
            body=OptOutRecorded() if refused else OptOutWithdrawn(),
        )
    )  # fmt: skip
