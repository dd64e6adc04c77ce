"""Children whom a family asks about: found with care, also those who left, each on the trail."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import insert

from tests import make
from tests.teacher_portal.school import School
from warning_service.access.asked_about import (
    MOST_FOUND,
    AskedAbout,
    SearchTooWide,
    identity_of,
    roles_held,
)
from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.tables import audit
from warning_service.clock import day_of
from warning_service.rooms import Rooms
from warning_service.roster import service
from warning_service.roster import tables as t


@pytest.fixture
def school(rooms: Rooms) -> School:
    made = School(rooms, children=3)
    make.staff(rooms.database, "officer", ("privacy", make.BOARD))
    make.staff(rooms.database, "head", ("management", "school2"))
    return made


def who(school: School, login: str) -> Principal:
    rooms = school.rooms
    token = rooms.sessions.start_staff(f"staff-{login}", make.BOARD, factors=("totp",))
    found = rooms.sessions.find(token)
    assert found is not None
    return found


def people(school: School) -> AskedAbout:
    return AskedAbout(school.rooms.database, school.rooms.clock, school.rooms.trail)


def trail(school: School) -> list[tuple[str, str]]:
    return [(row.action, row.subject) for row in make.rows(school.rooms.database, audit)]


@pytest.mark.parametrize("words", ["兆 児1", "児1", "きざしこ1", "こ1", "sakura-1/1", "児1"])
def test_a_child_is_found_by_name_reading_or_number(school: School, words: str) -> None:
    found = people(school).search(who(school, "officer"), words, school="sakura")
    child = school.children["sakura-1"][0]
    assert child in {person.student for person in found}
    assert ("request_search", child) in trail(school)
    assert all(person.school == "sakura" for person in found)


@pytest.mark.parametrize("words", ["", " 児 ", "%%", "__"])
def test_wide_words_and_wildcards_find_nobody(school: School, words: str) -> None:
    asked = people(school)
    if len(words.strip()) < 2:
        with pytest.raises(SearchTooWide):
            asked.search(who(school, "officer"), words)
    else:
        assert asked.search(who(school, "officer"), words) == []
    assert trail(school) == []


def test_too_many_are_not_shown(school: School) -> None:
    make.children(school.rooms.log, "sakura-2", MOST_FOUND + 1)
    with pytest.raises(SearchTooWide):
        people(school).search(who(school, "officer"), "兆児")
    assert trail(school) == []


def test_nobody_is_found_outside_the_officers_schools(school: School) -> None:
    assert people(school).search(who(school, "officer"), "児1", school="elsewhere") == []
    assert people(school).search(who(school, "head"), "児1") == []


def test_who_left_is_still_shown_and_a_stranger_is_refused(school: School) -> None:
    child, rooms = school.children["sakura-1"][0], school.rooms
    with rooms.log.unit_of_work() as unit:
        service.end_enrolment(
            unit, board=make.BOARD, student=child, class_id="sakura-1",
            on=rooms.clock.today(), actor="x",
        )  # fmt: skip
    service.set_opt_out(rooms.log, board=make.BOARD, student=child, refused=True, actor="x")
    asked, officer = people(school), who(school, "officer")
    person = asked.person(officer, child, using=Ability.HANDLE_REQUESTS, why="request_page")
    assert (person.on_roll, person.opted_out) == (False, True)
    assert person.place == "sakura小学校 4年1組" and person.born == date(2016, 5, 1)
    with pytest.raises(NotYours):
        asked.person(
            who(school, "head"), child, using=Ability.APPROVE_REQUESTS, why="request_approval"
        )
    with pytest.raises(NotYours):
        asked.person(officer, "nobody", using=Ability.HANDLE_REQUESTS, why="request_page")
    with pytest.raises(ValueError, match="requests only"):
        asked.person(officer, child, using=Ability.SEE_STUDENT, why="request_page")
    asked.note(officer, "request_closed", child, "r-1")
    assert trail(school).pop() == ("request_closed", child)
    assert trail(school)[:-1] == [
        ("request_page", child),
        ("refused:request_approval", child),
        ("refused:request_page", "nobody"),
    ]
    with rooms.database.reading() as conn:
        assert asked.reaches(conn, officer, child, Ability.HANDLE_REQUESTS)
        assert not asked.reaches(conn, who(school, "head"), child, Ability.APPROVE_REQUESTS)


def test_what_the_roster_holds_is_told_without_secrets(school: School) -> None:
    child, rooms = school.children["sakura-1"][0], school.rooms
    rooms.sessions.start_child(child, make.BOARD, "sakura-1")
    with rooms.database.writing() as conn:
        conn.execute(
            insert(t.identities).values(
                kind="child", issuer="https://id.example", subject="s-1", key=child,
                linked_at=rooms.clock.now(),
            )
        )  # fmt: skip
        conn.execute(
            insert(t.expected_accounts).values(
                kind="child", board=make.BOARD, account="ji1@school.example", key=child
            )
        )
    with rooms.database.reading() as conn:
        held = identity_of(conn, child, day_of(rooms.clock.now()))
        assert roles_held(conn, ["staff-nurse", "nobody"]) == {"staff-nurse": ["nurse"]}
    assert held.person.name == "兆 児1" and held.number == "sakura-1/1" and held.has_key
    assert [row.class_name for row in held.enrolments] == ["4年1組"]
    assert [row.seat for row in held.seats] == [1] and len(held.sign_ins) == 1
    assert held.accounts == ["https://id.example s-1", "ji1@school.example"]
    assert held.opt_outs == []
