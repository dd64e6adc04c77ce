"""Small builders for tests: a school with children and staff, check-ins, consultations.

Everything goes through the roster service and the log, as in the running service; nothing is
written into derived tables by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from warning_service.access.sealing import Sealer
from warning_service.clock import Clock
from warning_service.database import Database, StorageUnavailable
from warning_service.events.log import Log
from warning_service.events.types import (
    CheckInSubmitted,
    ConsultationRequested,
    NewEvent,
    new_id,
)
from warning_service.roster import service
from warning_service.roster import tables as t

BOARD = "town"
SCHOOL = "sakura"
PASSWORD = "correct horse battery"
NO_TRAIL = (StorageUnavailable, DBAPIError)
"""What is raised within `no_trail`, by one database or the other."""


def places(database: Database, *, schools: int = 1, classes: int = 1) -> list[str]:
    """A board with schools and classes of grade 4; returns the class ids.

    The first school is SCHOOL; class ids are `<school>-<n>`, codes likewise in capitals.
    """
    names = [SCHOOL, *(f"school{n}" for n in range(2, schools + 1))]
    rooms = [(school, f"{school}-{n}") for school in names for n in range(1, classes + 1)]
    with database.writing() as conn:
        service.put_rows(
            conn, t.boards, ["id"],
            [{"id": BOARD, "name": "兆市", "playbook": "nishinomiya", "generated": True}],
        )  # fmt: skip
        service.put_rows(
            conn, t.schools, ["id"],
            [{"id": s, "board": BOARD, "name": f"{s}小学校", "stage": "primary"} for s in names],
        )  # fmt: skip
        service.put_rows(
            conn, t.classes, ["id"],
            [
                {
                    "id": room, "school": school, "school_year": 2026, "grade": 4,
                    "name": f"4年{room.rsplit('-', 1)[1]}組", "code": room.upper(),
                }
                for school, room in rooms
            ],
        )  # fmt: skip
    return [room for _, room in rooms]


def children(log: Log, class_id: str, count: int, *, since: date = date(2026, 4, 8)) -> list[str]:
    """`count` children enrolled in a class; returns their student keys, by seat from 1."""
    people = [
        {
            "number": f"{class_id}/{n}", "family_name": "兆", "given_name": f"児{n}",
            "family_kana": "きざし", "given_kana": f"こ{n}", "born": date(2016, 5, 1),
            "sex": "女" if n % 2 else "男", "household": f"h-{class_id}-{n}",
        }
        for n in range(1, count + 1)
    ]  # fmt: skip
    found = service.student_keys(log.database, BOARD, people)
    keys = [found[p["number"]] for p in people]
    with log.unit_of_work() as unit:
        for key in keys:
            service.enrol(
                unit, board=BOARD, student=key, school=class_id.rsplit("-", 1)[0],
                class_id=class_id, grade=4, on=since, actor="system:test",
            )  # fmt: skip
    return keys


def seats(database: Database, sealer: Sealer, class_id: str, keys: list[str], secret: str) -> None:
    """Give children their seats, all with the same secret."""
    sealer.make_keys(keys)
    with database.writing() as conn:
        service.put_rows(
            conn, t.seats, ["student", "class_id"],
            [
                {"student": k, "class_id": class_id, "seat": n, "secret_hash": mac}
                for n, (k, mac) in enumerate(((k, sealer.mac(k, secret)) for k in keys), 1)
            ],
        )  # fmt: skip


def staff(
    database: Database, login: str, *duties: tuple[str, str], slack: str | None = None
) -> str:
    """A member of staff with (role, place) duties and PASSWORD; returns the staff key."""
    from warning_service.access.doors.staff import hash_secret

    key = f"staff-{login}"
    with database.writing() as conn:
        service.put_rows(
            conn, t.staff, ["staff"],
            [
                {
                    "staff": key, "board": BOARD, "login": login, "name": f"先生 {login}",
                    "password_hash": hash_secret(PASSWORD), "slack_user": slack, "active": True,
                }
            ],
        )  # fmt: skip
        service.put_rows(
            conn, t.duties, ["staff", "role", "place", "from_day"],
            [
                {"staff": key, "role": role, "place": place, "from_day": date(2026, 4, 1),
                 "until_day": None}
                for role, place in duties
            ],
        )  # fmt: skip
    return key


def check_in(student: str, clock: Clock, *, days_ago: int = 0, **answers: int | None) -> NewEvent:
    """A monthly check-in of a child, answered `days_ago` days before the clock's now."""
    when = clock.now() - timedelta(days=days_ago)
    return NewEvent(
        id=new_id(), board=BOARD, student=student, on=clock.today() - timedelta(days=days_ago),
        actor="child",
        body=CheckInSubmitted(
            questionnaire="kokoro_monthly", version=1, answers=dict(answers), answered_at=when
        ),
    )  # fmt: skip


def consultation(student: str, clock: Clock, *whom: str) -> NewEvent:
    """A child asks to talk."""
    return NewEvent(
        id=new_id(), board=BOARD, student=student, on=clock.today(), actor="child",
        body=ConsultationRequested(
            whom=whom or ("anyone",), about=("friends",), sealed=None, asked_at=clock.now()
        ),
    )  # fmt: skip


def append(log: Log, *events: NewEvent) -> None:
    """Append events in one transaction."""
    with log.unit_of_work() as unit:
        unit.append(*events)


def rows(database: Database, table: Any) -> list[Any]:
    """All rows of a table."""
    with database.reading() as conn:
        return list(conn.execute(table.select()))


@contextmanager
def no_trail(database: Database) -> Iterator[None]:
    """Within this block nothing can be put on the audit trail: its table is away."""
    with database.writing() as conn:
        conn.execute(text("ALTER TABLE audit RENAME TO audit_away"))
    yield
    with database.writing() as conn:
        conn.execute(text("ALTER TABLE audit_away RENAME TO audit"))
