"""The way through the pages: from an alert to its record, from a list to the meeting's summary."""

from __future__ import annotations

import re

from sqlalchemy import select

from tests import make
from tests.teacher_portal.conftest import Browsers
from tests.teacher_portal.school import School
from warning_service.events.log import of_student
from warning_service.follow_up.tables import follow_ups, reviews


def test_from_alert_to_record_in_three_requests(school: School, browsers: Browsers) -> None:
    student = school.children["sakura-1"][0]
    alert = school.alert(student, "homeroom", "nurse", words="きいてほしい")
    teacher, nurse = browsers("homeroom"), browsers("nurse")
    home = teacher.get("/portal")
    assert alert in home and "対応します" in home and "至急" in home
    answer = teacher.post(f"/portal/alerts/{alert}/acknowledge")
    assert answer.headers["location"] == f"/portal/alerts/{alert}?saved=acknowledged"
    second = nurse.post(f"/portal/alerts/{alert}/acknowledge")
    assert second.headers["location"] == f"/portal/alerts/{alert}?saved=too_late"
    assert "先生homeroom" in nurse.get("/portal/alerts")
    page = teacher.get(f"/portal/alerts/{alert}")
    once = re.search(r'name="once" value="([^"]+)"', page)
    assert once is not None and "きいてほしい" in page
    fields = {
        "action": "talked", "change": "better", "note": "話せた", "alert_id": alert,
        "once": once.group(1), "back": f"/portal/alerts/{alert}",
    }  # fmt: skip
    assert teacher.post(f"/portal/follow-up/{student}", **fields).status_code == 303
    assert teacher.post(f"/portal/follow-up/{student}", **fields).status_code == 303
    assert len(make.rows(school.rooms.database, follow_ups)) == 1
    assert "この件は記録され" in teacher.get(f"/portal/alerts/{alert}")
    assert "いま対応することはありません" in teacher.get("/portal")
    assert alert in teacher.get("/portal/alerts?state=done")
    assert "話せた" in nurse.get(f"/portal/students/{student}")


def test_a_record_without_a_choice_comes_back_with_what_was_written(
    school: School, browsers: Browsers
) -> None:
    student = school.children["sakura-1"][0]
    answer = browsers("homeroom").post(
        f"/portal/follow-up/{student}", action="", change="same", note="だいじなメモ"
    )
    assert answer.status_code == 422
    assert "だいじなメモ" in answer.text and "まだ保存されていません" in answer.text
    assert make.rows(school.rooms.database, follow_ups) == []


def test_after_saving_nobody_is_sent_to_another_site(school: School, browsers: Browsers) -> None:
    student = school.children["sakura-1"][0]
    answer = browsers("homeroom").post(
        f"/portal/follow-up/{student}", action="talked", change="same", back="//evil.example"
    )
    assert answer.headers["location"] == f"/portal/students/{student}?saved=follow_up"


def test_a_list_shows_both_sides_and_can_be_sorted_and_filtered(
    school: School, browsers: Browsers
) -> None:
    listed = [*school.children["sakura-2"][:2], *school.children["sakura-1"][:2]]
    list_id = school.warning_list(listed)
    nurse = browsers("nurse")
    page = nurse.get(f"/portal/lists/{list_id}")
    for words in (
        "欠席 28日で4日(ふだん月1日)",
        "遅刻 28日で0日",
        "他部署のデータ: +1",
        "困難な状況にあることを意味しません",
        "3回つづけて",
        "logistic-1:abc",
    ):
        assert words in page, words

    def order(query: str) -> list[str]:
        text = nurse.get(f"/portal/lists/{list_id}{query}")
        return re.findall(r'<h3><a href="/portal/students/(\w+)"', text)

    assert order("") == listed
    assert order("?sort=place&dir=desc") == listed[::-1]
    assert order("?sort=class") == listed[2:] + listed[:2]
    assert order("?only=new") == [listed[0], listed[2]]
    assert order("?only=again") == [listed[1], listed[3]]
    assert order("?only=supported") == [listed[2]]
    assert order("?sort=nonsense&only=nonsense") == listed


def test_the_meeting_goes_through_the_list_and_can_go_back(
    school: School, browsers: Browsers
) -> None:
    listed = school.children["sakura-1"][:3]
    list_id = school.warning_list(listed)
    chair = browsers("committee")
    page = chair.get(f"/portal/committee/{list_id}")
    assert "1/3" in page and "ケース会議の区分" in page
    answer = chair.post(
        f"/portal/committee/{list_id}", student=listed[0], chosen="A", n=1,
        directions=["counsellor", "medical"], note="担任が今週中に家庭へ",
    )  # fmt: skip
    assert answer.headers["location"] == f"/portal/committee/{list_id}?n=2&last=1"
    assert chair.post(f"/portal/committee/{list_id}", student=listed[1], chosen="D", n=2)
    again = chair.get(f"/portal/committee/{list_id}?n=1")
    assert re.search(r'value="A"[^>]* checked', again) and "担任が今週中に家庭へ" in again
    assert chair.post(f"/portal/committee/{list_id}", student=listed[0], chosen="B", n=1)
    rows = {row.student: row for row in make.rows(school.rooms.database, reviews)}
    assert (rows[listed[0]].chosen, rows[listed[1]].chosen) == ("B", "D")
    with school.rooms.database.reading() as conn:
        decided = [e.body.chosen for e in of_student(conn, listed[0], ["review_decided"])]  # type: ignore[union-attr]
    assert decided == ["A", "B"]
    assert "3/3" in chair.get(f"/portal/committee/{list_id}")
    done = chair.get(f"/portal/committee/{list_id}?n=4")
    assert "会議のまとめ" in done and "まだ区分していない人が 1人います" in done


def test_a_class_that_is_not_offered_is_said_and_not_stored(
    school: School, browsers: Browsers
) -> None:
    listed = school.children["sakura-1"][:1]
    list_id = school.warning_list(listed)
    answer = browsers("committee").post(
        f"/portal/committee/{list_id}", student=listed[0], chosen="Z", note="メモは残る"
    )
    assert answer.status_code == 422 and "メモは残る" in answer.text
    with school.rooms.database.reading() as conn:
        assert conn.execute(select(reviews)).all() == []


def test_todays_answers_are_counted_and_shown_by_seat(school: School, browsers: Browsers) -> None:
    keys = school.children["sakura-1"]
    clock = school.rooms.clock
    make.append(
        school.rooms.log,
        make.check_in(keys[0], clock, mood=2, sleep=1),
        make.check_in(keys[1], clock, days_ago=3, mood=1),
        make.check_in(keys[0], clock, days_ago=2, mood=0),
    )
    teacher = browsers("homeroom")
    home = teacher.get("/portal")
    assert "1 / 6人" in home and "2 / 6人" in home
    page = teacher.get("/portal/classes/sakura-1")
    assert page.count("✓ 回答ずみ") == 3  # one today, two this month
    student = teacher.get(f"/portal/students/{keys[0]}")
    assert "気分" in student and "睡眠" in student and "<polyline" in student


def test_every_page_reads_in_english_too(school: School, browsers: Browsers) -> None:
    student = school.children["sakura-1"][0]
    alert = school.alert(student, "homeroom", words="x")
    list_id = school.warning_list(school.children["sakura-1"][:2])
    chair, board, teacher = browsers("guidance"), browsers("board"), browsers("homeroom")
    for browser, paths in (
        (teacher, ["/portal", "/portal/alerts", f"/portal/alerts/{alert}"]),
        (chair, ["/portal", "/portal/alerts", "/portal/alerts?state=done", "/portal/handed-over",
                 "/portal/classes", "/portal/classes/sakura-1", f"/portal/students/{student}",
                 "/portal/lists", f"/portal/lists/{list_id}", f"/portal/committee/{list_id}",
                 f"/portal/committee/{list_id}?n=9", f"/portal/follow-up/{student}"]),
        (board, ["/portal/board"]),
    ):  # fmt: skip
        browser.client.cookies.set("lang", "en")
        for path in paths:
            page = browser.get(path)
            assert '<html lang="en">' in page
            # What is Japanese by nature (names of people, places, the other language) aside.
            words = re.sub(
                r"兆.?児\d|きざし こ\d|先生\w+|日本語|4年\d組|兆市|\w+小学校|要対協|兆し", "", page
            )
            left = re.findall(r"[ぁ-んァ-ヶ一-龠]{2,}[^<]{0,20}", words)
            assert left == [], (path, left)
