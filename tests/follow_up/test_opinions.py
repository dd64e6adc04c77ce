"""Opinions: one for each person and thing, undoable, within scope, from the log, and counted."""

from __future__ import annotations

from datetime import date

import pytest

from tests import make
from tests.teacher_portal.school import School
from warning_service.access.gateway import NotYours
from warning_service.access.tables import audit
from warning_service.events.tables import events
from warning_service.follow_up import opinions as told
from warning_service.follow_up.tables import digest_choices, opinions
from warning_service.keeping.people import FormerStaff
from warning_service.rights import collect_school
from warning_service.rights.source import Source
from warning_service.rooms import Rooms
from warning_service.roster import service as roster_service
from warning_service.roster.tables import duties


@pytest.fixture
def school(rooms: Rooms) -> School:
    return School(rooms)


def verdicts(school: School) -> list[tuple[str, str, str]]:
    rows = make.rows(school.rooms.database, opinions)
    return sorted((row.kind, row.author, row.verdict) for row in rows)


def test_one_for_each_person_changed_and_taken_back(school: School) -> None:
    child = school.children["sakura-1"][0]
    alert = school.alert(child)
    given = school.rooms.opinions
    teacher, nurse = school.who("homeroom"), school.who("nurse")
    given.on_alert(teacher, alert, told.HELPFUL)
    given.on_alert(teacher, alert, told.HELPFUL)
    given.on_alert(nurse, alert, told.NOT_HELPFUL)
    assert verdicts(school) == [
        ("alert", "staff-homeroom", "helpful"), ("alert", "staff-nurse", "not_helpful"),
    ]  # fmt: skip
    given.on_alert(teacher, alert, told.NOT_HELPFUL)
    assert given.of(teacher, told.ALERT, alert) == {child: "not_helpful"}
    given.on_alert(teacher, alert, told.TAKEN_BACK)
    given.on_alert(teacher, alert, told.TAKEN_BACK)  # nothing is there to take back
    assert given.of(teacher, told.ALERT, alert) == {}
    assert verdicts(school) == [("alert", "staff-nurse", "not_helpful")]
    stored = [e for e in make.rows(school.rooms.database, events) if e.type == "opinion_given"]
    assert len(stored) == 5
    looks = [r for r in make.rows(school.rooms.database, audit) if r.action == "opinion"]
    assert {(row.subject, row.detail) for row in looks} == {(child, alert)}
    assert told.differences(school.rooms.log, make.BOARD) == []
    with school.rooms.database.writing() as conn:
        conn.execute(opinions.delete())
    assert told.differences(school.rooms.log, make.BOARD) != []
    assert told.replace(school.rooms.log, make.BOARD) == 1
    assert verdicts(school) == [("alert", "staff-nurse", "not_helpful")]


def test_only_of_what_one_may_see_and_only_the_words_there_are(school: School) -> None:
    child = school.children["sakura-1"][0]
    alert = school.alert(child, "nurse")
    list_id = school.warning_list([child])
    given = school.rooms.opinions
    for login in ("other", "nurse2", "board"):
        with pytest.raises(NotYours):
            given.on_alert(school.who(login), alert, told.HELPFUL)
        with pytest.raises(NotYours):
            given.on_entry(school.who(login), list_id, child, told.HELPFUL)
    with pytest.raises(NotYours):  # the call was for the nurse
        given.on_alert(school.who("homeroom"), alert, told.HELPFUL)
    with pytest.raises(NotYours):  # not on the list
        given.on_entry(school.who("nurse"), list_id, school.children["sakura-1"][1], told.DIFFERS)
    with pytest.raises(told.UnknownVerdict):
        given.on_entry(school.who("nurse"), list_id, child, "great")
    assert verdicts(school) == []
    given.on_entry(school.who("homeroom"), list_id, child, told.DIFFERS)
    roster_service.set_opt_out(
        school.rooms.log, board=make.BOARD, student=child, refused=True, actor="x"
    )
    with pytest.raises(NotYours):
        given.on_entry(school.who("homeroom"), list_id, child, told.HELPFUL)
    assert verdicts(school) == [("entry", "staff-homeroom", "differs")]


def test_counted_with_what_they_are_of_and_without_those_who_refuse(school: School) -> None:
    first, second, third = school.children["sakura-1"][:3]
    list_id = school.warning_list([first, second, third])
    given = school.rooms.opinions
    given.on_entry(school.who("homeroom"), list_id, first, told.HELPFUL)
    given.on_entry(school.who("nurse"), list_id, first, told.DIFFERS)
    given.on_entry(school.who("homeroom"), list_id, second, told.NOT_HELPFUL)
    given.on_alert(school.who("homeroom"), school.alert(third), told.HELPFUL)
    roster_service.set_opt_out(
        school.rooms.log, board=make.BOARD, student=second, refused=True, actor="x"
    )

    def counted(first_day: date) -> dict[str, tuple[int, ...]]:
        with school.rooms.database.reading() as conn:
            found = told.of_days(conn, make.BOARD, first_day, date(2026, 5, 31))
        return {t.kind: (t.things, t.judged, t.helpful, t.not_helpful, t.differs) for t in found}

    assert counted(date(2026, 5, 1)) == {"alert": (1, 1, 1, 0, 0), "entry": (2, 1, 1, 0, 1)}
    assert counted(date(2026, 5, 12)) == {"alert": (0, 0, 0, 0, 0), "entry": (0, 0, 0, 0, 0)}


def test_a_family_sees_opinions_but_not_those_of_a_call_for_help(school: School) -> None:
    child = school.children["sakura-1"][0]
    given = school.rooms.opinions
    given.on_alert(school.who("homeroom"), school.alert(child), told.HELPFUL)
    given.on_entry(school.who("homeroom"), school.warning_list([child]), child, told.DIFFERS)
    with school.rooms.database.reading() as conn:
        source = Source(
            conn=conn, playbook=school.rooms.playbooks.of(make.BOARD), student=child,
            until=school.rooms.clock.now(),
        )  # fmt: skip
        found = {record.title: record for record in collect_school.opinions(source)}
    assert found["お知らせへの評価"].about_help
    entry = found["予兆リストへの評価"]
    assert not entry.about_help
    assert entry.parts[0].text == "自分の見立てとちがう"


def test_what_somebody_chose_about_digests_goes_with_them(rooms: Rooms) -> None:
    make.places(rooms.database)
    key = make.staff(rooms.database, "gone", ("nurse", make.SCHOOL))
    stays = make.staff(rooms.database, "stays", ("nurse", make.SCHOOL))
    with rooms.database.writing() as conn:
        conn.execute(
            duties.update()
            .where(duties.c.staff == key)
            .values(from_day=date(2018, 4, 1), until_day=date(2019, 4, 1))
        )
        for staff in (key, stays):
            conn.execute(
                digest_choices.insert().values(
                    staff=staff, kind="morning", board=make.BOARD, at=rooms.clock.now()
                )
            )
        FormerStaff().take(conn, make.BOARD, rooms.clock.today(), 10)
    assert [row.staff for row in make.rows(rooms.database, digest_choices)] == [stays]
