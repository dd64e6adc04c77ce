"""A small generated town as rows and events, for playing a playbook through the real service.

The same generator as for the large cities; here its facts become observations and check-ins in the
log, its grades classes of a nursery, a primary and a junior high school and of those at home, and
its households a register's. Rows and student keys stand in one order, so that what the service
lists can be held against what the rule lists on the arrays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np

from tests import make
from tests.playbooks.city import CATALOGUE, Grown, grow
from tests.playbooks.seen import SIZES
from warning_service.access.principals import Principal
from warning_service.clock import MovableClock, at
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.types import (
    AnyBody,
    CheckInSubmitted,
    NewEvent,
    ObservationRecorded,
    derived_id,
)
from warning_service.judging.consumer import JudgingConsumer
from warning_service.judging.picking.arrays import City
from warning_service.playbooks.model import Playbook, shipped
from warning_service.rooms import Rooms
from warning_service.roster import households, service
from warning_service.roster import tables as t

CHILDREN = 90
SCHOOLS = ("asahi", "hoiku", "sakura", "zaitaku")
STAGES = dict(zip(SCHOOLS, ("junior_high", "nursery", "primary", "home"), strict=True))
LEAD = 40
"""Days on the roll before the list: a month of data, so that none falls due before."""


@dataclass(frozen=True)
class Small:
    """The town: its arrays, its rooms, the children's keys by row, the day of the list."""

    book: Playbook
    grown: Grown
    rooms: Rooms
    keys: list[str]
    day: date

    def who(self, role: str, place: str) -> Principal:
        """A member of staff with that duty, signed in."""
        login = f"{role}.{place}".replace("_", "")
        make.staff(self.rooms.database, login, (role, place))
        token = self.rooms.staff_door.sign_in(login, make.PASSWORD, "test")
        assert token is not None
        found = self.rooms.sessions.find(token)
        assert found is not None
        return found

    def school_of(self, student: str) -> str:
        """The place the child is on the roll of."""
        assert self.grown.city.schools is not None
        return SCHOOLS[int(self.grown.city.schools[self.keys.index(student)])]

    def judge(self) -> None:
        """Let judging read what is in the log."""
        dispatcher = Dispatcher(
            self.rooms.log, JudgingConsumer(self.rooms.log, self.rooms.playbooks), make.BOARD
        )
        dispatcher.drain()
        dispatcher.release()


def list_day(book: Playbook) -> date:
    """The first school day of one of the playbook's months, after the clock's own start in May."""
    month = next(month for month in (*book.list.months, 6) if month >= 6)
    first = date(2026, month, 1)
    while first.weekday() >= 5:
        first += timedelta(days=1)
    return first


def build(playbook: str, rooms: Rooms, clock: MovableClock, seed: int = 12) -> Small:
    """The town, enrolled and with all its facts in the log, some hours before its list is due."""
    book = shipped(playbook)
    youngest = SIZES[playbook][1]
    grown = grow(playbook, CHILDREN, youngest=youngest, seed=seed, opened=False)
    day = list_day(book)
    clock.move_to(at(day, 0))
    grown = replace(grown, city=_placed(grown.city))
    keys = _enrolled(book, grown.city, rooms, day - timedelta(days=LEAD))
    small = Small(book, grown, rooms, keys, day)
    make.append(rooms.log, *_facts(small))
    return small


def _placed(city: City) -> City:
    assert city.grades is not None
    grades = city.grades
    at_home = (grades <= 0) & (np.arange(city.children) % 3 == 0)
    schools = np.where(grades > 6, 0, np.where(grades > 0, 2, np.where(at_home, 3, 1)))
    return replace(city, schools=schools, supported_on=None, judged_on=None)


def _enrolled(book: Playbook, city: City, rooms: Rooms, since: date) -> list[str]:
    assert city.grades is not None and city.schools is not None and city.households is not None
    where = [(SCHOOLS[s], g) for s, g in zip(city.schools, city.grades.tolist(), strict=True)]
    with rooms.database.writing() as conn:
        service.put_rows(
            conn, t.boards, ["id"],
            [{"id": make.BOARD, "name": "兆市", "playbook": book.id, "generated": True}],
        )  # fmt: skip
        service.put_rows(
            conn, t.schools, ["id"],
            [
                {"id": s, "board": make.BOARD, "name": f"{s}の町", "stage": STAGES[s]}
                for s in sorted({school for school, _ in where})
            ],
        )  # fmt: skip
        service.put_rows(
            conn, t.classes, ["id"],
            [
                {
                    "id": f"{school}{grade}", "school": school, "school_year": 2026,
                    "grade": grade, "name": f"{grade}年1組", "code": f"{school}{grade}".upper(),
                }
                for school, grade in sorted(set(where))
            ],
        )  # fmt: skip
    people: list[dict[str, Any]] = [
        {
            "number": f"n{row:04}", "family_name": "兆", "given_name": f"児{row}",
            "family_kana": "きざし", "given_kana": f"こ{row}", "sex": "女" if row % 2 else "男",
            "born": date(2020 - grade, 5, 1), "household": f"h{home}",
        }
        for row, (grade, home) in enumerate(
            zip(city.grades.tolist(), city.households.tolist(), strict=True)
        )
    ]  # fmt: skip
    found = service.student_keys(rooms.database, make.BOARD, people, _in_order().__next__)
    keys = [found[one["number"]] for one in people]
    assert keys == sorted(keys)
    with rooms.database.reading() as conn:
        moves = households.untold(conn, keys)
    with rooms.log.unit_of_work() as unit:
        for key, (school, grade) in zip(keys, where, strict=True):
            service.enrol(
                unit, board=make.BOARD, student=key, school=school, class_id=f"{school}{grade}",
                grade=grade, on=since, actor="system:test",
            )  # fmt: skip
        households.tell(unit, make.BOARD, moves, dict.fromkeys(keys, since), "system:test")
    return keys


def _in_order() -> Iterator[str]:
    number = 0
    while True:
        yield f"k{number:06}"
        number += 1


def _facts(small: Small) -> list[NewEvent]:
    """Every fact of the arrays as an event; answers of one day are one check-in."""
    city = small.grown.city
    events: list[NewEvent] = []
    answers: dict[tuple[int, int], dict[str, int | None]] = defaultdict(dict)
    for item, flat in sorted(city.facts.items()):
        rows = zip(flat.rows.tolist(), flat.days.tolist(), flat.values.tolist(), strict=True)
        for number, (row, day, value) in enumerate(rows):
            if item in CATALOGUE:
                body = ObservationRecorded(item=item, value=value, source="test")
                events.append(_event(small, row, day, body, item, str(number)))
            else:
                answers[row, day][item.removeprefix("q.")] = round(value)
    for (row, day), said in sorted(answers.items()):
        on = small.day - timedelta(days=city.day - day)
        checked = CheckInSubmitted(
            questionnaire=small.book.questionnaires[0], version=1, answers=said,
            answered_at=at(on, 8),
        )  # fmt: skip
        events.append(_event(small, row, day, checked, "answers"))
    return events


def _event(small: Small, row: int, day: int, body: AnyBody, *name: str) -> NewEvent:
    on = small.day - timedelta(days=small.grown.city.day - day)
    return NewEvent(
        id=derived_id("small", small.keys[row], str(day), *name), board=make.BOARD,
        student=small.keys[row], on=on, actor="test", body=body,
    )  # fmt: skip
