"""Pages of notices: whose they are, what they show, and that they name nobody they should not."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from design.render import say
from tests import make
from tests.teacher_portal.conftest import Browsers
from tests.teacher_portal.school import School
from warning_service.access.tables import audit
from warning_service.alerts import stuck
from warning_service.alerts.gaps import GRAVE
from warning_service.alerts.notices import (
    DUTY_GAP,
    EXTRACT_MISSING,
    FOLLOW_UP_OVERDUE,
    LIST_PUBLISHED,
    SYSTEM_TROUBLE,
)
from warning_service.alerts.watchman import ABOUT
from warning_service.clock import MovableClock, at
from warning_service.follow_up.notice_job import RECORDS, NoticeJob

BUTTON = '<a class="button second" href="/portal/cover">'


def raised(town: School, kind: str, about: str, **where: str) -> str:
    found = town.rooms.notices.raise_notice(make.BOARD, kind, about, slot="1", **where)
    assert found is not None
    return found


def test_a_list_that_is_out_is_told_to_the_lead_and_taken_on(
    school: School, browsers: Browsers
) -> None:
    list_id = school.warning_list(school.children["sakura-1"][:2])
    notice = raised(school, LIST_PUBLISHED, list_id, school=make.SCHOOL)
    lead = browsers("guidance")
    assert "予兆リストが出ました" in lead.get("/portal")
    page = lead.get(f"/portal/notices/{notice}")
    assert f"/portal/lists/{list_id}" in page
    assert "児1" not in page
    answer = lead.post(f"/portal/notices/{notice}/acknowledge")
    assert answer.headers["location"].endswith("saved=notice_taken")
    assert "あなたが引き受けています" in lead.get("/portal/notices")
    assert "済みにする" in lead.get(f"/portal/notices/{notice}")
    assert lead.post(f"/portal/notices/{notice}/end").headers["location"].endswith("notice_done")
    assert "事務連絡はありません" in lead.get("/portal/notices")
    trail = [row.action for row in make.rows(school.rooms.database, audit)]
    assert "notice_done" in trail


def test_for_whom_a_notice_is_not_it_is_not_there(school: School, browsers: Browsers) -> None:
    notice = raised(school, LIST_PUBLISHED, "some-list", school=make.SCHOOL)
    for login in ("homeroom", "nurse", "nurse2", "board"):
        other = browsers(login)
        assert "予兆リストが出ました" not in other.get("/portal/notices")
        other.get(f"/portal/notices/{notice}", status=404)
        assert other.post(f"/portal/notices/{notice}/acknowledge").status_code == 404
        assert other.post(f"/portal/notices/{notice}/end").status_code == 404


def test_an_alert_about_a_child_is_not_opened_as_a_notice(
    school: School, browsers: Browsers
) -> None:
    alert = school.alert(school.children["sakura-1"][0], words="ひみつの言葉")
    teacher = browsers("homeroom")
    teacher.get(f"/portal/notices/{alert}", status=404)
    assert teacher.post(f"/portal/notices/{alert}/end").status_code == 404
    notice = raised(school, FOLLOW_UP_OVERDUE, RECORDS, school=make.SCHOOL, class_id="sakura-1")
    assert notice not in teacher.get("/portal/alerts")


def test_children_behind_overdue_records_are_those_of_the_reader(
    school: School, browsers: Browsers, clock: MovableClock
) -> None:
    mine, theirs = school.children["sakura-1"][1], school.children["sakura-2"][2]
    school.warning_list([mine, theirs], on=date(2026, 5, 1))
    clock.move_to(at(date(2026, 6, 1), 9))
    rooms = school.rooms
    assert NoticeJob(rooms.log, rooms.playbooks, rooms.notices).run_all() >= 2
    teacher = browsers("homeroom")
    [notice] = rooms.alerts.notices_for(school.who("homeroom"))
    page = teacher.get(f"/portal/notices/{notice.id}")
    assert "記録を待っている子ども 1人" in page
    assert f"/portal/follow-up/{mine}" in page
    assert theirs not in page
    seen = [r for r in make.rows(rooms.database, audit) if r.action == "notice"]
    assert [row.subject for row in seen] == [mine]
    browsers("other").get(f"/portal/notices/{notice.id}", status=404)


@pytest.mark.parametrize(
    ("kind", "about", "words"),
    [
        (EXTRACT_MISSING, "attendance", "7日以内"),
        (SYSTEM_TROUBLE, "dead_letters", "dead_letters"),
    ],
)
def test_what_concerns_the_service_is_for_the_operator(
    school: School, browsers: Browsers, kind: str, about: str, words: str
) -> None:
    make.staff(school.rooms.database, "op", ("operator", make.BOARD))
    notice = raised(school, kind, about)
    operator = browsers("op")
    assert words in operator.get(f"/portal/notices/{notice}")
    assert operator.post(f"/portal/notices/{notice}/acknowledge").status_code == 303
    ended = operator.post(f"/portal/notices/{notice}/end").headers["location"]
    assert ended.endswith("notice_done" if kind == SYSTEM_TROUBLE else "too_late")


@pytest.mark.parametrize("gap", sorted(GRAVE))
def test_a_gap_says_what_is_missing_and_where_to_mend_it(
    school: School, browsers: Browsers, gap: str
) -> None:
    make.staff(school.rooms.database, "head", ("management", make.SCHOOL))
    notice = raised(school, DUTY_GAP, gap, school=make.SCHOOL)
    page = browsers("head").get(f"/portal/notices/{notice}")
    assert say("ja", f"gaps.kind_{gap}") in page
    assert '<a class="button" href="/portal/told/gaps">' in page
    assert BUTTON in page
    # The guidance lead is told, and sees where, but plans no cover.
    page = browsers("guidance").get(f"/portal/notices/{notice}")
    assert '<a class="button" href="/portal/told/gaps">' in page
    assert BUTTON not in page


def test_a_trouble_is_told_in_words_and_the_board_whom_to_call(
    school: School, browsers: Browsers, clock: MovableClock
) -> None:
    make.staff(school.rooms.database, "op", ("operator", make.BOARD))
    notice = raised(school, SYSTEM_TROUBLE, f"{ABOUT}{stuck.LATE}:slack")
    page = browsers("op").get(f"/portal/notices/{notice}")
    assert say("ja", "watchman.found_late") in page
    assert say("ja", "watchman.do_late") in page
    assert '<a class="button" href="/portal/watchman">' in page
    clock.move_to(clock.now() + timedelta(minutes=31))
    school.rooms.alerts.escalate_due()
    page = browsers("board").get(f"/portal/notices/{notice}")
    assert say("ja", "watchman.found_late") in page
    assert "運用担当に連絡してください" in page
    assert "/portal/watchman" not in page
