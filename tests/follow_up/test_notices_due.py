"""Notices on lists, reviews, records and files: weeks played through, with restarts at any point.

The fast-forward stops four times a day; each time the job is a new one, as after a restart, and
runs twice, as from two processes. What was raised is then compared with what the days ask for.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from connectors.records.kind_facts import READERS
from tests import make
from warning_service.alerts import rebuild
from warning_service.alerts.notices import (
    EXTRACT_MISSING,
    FOLLOW_UP_OVERDUE,
    LIST_PUBLISHED,
    REVIEW_DUE,
)
from warning_service.alerts.notices_due import Rules
from warning_service.alerts.tables import alerts, deliveries, routes
from warning_service.catalogue.items import all_items
from warning_service.clock import MovableClock, at, day_of
from warning_service.events.tables import events
from warning_service.follow_up.notice_job import NoticeJob
from warning_service.follow_up.tables import follow_ups, reviews
from warning_service.judging.tables import list_entries, warning_lists
from warning_service.rooms import Rooms
from warning_service.roster import service as roster_service
from warning_service.roster import tables as t
from warning_service.roster.calendar import SchoolCalendar

LIST_DAY = date(2026, 6, 1)  # a Monday


class Town:
    """A school with two classes, staff with routes, and the job."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self.classes = make.places(rooms.database, classes=2)
        self.kids = {room: make.children(rooms.log, room, 4) for room in self.classes}
        make.staff(rooms.database, "head", ("management", make.SCHOOL))
        make.staff(rooms.database, "lead", ("guidance", make.SCHOOL))
        for n, room in enumerate(self.classes):
            make.staff(rooms.database, f"home{n}", ("homeroom", room))
        make.staff(rooms.database, "op", ("operator", make.BOARD))
        with rooms.database.writing() as conn:
            conn.execute(
                insert(routes).values(
                    board=make.BOARD, place=make.SCHOOL, duty="guidance", channel="slack",
                    address="C-lead",
                )
            )  # fmt: skip

    def job(self) -> int:
        """As after a restart: nothing of an earlier run is remembered."""
        return NoticeJob(self.rooms.log, self.rooms.playbooks, self.rooms.notices).run_all()

    def publish(self, list_id: str, on: date, students: list[str]) -> None:
        with self.rooms.database.writing() as conn:
            conn.execute(
                insert(warning_lists).values(
                    id=list_id, board=make.BOARD, school=make.SCHOOL, list_date=on, as_of=1,
                    judge="rules", judge_why="{}", model_version="-", playbook="-", budget=3,
                    ranked=8, published_at=at(on, 7),
                )
            )  # fmt: skip
            for place, student in enumerate(students, 1):
                conn.execute(
                    insert(list_entries).values(
                        list_id=list_id, student=student, place=place, score=0.1, level="watch",
                        is_new=True, supported=False, times_running=1, evidence="{}",
                    )
                )  # fmt: skip

    def review(self, list_id: str, *students: str) -> None:
        with self.rooms.database.writing() as conn:
            for student in students:
                conn.execute(
                    insert(reviews).values(
                        list_id=list_id, student=student, chosen="B", directions="",
                        scheme="nishinomiya.case_meeting",
                        author="staff-head", at=self.rooms.clock.now(),
                    )
                )  # fmt: skip

    def record(self, student: str) -> None:
        now = self.rooms.clock.now()
        with self.rooms.database.writing() as conn:
            conn.execute(
                insert(follow_ups).values(
                    id=f"{student}-{now.isoformat()}", board=make.BOARD, school=make.SCHOOL,
                    student=student, action="talked", change="same", author="x", at=now,
                )
            )  # fmt: skip

    def imported(self, kind: str, when: datetime, *, taken: int = 1) -> None:
        with self.rooms.database.writing() as conn:
            conn.execute(
                insert(t.imports).values(
                    id=f"{kind}-{when.isoformat()}", board=make.BOARD, kind=kind, file_name="x",
                    file_sha256="x", at=when, actor="x", rows_new=taken, rows_known=0,
                    rows_left_out=0, rows_rejected=1 - taken,
                )
            )  # fmt: skip

    def notices(self, kind: str, *, standing: bool = False) -> list[Any]:
        with self.rooms.database.reading() as conn:
            query = select(alerts).where(alerts.c.kind == kind)
            if standing:
                query = query.where(alerts.c.state.in_(["open", "acknowledged", "snoozed"]))
            return list(conn.execute(query.order_by(alerts.c.raised_at)))

    def moments(self, until: datetime) -> Iterator[datetime]:
        """Four moments of every day; at each, two jobs that know of nothing run."""
        clock = self.rooms.clock
        assert isinstance(clock, MovableClock)
        day = clock.today()
        while at(day) < until:
            for hour in (7, 8, 11, 15):
                if (moment := at(day, hour, 30)) > clock.now():
                    clock.move_to(moment)
                    self.job()
                    self.job()
                    yield clock.now()
            day += timedelta(days=1)


@pytest.fixture
def town(rooms: Rooms) -> Town:
    return Town(rooms)


def test_weeks_with_restarts_raise_each_notice_once_and_on_its_day(
    town: Town, clock: MovableClock
) -> None:
    first, second = town.classes
    listed = [town.kids[first][0], town.kids[first][1], town.kids[second][0]]
    town.imported("attendance", at(date(2026, 5, 29), 16))
    clock.move_to(at(LIST_DAY, 6, 30))
    assert town.job() == 0
    for now in town.moments(at(date(2026, 6, 26), 18)):
        if now == at(LIST_DAY, 7, 30):
            town.publish("june", LIST_DAY, listed)
        if now == at(date(2026, 6, 10), 8, 30):
            town.review("june", *listed)
            town.record(listed[0])
        if now == at(date(2026, 6, 17), 8, 30):
            town.record(listed[1])
        if now == at(date(2026, 6, 19), 11, 30):
            town.imported("attendance", now)

    [out] = town.notices(LIST_PUBLISHED)
    assert (out.school, out.source, out.raised_at) == (make.SCHOOL, "june", at(LIST_DAY, 8, 30))
    assert (out.state, out.handled_by) == ("handled", "system:notices")  # the meeting met

    # Five school days after Monday the 1st: Monday the 8th; decided on the 10th.
    [review] = town.notices(REVIEW_DUE)
    assert review.raised_at == at(date(2026, 6, 8), 8, 30)
    assert review.handled_at == at(date(2026, 6, 10), 11, 30)

    # Ten school days: Monday the 15th. One class writes on the 17th, the other never does.
    overdue = {row.class_id: row for row in town.notices(FOLLOW_UP_OVERDUE)}
    assert {row.raised_at for row in overdue.values()} == {at(date(2026, 6, 15), 8, 30)}
    assert overdue[first].handled_at == at(date(2026, 6, 17), 11, 30)
    assert overdue[second].state == "open"

    # The file of Friday the 29th is good for 7 days; three school days later is Wednesday the 10th.
    [missing] = town.notices(EXTRACT_MISSING)
    assert (missing.source, missing.school) == ("attendance", "")
    assert missing.raised_at == at(date(2026, 6, 10), 8, 30)
    assert missing.handled_at == at(date(2026, 6, 19), 15, 30)

    with town.rooms.database.reading() as conn:
        sent = conn.execute(select(deliveries.c.alert_id, deliveries.c.purpose)).all()
        raised = conn.execute(select(events.c.student).where(events.c.type == "alert_raised")).all()
    raised_messages = [row.alert_id for row in sent if row.purpose == "raised"]
    assert len(raised_messages) == len(set(raised_messages))
    assert {row.student for row in raised} == {None}
    assert rebuild.differences(town.rooms.log, make.BOARD) == []


def test_jobs_that_run_at_the_same_moment_raise_and_close_once(
    town: Town, clock: MovableClock
) -> None:
    child = town.kids[town.classes[0]][0]
    town.publish("may", date(2026, 5, 7), [child])

    def together() -> None:
        threads = [threading.Thread(target=town.job) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    together()
    [out] = town.notices(LIST_PUBLISHED)
    clock.move_to(at(date(2026, 5, 12), 9))
    town.review("may", child)
    together()
    with town.rooms.database.reading() as conn:
        found = conn.execute(select(events.c.type).where(events.c.type.like("alert_%"))).scalars()
        assert sorted(found) == ["alert_handled", "alert_raised"]
    assert town.notices(LIST_PUBLISHED)[0].id == out.id
    assert rebuild.differences(town.rooms.log, make.BOARD) == []


def test_a_service_that_was_down_tells_what_is_due_today_and_no_more(
    town: Town, clock: MovableClock
) -> None:
    child = town.kids[town.classes[0]][0]
    town.publish("april", date(2026, 4, 1), [child])
    town.publish("may", date(2026, 5, 1), [child])
    clock.move_to(at(date(2026, 6, 26), 12))
    assert town.job() == 2  # the review of May's list and the record; neither is news any more
    assert town.job() == 0
    assert town.notices(LIST_PUBLISHED) == []
    assert [row.source for row in town.notices(REVIEW_DUE)] == ["may"]
    assert len(town.notices(FOLLOW_UP_OVERDUE)) == 1


def test_a_newer_list_does_not_make_an_older_one_forgotten(town: Town, clock: MovableClock) -> None:
    """A child left without a record stays due when it is not on the next list."""
    child, other = town.kids[town.classes[0]][:2]
    clock.move_to(at(LIST_DAY, 8))
    town.publish("june", LIST_DAY, [child])
    clock.move_to(at(date(2026, 6, 30), 12))
    town.job()
    assert len(town.notices(FOLLOW_UP_OVERDUE, standing=True)) == 1
    clock.move_to(at(date(2026, 7, 1), 8))
    town.publish("july", date(2026, 7, 1), [other])
    town.job()
    [due] = town.notices(REVIEW_DUE, standing=True)
    assert due.source == "june"  # until July's own review is due, or its meeting has met
    clock.move_to(at(date(2026, 7, 8), 8))
    town.job()
    assert [row.source for row in town.notices(REVIEW_DUE, standing=True)] == ["july"]
    clock.move_to(at(date(2026, 12, 1), 8))
    town.job()
    assert len(town.notices(FOLLOW_UP_OVERDUE, standing=True)) == 1
    town.record(child)
    town.record(other)
    town.job()
    assert town.notices(FOLLOW_UP_OVERDUE, standing=True) == []


def test_whose_family_refuses_or_who_has_left_is_not_waited_for(
    town: Town, clock: MovableClock
) -> None:
    child, gone = town.kids[town.classes[0]][0], town.kids[town.classes[1]][0]
    town.publish("may", date(2026, 5, 1), [child, gone])
    roster_service.set_opt_out(
        town.rooms.log, board=make.BOARD, student=child, refused=True, actor="x"
    )
    with town.rooms.database.writing() as conn:
        conn.execute(
            update(t.enrolments)
            .where(t.enrolments.c.student == gone)
            .values(until_day=day_of(clock.now()))
        )
    clock.move_to(at(date(2026, 6, 1), 12))
    town.job()
    assert town.notices(FOLLOW_UP_OVERDUE) == []
    assert town.notices(REVIEW_DUE) == []


def test_nothing_is_missed_in_a_vacation(town: Town) -> None:
    with town.rooms.database.writing() as conn:
        day = date(2026, 7, 21)
        while day < date(2026, 9, 1):
            conn.execute(
                insert(t.closed_days).values(board=make.BOARD, school="", day=day, why="夏休み")
            )
            day += timedelta(days=1)
    last = {"attendance": at(date(2026, 7, 17), 16), "nurse": at(date(2026, 3, 1), 9)}
    playbook = town.rooms.playbooks.of(make.BOARD)
    with town.rooms.database.reading() as conn:
        calendar = SchoolCalendar(conn, make.BOARD)

    def missing(day: date) -> list[str]:
        return Rules(playbook, calendar, at(day, 9)).missing_extracts(last)

    assert missing(date(2026, 7, 20)) == ["nurse"]
    assert missing(date(2026, 8, 31)) == ["nurse"]
    assert missing(date(2026, 9, 2)) == ["nurse"]
    assert missing(date(2026, 9, 3)) == ["attendance", "nurse"]


def test_a_file_from_which_nothing_could_be_taken_has_not_come(
    town: Town, clock: MovableClock
) -> None:
    town.imported("nurse", at(date(2026, 4, 10), 9))
    town.imported("nurse", clock.now(), taken=0)
    town.job()
    [missing] = town.notices(EXTRACT_MISSING)
    assert missing.source == "nurse"


def test_the_catalogue_names_files_that_the_importer_knows() -> None:
    """ "Items" may hold any item of the catalogue, so nobody waits for one."""
    assert {item.extract for item in all_items().values()} - {""} == set(READERS) - {"items"}


def test_a_broken_board_does_not_keep_another_from_its_notices(
    town: Town, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with town.rooms.database.writing() as conn:
        conn.execute(
            insert(t.boards).values(id="a-first", name="x", playbook="none", generated=True)
        )
    whole = NoticeJob.run

    def run(self: NoticeJob, board: str) -> int:
        if board == "a-first":
            raise RuntimeError("broken")
        return whole(self, board)

    monkeypatch.setattr(NoticeJob, "run", run)
    town.publish("may", date(2026, 5, 7), [town.kids[town.classes[0]][0]])
    assert town.job() == 1
