"""Sheets: who fills and reads which part, versions, checking, sealing; all of it is in the log."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete

from tests import make
from tests.follow_up.staged import SHEET, playbook, work_by
from tests.follow_up.test_meetings import CHAIR, OFFICER, WORKER, person
from tests.teacher_portal.school import School
from warning_service.access.gateway import NotYours
from warning_service.access.roles import Role
from warning_service.access.tables import audit
from warning_service.clock import MovableClock
from warning_service.follow_up import rebuild
from warning_service.follow_up.sheets import Unfit
from warning_service.follow_up.tables import sheets
from warning_service.rights.collect import collect
from warning_service.roster import service

TEACHER = person(Role.HOMEROOM, "sakura-1")


@pytest.fixture
def filled(school: School) -> School:
    """The staged board with its sheet."""
    work_by(school, playbook(sheets=[SHEET]))
    return school


def centre(school: School) -> Any:
    make.staff(school.rooms.database, "centre", ("board_guidance", make.BOARD))
    return school.who("centre")


def test_each_side_fills_its_part_and_reads_what_it_may(filled: School) -> None:
    student = filled.children["sakura-1"][0]
    list_id = filled.warning_list([student])
    of = filled.rooms.follow_ups.sheets
    officer_of_board = centre(filled)
    assert of.fill(TEACHER, student, "assessment", "education", {"trouble": "often"}) == 1
    assert of.fill(officer_of_board, student, "assessment", "centre", {"visits": "2"}) == 1
    for who, section in ((TEACHER, "centre"), (TEACHER, "home"), (officer_of_board, "education")):
        with pytest.raises(NotYours):
            of.fill(who, student, "assessment", section, {})
    with pytest.raises(NotYours):  # not reached before its turn has come
        of.fill(OFFICER, student, "assessment", "home", {"money": "苦しい"})
    filled.rooms.follow_ups.review(CHAIR, list_id, student, "B")
    of.fill(OFFICER, student, "assessment", "home", {"money": "苦しい"})

    def sections(who: Any) -> list[str]:
        return [section.id for section, _ in of.held(who, student, "assessment").sections]

    assert sections(TEACHER) == ["education", "centre", "home"]  # the school checks the whole
    assert sections(officer_of_board) == ["education", "centre", "home"]
    assert sections(OFFICER) == ["home"]
    [(_, seen)] = of.held(OFFICER, student, "assessment").sections
    assert seen is not None and seen.words == {"家計": "苦しい"} and seen.about == list_id
    with pytest.raises(NotYours):
        of.held(person(Role.HOMEROOM, "sakura-2"), student, "assessment")
    with pytest.raises(NotYours):
        of.held(TEACHER, student, "another")


def test_every_version_stays_and_the_last_one_counts(filled: School, clock: MovableClock) -> None:
    student = filled.children["sakura-1"][0]
    of = filled.rooms.follow_ups.sheets
    of.fill(TEACHER, student, "assessment", "education", {"attendance": "週2日"}, seen=0)
    assert of.fill(TEACHER, student, "assessment", "education", {"attendance": " 週2日 "}) == 1
    clock.move_by(timedelta(days=1))
    again = {"attendance": "毎日", "trouble": "ない"}
    assert of.fill(WORKER, student, "assessment", "education", again, seen=1) == 2
    with pytest.raises(Unfit) as refused:
        of.fill(TEACHER, student, "assessment", "education", {"attendance": "月1日"}, seen=1)
    assert refused.value.fields == {"section": "changed"}
    held = of.held(TEACHER, student, "assessment")
    filled_last = held.sections[0][1]
    assert filled_last is not None and filled_last.author == WORKER.key
    assert filled_last.values == {"attendance": "毎日", "trouble": "none"}
    assert [one.words for one in held.earlier["education"]] == [{"登校のようす": "週2日"}]
    rows = make.rows(filled.rooms.database, sheets)
    assert len(rows) == 2 and all("毎日" not in (row.sealed or "") for row in rows)


def test_a_refusal_ends_a_sheet_at_once_unless_it_is_for_the_childs_safety(filled: School) -> None:
    student, rooms = filled.children["sakura-1"][0], filled.rooms
    filled.warning_list([student])
    of, entry = rooms.follow_ups.sheets, {"trouble": "often"}
    of.fill(TEACHER, student, "assessment", "education", entry)
    officer = centre(filled)
    service.set_opt_out(rooms.log, board=make.BOARD, student=student, refused=True, actor="office")
    for who in (TEACHER, officer):
        with pytest.raises(NotYours):
            of.held(who, student, "assessment")
    with pytest.raises(NotYours):
        of.fill(TEACHER, student, "assessment", "education", {"trouble": "none"})
    with pytest.raises(NotYours):
        of.check(TEACHER, student, "assessment")
    head = person(Role.MANAGEMENT, make.SCHOOL)
    rooms.follow_ups.hand_overs.give(head, student, "help", "あざがある")
    assert of.fill(TEACHER, student, "assessment", "education", {"trouble": "none"}) == 2
    rooms.follow_ups.hand_overs.take_back(head, student)
    with pytest.raises(NotYours):
        of.held(officer, student, "assessment")
    service.set_opt_out(rooms.log, board=make.BOARD, student=student, refused=False, actor="office")
    assert of.held(TEACHER, student, "assessment").sections[0][1] is not None


def test_what_does_not_fit_is_named_and_not_stored(filled: School) -> None:
    student = filled.children["sakura-1"][0]
    of, who = filled.rooms.follow_ups.sheets, centre(filled)
    for given, why in (
        ({"visits": "many"}, {"visits": "number"}), ({"visits": "21"}, {"visits": "range"}),
        ({"visits": "nan"}, {"visits": "range"}), ({"agreed": "maybe"}, {"agreed": "choice"}),
    ):  # fmt: skip
        with pytest.raises(Unfit) as refused:
            of.fill(who, student, "assessment", "centre", given)
        assert refused.value.fields == why
    with pytest.raises(Unfit) as refused:
        of.fill(TEACHER, student, "assessment", "education", {"attendance": "あ" * 201})
    assert refused.value.fields == {"attendance": "longest"}
    assert make.rows(filled.rooms.database, sheets) == []


def test_the_school_checks_the_whole_until_it_changes(filled: School, clock: MovableClock) -> None:
    student = filled.children["sakura-1"][0]
    of, officer_of_board = filled.rooms.follow_ups.sheets, centre(filled)
    assert not of.held(TEACHER, student, "assessment").may_check  # there is nothing yet
    of.fill(officer_of_board, student, "assessment", "centre", {"agreed": "はい"})
    with pytest.raises(NotYours):
        of.check(officer_of_board, student, "assessment")
    clock.move_by(timedelta(hours=1))
    of.check(TEACHER, student, "assessment")
    held = of.held(TEACHER, student, "assessment")
    assert held.checked is not None and not held.may_check
    sheet = of.sheet(make.BOARD, "assessment")
    assert of.progress([student], sheet) == {student: (1, True)}
    clock.move_by(timedelta(hours=1))
    of.fill(officer_of_board, student, "assessment", "centre", {"agreed": "No"})
    assert of.held(TEACHER, student, "assessment").may_check
    assert of.progress([student, "nobody"], sheet) == {student: (1, False), "nobody": (0, False)}
    actions = [row.action for row in make.rows(filled.rooms.database, audit)]
    assert actions.count("fill_sheet") == 2 and actions.count("check_sheet") == 1


def test_sheets_follow_from_the_log_and_are_disclosed(filled: School) -> None:
    student = filled.children["sakura-1"][0]
    rooms = filled.rooms
    rooms.follow_ups.sheets.fill(TEACHER, student, "assessment", "education", {"trouble": "often"})
    log, before = rooms.log, make.rows(rooms.database, sheets)
    with log.database.writing() as conn:
        conn.execute(delete(sheets))
    assert len(rebuild.differences(log, make.BOARD)) == 1
    assert rebuild.replace(log, make.BOARD) == 1
    assert make.rows(rooms.database, sheets) == before
    with rooms.database.reading() as conn:
        held = collect(
            conn, rooms.playbooks.of(make.BOARD), student,
            until=rooms.clock.now() + timedelta(days=1),
        )  # fmt: skip
    [record] = [one for one in held if one.source == "sheets"]
    assert record.title == "アセスメントシート"
    [part] = [one for one in record.parts if one.sealed]
    assert "よくある" in rooms.sealer.open(student, part.text)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"meetings": ["nothing"]}, "names unknown meetings"),
        ({"sections": [SHEET["sections"][0], SHEET["sections"][0]]}, "names a section twice"),
        ({"sections": [{**SHEET["sections"][1], "fields": [
            {"id": "a", "label": "a", "label_en": "a", "item": "nothing"}]}]}, "not in the cat"),
        ({"sections": [{**SHEET["sections"][1], "fields": [
            {"id": "a", "label": "a", "label_en": "a", "kind": "choice"}]}]}, "has 'choices'"),
    ],
)  # fmt: skip
def test_a_sheet_that_does_not_hold_together_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        playbook(sheets=[{**SHEET, **change}])
