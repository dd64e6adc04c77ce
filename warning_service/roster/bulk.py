"""Changes to the roster for many at once: a school year's file in a second, not in minutes.

The same effects and events as `service.py` has for one child at a time. Thinking comes before
writing: what has to change is worked out from a read, then written in one short transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Literal

import msgspec
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from warning_service.database import Database, insert_new
from warning_service.events.log import UnitOfWork
from warning_service.events.types import EnrolmentEnded, EnrolmentStarted, NewEvent, derived_id
from warning_service.roster import tables as t

Step = Literal["enrol", "leave", "known", "stale"]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A student's place from `on`; `class_id` '' says that the student leaves then."""

    student: str
    on: date
    school: str = ""
    class_id: str = ""
    grade: int = 0


class Roll:
    """All enrolments of a board, as read once; says what a `Place` would change."""

    def __init__(self, conn: Connection, board: str) -> None:
        e = t.enrolments
        self._of: dict[str, list[tuple[str, date, date | None]]] = {}
        for row in conn.execute(select(e).where(e.c.board == board).order_by(e.c.from_day)):
            self._of.setdefault(row.student, []).append((row.class_id, row.from_day, row.until_day))

    def open(self, student: str) -> list[tuple[str, date]]:
        """Classes the student is in with no end known, and since when."""
        return [(room, since) for room, since, until in self._of.get(student, ()) if until is None]

    def step(self, place: Place) -> Step:
        """What `place` would change. `stale`: the roll already knows something newer."""
        if not place.class_id:
            if any(since > place.on for _, since in self.open(place.student)):
                return "stale"
            return "leave" if self.open(place.student) else "known"
        for room, since, until in self._of.get(place.student, ()):
            covers = since <= place.on and (until is None or until > place.on)
            if room == place.class_id and (covers or since == place.on):
                return "known"
        if any(since > place.on for _, since in self.open(place.student)):
            return "stale"
        return "enrol"


def place_many(
    unit: UnitOfWork, board: str, roll: Roll, places: Sequence[Place], actor: str
) -> None:
    """Enrol and end enrolments; every one of `places` is an `enrol` or `leave` step of `roll`.

    At most one place for a student. An open enrolment ends on the day the new one begins.
    """
    ends = [
        {"s": place.student, "c": room, "f": since, "u": place.on}
        for place in places
        for room, since in roll.open(place.student)
    ]
    starts = [place for place in places if place.class_id]
    e = t.enrolments
    if ends:
        unit.conn.execute(
            update(e)
            .where(
                e.c.student == bindparam("s"),
                e.c.class_id == bindparam("c"),
                e.c.from_day == bindparam("f"),
            )
            .values(until_day=bindparam("u")),
            ends,
        )
    if starts:
        unit.conn.execute(
            insert_new(unit.conn, e),
            [
                {
                    "student": p.student, "class_id": p.class_id, "from_day": p.on,
                    "until_day": None, "board": board, "school": p.school, "grade": p.grade,
                }
                for p in starts
            ],
        )  # fmt: skip
    for place in places:
        day = place.on.isoformat()
        for room, _ in roll.open(place.student):
            unit.append(
                NewEvent(
                    id=derived_id("enrolment_end", place.student, room, day),
                    board=board, student=place.student, on=place.on, actor=actor,
                    body=EnrolmentEnded(class_id=room),
                )
            )  # fmt: skip
        if place.class_id:
            unit.append(
                NewEvent(
                    id=derived_id("enrolment", place.student, place.class_id, day),
                    board=board, student=place.student, on=place.on, actor=actor,
                    body=EnrolmentStarted(
                        school=place.school, class_id=place.class_id, grade=place.grade
                    ),
                )
            )  # fmt: skip


class Seat(msgspec.Struct, frozen=True):
    """A student's number in a class."""

    student: str
    class_id: str
    seat: int


def put_seats(database: Database, seats: Sequence[Seat]) -> None:
    """Give children their numbers in their classes; who held such a number there gives it up.

    A child keeps its sign-in secret from class to class; one that has none yet gets '' (no secret
    fits it) until `set_child_secrets`.
    """
    p = t.seats
    students = [seat.student for seat in seats]
    with database.writing() as conn:
        secrets: dict[str, str] = {}
        for start in range(0, len(students), 500):
            part = students[start : start + 500]
            for row in conn.execute(select(p).where(p.c.student.in_(part))):
                secrets[row.student] = row.secret_hash or secrets.get(row.student, "")
        if not seats:
            return
        conn.execute(
            delete(p).where(p.c.class_id == bindparam("c"), p.c.seat == bindparam("n")),
            [{"c": seat.class_id, "n": seat.seat} for seat in seats],
        )
        conn.execute(
            delete(p).where(p.c.class_id == bindparam("c"), p.c.student == bindparam("s")),
            [{"c": seat.class_id, "s": seat.student} for seat in seats],
        )
        conn.execute(
            insert(p),
            [
                {
                    "student": seat.student,
                    "class_id": seat.class_id,
                    "seat": seat.seat,
                    "secret_hash": secrets.get(seat.student, ""),
                }
                for seat in seats
            ],
        )


def set_child_secrets(database: Database, hashes: Mapping[str, str]) -> None:
    """Set children's sign-in secrets (student -> `Sealer.mac`), in every class they sit in."""
    with database.writing() as conn:
        put_child_secrets(conn, hashes)


def put_child_secrets(conn: Connection, hashes: Mapping[str, str]) -> None:
    """Like `set_child_secrets`, in the caller's transaction."""
    p = t.seats
    if hashes:
        conn.execute(
            update(p).where(p.c.student == bindparam("s")).values(secret_hash=bindparam("h")),
            [{"s": student, "h": value} for student, value in hashes.items()],
        )


def set_staff_passwords(database: Database, hashes: Iterable[tuple[str, str]]) -> None:
    """Set passwords of staff: (login, `hash_secret(...)`)."""
    rows = [{"l": login, "h": value} for login, value in hashes]
    if not rows:
        return
    with database.writing() as conn:
        conn.execute(
            update(t.staff)
            .where(t.staff.c.login == bindparam("l"))
            .values(password_hash=bindparam("h")),
            rows,
        )
