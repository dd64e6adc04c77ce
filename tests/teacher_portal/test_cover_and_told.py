"""The pages on who is away and who would be told: entered, shown, taken back; nobody else's."""

from __future__ import annotations

import re

import pytest

from tests import make
from tests.teacher_portal.conftest import Browsers
from tests.teacher_portal.school import School
from warning_service.access.tables import audit
from warning_service.roster import tables as t

HEAD = "head"


@pytest.fixture
def town(school: School) -> School:
    """The school with a head and a clerk of the board."""
    make.staff(school.rooms.database, HEAD, ("management", "sakura"))
    make.staff(school.rooms.database, "clerk", ("accounts", make.BOARD))
    return school


def test_an_absence_goes_from_form_to_walk_and_back(town: School, browsers: Browsers) -> None:
    head = browsers(HEAD)
    told = "/portal/told?room=sakura-1&kind=consultation&day=2026-05-12&time=09:30"
    assert "先生homeroom" in head.get(told)
    answer = head.post(
        "/portal/cover/absences", school="sakura", staff="staff-homeroom",
        first="2026-05-12", last="", part="day",
    )  # fmt: skip
    assert answer.headers["location"] == "/portal/cover?school=sakura&done=absent"
    page = head.get("/portal/cover?school=sakura&done=absent")
    assert "不在を登録しました。" in page and "5月12日" in page
    walked = head.get(told)
    assert "全員が不在です" in walked and "不在:" in walked
    assert "不在で、代理がいない" in head.get("/portal/told/gaps")
    absence = re.search(r"/portal/cover/absences/([^/]+)/withdraw", page)
    assert absence is not None
    head.post(f"/portal/cover/absences/{absence.group(1)}/withdraw", school="sakura")
    assert "不在の登録はありません" in head.get("/portal/cover?school=sakura")
    assert "全員が不在です" not in head.get(told)


def test_a_teacher_names_a_stand_in_for_the_own_class(town: School, browsers: Browsers) -> None:
    teacher = browsers("homeroom")
    page = teacher.get("/portal/cover")
    assert "homeroom|sakura-1|staff-homeroom" in page and "sakura-2|" not in page
    given = {"school": "sakura", "staff": "staff-nurse", "first": "2026-05-12", "last": ""}
    answer = teacher.post(
        "/portal/cover/stand-ins", duty="homeroom|sakura-1|staff-homeroom", **given
    )
    assert answer.status_code == 303
    assert "先生nurse" in teacher.get("/portal/cover") and "の代理" in teacher.get("/portal/cover")
    refused = teacher.post("/portal/cover/stand-ins", duty="homeroom|sakura-2|staff-other", **given)
    assert refused.status_code == 404
    again = teacher.post(
        "/portal/cover/stand-ins", duty="homeroom|sakura-1|staff-homeroom", **given
    )
    assert again.status_code == 422 and "すでに同じ担当です" in again.text
    assert teacher.post("/portal/cover/on-duty", **given).status_code == 404


def test_days_on_duty_and_working_days(town: School, browsers: Browsers) -> None:
    head = browsers(HEAD)
    answer = head.post(
        "/portal/cover/on-duty", school="sakura", staff="staff-nurse",
        first="2026-08-03", last="2026-08-05",
    )  # fmt: skip
    assert answer.status_code == 303
    assert "日直(授業のない日)" in head.get("/portal/cover?school=sakura")
    head.post("/portal/cover/working-days", school="sakura", staff="staff-counsellor", day_2="am")
    assert [(row.weekday, row.part) for row in make.rows(town.rooms.database, t.working_days)] == [
        (2, "am")
    ]
    assert "午前" in head.get("/portal/cover?school=sakura")
    for wrong in ({"first": "tomorrow"}, {"first": "2026-05-01"}, {"first": ""}):
        bad = head.post("/portal/cover/absences", school="sakura", staff="staff-nurse", **wrong)
        assert bad.status_code == 422 and "何も変わっていません" in bad.text
    empty = head.post("/portal/cover/stand-ins", school="sakura", staff="staff-nurse", duty="")
    assert empty.status_code == 422 and "どの担当の代理か" in empty.text


def test_who_has_no_school_and_who_has_all(town: School, browsers: Browsers) -> None:
    assert "学校での担当がありません" in browsers("board").get("/portal/cover")
    clerk = browsers("clerk")
    assert "school2小学校" in clerk.get("/portal/cover")
    assert "sakura-2" in clerk.get("/portal/told") and "school2-1" in clerk.get("/portal/told")
    whole = browsers("board").get("/portal/told/gaps")
    assert "担任がいない学級" in whole


def test_a_class_of_another_school_is_not_tried(town: School, browsers: Browsers) -> None:
    guidance = browsers("guidance")
    page = guidance.get("/portal/told?room=school2-1")
    assert "school2" not in page and "番目" not in page
    assert guidance.client.get("/portal/told?day=x").status_code == 422
    assert guidance.client.get("/portal/told?day=0001-01-01&time=10:00").status_code == 422
    browsers("nurse").get("/portal/told", 403)


def test_a_child_is_tried_by_key_with_a_line_on_the_trail(town: School, browsers: Browsers) -> None:
    guidance = browsers("guidance")
    child, other = town.children["sakura-2"][0], town.children["school2-1"][0]
    page = guidance.get(f"/portal/told?student={child}&kind=same_day")
    assert "4年2組" in page and "先生other" in page and "児1" not in page
    assert [r.subject for r in make.rows(town.rooms.database, audit) if r.action == "told"] == [
        child
    ]
    guidance.get(f"/portal/told?student={other}", 404)
