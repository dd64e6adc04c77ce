"""The board's counts of cases, on both databases: the wall lets counts through and no small one."""

from __future__ import annotations

import re
from datetime import timedelta

from tests import make
from tests.follow_up.staged import work_by
from tests.follow_up.test_looks_on import without_lists
from tests.follow_up.test_meetings import OFFICER, person
from tests.teacher_portal.conftest import Browsers
from tests.teacher_portal.school import School
from warning_service.access.roles import Role
from warning_service.clock import MovableClock
from warning_service.follow_up.hand_over import LooksOn
from warning_service.follow_up.meetings import CASES


def test_cases_are_counted_for_the_board_and_small_counts_are_not_told(
    school: School, browsers: Browsers
) -> None:
    work_by(school, without_lists())
    head = person(Role.MANAGEMENT, make.SCHOOL)
    give = school.rooms.follow_ups.hand_overs.give
    everyone = [*school.children["sakura-1"], *school.children["sakura-2"]]
    board = browsers("board")
    assert "引き継いだケースはありません" in board.get("/portal/case-counts")
    for student in everyone[:5]:
        give(head, student, "support", "理由", LooksOn(basis="ordinance"))
        school.rooms.follow_ups.review(OFFICER, CASES, student, "C")
    page = board.get("/portal/case-counts")
    assert "児" not in re.sub("児童", "", page) and "<dd>5</dd>" in page
    assert re.search(r"気づいていなかった</th><td class=\"number\">5<", page)
    for student in everyone[5:7]:
        give(head, student, "help", "理由")
    page = board.get("/portal/case-counts?year=1999")
    assert "2026年度" in page and "5の倍数" in page
    assert "<dd>5</dd>" in page and ">7<" not in page  # or the two could be had by subtracting
    assert ">2<" not in page


def test_how_long_few_cases_took_is_not_told(
    school: School, browsers: Browsers, clock: MovableClock
) -> None:
    work_by(school, without_lists())
    head = person(Role.MANAGEMENT, make.SCHOOL)
    hand_overs = school.rooms.follow_ups.hand_overs
    everyone = [*school.children["sakura-1"], *school.children["sakura-2"]][:8]
    for student in everyone:
        hand_overs.give(head, student, "support", "理由", LooksOn(basis="ordinance"))
    clock.move_by(timedelta(days=11))
    hand_overs.take_back(head, everyone[0])
    board = browsers("board")
    page = board.get("/portal/case-counts")
    assert "11" not in re.findall(r"<dd>([^<]*)</dd>", page)  # how long that one case took
    for student in everyone[1:5]:
        hand_overs.take_back(head, student)
    assert "11" in re.findall(r"<dd>([^<]*)</dd>", board.get("/portal/case-counts"))


def test_cases_a_meeting_has_not_decided_on_cannot_be_had_by_subtracting(
    school: School, browsers: Browsers
) -> None:
    work_by(school, without_lists())
    head, board = person(Role.MANAGEMENT, make.SCHOOL), browsers("board")
    everyone = [*school.children["sakura-1"], *school.children["sakura-2"]][:8]
    for student in everyone:
        school.rooms.follow_ups.hand_overs.give(
            head, student, "support", "理由", LooksOn(basis="ordinance")
        )
    for student in everyone[:6]:
        school.rooms.follow_ups.review(OFFICER, CASES, student, "C")
    page = board.get("/portal/case-counts")
    assert "5の倍数" in page
    assert "<dd>8</dd>" not in page
