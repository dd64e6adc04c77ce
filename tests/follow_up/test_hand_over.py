"""A case goes to the welfare office and back: who may, what is seen, and that it ends at once."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import delete, update

from tests import make
from tests.teacher_portal.school import School
from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal, duty_at
from warning_service.access.roles import Ability, Role
from warning_service.access.tables import audit
from warning_service.clock import MovableClock
from warning_service.events.log import of_student
from warning_service.events.types import FollowUpRecorded, NewEvent, ObservationRecorded, new_id
from warning_service.follow_up import cases as states
from warning_service.follow_up import rebuild
from warning_service.follow_up.hand_over import LONGEST_REASON, NotHandedOver
from warning_service.follow_up.tables import cases, follow_ups
from warning_service.playbooks.model import Playbook, shipped
from warning_service.playbooks.sharing import Side, answer_shown_to, shown_to
from warning_service.roster import service
from warning_service.roster.service import set_opt_out


def person(role: Role, place: str, key: str = "") -> Principal:
    return Principal(
        kind="staff", key=key or f"staff-{role}", board=make.BOARD, csrf="c",
        duties=(duty_at(role, place),),
    )  # fmt: skip


HEAD = person(Role.MANAGEMENT, make.SCHOOL)
OFFICER = person(Role.WELFARE, make.BOARD)
ELSEWHERE = person(Role.WELFARE, "another board", "staff-elsewhere")


def reaches(school: School, who: Principal, student: str) -> bool:
    try:
        school.rooms.gateway.child(who, student, using=Ability.SEE_STUDENT, why="student")
    except NotYours:
        return False
    return True


def test_the_office_reaches_the_child_from_hand_over_to_return(school: School) -> None:
    mine, other = school.children["sakura-1"][:2]
    hand_overs = school.rooms.follow_ups.hand_overs
    assert not reaches(school, OFFICER, mine)
    case = hand_overs.give(HEAD, mine, "support", " 家庭の支援をお願いします ")
    assert reaches(school, OFFICER, mine)
    assert not reaches(school, OFFICER, other)
    assert not reaches(school, ELSEWHERE, mine)
    [row] = make.rows(school.rooms.database, cases)
    assert "支援" not in row.sealed
    assert school.rooms.sealer.open(mine, row.sealed) == "家庭の支援をお願いします"
    with pytest.raises(NotYours):
        hand_overs.give_back(ELSEWHERE, case)
    hand_overs.give_back(OFFICER, case, "面談しました")
    assert not reaches(school, OFFICER, mine)
    [row] = make.rows(school.rooms.database, cases)
    assert (row.ended_how, row.ended_by) == ("returned", OFFICER.key)
    for call in (
        lambda: hand_overs.give_back(OFFICER, case),
        lambda: hand_overs.take_back(HEAD, mine),
    ):
        with pytest.raises(NotYours):
            call()
    hand_overs.give(HEAD, mine, "support", "ふたたび")  # after it ended there may be a new one
    hand_overs.take_back(HEAD, mine)
    assert not reaches(school, OFFICER, mine)
    actions = [row.action for row in make.rows(school.rooms.database, audit)]
    for action in ("hand_over_case", "case_returned", "case_taken_back"):
        assert action in actions


@pytest.mark.parametrize("role", [Role.HOMEROOM, Role.NURSE, Role.COUNSELLOR, Role.COMMITTEE])
def test_only_those_whose_duty_it_is_hand_over(school: School, role: Role) -> None:
    mine = school.children["sakura-1"][0]
    place = "sakura-1" if role is Role.HOMEROOM else make.SCHOOL
    with pytest.raises(NotYours):
        school.rooms.follow_ups.hand_overs.give(person(role, place), mine, "help", "理由")
    school.rooms.follow_ups.hand_overs.give(HEAD, mine, "help", "理由")
    with pytest.raises(NotYours):
        school.rooms.follow_ups.hand_overs.take_back(person(role, place), mine)


def test_another_schools_child_and_one_on_no_roll_are_out_of_reach(school: School) -> None:
    foreign = school.children["school2-1"][0]
    for student in (foreign, "nobody"):
        with pytest.raises(NotYours):
            school.rooms.follow_ups.hand_overs.give(HEAD, student, "help", "理由")
    school.rooms.follow_ups.hand_overs.give(
        person(Role.MANAGEMENT, "school2"), foreign, "help", "理由"
    )
    with pytest.raises(NotYours):
        school.rooms.follow_ups.hand_overs.take_back(HEAD, foreign)


def test_what_cannot_be_taken_changes_nothing_and_says_why(school: School) -> None:
    mine = school.children["sakura-1"][0]
    give = school.rooms.follow_ups.hand_overs.give
    for ground, reason, why in (
        ("because", "理由", "ground"), ("help", " ", "reason"),
        ("help", "長" * (LONGEST_REASON + 1), "longest"),
    ):  # fmt: skip
        with pytest.raises(NotHandedOver) as refused:
            give(HEAD, mine, ground, reason)
        assert refused.value.why == why
    assert make.rows(school.rooms.database, cases) == []
    give(HEAD, mine, "help", "理由")
    with pytest.raises(NotHandedOver) as refused:
        give(HEAD, mine, "help", "もう一度")
    assert refused.value.why == "open"
    assert len(make.rows(school.rooms.database, cases)) == 1


def test_a_refusal_bars_and_ends_support_and_leaves_help(school: School) -> None:
    mine, helped = school.children["sakura-1"][:2]
    hand_overs = school.rooms.follow_ups.hand_overs
    hand_overs.give(HEAD, mine, "support", "理由")
    hand_overs.give(HEAD, helped, "help", "理由")
    for student in (mine, helped):
        set_opt_out(school.rooms.log, board=make.BOARD, student=student, refused=True, actor="t")
    assert not reaches(school, OFFICER, mine)
    assert reaches(school, OFFICER, helped)
    hand_overs.take_back(HEAD, mine)
    with pytest.raises(NotHandedOver) as refused:
        hand_overs.give(HEAD, mine, "support", "理由")
    assert refused.value.why == "refused"
    hand_overs.give(HEAD, mine, "help", "本人が助けを求めている")
    assert reaches(school, OFFICER, mine)


def test_a_child_that_has_left_can_still_be_taken_back(school: School) -> None:
    mine = school.children["sakura-1"][0]
    case = school.rooms.follow_ups.hand_overs.give(HEAD, mine, "support", "理由")
    with school.rooms.log.unit_of_work() as unit:
        service.end_enrolment(
            unit, board=make.BOARD, student=mine, class_id="sakura-1",
            on=school.rooms.clock.today() - timedelta(days=1), actor="t",
        )  # fmt: skip
    assert not reaches(school, OFFICER, mine)
    with pytest.raises(NotYours):
        school.rooms.follow_ups.hand_overs.take_back(person(Role.MANAGEMENT, "school2"), mine)
    school.rooms.follow_ups.hand_overs.take_back(HEAD, mine)
    [row] = make.rows(school.rooms.database, cases)
    assert (row.id, row.ended_how) == (case, "taken_back")


def test_what_the_office_records_belongs_to_the_case(school: School) -> None:
    mine = school.children["sakura-1"][0]
    with pytest.raises(NotYours):
        school.rooms.follow_ups.record(OFFICER, mine, "home", "same")
    case = school.rooms.follow_ups.hand_overs.give(HEAD, mine, "support", "理由")
    school.rooms.follow_ups.record(OFFICER, mine, "home", "same", "訪問した")
    school.rooms.follow_ups.record(HEAD, mine, "talked", "same")
    by_author = {row.author: row.case_id for row in make.rows(school.rooms.database, follow_ups)}
    assert by_author == {OFFICER.key: case, HEAD.key: None}
    with school.rooms.database.reading() as conn:
        bodies = [e.body for e in of_student(conn, mine, ["follow_up_recorded"])]
    assert [b.case_id for b in bodies if isinstance(b, FollowUpRecorded)] == [case, None]


def test_cases_follow_from_the_log(school: School) -> None:
    mine, other = school.children["sakura-1"][:2]
    hand_overs = school.rooms.follow_ups.hand_overs
    case = hand_overs.give(HEAD, mine, "support", "理由")
    hand_overs.give(HEAD, other, "help", "理由")
    hand_overs.give_back(OFFICER, case, "終わり")
    log, board = school.rooms.log, make.BOARD
    assert rebuild.differences(log, board) == []
    before = make.rows(log.database, cases)
    with log.database.writing() as conn:
        conn.execute(update(cases).where(cases.c.id == case).values(ended_how="taken_back"))
        conn.execute(delete(cases).where(cases.c.student == other))
    assert len(rebuild.differences(log, board)) == 2
    assert rebuild.replace(log, board) == 2
    assert sorted(make.rows(log.database, cases)) == sorted(before)
    with log.database.writing() as conn:
        ended = next(row for row in before if row.id == case)  # a child has one open case at most
        conn.execute(cases.insert().values(**{**ended._mapping, "id": "made up"}))
    assert rebuild.differences(log, board) == ["case made up: stored, not in the log"]


def test_open_and_lately_ended_cases_of_a_school(school: School, clock: MovableClock) -> None:
    mine, other = school.children["sakura-1"][:2]
    hand_overs = school.rooms.follow_ups.hand_overs
    hand_overs.give(HEAD, mine, "support", "理由")
    hand_overs.take_back(HEAD, mine)
    clock.move_by(timedelta(days=10))
    hand_overs.give(HEAD, other, "support", "理由")
    since = clock.now() - timedelta(days=5)
    with school.rooms.database.reading() as conn:
        assert [c.student for c in states.of_schools(conn, ["sakura"], since)] == [other]
        early = since - timedelta(days=10)
        assert [c.student for c in states.of_schools(conn, ["sakura"], early)] == [other, mine]
        assert states.of_schools(conn, ["school2"], early) == []


def test_items_by_side() -> None:
    playbook = shipped("nishinomiya")
    items = playbook.catalogue_items()
    school = {name: shown_to(Side.SCHOOL, item, playbook) for name, item in items.items()}
    welfare = {name: shown_to(Side.WELFARE, item, playbook) for name, item in items.items()}
    assert (school["absent_days"], welfare["absent_days"]) == ("value", "count_only")
    assert (school["public_assistance"], welfare["public_assistance"]) == ("count_only", "value")
    assert school["infant_check_missed"] == welfare["infant_check_missed"] == "score_only"
    assert answer_shown_to(Side.SCHOOL, "mood", playbook)
    assert not answer_shown_to(Side.WELFARE, "mood", playbook)
    assert not answer_shown_to(Side.BOARD, "mood", playbook)


def test_a_playbook_may_open_items_to_either_side() -> None:
    whole = shipped("nishinomiya").model_dump()
    open_ = Playbook.model_validate(
        {**whole, "sharing": {"school_sees": ["youtaikyo_case"], "welfare_sees": ["q.mood"]}}
    )
    items = open_.catalogue_items()
    assert shown_to(Side.SCHOOL, items["youtaikyo_case"], open_) == "value"
    assert answer_shown_to(Side.WELFARE, "mood", open_)
    assert not answer_shown_to(Side.WELFARE, "sleep", open_)
    every = Playbook.model_validate({**whole, "sharing": {"welfare_sees": ["q.*", "absent_days"]}})
    assert answer_shown_to(Side.WELFARE, "sleep", every)
    assert shown_to(Side.WELFARE, items["absent_days"], every) == "value"
    assert not answer_shown_to(Side.BOARD, "mood", every)
    for bad in ({"school_sees": ["nothing"]}, {"school_sees": ["q.mood"]}, {"welfare_sees": ["x"]}):
        with pytest.raises(ValueError, match="sharing names"):
            Playbook.model_validate({**whole, "sharing": bad})


def observe(school: School, student: str, item: str, value: float) -> None:
    make.append(
        school.rooms.log,
        NewEvent(
            id=new_id(), board=make.BOARD, student=student, on=date(2026, 5, 1), actor="system:t",
            body=ObservationRecorded(item=item, value=value, source="test"),
        ),
    )  # fmt: skip


def test_both_sides_look_at_the_same_child_differently(school: School) -> None:
    from teacher_portal.queries import observations

    mine = school.children["sakura-1"][0]
    observe(school, mine, "absent_days", 3)
    observe(school, mine, "public_assistance", 1)
    observe(school, mine, "infant_check_missed", 1)
    playbook = shipped("nishinomiya")
    with school.rooms.database.reading() as conn:
        seen = {
            side: observations(conn, playbook, mine, school.rooms.clock.today(), side)
            for side in Side
        }
    names = {side: {fact.item.id for fact in facts.shown} for side, facts in seen.items()}
    assert "absent_days" in names[Side.SCHOOL] and "public_assistance" not in names[Side.SCHOOL]
    assert names[Side.WELFARE] == {"public_assistance"}
    assert seen[Side.SCHOOL].others == 1 and seen[Side.WELFARE].others == 1
