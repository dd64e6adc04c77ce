"""The first sign-ins of an installation: its board, staff passwords, the children's pictures.

What the importers bring has no secrets in it; whoever may run commands on the server gives them
here, once. Day-to-day changes belong on a page of their own, with the trail; this is not that.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from sqlalchemy import select

from warning_service.access.sealing import Sealer
from warning_service.access.staff_sign_in import hash_secret
from warning_service.database import Database, insert_new
from warning_service.playbooks.model import shipped
from warning_service.roster import bulk
from warning_service.roster import tables as roster

LEAST_PASSWORD = 12


def add_board(database: Database, board: str, name: str, playbook: str) -> bool:
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
    return added is not None


def set_password(database: Database, login: str, password: str) -> bool:
    """Give a member of staff a password; False when there is nobody of that login.

    Raises ValueError when it is shorter than LEAST_PASSWORD characters.
    """
    if len(password) < LEAST_PASSWORD:
        raise ValueError(f"a password has at least {LEAST_PASSWORD} characters")
    with database.reading() as conn:
        known = conn.execute(
            select(roster.staff.c.staff).where(roster.staff.c.login == login)
        ).first()
    if known is None:
        return False
    bulk.set_staff_passwords(database, [(login, hash_secret(password))])
    return True


def make_cards(
    database: Database, sealer: Sealer, class_code: str, pictures: Sequence[str], length: int
) -> list[tuple[int, str]]:
    """(seat, secret) for every child of a class that has no pictures yet, by seat.

    The secrets are shown this once; only their keyed hashes are kept.
    """
    p, c = roster.seats, roster.classes
    with database.reading() as conn:
        rows = conn.execute(
            select(p.c.student, p.c.seat)
            .join(c, c.c.id == p.c.class_id)
            .where(c.c.code == class_code, p.c.secret_hash == "")
            .order_by(p.c.seat)
        ).all()
    made = {row.student: "-".join(secrets.choice(pictures) for _ in range(length)) for row in rows}
    sealer.make_keys(list(made))
    bulk.set_child_secrets(
        database, {student: sealer.mac(student, secret) for student, secret in made.items()}
    )
    return [(row.seat, made[row.student]) for row in rows]
