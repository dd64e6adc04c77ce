"""The first sign-ins of an installation: its board, and the children's pictures.

What the importers bring has no secrets in it; whoever may run commands on the server gives them
here, once. Day-to-day changes belong on a page of their own, with the trail; this is not that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from warning_service.access.doors import child_secrets
from warning_service.access.doors.child_secrets import Made, Pictures
from warning_service.access.sealing import Sealer
from warning_service.access.trail.audit import Look, Trail
from warning_service.database import Database, insert_new
from warning_service.playbooks.model import shipped
from warning_service.playbooks.service import Playbooks
from warning_service.roster import tables as roster
from warning_service.roster.grades import FIRST


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


def _without_cards(database: Database, class_code: str) -> Sequence[Any]:
    """(student, seat, grade, class_id, board) of every child of a class that has no secret yet."""
    p, c, s = roster.seats, roster.classes, roster.schools
    with database.reading() as conn:
        return conn.execute(
            select(p.c.student, p.c.seat, p.c.class_id, c.c.grade, s.c.board)
            .join(c, c.c.id == p.c.class_id)
            .join(s, s.c.id == c.c.school)
            .where(c.c.code == class_code, p.c.secret_hash == "", c.c.grade >= FIRST)
        ).all()


def make_cards(
    database: Database,
    sealer: Sealer,
    playbooks: Playbooks,
    class_code: str,
    pictures: Pictures,
    *,
    trail: Trail,
    actor: str,
) -> list[Made]:
    """New secrets for every child of a class that has none yet, by number.

    They are shown this once; only their keyed hashes are kept. Together with their line on the
    trail, or not at all.
    """
    rows = _without_cards(database, class_code)
    if not rows:
        return []
    first = rows[0]
    return child_secrets.give(
        database, sealer, pictures, playbooks.of(first.board).sign_in, grade=first.grade,
        seats={row.student: row.seat for row in rows},
        note=trail.line_by(
            actor, "make_cards", first.class_id, board=first.board, detail=str(len(rows))
        ),
    )  # fmt: skip
