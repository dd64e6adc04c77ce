"""The world the authorisation matrix is asked about: two boards, one person for each role, and one
child for each way a child can stand to that person.

`SITUATIONS` seen from the people of school sakura, class sakura-1 (all but the boards' and the
child itself): `own` class, other `class` of another grade, other `school`, other `board`, `opted`
(own class, family refused), `left` (was in the own class). Every child has called for help, has
given a critical answer, is on its school's warning list (but for `class`), has an account at a
provider, and a family that asks to see what is held: one request is open, one waits for a second
person, one is decided and its file not fetched yet. The cases of `own`, `opted`, `left` and `board`
are with the welfare office. Somebody of either board has looked oddly.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from sqlalchemy import Table, delete, insert, select

from tests.teacher_portal.school import evidence
from warning_service.access.principals import Principal
from warning_service.access.roles import OFFICES, Place, Role
from warning_service.access.tables import looking_alarms
from warning_service.alerts.consumer import AlertsConsumer
from warning_service.alerts.notices import LIST_PUBLISHED
from warning_service.clock import at
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.types import (
    CheckInSubmitted,
    ConsultationRequested,
    NewEvent,
    derived_id,
    new_id,
)
from warning_service.judging.tables import list_entries, warning_lists
from warning_service.rights.terms import Kind
from warning_service.rooms import Rooms
from warning_service.roster import service
from warning_service.roster import tables as t

SITUATIONS = ("own", "class", "school", "board", "opted", "left")
NOBODY = "nobody"
HERE, THERE = "town", "elsewhere"
CLASSES = {
    "sakura-1": ("sakura", HERE, 4),
    "sakura-2": ("sakura", HERE, 5),
    "midori-1": ("midori", HERE, 4),
    "far-1": ("far", THERE, 4),
}
CLASS_OF = {
    "own": "sakura-1", "class": "sakura-2", "school": "midori-1", "board": "far-1",
    "opted": "sakura-1", "left": "sakura-1",
}  # fmt: skip
PLACES = {
    Place.CLASS: "sakura-1", Place.GRADE: "sakura:4", Place.SCHOOL: "sakura", Place.BOARD: HERE,
}  # fmt: skip
ROLES = tuple(role.value for role in Role)
SECRET = "dog-cat-sun"


class World:
    """The filled rooms, with the keys and ids of what there is by situation."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self._places()
        self.child = self._children()
        self._staff()
        self.call = {s: self._say(s, _call(rooms)) for s in SITUATIONS}
        self.answer = {s: self._say(s, _critical(rooms)) for s in SITUATIONS}
        for board in (HERE, THERE):
            consumer = AlertsConsumer(rooms.log, rooms.playbooks, tell=False)
            dispatcher = Dispatcher(rooms.log, consumer, board)
            dispatcher.drain()
            dispatcher.release()
        self.list = {
            school: self._list(school, board, [s for s in SITUATIONS if s != "class"])
            for school, board in (("sakura", HERE), ("midori", HERE), ("far", THERE))
        }
        notice = rooms.notices.raise_notice(
            HERE, LIST_PUBLISHED, self.list["sakura"], slot="", school="sakura"
        )
        assert notice is not None
        self.notice = notice
        self.absence, self.stand_in = self._cover()
        self.sessions = {role: self._session(role) for role in ROLES}
        self.case = {
            s: rooms.follow_ups.hand_overs.give(self._giver(s), self.child[s], "support", "理由")
            for s in ("own", "opted", "left", "board")
        }
        self._refuse_and_leave()
        self.request = {s: self._asks_to_see(s) for s in SITUATIONS}
        self.waiting = {s: self._decided(s) for s in SITUATIONS}
        self.decided = {s: self._approved(s) for s in SITUATIONS}
        self.seat = {s: str(n) for n, s in enumerate(SITUATIONS, 1)}
        self._linked()
        self.alarm = {"own": self._alarm(HERE), "board": self._alarm(THERE)}
        self._held: dict[Table, list[Any]] = {}

    def csrf(self, role: str) -> str:
        """The CSRF token of a role's session."""
        found = self.rooms.sessions.find(self.sessions[role])
        assert found is not None, role
        return found.csrf

    def keep(self, table: Table) -> None:
        """Remember a table as it is, for `restore`."""
        with self.rooms.database.reading() as conn:
            self._held[table] = [dict(row._mapping) for row in conn.execute(select(table))]

    def restore(self, table: Table) -> None:
        """Put back what `keep` remembered."""
        with self.rooms.database.writing() as conn:
            conn.execute(delete(table))
            if self._held[table]:
                conn.execute(insert(table), self._held[table])

    # -- filling ---------------------------------------------------------------------------------

    def _places(self) -> None:
        rows: dict[Any, list[dict[str, Any]]] = {
            t.boards: [
                {"id": board, "name": board, "playbook": "nishinomiya", "generated": True}
                for board in (HERE, THERE)
            ],
            t.schools: [
                {"id": school, "board": board, "name": school, "stage": "primary"}
                for school, board in {(s, b) for s, b, _ in CLASSES.values()}
            ],
            t.classes: [
                {
                    "id": room, "school": school, "school_year": 2026, "grade": grade,
                    "name": room, "code": str(10_000 + n),
                }
                for n, (room, (school, _, grade)) in enumerate(CLASSES.items())
            ],
        }  # fmt: skip
        with self.rooms.database.writing() as conn:
            for table, found in rows.items():
                service.put_rows(conn, table, ["id"], found)

    def _children(self) -> dict[str, str]:
        found = {}
        for n, situation in enumerate(SITUATIONS):
            school, board, grade = CLASSES[CLASS_OF[situation]]
            person = {
                "number": f"{n}", "family_name": "姓", "given_name": situation,
                "family_kana": "せい", "given_kana": situation, "born": date(2016, 5, 1),
                "sex": "", "household": str(n),
            }  # fmt: skip
            [key] = service.student_keys(self.rooms.database, board, [person]).values()
            with self.rooms.log.unit_of_work() as unit:
                service.enrol(
                    unit, board=board, student=key, school=school, class_id=CLASS_OF[situation],
                    grade=grade, on=date(2026, 4, 8), actor="system:test",
                )  # fmt: skip
            found[situation] = key
        self.rooms.sealer.make_keys(list(found.values()))
        with self.rooms.database.writing() as conn:
            service.put_rows(
                conn, t.seats, ["student", "class_id"],
                [
                    {
                        "student": key, "class_id": CLASS_OF[situation], "seat": n,
                        "secret_hash": self.rooms.sealer.mac(key, SECRET),
                    }
                    for n, (situation, key) in enumerate(found.items(), 1)
                ],
            )  # fmt: skip
        return found

    def _cover(self) -> tuple[dict[str, str], dict[str, str]]:
        """Somebody of this school, of the next and of another board is away and has a stand-in."""
        now, today = self.rooms.clock.now(), self.rooms.clock.today()
        people = {
            "own": (HERE, "s-nurse", "sakura"),
            "school": (HERE, "s-spare", "midori"),
            "board": (THERE, "s-far", "far"),
        }
        after = today + timedelta(days=2)
        with self.rooms.database.writing() as conn:
            for situation, (board, staff, school) in people.items():
                service.put_rows(
                    conn, t.absences, ["id"],
                    [
                        {
                            "id": f"away-{situation}", "board": board, "staff": staff,
                            "from_at": now, "until_at": now + timedelta(days=2),
                            "entered_by": "s-accounts", "entered_at": now, "withdrawn_by": "",
                            "withdrawn_at": None,
                        }
                    ],
                )  # fmt: skip
                service.put_rows(
                    conn, t.stand_ins, ["id"],
                    [
                        {
                            "id": f"for-{situation}", "board": board, "staff": "s-social_worker",
                            "role": "nurse", "place": school, "from_day": today,
                            "until_day": after, "instead_of": staff, "entered_by": "s-accounts",
                            "entered_at": now, "withdrawn_by": "", "withdrawn_at": None,
                        }
                    ],
                )  # fmt: skip
        return (
            {situation: f"away-{situation}" for situation in people},
            {situation: f"for-{situation}" for situation in people},
        )

    def _staff(self) -> None:
        """One person for each role here, a head elsewhere, a homeroom teacher next door."""
        duties = {
            f"s-{role}": (HERE, role.value, PLACES[OFFICES[role].place])
            for role in Role
            if role is not Role.CHILD
        }
        duties["s-spare"] = (HERE, "nurse", "midori")
        duties["s-next-door"] = (HERE, "homeroom", "sakura-2")
        duties["s-far"] = (THERE, "management", "far")
        duties["s-far-privacy"] = (THERE, "privacy", THERE)
        with self.rooms.database.writing() as conn:
            service.put_rows(
                conn, t.staff, ["staff"],
                [
                    {
                        "staff": key, "board": board, "login": key, "name": key,
                        "password_hash": "-", "slack_user": None, "active": True,
                    }
                    for key, (board, _, _) in duties.items()
                ],
            )  # fmt: skip
            service.put_rows(
                conn, t.duties, ["staff", "role", "place", "from_day"],
                [
                    {"staff": key, "role": role, "place": place, "from_day": date(2026, 4, 1),
                     "until_day": None}
                    for key, (_, role, place) in duties.items()
                ],
            )  # fmt: skip

    def _say(self, situation: str, body: Any) -> str:
        event = NewEvent(
            id=new_id(), board=CLASSES[CLASS_OF[situation]][1], student=self.child[situation],
            on=self.rooms.clock.today(), actor="child", body=body,
        )  # fmt: skip
        with self.rooms.log.unit_of_work() as unit:
            unit.append(event)
        return event.id

    def alert_of_call(self, situation: str) -> str:
        """The alert a call for help raised; it is for the homeroom teacher and the nurse."""
        return derived_id("alert", self.call[situation], "consultation")

    def alert_of_answer(self, situation: str) -> str:
        """The alert a child's critical answer raised."""
        return derived_id("alert", self.answer[situation], "wants_to_vanish")

    def _list(self, school: str, board: str, situations: list[str]) -> str:
        on = date(2026, 5, 1)
        listed = [self.child[s] for s in situations if CLASSES[CLASS_OF[s]][0] == school]
        list_id = f"list-{school}"
        with self.rooms.database.writing() as conn:
            conn.execute(
                insert(warning_lists).values(
                    id=list_id, board=board, school=school, list_date=on, as_of=1, judge="rules",
                    judge_why="{}", model_version="m", playbook="p", budget=3, ranked=9,
                    published_at=at(on, 7),
                )
            )  # fmt: skip
            for place, student in enumerate(listed, 1):
                conn.execute(
                    insert(list_entries).values(
                        list_id=list_id, student=student, place=place, score=0.5, level="high",
                        is_new=True, supported=False, times_running=1, evidence=evidence(on, place),
                    )
                )  # fmt: skip
        return list_id

    def _session(self, role: str) -> str:
        if role == Role.CHILD:
            return self.rooms.sessions.start_child(self.child["own"], HERE, "sakura-1")
        return self.rooms.sessions.start_staff(f"s-{role}", HERE, factors=("totp",))

    def _giver(self, situation: str) -> Principal:
        if situation == "board":
            token = self.rooms.sessions.start_staff("s-far", THERE, factors=("totp",))
        else:
            token = self.sessions[Role.MANAGEMENT]
        found = self.rooms.sessions.find(token)
        assert found is not None
        return found

    def _officer(self, situation: str) -> Principal:
        token = self.sessions[Role.PRIVACY]
        if situation == "board":
            token = self.rooms.sessions.start_staff("s-far-privacy", THERE, factors=("totp",))
        officer = self.rooms.sessions.find(token)
        assert officer is not None
        return officer

    def _asks_to_see(self, situation: str) -> str:
        """A family's request for disclosure, taken in by its board's privacy officer."""
        return self.rooms.rights.requests.receive(
            self._officer(situation), self.child[situation], Kind.DISCLOSURE, asked_by="legal",
            identity="photo_id", received_on=self.rooms.clock.today(),
        )  # fmt: skip

    def _decided(self, situation: str) -> str:
        """One that waits for a second person, who is not the officer."""
        request = self._asks_to_see(situation)
        self.rooms.rights.disclosures.decide(
            self._officer(situation), request, "file", as_of=self.rooms.clock.now(), reason="理由"
        )
        return request

    def _approved(self, situation: str) -> tuple[str, str]:
        """One whose file may be fetched: the request and the leave for it."""
        request, disclosures = self._decided(situation), self.rooms.rights.disclosures
        second = self.rooms.sessions.find(
            self.rooms.sessions.start_staff("s-far", THERE, factors=("totp",))
            if situation == "board"
            else self.sessions[Role.BOARD]
        )
        assert second is not None
        disclosures.approve(second, request)
        link = disclosures.link(self.rooms.rights.requests.one(self._officer(situation), request))
        assert link is not None
        return request, str(link.id)

    def _linked(self) -> None:
        with self.rooms.database.writing() as conn:
            conn.execute(
                insert(t.identities),
                [
                    {
                        "kind": "child", "issuer": "https://provider.example", "subject": situation,
                        "key": key, "linked_at": self.rooms.clock.now(),
                    }
                    for situation, key in self.child.items()
                ],
            )  # fmt: skip

    def _alarm(self, board: str) -> str:
        alarm = f"alarm-{board}"
        with self.rooms.database.writing() as conn:
            conn.execute(
                insert(looking_alarms).values(
                    id=alarm, board=board, rule="hour", subject=f"s-{board}-somebody",
                    day=self.rooms.clock.today(), count=40, threshold=30, usual=0.0, last_seq=1,
                    raised_at=self.rooms.clock.now(), acknowledged_by="", verdict="", note="",
                )
            )  # fmt: skip
        return alarm

    def _refuse_and_leave(self) -> None:
        service.set_opt_out(
            self.rooms.log, board=HERE, student=self.child["opted"], refused=True, actor="test"
        )
        with self.rooms.log.unit_of_work() as unit:
            service.end_enrolment(
                unit, board=HERE, student=self.child["left"], class_id="sakura-1",
                on=self.rooms.clock.today() - timedelta(days=1), actor="test",
            )  # fmt: skip


def _call(rooms: Rooms) -> ConsultationRequested:
    return ConsultationRequested(
        whom=("anyone",), about=("friends",), sealed=None, asked_at=rooms.clock.now()
    )


def _critical(rooms: Rooms) -> CheckInSubmitted:
    return CheckInSubmitted(
        questionnaire="kokoro_monthly", version=1, answers={"vanish": 1},
        answered_at=rooms.clock.now(),
    )  # fmt: skip
