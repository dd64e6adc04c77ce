"""The pages of a case on both sides of it, and where each role lands."""

from __future__ import annotations

import json
import re

from sqlalchemy import select, update

from tests import make
from tests.teacher_portal.conftest import Browsers
from tests.teacher_portal.school import School
from warning_service.judging import tables
from warning_service.roster.service import set_opt_out


def test_a_case_goes_over_and_comes_back(school: School, browsers: Browsers) -> None:
    make.staff(school.rooms.database, "office", ("welfare", make.BOARD))
    make.staff(school.rooms.database, "worker", ("social_worker", make.SCHOOL))
    student = school.children["sakura-1"][0]
    alert = school.alert(student, "nurse", words="ほけんしつだけに言う")
    make.append(school.rooms.log, make.check_in(student, school.rooms.clock, mood=3))
    nurse, worker, office = browsers("nurse"), browsers("worker"), browsers("office")
    nurse.post(
        f"/portal/follow-up/{student}", action="talked", change="same", note="養護の記録",
        alert_id=alert,
    )  # fmt: skip
    nurse.post(f"/portal/follow-up/{student}", action="watched", change="same", note="学校の記録")

    assert "引き継がれたケースはありません" in office.get("/portal/cases")
    office.get(f"/portal/students/{student}", 404)
    page = worker.get(f"/portal/students/{student}")
    assert "福祉部局へ引き継ぐ" in page and "養護の記録" not in page and "学校の記録" in page
    empty = worker.post(f"/portal/students/{student}/hand-over", ground="support", reason="")
    assert empty.status_code == 422 and "まだ引き継がれていません" in empty.text
    given = worker.post(
        f"/portal/students/{student}/hand-over", ground="support", reason="家計の相談先がない"
    )
    assert given.headers["location"].endswith("saved=case_given")
    assert "家計の相談先がない" in worker.get("/portal/handed-over")

    listed = office.get("/portal/cases")
    assert "児1" in listed and "家計の相談先がない" in listed
    page = office.get(f"/portal/students/{student}")
    assert "家計の相談先がない" in page and "学校の記録: +1" in page
    for hidden in ("養護の記録", "見守った", "気分", "予兆リスト", alert):
        assert hidden not in page.replace("学校の記録: +1", ""), hidden
    office.post(f"/portal/follow-up/{student}", action="home", change="same", note="訪問の記録")
    assert "訪問の記録" in office.get(f"/portal/students/{student}")
    page = nurse.get(f"/portal/students/{student}")
    assert "訪問の記録" not in page and "福祉部局の記録: +1" in page
    assert "養護の記録" in page  # the call was for the nurse

    found = re.search(r"/portal/cases/([0-9a-f-]+)/return", listed)
    assert found is not None
    back = office.post(f"/portal/cases/{found.group(1)}/return", note="支援につながった")
    assert back.headers["location"] == "/portal/cases?saved=case_returned"
    office.get(f"/portal/students/{student}", 404)
    assert "児1" not in office.get("/portal/cases")
    page = worker.get("/portal/handed-over")
    assert "返された" in page and "支援につながった" in page


def test_each_role_lands_on_a_page_of_its_own(school: School, browsers: Browsers) -> None:
    places = {
        "grade_lead": ("sakura:4", ""), "social_worker": ("sakura", ""),
        "board_guidance": (make.BOARD, ""), "welfare": (make.BOARD, "/portal/cases"),
        "privacy": (make.BOARD, "/portal/requests"), "accounts": (make.BOARD, "/portal/accounts"),
        "auditor": (make.BOARD, "/portal/trail"), "operator": (make.BOARD, "/portal/status"),
    }  # fmt: skip
    for role, (place, where) in places.items():
        make.staff(school.rooms.database, role, (role, place))
        browser = browsers(role)
        answer = browser.client.get("/portal", headers={"accept": "text/html"})
        if where:
            assert answer.headers["location"] == where, role
        page = browser.get(where or "/portal")
        assert 'aria-current="page"' in page, role
        for other in {w for _, w in places.values() if w} - {where}:
            assert f'href="{other}"' not in page, (role, other)
    status = browsers("operator").get("/portal/status")
    assert "kizashi work" in status and "児" not in status


def test_a_guidance_officer_goes_school_by_school(school: School, browsers: Browsers) -> None:
    make.staff(school.rooms.database, "officer", ("board_guidance", make.BOARD))
    officer = browsers("officer")
    page = officer.get("/portal/classes")
    assert "?school=sakura" in page and "4年1組" not in page
    assert "4年1組" in officer.get("/portal/classes?school=sakura")
    assert "?school=sakura" in officer.get("/portal/classes?school=elsewhere")


def test_who_refused_is_counted_nowhere(school: School, browsers: Browsers) -> None:
    listed = school.children["sakura-1"][:2]
    list_id = school.warning_list(listed)
    nurse = browsers("nurse")
    assert "2<small>人" in nurse.get("/portal")
    set_opt_out(school.rooms.log, board=make.BOARD, student=listed[0], refused=True, actor="t")
    page = nurse.get("/portal")
    assert "1<small>人" in page and "2<small>人" not in page
    committee = browsers("committee")
    committee.get(f"/portal/students/{listed[0]}", 404)
    answer = committee.post(f"/portal/committee/{list_id}", student=listed[0], chosen="A")
    assert answer.status_code == 404


def test_others_learn_the_number_of_calls_and_no_child(school: School, browsers: Browsers) -> None:
    student = school.children["sakura-1"][0]
    alert = school.alert(student, "nurse")
    page = browsers("homeroom").get("/portal")
    assert "ほかの先生あての相談 1件" in page and alert not in page and "児1" not in page
    assert "ほかの先生あての相談" not in browsers("nurse").get("/portal")


def test_further_calls_are_shown_with_the_one_that_rang(school: School, browsers: Browsers) -> None:
    student = school.children["sakura-1"][0]
    for n in range(21):
        school.consultation(student, "nurse", words=f"{n}回目のことば")
    school.raise_alerts()
    views = school.rooms.alerts.of_student(student)
    assert len(views) == 20
    page = browsers("nurse").get(f"/portal/alerts/{views[0].id}")
    assert "つづけて届いた相談" in page and "20回目のことば" in page


def test_the_boards_guidance_officer_reads_no_answers(school: School, browsers: Browsers) -> None:
    make.staff(school.rooms.database, "officer", ("board_guidance", make.BOARD))
    student = school.children["sakura-1"][0]
    make.append(school.rooms.log, make.check_in(student, school.rooms.clock, mood=3))
    assert 'class="answers"' in browsers("homeroom").get(f"/portal/students/{student}")
    officer = browsers("officer")
    page = officer.get(f"/portal/students/{student}")
    assert 'class="answers"' not in page
    assert "学校の中で見ます" in page and "載った予兆リスト" in page
    make.append(
        school.rooms.log,
        make.check_in(student, school.rooms.clock, days_ago=1, mood=2),
    )
    for browser, there in ((browsers("homeroom"), True), (officer, False)):
        assert ('class="spark ' in browser.get("/portal/classes/sakura-1")) is there
    list_id = school.warning_list([student])
    reasons = {
        "raising": [
            {"item": "q.mood", "text_ja": "気分: 悪い", "text_en": "Mood: low"},
            {"item": "absent_days", "text_ja": "欠席3日", "text_en": "3 days"},
        ]
    }
    entries = tables.list_entries
    with school.rooms.database.writing() as conn:
        told = json.loads(conn.execute(select(entries.c.evidence)).scalar_one())
        conn.execute(update(entries).values(evidence=json.dumps({**told, **reasons})))
    assert "気分: 悪い" in browsers("homeroom").get(f"/portal/lists/{list_id}")
    page = officer.get(f"/portal/lists/{list_id}")
    assert "気分: 悪い" not in page and "欠席3日" in page and "学校の中だけ" in page
