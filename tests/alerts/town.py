"""A very small town for tests of alerts: one board, two schools, staff, routes, a few children.

The canary names must never be met anywhere outside the roster schema.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import insert

from warning_service.access.principals import Principal, duty_at
from warning_service.access.roles import Role
from warning_service.access.trail.audit import Trail, TrailKeys
from warning_service.alerts.consumer import AlertsConsumer
from warning_service.alerts.service import Alerts
from warning_service.alerts.tables import routes
from warning_service.database import Database
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.log import Log
from warning_service.events.types import (
    CheckInSubmitted,
    ConsultationRequested,
    NewEvent,
    new_id,
)
from warning_service.playbooks.service import Playbooks
from warning_service.roster import tables as t
from warning_service.settings import Settings

BOARD = "b1"
SCHOOLS = ("s1", "s2")
CLASSES = {"c11": "s1", "c12": "s1", "c21": "s2"}
CHILDREN = {"kid1": "c11", "kid2": "c11", "kid3": "c12", "kid4": "c21"}
CANARIES = ("金糸雀", "カナリア", "Canary", "さえずり")
CLASS_NAME = "教室の名3年7組"

STAFF = {
    "hr11": (("homeroom", "c11"),),
    "hr12": (("homeroom", "c12"),),
    "nurse1": (("nurse", "s1"),),
    "head1": (("management", "s1"),),
    "nurse2": (("nurse", "s2"),),
    "board1": (("board", BOARD),),
}
ROUTES = (
    ("c11", "homeroom", "C-c11"),
    ("c12", "homeroom", "C-c12"),
    ("s1", "nurse", "C-nurse1"),
    ("s1", "management", "C-head1"),
    ("s2", "nurse", "C-nurse2"),
    (BOARD, "board", "C-board"),
)


def build_town(database: Database) -> None:
    """Fill an empty, migrated database."""
    with database.writing() as conn:
        conn.execute(
            insert(t.boards).values(id=BOARD, name="町", playbook="nishinomiya", generated=True)
        )
        for school in SCHOOLS:
            conn.execute(
                insert(t.schools).values(id=school, board=BOARD, name=school, stage="primary")
            )
        for class_id, school in CLASSES.items():
            conn.execute(
                insert(t.classes).values(
                    id=class_id, school=school, school_year=2026, grade=3,
                    name=CLASS_NAME, code=class_id,
                )
            )  # fmt: skip
        for number, (student, class_id) in enumerate(CHILDREN.items()):
            conn.execute(
                insert(t.students).values(
                    student=student, board=BOARD, number=str(number),
                    family_name=CANARIES[0], given_name=CANARIES[2],
                    family_kana=CANARIES[1], given_kana=CANARIES[3],
                    born=date(2017, 5, 1), sex="", household="1",
                )
            )  # fmt: skip
            conn.execute(
                insert(t.enrolments).values(
                    student=student, class_id=class_id, from_day=date(2026, 4, 1),
                    until_day=None, board=BOARD, school=CLASSES[class_id], grade=3,
                )
            )  # fmt: skip
        for staff, duties in STAFF.items():
            conn.execute(
                insert(t.staff).values(
                    staff=staff, board=BOARD, login=staff, name=CANARIES[0], password_hash="-",
                    slack_user=f"U-{staff}", active=True,
                )
            )  # fmt: skip
            for role, place in duties:
                conn.execute(
                    insert(t.duties).values(
                        staff=staff, role=role, place=place, from_day=date(2026, 4, 1)
                    )
                )
        for place, duty, address in ROUTES:
            conn.execute(
                insert(routes).values(
                    board=BOARD, place=place, duty=duty, channel="slack", address=address
                )
            )


def principal(staff: str) -> Principal:
    """That member of staff, signed in."""
    duties = tuple(duty_at(Role(role), place) for role, place in STAFF[staff])
    return Principal(kind="staff", key=staff, board=BOARD, csrf="x", duties=duties)


class Town:
    """The town with its alerts consumer and service."""

    def __init__(self, log: Log, tmp_path: object) -> None:
        build_town(log.database)
        self.log = log
        self.playbooks = Playbooks(log.database, tmp_path)  # type: ignore[arg-type]
        key = SecretStr(Fernet.generate_key().decode())
        keys = TrailKeys(Settings(environment="test", secret_keys=[key]))
        self.trail = Trail(log.database, log.clock, keys)
        self.alerts = Alerts(log, self.playbooks, self.trail)
        self.dispatcher = Dispatcher(log, AlertsConsumer(log, self.playbooks), BOARD)

    def asks(
        self,
        student: str = "kid1",
        whom: Sequence[str] = ("anyone",),
        event_id: str = "",
        about: Sequence[str] = ("friends",),
    ) -> str:
        """A child asks to talk; the event's id."""
        event_id = event_id or new_id()
        body = ConsultationRequested(
            whom=tuple(whom), about=tuple(about), sealed="sealed", asked_at=self.log.clock.now()
        )
        self._append(event_id, student, self.log.clock.today(), body)
        return event_id

    def answers(self, student: str = "kid1", *, days_ago: int = 0, **answers: int | None) -> str:
        """A child's check-in; the event's id."""
        event_id = new_id()
        body = CheckInSubmitted(
            questionnaire="kokoro_daily", version=1, answers=answers,
            answered_at=self.log.clock.now(),
        )  # fmt: skip
        self._append(event_id, student, self.log.clock.today() - timedelta(days=days_ago), body)
        return event_id

    def _append(self, event_id: str, student: str, on: date, body: object) -> None:
        with self.log.unit_of_work() as unit:
            unit.append(
                NewEvent(
                    id=event_id, board=BOARD, student=student, on=on, actor="child",
                    body=body,  # type: ignore[arg-type]
                )
            )  # fmt: skip

    def work(self) -> int:
        """Let the consumer take in all there is."""
        return self.dispatcher.drain()
