"""The door for children: a class, a number in it, and three pictures or a few digits.

A tablet knows its class by a card (cards.py): what the tablet keeps is not the card's secret but
made from it, so that the card cannot be printed again from a tablet, and both end together. Where
the board allows it, a tablet can also be set by typing the class's code, which is no secret.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, select

from warning_service.access.doors import child_secrets
from warning_service.access.doors.child_secrets import Kind
from warning_service.access.doors.sessions import Sessions, token_hash
from warning_service.access.doors.tries import Tries, seat_try
from warning_service.access.sealing import Sealer
from warning_service.access.tables import class_cards
from warning_service.clock import Clock
from warning_service.database import Database
from warning_service.playbooks.service import Playbooks
from warning_service.roster import queries
from warning_service.roster import tables as roster
from warning_service.roster.calendar import school_year_of
from warning_service.roster.grades import signs_in


class ClassDoor(msgspec.Struct, frozen=True, kw_only=True):
    """What the sign-in page of a class shows: its name, its grade (1-9), the numbers in use.

    `digits`: those numbers whose children type digits. `card`: the hash of the card the tablet was
    set by, '' where it was by the code.
    """

    class_id: str
    code: str
    name: str
    grade: int
    seats: tuple[int, ...]
    digits: frozenset[int]
    card: str = ""

    def kind(self, seat: int) -> Kind:
        """What the child with that number presses."""
        return Kind.DIGITS if seat in self.digits else Kind.PICTURES


class CardStopped(RuntimeError):
    """The tablet's card was stopped while a child was signing in."""


def door_key(card: str) -> str:
    """What a tablet keeps of a card's secret."""
    return token_hash("door:" + card)


class ChildSignIn:
    """Class, number and secret for a session."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        sessions: Sessions,
        tries: Tries,
        *,
        sealer: Sealer,
        playbooks: Playbooks,
    ) -> None:
        self._database = database
        self._clock = clock
        self._sessions = sessions
        self._tries = tries
        self._sealer = sealer
        self._playbooks = playbooks

    # -- which class -----------------------------------------------------------------------------

    def class_door(self, class_code: str) -> ClassDoor | None:
        """The class with that code; None if unknown, or where the board has cards only."""
        c, s = roster.classes, roster.schools
        with self._database.reading() as conn:
            board = conn.execute(
                select(s.c.board).join(c, c.c.school == s.c.id).where(c.c.code == class_code)
            ).scalar_one_or_none()
        # A broken playbook must not close the door to whoever wants to ask for help.
        if board is None or not self._playbooks.for_help(board).sign_in.class_codes:
            return None
        with self._database.reading() as conn:
            row = conn.execute(select(c).where(c.c.code == class_code)).one_or_none()
            return None if row is None or not signs_in(row.grade) else _door(conn, row)

    def takes_codes(self) -> bool:
        """Is there a board here whose tablets may be set by a class's code?"""
        with self._database.reading() as conn:
            boards = [row.id for row in queries.boards(conn)]
        return any(self._playbooks.for_help(board).sign_in.class_codes for board in boards)

    def open_card(self, card: str) -> str | None:
        """What a tablet keeps that has read this card's secret; None when it is not in force."""
        with self._database.reading() as conn:
            found = conn.execute(
                select(class_cards.c.class_id).where(
                    class_cards.c.hash == token_hash(card), class_cards.c.revoked_at.is_(None)
                )
            ).first()
        return None if found is None else door_key(card)

    def card_door(self, key: str) -> ClassDoor | None:
        """The class a tablet is set to that keeps this; None once its card is stopped.

        A card ends with its school year, too: the numbers are other children's then.
        """
        c, k = roster.classes, class_cards
        with self._database.reading() as conn:
            row = conn.execute(
                select(c, k.c.hash.label("card"))
                .join(k, k.c.class_id == c.c.id)
                .where(k.c.door_hash == token_hash(key), k.c.revoked_at.is_(None))
            ).one_or_none()
            if row is None or not signs_in(row.grade):
                return None
            if row.school_year != school_year_of(self._clock.today()):
                return None
            return _door(conn, row, card=row.card)

    # -- which child -----------------------------------------------------------------------------

    def sign_in(self, class_code: str, seat: int, secret: str, address: str) -> str | None:
        """Like `enter`, by the class's code. Raises TooManyTries."""
        door = self.class_door(class_code)
        if door is None:
            this = seat_try(class_code, seat, address, by_card=False)
            self._tries.slow_down(this)
            self._tries.count_failure(this)
            return None
        return self.enter(door, seat, secret, address)

    def enter(self, door: ClassDoor, seat: int, secret: str, address: str) -> str | None:
        """A session token for the child with that number in that class, or None.

        Raises TooManyTries, or CardStopped.
        """
        # Tablets set by a card are counted apart: a stranger elsewhere does not use their tries up.
        this = seat_try(door.class_id, seat, address, by_card=bool(door.card))
        self._tries.slow_down(this)
        p, s = roster.seats, roster.students
        with self._database.reading() as conn:
            row = conn.execute(
                select(p.c.student, p.c.secret_hash, p.c.class_id, s.c.board)
                .join(s, s.c.student == p.c.student)
                .where(p.c.class_id == door.class_id, p.c.seat == seat)
            ).one_or_none()
        if row is None or not child_secrets.fits(
            self._sealer, row.student, secret, row.secret_hash
        ):
            self._tries.count_failure(this)
            return None

        def first(conn: Connection) -> None:
            self._tries.passed(this, within=conn)
            if door.card:
                _hold(conn, door.card)

        return self._sessions.start_child(
            row.student, row.board, row.class_id, door=door.card, first=first
        )


def _hold(conn: Connection, card: str) -> None:
    """Keep the card from being stopped until the session that came by it is there to be ended."""
    k = class_cards.c
    held = conn.execute(
        select(k.hash).where(k.hash == card, k.revoked_at.is_(None)).with_for_update(read=True)
    ).first()
    if held is None:
        raise CardStopped


def _door(conn: Connection, room: Any, *, card: str = "") -> ClassDoor:
    p = roster.seats.c
    rows = conn.execute(
        select(p.seat, p.secret_hash).where(p.class_id == room.id).order_by(p.seat)
    ).all()
    return ClassDoor(
        class_id=room.id,
        code=room.code,
        name=room.name,
        grade=room.grade,
        seats=tuple(row.seat for row in rows),
        digits=frozenset(
            row.seat for row in rows if child_secrets.kind_of(row.secret_hash) is Kind.DIGITS
        ),
        card=card,
    )
