"""A small town for tests of the portal: two schools, two classes each, one of each duty.

Lists and their evidence are written as judging writes them (its tables are frozen results); all
else goes through the services.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from functools import lru_cache

from sqlalchemy import insert

from tests import make
from warning_service.access.doors.staff import hash_secret
from warning_service.access.principals import Principal
from warning_service.alerts.consumer import AlertsConsumer
from warning_service.clock import at
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.types import ConsultationRequested, NewEvent, new_id
from warning_service.judging.tables import list_entries, list_scores, warning_lists
from warning_service.rooms import Rooms
from warning_service.roster import service
from warning_service.roster import tables as t

STAFF = {
    "homeroom": [("homeroom", "sakura-1")],
    "other": [("homeroom", "sakura-2")],
    "nurse": [("nurse", "sakura")],
    "counsellor": [("counsellor", "sakura")],
    "guidance": [("guidance", "sakura")],
    "committee": [("committee", "sakura")],
    "nurse2": [("nurse", "school2")],
    "board": [("board", make.BOARD)],
}


@lru_cache(maxsize=1)
def _password_hash() -> str:
    return hash_secret(make.PASSWORD)


class School:
    """The town, with its rooms and the keys of its children by class."""

    def __init__(self, rooms: Rooms, children: int = 6) -> None:
        self.rooms = rooms
        self.classes = make.places(rooms.database, schools=2, classes=2)
        self.children: dict[str, list[str]] = {}
        for class_id in self.classes:
            keys = make.children(rooms.log, class_id, children)
            make.seats(rooms.database, rooms.sealer, class_id, keys, "dog cat sun")
            self.children[class_id] = keys
        with rooms.database.writing() as conn:
            service.put_rows(
                conn, t.staff, ["staff"],
                [
                    {
                        "staff": f"staff-{login}", "board": make.BOARD, "login": login,
                        "name": f"先生{login}", "password_hash": _password_hash(),
                        "slack_user": None, "active": True,
                    }
                    for login in STAFF
                ],
            )  # fmt: skip
            service.put_rows(
                conn, t.duties, ["staff", "role", "place", "from_day"],
                [
                    {"staff": f"staff-{login}", "role": role, "place": place,
                     "from_day": date(2026, 4, 1), "until_day": None}
                    for login, duties in STAFF.items()
                    for role, place in duties
                ],
            )  # fmt: skip

    def who(self, login: str) -> Principal:
        """That member of staff, signed in through the sessions."""
        token = self.rooms.staff_door.sign_in(login, make.PASSWORD, "test")
        assert token is not None
        found = self.rooms.sessions.find(token)
        assert found is not None
        return found

    def consultation(self, student: str, *whom: str, words: str = "") -> str:
        """A child asks to talk; returns the event's id. `raise_alerts` makes the alert."""
        sealed = self.rooms.sealer.seal(student, words) if words else None
        event = NewEvent(
            id=new_id(), board=make.BOARD, student=student, on=self.rooms.clock.today(),
            actor="child",
            body=ConsultationRequested(
                whom=whom or ("anyone",), about=("friends",), sealed=sealed,
                asked_at=self.rooms.clock.now(),
            ),
        )  # fmt: skip
        make.append(self.rooms.log, event)
        return event.id

    def raise_alerts(self) -> None:
        """Let the alerts consumer read what is in the log."""
        consumer = AlertsConsumer(self.rooms.log, self.rooms.playbooks, tell=False)
        dispatcher = Dispatcher(self.rooms.log, consumer, make.BOARD)
        dispatcher.drain()
        dispatcher.release()

    def alert(self, student: str, *whom: str, words: str = "") -> str:
        """A consultation and its alert; returns the alert's id."""
        self.consultation(student, *whom, words=words)
        self.raise_alerts()
        return self.rooms.alerts.of_student(student)[0].id

    def warning_list(
        self,
        listed: list[str],
        *,
        school: str = make.SCHOOL,
        on: date = date(2026, 5, 1),
        ranked: list[str] | None = None,
        list_id: str = "",
    ) -> str:
        """A published list with these children, in this order; returns its id."""
        list_id = list_id or f"list-{school}-{on.isoformat()}"
        everyone = [*listed, *(s for s in ranked or [] if s not in listed)]
        with self.rooms.database.writing() as conn:
            conn.execute(
                insert(warning_lists).values(
                    id=list_id, board=make.BOARD, school=school, list_date=on, as_of=1,
                    judge="rules",
                    judge_why=json.dumps({"reason": "too_few_outcomes", "hits": 3,
                                          "auc_model": None, "auc_rules": None}),
                    model_version="logistic-1:abc", playbook="nishinomiya:1:abc",
                    budget=len(listed), ranked=len(everyone), published_at=at(on, 7),
                )
            )  # fmt: skip
            for place, student in enumerate(listed, 1):
                conn.execute(
                    insert(list_entries).values(
                        list_id=list_id, student=student, place=place, score=0.5 / place,
                        level="unmeasured" if place % 2 else "high", is_new=place % 2 == 1,
                        supported=place % 3 == 0, times_running=1 if place % 2 == 1 else 3,
                        evidence=evidence(on, place),
                    )
                )  # fmt: skip
            for rank, student in enumerate(everyone, 1):
                conn.execute(
                    insert(list_scores).values(
                        list_id=list_id,
                        student=student,
                        score=0.5 / rank,
                        rules_score=3.0,
                        rank=rank,
                        listed=student in listed,
                    )
                )
        return list_id


def evidence(on: date, place: int) -> str:
    """Frozen evidence in the format of judging/publish.py."""
    factor = {"feature": "absent_days:recent", "item": "absent_days", "share": 0.4}
    return json.dumps(
        {
            "judge": "rules",
            "score": 0.5 / place,
            "rules_points": 7.0 - place,
            "probability": None if place % 2 else 0.21,
            "base_rate": None if place % 2 else 0.03,
            "raising": [
                {**factor, "text_ja": "欠席 28日で4日(ふだん月1日)", "text_en": "Absent 4"},
                {**factor, "item": "", "text_ja": "他部署のデータ: +1", "text_en": "Others +1"},
            ],
            "lowering": [{**factor, "text_ja": "遅刻 28日で0日", "text_en": "Late: 0 in 28 days"}],
            "trend": [
                {"date": (on - timedelta(days=30)).isoformat(), "score": 0.1},
                {"date": on.isoformat(), "score": 0.5 / place},
            ],
            "data_age": [
                {"item": "absent_days", "label_ja": "欠席", "label_en": "Days absent",
                 "last_on": on.isoformat(), "days": 2, "stale": False},
                {"item": "dental_untreated", "label_ja": "未処置のむし歯", "label_en": "Caries",
                 "last_on": None, "days": None, "stale": True},
            ],
            "model_version": "logistic-1:abc",
            "playbook": "nishinomiya:1:abc",
        },
        ensure_ascii=False,
    )  # fmt: skip
