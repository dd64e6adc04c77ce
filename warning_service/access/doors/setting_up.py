"""The first sign-ins of an installation: its board, staff passwords, the children's pictures.

What the importers bring has no secrets in it; whoever may run commands on the server gives them
here, once. Day-to-day changes belong on a page of their own, with the trail; this is not that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from warning_service.access.doors import child_secrets
from warning_service.access.doors.child_secrets import Made, Pictures
from warning_service.access.doors.passwords import hash_secret, judge
from warning_service.access.sealing import Sealer
from warning_service.access.trail.audit import Look, Trail
from warning_service.database import Database, insert_new
from warning_service.playbooks.model import shipped
from warning_service.playbooks.service import Playbooks
from warning_service.roster import bulk
from warning_service.roster import tables as roster


def add_board(
    database: Database, trail: Trail, board: str, name: str, playbook: str, *, actor: str
) -> bool:
    """Add a board that works by a shipped playbook; False when there is one of that id.

    Raises KeyError for an unknown playbook, ValueError for an id that is none.
    """
    shipped(playbook)
    if not (board.isascii() and board.isalnum()):
        raise ValueError("a board's id is made of letters and digits")
    with database.writing() as conn:
        added = conn.execute(
            insert_new(conn, roster.boards)
            .values(id=board, name=name, playbook=playbook, generated=False)
            .returning(roster.boards.c.id)
        ).first()
        if added is not None:
            line = Look(board=board, actor=actor, action="board_added", subject=board)
            trail.write(conn, [line])
    return added is not None


def set_password(database: Database, login: str, password: str) -> bool:
    """Give a member of staff a password; False when there is nobody of that login.

    Raises WeakPassword. The caller ends the person's sessions.
    """
    judge(password, login)
    with database.reading() as conn:
        known = conn.execute(
            select(roster.staff.c.staff).where(roster.staff.c.login == login)
        ).first()
    if known is None:
        return False
    bulk.set_staff_passwords(database, [(login, hash_secret(password))])
    return True


def without_cards(database: Database, class_code: str) -> Sequence[Any]:
    """(student, seat, grade, class_id, board) of every child of a class that has no secret yet."""
    p, c, s = roster.seats, roster.classes, roster.schools
    with database.reading() as conn:
        return conn.execute(
            select(p.c.student, p.c.seat, p.c.class_id, c.c.grade, s.c.board)
            .join(c, c.c.id == p.c.class_id)
            .join(s, s.c.id == c.c.school)
            .where(c.c.code == class_code, p.c.secret_hash == "")
        ).all()


def make_cards(
    database: Database,
    sealer: Sealer,
    playbooks: Playbooks,
    class_code: str,
    pictures: Pictures,
) -> list[Made]:
    """New secrets for every child of a class that has none yet, by number.

    They are shown this once; only their keyed hashes are kept.
    """
    rows = without_cards(database, class_code)
    if not rows:
        return []
    rules = playbooks.of(rows[0].board).sign_in
    seats = {row.student: row.seat for row in rows}
    return child_secrets.give(database, sealer, pictures, rules, grade=rows[0].grade, seats=seats)
