"""The door for children: a class, a number in it, and three pictures.

Three pictures are too few to be protected by a slow hash, so they are kept as a keyed hash under
the child's own data key, and guessing is held up by counting.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import select

from warning_service.access.sealing import Sealer
from warning_service.access.sessions import Sessions
from warning_service.access.tries import Tries
from warning_service.database import Database
from warning_service.roster import tables as roster


class ClassDoor(msgspec.Struct, frozen=True, kw_only=True):
    """What the sign-in page of a class shows: its name, its grade (1-9), the numbers in use."""

    code: str
    name: str
    grade: int
    seats: tuple[int, ...]


class ChildSignIn:
    """Class, number and pictures for a session."""

    def __init__(
        self, database: Database, sessions: Sessions, tries: Tries, sealer: Sealer
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._tries = tries
        self._sealer = sealer

    def class_door(self, class_code: str) -> ClassDoor | None:
        """The class a shared tablet is set to, with its numbers and no names; None if unknown."""
        c, p = roster.classes, roster.seats
        with self._database.reading() as conn:
            row = conn.execute(select(c).where(c.c.code == class_code)).one_or_none()
            if row is None:
                return None
            taken = conn.execute(select(p.c.seat).where(p.c.class_id == row.id).order_by(p.c.seat))
            return ClassDoor(
                code=row.code, name=row.name, grade=row.grade, seats=tuple(taken.scalars())
            )

    def sign_in(self, class_code: str, seat: int, secret: str, address: str) -> str | None:
        """A session token for the child with that number in that class, or None.

        Raises TooManyTries.
        """
        subject = f"seat:{class_code}:{seat}"
        self._tries.slow_down(subject, f"address:{address}")
        c, p, s = roster.classes, roster.seats, roster.students
        with self._database.reading() as conn:
            row = conn.execute(
                select(p.c.student, p.c.secret_hash, p.c.class_id, s.c.board)
                .join(c, c.c.id == p.c.class_id)
                .join(s, s.c.student == p.c.student)
                .where(c.c.code == class_code, p.c.seat == seat)
            ).one_or_none()
        if row is None or not self._sealer.fits(row.student, secret, row.secret_hash):
            self._tries.count_failure(subject, f"address:{address}")
            return None
        self._tries.forget(subject)
        return self._sessions.start_child(row.student, row.board, row.class_id)
