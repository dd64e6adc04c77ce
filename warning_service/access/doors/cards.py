"""Children's cards, as their teachers manage them: the class's, and each child's small one.

A class card is a long random secret behind an address that a tablet's camera opens; only its hash
is kept, so a card can be printed when it is made and never again. Making a new one stops the one
before, at once: tablets lose the class, and sessions that came by it end. A child's small card is
its new secret, shown once too; the former one works no more and its sessions end.

Everything here is within the asker's reach for MANAGE_CARDS, and stored together with its line on
the trail, or not at all.
No names: a page that has to print one asks the gateway.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select, update

from warning_service.access.doors import child_secrets
from warning_service.access.doors.child import door_key
from warning_service.access.doors.child_secrets import Made, Pictures
from warning_service.access.doors.sessions import Sessions, token_hash
from warning_service.access.doors.tries import Tries
from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.sealing import Sealer
from warning_service.access.tables import class_cards
from warning_service.access.trail.audit import Trail
from warning_service.clock import Clock
from warning_service.database import Database
from warning_service.playbooks.service import Playbooks
from warning_service.roster import queries
from warning_service.roster import tables as roster
from warning_service.roster.grades import signs_in

USING = Ability.MANAGE_CARDS


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """The card in force of a class: since when, and by whom (a staff key)."""

    made_at: datetime
    made_by: str


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """A child's number in its class, and whether it has a secret."""

    student: str
    seat: int
    has_secret: bool


class Cards:
    """Cards of classes and children, for one asker at a time."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        sessions: Sessions,
        *,
        tries: Tries,
        sealer: Sealer,
        playbooks: Playbooks,
        trail: Trail,
        pictures: Pictures,
    ) -> None:
        self._database = database
        self._clock = clock
        self._sessions = sessions
        self._tries = tries
        self._sealer = sealer
        self._playbooks = playbooks
        self._trail = trail
        self._pictures = pictures

    # -- the class's card --------------------------------------------------------------------------

    def room(self, who: Principal, class_id: str) -> Any:
        """The class's row. Raises NotYours."""
        with self._database.reading() as conn:
            return _room(conn, who, class_id)

    def in_force(self, who: Principal, class_ids: Collection[str]) -> dict[str, Card]:
        """The cards in force of those of these classes that the asker reaches, by class."""
        k = class_cards.c
        found = {}
        with self._database.reading() as conn:
            for row in conn.execute(
                select(class_cards).where(k.class_id.in_(class_ids), k.revoked_at.is_(None))
            ).all():
                room = queries.school_class(conn, row.class_id)
                if room is not None and _reaches(who, room):
                    found[row.class_id] = Card(made_at=row.made_at, made_by=row.made_by)
        return found

    def new_card(self, who: Principal, class_id: str) -> str:
        """The secret of a new card of the class; the one before is stopped.

        Raises NotYours, also for a class before school: its children do not sign in.
        """
        if not signs_in(self.room(who, class_id).grade):
            raise NotYours
        card = secrets.token_urlsafe(32)
        self._replace(who, class_id, card, "class_card_made")
        return card

    def stop_card(self, who: Principal, class_id: str) -> None:
        """Stop the class's card without making a new one. Raises NotYours."""
        self.room(who, class_id)
        self._replace(who, class_id, None, "class_card_stopped")

    def _replace(self, who: Principal, class_id: str, card: str | None, action: str) -> None:
        now, k = self._clock.now(), class_cards.c
        with self._database.writing() as conn:
            # Two teachers at once make two cards, one after the other; the later one counts.
            conn.execute(
                select(roster.classes.c.id).where(roster.classes.c.id == class_id).with_for_update()
            )
            stopped = conn.execute(
                update(class_cards)
                .where(k.class_id == class_id, k.revoked_at.is_(None))
                .values(revoked_at=now, revoked_by=who.key)
                .returning(k.hash)
            ).scalars()
            forgets = [self._sessions.end_through(conn, one) for one in stopped.all()]
            if card is not None:
                conn.execute(
                    insert(class_cards).values(
                        hash=token_hash(card),
                        door_hash=token_hash(door_key(card)),
                        class_id=class_id,
                        made_by=who.key,
                        made_at=now,
                    )
                )
            self._trail.write(conn, [self._trail.look(who, action, class_id, using=USING)])
        for forget in forgets:
            forget()

    # -- the children's own ------------------------------------------------------------------------

    def seats(self, who: Principal, class_id: str) -> list[Seat]:
        """The numbers of the children who are on the class's roll today. Raises NotYours."""
        p = roster.seats.c
        with self._database.reading() as conn:
            room = _room(conn, who, class_id)
            here = {
                e.student for e in queries.on_roll(conn, self._clock.today(), class_id=class_id)
            }
            rows = conn.execute(
                select(roster.seats).where(p.class_id == class_id).order_by(p.seat)
            ).all()
        return [
            Seat(student=row.student, seat=row.seat, has_secret=bool(row.secret_hash))
            for row in rows
            if row.student in here and signs_in(room.grade)
        ]

    def renew(
        self, who: Principal, class_id: str, *, seat: int | None = None, missing: bool = False
    ) -> list[Made]:
        """New secrets for one child of the class, for all, or for those who have none.

        The former secrets work no more, waiting because of wrong tries ends, and so do the
        children's sessions. Raises NotYours, also for a number nobody has.
        """
        room = self.room(who, class_id)
        wanted = {
            one.student: one.seat
            for one in self.seats(who, class_id)
            if seat in (None, one.seat) and not (missing and one.has_secret)
        }
        if seat is not None and not wanted:
            raise NotYours
        rules = self._playbooks.of(who.board).sign_in
        looks = [
            self._trail.look(who, "child_secret_made", one, class_id, using=USING)
            for one in sorted(wanted)
        ]
        forgets = []

        def put_out(conn: Connection) -> None:
            for student, number in wanted.items():
                self._tries.forget_seat(conn, class_id, number)
                forgets.append(self._sessions.end_within(conn, student)[1])
            self._trail.write(conn, looks)

        made = child_secrets.give(
            self._database, self._sealer, self._pictures, rules,
            grade=room.grade, seats=wanted, note=put_out,
        )  # fmt: skip
        for forget in forgets:
            forget()
        return made


def _reaches(who: Principal, room: Any) -> bool:
    return who.reach(USING).covers(school=room.school, class_id=room.id)


def _room(conn: Connection, who: Principal, class_id: str) -> Any:
    room = queries.school_class(conn, class_id)
    if room is None or not _reaches(who, room):
        raise NotYours
    return room
