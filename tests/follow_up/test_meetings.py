"""Meetings in stages: whose turn it is, who has a seat, what is reached through it, and undoing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from tests import make
from tests.follow_up.staged import CONFERENCE, playbook, work_by
from tests.teacher_portal.school import School
from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal, duty_at
from warning_service.access.roles import Ability, Role
from warning_service.alerts.notices import REVIEW_DUE, all_of
from warning_service.clock import MovableClock
from warning_service.follow_up import rebuild
from warning_service.follow_up.meetings import ALL, CASES
from warning_service.follow_up.notice_job import NoticeJob
from warning_service.follow_up.service import DecidedFurtherOn, UnknownChoice
from warning_service.follow_up.tables import reviews
from warning_service.judging.setup import from_playbook
from warning_service.roster.service import set_opt_out


def person(role: Role, place: str) -> Principal:
    return Principal(
        kind="staff",
        key=f"staff-{role}",
        board=make.BOARD,
        csrf="c",
        duties=(duty_at(role, place),),
    )


CHAIR = person(Role.GUIDANCE, make.SCHOOL)
WORKER = person(Role.SOCIAL_WORKER, make.SCHOOL)
OFFICER = person(Role.WELFARE, make.BOARD)


def reaches(school: School, who: Principal, student: str) -> bool:
    try:
        school.rooms.gateway.child(who, student, using=Ability.SEE_STUDENT, why="student")
    except NotYours:
        return False
    return True


def test_whom_one_meeting_chose_comes_to_the_next(school: School) -> None:
    work_by(school, playbook())
    a, b, d, open_ = school.children["sakura-1"][:4]
    list_id = school.warning_list([a, b, d, open_])
    follow_ups = school.rooms.follow_ups
    assert list(follow_ups.meetings.agenda(CHAIR, list_id).subjects) == [a, b, d, open_]
    for student, chosen in ((a, "A"), (b, "C"), (d, "D")):
        follow_ups.review(CHAIR, list_id, student, chosen)
    later = follow_ups.meetings.agenda(WORKER, list_id)
    assert later.sitting.id == "conference"
    assert list(later.subjects) == [a, b] and later.done == 0
    assert [row.chosen for row in later.before[b]] == ["C"]
    follow_ups.review(WORKER, list_id, b, "A", ["home"])
    rows = {(r.student, r.scheme): r.chosen for r in make.rows(school.rooms.database, reviews)}
    assert rows[b, "town.committee"] == "C" and rows[b, "town.conference"] == "A"
    follow_ups.review(CHAIR, list_id, a, "D")  # chosen anew: off the later agenda
    assert list(follow_ups.meetings.agenda(WORKER, list_id).subjects) == [b]
    assert rebuild.differences(school.rooms.log, make.BOARD) == []


def test_a_seat_is_what_the_playbook_says_and_no_more(school: School) -> None:
    work_by(school, playbook())
    student, other = school.children["sakura-1"][:2]
    list_id = school.warning_list([student, other])
    follow_ups = school.rooms.follow_ups
    for who, meeting in (
        (CHAIR, "conference"), (WORKER, "review"), (OFFICER, "review"), (CHAIR, "nonsense"),
        (person(Role.HOMEROOM, "sakura-1"), ""), (person(Role.GUIDANCE, "school2"), ""),
    ):  # fmt: skip
        with pytest.raises(NotYours):
            follow_ups.meetings.agenda(who, list_id, meeting)
    for unknown in ("no list", CASES):
        with pytest.raises(NotYours):
            follow_ups.meetings.agenda(CHAIR, unknown)
    with pytest.raises(NotYours):  # it has not come to that meeting
        follow_ups.review(WORKER, list_id, student, "A")
    with pytest.raises(UnknownChoice):  # the class of another meeting
        follow_ups.review(CHAIR, list_id, student, "N")
    assert make.rows(school.rooms.database, reviews) == []


def test_the_office_reaches_whose_turn_has_come_and_nobody_else(school: School) -> None:
    work_by(school, playbook())
    student, other = school.children["sakura-1"][:2]
    list_id = school.warning_list([student, other])
    follow_ups = school.rooms.follow_ups
    assert not reaches(school, OFFICER, student)
    follow_ups.review(CHAIR, list_id, student, "B")
    follow_ups.review(CHAIR, list_id, other, "D")
    assert reaches(school, OFFICER, student) and not reaches(school, OFFICER, other)
    assert list(follow_ups.meetings.agenda(OFFICER, list_id).subjects) == [student]
    with pytest.raises(NotYours):  # decided on, not worked with: that takes a case
        follow_ups.record(OFFICER, student, "home", "same")
    set_opt_out(school.rooms.log, board=make.BOARD, student=student, refused=True, actor="t")
    assert not reaches(school, OFFICER, student)
    assert not follow_ups.meetings.agenda(OFFICER, list_id).subjects


def test_what_was_decided_can_be_taken_back_from_the_end(school: School) -> None:
    work_by(school, playbook())
    student = school.children["sakura-1"][0]
    list_id = school.warning_list([student])
    follow_ups = school.rooms.follow_ups
    with pytest.raises(NotYours):
        follow_ups.take_back(CHAIR, list_id, student)
    follow_ups.review(CHAIR, list_id, student, "B")
    follow_ups.review(WORKER, list_id, student, "A")
    with pytest.raises(DecidedFurtherOn):
        follow_ups.take_back(CHAIR, list_id, student)
    follow_ups.take_back(WORKER, list_id, student)
    follow_ups.take_back(CHAIR, list_id, student)
    assert make.rows(school.rooms.database, reviews) == []
    assert rebuild.differences(school.rooms.log, make.BOARD) == []


def test_decisions_follow_from_the_log(school: School, clock: MovableClock) -> None:
    work_by(school, playbook())
    first, second = school.children["sakura-1"][:2]
    list_id = school.warning_list([first, second])
    review = school.rooms.follow_ups.review
    review(CHAIR, list_id, first, "B", note="来週まで")
    clock.move_by(timedelta(minutes=1))
    review(WORKER, list_id, first, "A", ["home"])
    review(CHAIR, list_id, second, "D")
    log, before = school.rooms.log, make.rows(school.rooms.database, reviews)
    with log.database.writing() as conn:
        conn.execute(update(reviews).where(reviews.c.chosen == "A").values(chosen="N"))
        conn.execute(delete(reviews).where(reviews.c.student == second))
    assert len(rebuild.differences(log, make.BOARD)) == 2
    rebuild.replace(log, make.BOARD)
    assert sorted(make.rows(log.database, reviews)) == sorted(before)


def test_a_meeting_may_go_through_the_whole_roll(school: School) -> None:
    work_by(school, playbook(review={"of": "roll"}))
    mine, others = school.children["sakura-1"], school.children["sakura-2"]
    list_id = school.warning_list([mine[3]])
    chair = person(Role.COMMITTEE, make.SCHOOL)
    agenda = school.rooms.follow_ups.meetings.agenda(chair, list_id)
    assert next(iter(agenda.subjects)) == mine[3]  # whoever is listed comes first
    assert set(agenda.subjects) == {*mine, *others}
    school.rooms.follow_ups.review(chair, list_id, others[0], "B")
    assert list(school.rooms.follow_ups.meetings.agenda(WORKER, list_id).subjects) == [others[0]]


def test_a_board_that_picks_from_all_schools_meets_on_all_of_them(school: School) -> None:
    whole = playbook().model_dump()
    of_board = {**whole["list"], "scope": "board"}
    meetings = [{**CONFERENCE, "duties": ["welfare"]}]
    review = {"duties": ["guidance", "welfare"]}
    work_by(school, playbook(list=of_board, meetings=meetings, review=review))
    here, there = school.children["sakura-1"][:2], school.children["school2-1"][:1]
    school.warning_list(here)
    school.warning_list(there, school="school2")
    meetings_of = school.rooms.follow_ups.meetings
    [both, later] = meetings_of.open_to(OFFICER)
    # By score over the schools; equal scores by key.
    assert both.list_id == ALL and list(both.subjects) == [*sorted([here[0], *there]), here[1]]
    assert later.sitting.id == "conference" and not later.subjects
    school.rooms.follow_ups.review(OFFICER, ALL, there[0], "B")
    assert meetings_of.open_to(OFFICER)[1].subjects == {there[0]: "list-school2-2026-05-01"}
    [own] = meetings_of.open_to(CHAIR)
    assert list(own.subjects) == here
    with pytest.raises(NotYours):
        meetings_of.agenda(person(Role.HOMEROOM, "sakura-1"), ALL)


def test_without_lists_the_cases_are_met_on(school: School) -> None:
    whole = playbook().model_dump()
    none: dict[str, Any] = {
        "judgement": {"method": "none"},
        "list": {**whole["list"], "cadence": "none", "budget_share": None, "picks": ()},
    }
    review = {"of": "cases", "duties": ["welfare", "guidance"]}
    work_by(school, playbook(review=review, meetings=(), **none))
    student = school.children["sakura-1"][0]
    follow_ups = school.rooms.follow_ups
    case = follow_ups.hand_overs.give(
        person(Role.MANAGEMENT, make.SCHOOL), student, "support", "理由"
    )
    assert follow_ups.meetings.agenda(OFFICER, CASES).subjects == {student: case}
    follow_ups.review(OFFICER, CASES, student, "B")
    assert [row.list_id for row in make.rows(school.rooms.database, reviews)] == [case]
    assert rebuild.differences(school.rooms.log, make.BOARD) == []
    assert follow_ups.meetings.agenda(CHAIR, CASES).done == 1
    follow_ups.hand_overs.give_back(OFFICER, case)
    assert not follow_ups.meetings.agenda(OFFICER, CASES).subjects


def test_who_waits_too_long_for_a_later_meeting_is_told_of(
    school: School, clock: MovableClock
) -> None:
    work_by(school, playbook())
    student = school.children["sakura-1"][0]
    list_id = school.warning_list([student])
    rooms = school.rooms
    rooms.follow_ups.review(CHAIR, list_id, student, "B")
    job = NoticeJob(rooms.log, rooms.playbooks, rooms.notices)

    def due() -> list[str]:
        job.run_all()
        with rooms.database.reading() as conn:
            return [
                row.source
                for row in all_of(conn, make.BOARD)
                if row.kind == REVIEW_DUE and row.state not in ("handled", "closed")
            ]

    assert due() == []
    clock.move_by(timedelta(days=3))  # Monday the 11th: the third school day after is the 14th
    assert due() == [f"{list_id}/conference"]
    rooms.follow_ups.review(WORKER, list_id, student, "N")
    assert due() == []


def test_support_is_agreed_by_any_meetings_scheme() -> None:
    found = from_playbook(playbook(review={"supports": ["A"]})).support_classes
    assert found == {("town.committee", "A"), ("town.conference", "A")}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"takes": ["E"]}, "takes unknown classes"),
        ({"after": "nothing"}, "names no earlier"),
        ({"id": "review"}, "two meetings have the id"),
        ({"scheme": "town.committee"}, "two meetings have the scheme"),
        ({"supports": ["Z"]}, "supports names unknown classes"),
    ],
)
def test_a_chain_that_does_not_hold_together_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        playbook(meetings=[{**CONFERENCE, **change}])
