from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, func, select

from tests import make
from tests.teacher_portal.school import School
from warning_service.access.gateway import NotYours
from warning_service.access.trail.audit import Trail
from warning_service.database import StorageUnavailable
from warning_service.events.log import of_student
from warning_service.events.tables import events
from warning_service.events.types import FollowUpRecorded, ReviewDecided
from warning_service.follow_up.service import LONGEST_NOTE, NoteTooLong, UnknownChoice
from warning_service.follow_up.tables import follow_ups, reviews


def test_a_record_and_its_event_are_stored_together(school: School) -> None:
    student = school.children["sakura-1"][0]
    alert = school.alert(student)
    who = school.who("homeroom")
    record = school.rooms.follow_ups.record(
        who, student, "talked", "better", "昼休みに話した", alert_id=alert
    )
    [row] = make.rows(school.rooms.database, follow_ups)
    assert (row.id, row.school, row.author, row.alert_id) == (record, "sakura", who.key, alert)
    with school.rooms.database.reading() as conn:
        [event] = of_student(conn, student, ["follow_up_recorded"])
        types = [e.body for e in of_student(conn, student)][-3:]
    assert isinstance(event.body, FollowUpRecorded)
    assert event.body.follow_up_id == record and event.actor == who.key
    assert [type(body).__name__ for body in types] == [
        "AlertAcknowledged", "AlertHandled", "FollowUpRecorded",
    ]  # fmt: skip
    [view] = school.rooms.alerts.of_student(student)
    assert (view.state, view.acknowledged_by, view.handled_by) == ("handled", who.key, who.key)


def test_notes_are_sealed_in_the_row_and_in_the_log(school: School) -> None:
    student = school.children["sakura-1"][0]
    school.rooms.follow_ups.record(school.who("homeroom"), student, "talked", "same", "秘密の話")
    [row] = make.rows(school.rooms.database, follow_ups)
    assert "秘密" not in row.sealed
    assert school.rooms.sealer.open(student, row.sealed) == "秘密の話"
    with school.rooms.database.reading() as conn:
        [event] = of_student(conn, student, ["follow_up_recorded"])
    assert isinstance(event.body, FollowUpRecorded)
    assert event.body.sealed == row.sealed


def test_when_the_transaction_fails_nothing_is_stored(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = school.children["sakura-1"][0]
    alert = school.alert(student)
    who = school.who("homeroom")

    def broken(conn: Connection, *_: object) -> int:
        raise StorageUnavailable("the disk is full")

    monkeypatch.setattr("warning_service.events.log.append", broken)
    with pytest.raises(StorageUnavailable):
        school.rooms.follow_ups.record(who, student, "talked", "same", alert_id=alert)
    monkeypatch.undo()
    assert make.rows(school.rooms.database, follow_ups) == []
    assert school.rooms.alerts.of_student(student)[0].state == "open"


def test_the_same_form_twice_is_one_record(school: School) -> None:
    student = school.children["sakura-1"][0]
    who = school.who("homeroom")
    record = school.rooms.follow_ups.record
    first = record(who, student, "talked", "same", "メモ", once="form-1")
    assert record(who, student, "talked", "same", "メモ", once="form-1") == first
    assert record(who, student, "talked", "same", "メモ", once="form-2") != first
    with school.rooms.database.reading() as conn:
        count = conn.execute(
            select(func.count()).select_from(events).where(events.c.type == "follow_up_recorded")
        ).scalar_one()
    assert count == len(make.rows(school.rooms.database, follow_ups)) == 2


@contextmanager
def refused(school: School, error: type[Exception]) -> Iterator[None]:
    with pytest.raises(error):
        yield
    assert make.rows(school.rooms.database, follow_ups) == []
    assert make.rows(school.rooms.database, reviews) == []


def test_what_the_playbook_does_not_offer_is_refused(school: School) -> None:
    student = school.children["sakura-1"][0]
    list_id = school.warning_list([student])
    who, rooms = school.who("guidance"), school.rooms
    with refused(school, UnknownChoice):
        rooms.follow_ups.record(who, student, "scolded", "same")
    with refused(school, UnknownChoice):
        rooms.follow_ups.record(who, student, "talked", "")
    with refused(school, UnknownChoice):
        rooms.follow_ups.review(who, list_id, student, "E")
    with refused(school, UnknownChoice):
        rooms.follow_ups.review(who, list_id, student, "A", ["exorcism"])
    with refused(school, NoteTooLong):
        rooms.follow_ups.record(who, student, "talked", "same", "あ" * (LONGEST_NOTE + 1))


def test_nobody_records_outside_the_own_scope(school: School) -> None:
    own, foreign = school.children["sakura-1"][0], school.children["sakura-2"][0]
    list_id, alert = school.warning_list([own]), school.alert(foreign)
    other_list = school.warning_list([foreign], school="school2", list_id="other")
    who, rooms = school.who("homeroom"), school.rooms
    with refused(school, NotYours):
        rooms.follow_ups.record(who, foreign, "talked", "same")
    with refused(school, NotYours):
        rooms.follow_ups.record(who, "nobody", "talked", "same")
    with refused(school, NotYours):  # another child's alert
        rooms.follow_ups.record(who, own, "talked", "same", alert_id=alert)
    with refused(school, NotYours):  # a list the child is not on
        rooms.follow_ups.record(who, own, "talked", "same", list_id=other_list)
    with refused(school, NotYours):
        rooms.follow_ups.review(school.who("nurse2"), list_id, own, "A")
    assert rooms.alerts.of_student(foreign)[0].state == "open"


def test_choosing_again_replaces_the_row_and_keeps_both_decisions(school: School) -> None:
    student = school.children["sakura-1"][0]
    list_id = school.warning_list([student])
    who = school.who("committee")
    review = school.rooms.follow_ups.review
    review(who, list_id, student, "A", ["medical", "counsellor"], note="来週まで")
    review(who, list_id, student, "B")
    [row] = make.rows(school.rooms.database, reviews)
    assert (row.chosen, row.directions, row.sealed) == ("B", "", None)
    with school.rooms.database.reading() as conn:
        bodies = [e.body for e in of_student(conn, student, ["review_decided"])]
    assert [b.chosen for b in bodies if isinstance(b, ReviewDecided)] == ["A", "B"]
    assert isinstance(bodies[0], ReviewDecided)
    assert bodies[0].directions == ("counsellor", "medical")  # in the playbook's order
    assert bodies[0].scheme == "nishinomiya.case_meeting"


def test_nothing_is_changed_without_its_line(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms, student = school.rooms, school.children["sakura-1"][0]
    listed = school.warning_list([student])
    head = rooms.log.head(make.BOARD)

    def broken(*_: object) -> None:
        raise StorageUnavailable("the trail")

    monkeypatch.setattr(Trail, "write", broken)
    for change in (
        lambda: rooms.follow_ups.record(school.who("homeroom"), student, "talked", "same"),
        lambda: rooms.follow_ups.review(school.who("guidance"), listed, student, "B"),
    ):
        with pytest.raises(StorageUnavailable):
            change()
    assert make.rows(rooms.database, follow_ups) == make.rows(rooms.database, reviews) == []
    assert rooms.log.head(make.BOARD) == head
