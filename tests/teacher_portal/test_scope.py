"""Each sees what their task needs: by class, by school, counts only."""

from __future__ import annotations

from sqlalchemy import select

from tests import make
from tests.teacher_portal.conftest import Browsers
from tests.teacher_portal.school import School
from warning_service.access.tables import audit
from warning_service.roster import service

NAMES = ("兆 児", "きざし こ")


def test_a_homeroom_teacher_reaches_the_own_class_only(school: School, browsers: Browsers) -> None:
    own, foreign = school.children["sakura-1"][0], school.children["sakura-2"][0]
    alert = school.alert(foreign)
    browser = browsers("homeroom")
    assert "児1" in browser.get("/portal/classes/sakura-1")
    assert "児1" in browser.get(f"/portal/students/{own}")
    for path in (
        "/portal/classes/sakura-2",
        "/portal/classes/nowhere",
        f"/portal/students/{foreign}",
        "/portal/students/nobody",
        f"/portal/alerts/{alert}",
        f"/portal/follow-up/{foreign}",
    ):
        assert not any(name in browser.get(path, 404) for name in NAMES), path
    assert browser.post(f"/portal/alerts/{alert}/acknowledge").status_code == 404
    answer = browser.post(f"/portal/follow-up/{foreign}", action="talked", change="same")
    assert answer.status_code == 404
    assert school.rooms.alerts.of_student(foreign)[0].state == "open"


def test_a_homeroom_teacher_sees_only_the_own_entries_of_a_list(
    school: School, browsers: Browsers
) -> None:
    own, foreign = school.children["sakura-1"][0], school.children["sakura-2"][1]
    list_id = school.warning_list([foreign, own])
    page = browsers("homeroom").get(f"/portal/lists/{list_id}")
    assert own in page and foreign not in page
    assert "児2" not in page
    whole = browsers("nurse").get(f"/portal/lists/{list_id}")
    assert own in whole and foreign in whole


def test_another_schools_list_does_not_exist(school: School, browsers: Browsers) -> None:
    list_id = school.warning_list([school.children["sakura-1"][0]])
    browsers("nurse2").get(f"/portal/lists/{list_id}", 404)
    browsers("nurse2").get(f"/portal/committee/{list_id}", 404)


def test_the_meeting_is_for_those_who_review(school: School, browsers: Browsers) -> None:
    student = school.children["sakura-1"][0]
    list_id = school.warning_list([student])
    # A nurse may sit in meetings, where the playbook gives her a seat; this one does not.
    for login, refused in (("homeroom", 403), ("nurse", 404)):
        browser = browsers(login)
        browser.get(f"/portal/committee/{list_id}", refused)
        answer = browser.post(f"/portal/committee/{list_id}", student=student, chosen="A")
        assert answer.status_code == refused
    assert "児1" in browsers("committee").get(f"/portal/committee/{list_id}")


def test_the_board_sees_no_page_with_names(school: School, browsers: Browsers) -> None:
    student = school.children["sakura-1"][0]
    alert = school.alert(student)
    list_id = school.warning_list([student])
    browser = browsers("board")
    assert browser.client.get("/portal").headers["location"] == "/portal/board"
    for path in (
        "/portal/alerts", f"/portal/alerts/{alert}", "/portal/alerts/fragment", "/portal/live",
        "/portal/classes", "/portal/classes/sakura-1", f"/portal/students/{student}",
        "/portal/lists", f"/portal/lists/{list_id}", f"/portal/committee/{list_id}",
        f"/portal/follow-up/{student}",
    ):  # fmt: skip
        assert not any(name in browser.get(path, 403) for name in NAMES), path
    page = browser.get("/portal/board")
    assert student not in page and not any(name in page for name in NAMES)


def test_a_post_without_the_sessions_token_changes_nothing(
    school: School, browsers: Browsers
) -> None:
    student = school.children["sakura-1"][0]
    alert = school.alert(student)
    list_id = school.warning_list([student])
    browser, chair = browsers("homeroom"), browsers("guidance")
    for answer in (
        browser.post(f"/portal/alerts/{alert}/acknowledge", csrf=""),
        browser.post(f"/portal/alerts/{alert}/acknowledge", csrf="guess"),
        browser.post(f"/portal/follow-up/{student}", csrf="", action="talked", change="same"),
        chair.post(f"/portal/committee/{list_id}", csrf="", student=student, chosen="A"),
    ):
        assert answer.status_code == 403
    assert school.rooms.alerts.of_student(student)[0].state == "open"


def test_the_childs_words_open_only_for_those_who_were_told(
    school: School, browsers: Browsers
) -> None:
    student = school.children["sakura-1"][0]
    alert = school.alert(student, "counsellor", words="ともだちのことで話したい")
    assert "ともだちのことで話したい" in browsers("counsellor").get(f"/portal/alerts/{alert}")
    for login in ("homeroom", "nurse", "guidance"):
        browsers(login).get(f"/portal/alerts/{alert}", 404)
    with school.rooms.database.reading() as conn:
        readers = conn.execute(
            select(audit.c.actor).where(audit.c.action == "read_consultation")
        ).scalars()
        assert list(readers) == ["staff-counsellor"]


def test_every_look_at_a_child_is_on_the_trail(school: School, browsers: Browsers) -> None:
    student = school.children["sakura-1"][0]
    list_id = school.warning_list([student])
    browser = browsers("nurse")
    browser.get(f"/portal/students/{student}")
    browser.get("/portal/classes/sakura-1")
    browser.get(f"/portal/lists/{list_id}")
    with school.rooms.database.reading() as conn:
        looks = conn.execute(
            select(audit.c.action).where(audit.c.actor == "staff-nurse", audit.c.subject == student)
        ).scalars()
        assert {"student", "class", "list"} <= set(looks)


def test_a_refusal_takes_a_child_off_the_pages_at_once(school: School, browsers: Browsers) -> None:
    from warning_service.roster.service import set_opt_out

    student = school.children["sakura-1"][0]
    list_id = school.warning_list([student])
    set_opt_out(
        school.rooms.log, board=make.BOARD, student=student, refused=True, actor="system:test"
    )
    browser = browsers("nurse")
    assert student not in browser.get(f"/portal/lists/{list_id}")
    page = browser.get(f"/portal/students/{student}")
    assert "不同意書" in page and list_id not in page
    assert "他部署のデータ" not in page


def test_a_call_of_a_child_that_has_left_can_still_be_read_and_closed(
    school: School, browsers: Browsers
) -> None:
    gone = school.children["sakura-1"][0]
    alert = school.alert(gone, "nurse", words="カナリアの言葉")
    with school.rooms.log.unit_of_work() as unit:
        service.end_enrolment(
            unit, board=make.BOARD, student=gone, class_id="sakura-1",
            on=school.rooms.clock.today(), actor="test",
        )  # fmt: skip
    nurse, homeroom, elsewhere = browsers("nurse"), browsers("homeroom"), browsers("nurse2")
    assert "カナリアの言葉" in nurse.get(f"/portal/alerts/{alert}")
    homeroom.get(f"/portal/alerts/{alert}", 404)  # not told of it
    elsewhere.get(f"/portal/alerts/{alert}", 404)
    nurse.get(f"/portal/students/{gone}", 404)  # the call, and nothing else about the child
    chosen = {"action": "talked", "change": "same", "back": "/portal"}
    for browser in (nurse, elsewhere):  # without the call in hand there is no record to write
        assert browser.post(f"/portal/follow-up/{gone}", **chosen).status_code == 404
    assert elsewhere.post(f"/portal/follow-up/{gone}", alert_id=alert, **chosen).status_code == 404
    assert nurse.post(f"/portal/follow-up/{gone}", alert_id=alert, **chosen).status_code == 303
    assert school.rooms.alerts.of_student(gone)[0].state == "handled"
    nurse.get(f"/portal/alerts/{alert}", 404)
