"""Opinions on pages: one tap, one's own, and counted for the board without small numbers."""

from __future__ import annotations

import re

from tests.teacher_portal.conftest import Browsers
from tests.teacher_portal.school import School
from warning_service.follow_up.opinions import DIFFERS, HELPFUL, NOT_HELPFUL


def pressed(page: str) -> list[str]:
    """The buttons shown as pressed, in words."""
    found = re.findall(r'<button[^>]*aria-pressed="(\w+)"[^>]*>(.*?)</button>', page)
    return [re.sub(r"\W+", "", words) for state, words in found if state == "true"]


def test_a_tap_on_an_alert_and_another_takes_it_back(school: School, browsers: Browsers) -> None:
    alert = school.alert(school.children["sakura-1"][0])
    teacher, nurse = browsers("homeroom"), browsers("nurse")
    path = f"/portal/alerts/{alert}"
    answer = teacher.post(f"{path}/opinion", verdict=HELPFUL)
    assert answer.headers["location"] == f"{path}#opinion"
    assert pressed(teacher.get(path)) == ["役に立った"]
    assert pressed(nurse.get(path)) == []
    teacher.post(f"{path}/opinion", verdict="")
    assert pressed(teacher.get(path)) == []
    assert teacher.post(f"{path}/opinion", verdict="nonsense").status_code == 404


def test_a_tap_on_a_list_entry(school: School, browsers: Browsers) -> None:
    child = school.children["sakura-1"][0]
    list_id = school.warning_list([child])
    teacher = browsers("homeroom")
    path = f"/portal/lists/{list_id}"
    assert teacher.post(f"{path}/opinion/{child}", verdict=DIFFERS).status_code == 303
    assert pressed(teacher.get(path)) == ["AIと見立てがちがう"]
    other = browsers("other")
    assert other.post(f"{path}/opinion/{child}", verdict=DIFFERS).status_code == 404


def test_the_board_sees_shares_with_their_base_and_no_small_counts(
    school: School, browsers: Browsers
) -> None:
    listed = [key for keys in school.children.values() for key in keys][:12]
    list_id = school.warning_list(listed)
    given = school.rooms.opinions
    lead, nurse = school.who("guidance"), school.who("nurse")
    for n, child in enumerate(listed[:8]):
        given.on_entry(lead, list_id, child, HELPFUL if n < 6 else NOT_HELPFUL)
        given.on_entry(nurse, list_id, child, DIFFERS)
    page = browsers("board").get("/portal/board")
    table = page[page.index('id="thought-head"') : page.index('id="right-head"')]
    words = re.sub(r"<[^>]+>|\s+", " ", table)
    assert "予兆リストの記載" in words
    assert "2" not in re.findall(r"\d+", words.split("予兆リストの記載")[1].split("割合は")[0])
    assert "5人未満" in words or "伏せ" in words or "非表示" in words
    for key in listed:
        assert key not in page
