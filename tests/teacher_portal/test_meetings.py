"""The pages of meetings in stages and of sheets: going through, siblings, undoing, files."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from tests import make
from tests.follow_up.staged import SHEET, playbook, work_by
from tests.follow_up.test_looks_on import without_lists
from tests.follow_up.test_resources import CLUB
from tests.teacher_portal.conftest import HTML, Browser, Browsers
from tests.teacher_portal.school import School
from warning_service.access.roles import Ability
from warning_service.clock import MovableClock
from warning_service.follow_up.tables import reviews, sheets
from warning_service.judging.tables import list_entries
from warning_service.roster.tables import students

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def staged(school: School) -> School:
    work_by(school, playbook(sheets=[SHEET]))
    make.staff(school.rooms.database, "worker", ("social_worker", make.SCHOOL))
    make.staff(school.rooms.database, "office", ("welfare", make.BOARD))
    make.staff(school.rooms.database, "centre", ("board_guidance", make.BOARD))
    return school


def live_together(school: School, *keys: str) -> None:
    with school.rooms.database.writing() as conn:
        conn.execute(update(students).where(students.c.student.in_(keys)).values(household="h1"))


def test_two_meetings_one_after_the_other(staged: School, browsers: Browsers) -> None:
    first, second, third = staged.children["sakura-1"][:3]
    list_id = staged.warning_list([first, second, third])
    live_together(staged, first, third)
    chair, worker, office = browsers("guidance"), browsers("worker"), browsers("office")
    page = chair.get("/portal/meetings")
    assert "校内委員会の区分" in page and "合同会議" not in page and "あと3人" in page
    page = chair.get(f"/portal/committee/{list_id}?meeting=review")
    assert "1/3" in page and "同じ世帯のきょうだい" in page and "2世帯中1世帯目" in page
    assert page.index("児1") < page.index("児3")  # the sibling stands beside
    assert "児3" in chair.get(f"/portal/committee/{list_id}?meeting=review&n=2")  # and comes next
    assert "この会議に来る人は、まだいません" in worker.get("/portal/meetings")
    office.get(f"/portal/committee/{list_id}?meeting=review", 404)

    answer = chair.post(
        f"/portal/committee/{list_id}", meeting="review", student=first, chosen="B", n=1,
        note="家庭に電話",
    )  # fmt: skip
    page = chair.get(answer.headers["location"])
    assert "取り消す" in page and "校内委員会の区分 B" in page
    page = worker.get(f"/portal/committee/{list_id}?meeting=conference")
    assert "前の会議の判断" in page and "家庭に電話" in page and "家庭訪問" in page
    assert "アセスメントシート" in page and "まだ記入がありません" in page
    page = office.get(f"/portal/committee/{list_id}?meeting=conference")
    assert "児1" in page and "学校が持つ情報" in page and "欠席 28日で4日" not in page
    # What the office holds itself it reads by its name; at the school it is only counted.
    own = {"feature": "f", "item": "public_assistance", "share": 0.3, "text_ja": "生活保護の受給"}
    hidden = {**own, "item": "absent_days", "text_ja": "欠席 28日で4日"}
    with staged.rooms.database.writing() as conn:
        of = list_entries.c.student == first
        held = json.loads(conn.execute(select(list_entries.c.evidence).where(of)).scalar_one())
        held["welfare"] = {"raising": [own, hidden], "lowering": []}
        conn.execute(update(list_entries).where(of).values(evidence=json.dumps(held)))
    theirs = office.get(f"/portal/committee/{list_id}?meeting=conference")
    assert "生活保護の受給" in theirs and "欠席 28日で4日" not in theirs
    schools = worker.get(f"/portal/committee/{list_id}?meeting=conference")
    assert "生活保護の受給" not in schools and "欠席 28日で4日" in schools
    assert "生活保護の受給" not in chair.get(f"/portal/lists/{list_id}")
    assert "校内委員会の区分 B" in page and "家庭に電話" not in page  # the school's own note
    assert office.get("/portal/meetings").count("あと1人") == 1

    worker.post(
        f"/portal/committee/{list_id}", meeting="conference", student=first, chosen="A", n=1,
        directions=["home"],
    )  # fmt: skip
    done = worker.get(f"/portal/committee/{list_id}?meeting=conference&n=2")
    assert "家庭訪問" in done and "校内委員会の区分 B" in done
    back = chair.post(f"/portal/committee/{list_id}/undo", meeting="review", student=first, n=1)
    assert "saved=review_further_on" in back.headers["location"]
    back = worker.post(
        f"/portal/committee/{list_id}/undo", meeting="conference", student=first, n=1
    )
    assert "saved=review_undone" in back.headers["location"]
    assert "まだ決まっていません" in worker.get(back.headers["location"])
    assert [row.scheme for row in make.rows(staged.rooms.database, reviews)] == ["town.committee"]
    assert "校内委員会の区分 B" in chair.get(f"/portal/lists/{list_id}")
    assert "校内委員会の区分 B" in chair.get(f"/portal/students/{first}")


def test_a_sheet_is_filled_read_and_checked(staged: School, browsers: Browsers) -> None:
    student = staged.children["sakura-1"][0]
    staged.warning_list([student])
    teacher, centre = browsers("homeroom"), browsers("centre")
    assert "3つの部分のうち0つ" in teacher.get("/portal/sheets")
    path = f"/portal/sheets/assessment/of/{student}"
    assert teacher.get(path).count("この部分を保存する") == 1
    wrong = centre.post(path, section="centre", seen=0, visits="たくさん", agreed="yes")
    assert wrong.status_code == 422 and "数で入力" in wrong.text and "たくさん" in wrong.text
    assert centre.post(path, section="centre", seen=0, visits="3").status_code == 303
    late = centre.post(path, section="centre", seen=0, visits="4")
    assert late.status_code == 422 and "ほかの人が先に" in late.text
    page = teacher.get(path)
    assert "訪問の回数" in page and "先生 centre" in page and "全体を確かめました" in page
    assert teacher.post(path + "/check").status_code == 303
    assert "確認ずみ" in teacher.get("/portal/sheets")
    browsers("other").get(path, 404)
    teacher.get(f"/portal/sheets/nothing/of/{student}", 404)


def upload(browser: Browser, data: bytes, school: str = "sakura") -> str:
    answer = browser.client.post(
        "/portal/sheets/assessment/file", data={"csrf": browser.csrf, "school": school},
        files={"file": ("sheet.csv", data, "text/csv")}, headers=HTML,
    )  # fmt: skip
    assert answer.status_code in (200, 422), answer.text[:400]
    return answer.text


def test_a_schools_sheets_go_out_and_come_back_filled(staged: School, browsers: Browsers) -> None:
    first, second = staged.children["sakura-1"][:2]
    staged.warning_list([first, second])
    staged.rooms.follow_ups.sheets.fill(
        staged.who("homeroom"), first, "assessment", "education", {"attendance": "=1+1"}
    )
    centre = browsers("centre")
    text = centre.get("/portal/sheets/assessment/file?school=sakura")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert [row["子どもの記号"] for row in rows] == [first, second]
    assert rows[0]["学校での困難/登校のようす"] == "'=1+1"  # no formula for a spreadsheet
    rows[0]["センター/訪問の回数"], rows[1]["センター/家庭の同意"] = "3", "はい"
    rows[0]["学校での困難/困りごと"] = "よくある"  # not the centre's to fill
    rows.append({**rows[1], "子どもの記号": "nobody"})
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    page = upload(centre, out.getvalue().encode("cp932"))
    assert "2つの部分を保存しました" in page and "4行目" in page and "いない記号" in page
    stored = [(row.student, row.section) for row in make.rows(staged.rooms.database, sheets)]
    assert sorted(stored) == sorted([(first, "education"), (first, "centre"), (second, "centre")])
    again = upload(centre, out.getvalue().encode())
    assert "0つの部分を保存しました" in again and "変わりなし 2" in again
    rows[0]["センター/訪問の回数"] = "99"
    wrong = io.StringIO()
    writer = csv.DictWriter(wrong, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows[:1])
    page = upload(centre, wrong.getvalue().encode())
    assert "2行目" in page and "訪問の回数" in page and "範囲" in page
    assert "読めません" in upload(centre, b"PK\x03\x04") or "Excel" in upload(centre, b"PK\x03\x04")
    assert "列がありません" in upload(centre, "氏名\nだれか\n".encode())


def test_the_file_is_for_whole_schools_and_after_a_step_up(
    staged: School, browsers: Browsers, clock: MovableClock
) -> None:
    staged.warning_list([staged.children["sakura-1"][0]])
    browsers("homeroom").get("/portal/sheets/assessment/file?school=sakura", 404)
    browsers("office").get("/portal/sheets/assessment/file?school=sakura", 404)
    browsers("worker").get("/portal/sheets/assessment/file?school=school2", 404)
    late = browsers("worker")
    clock.move_by(timedelta(minutes=20))
    answer = late.client.get("/portal/sheets/assessment/file?school=sakura", headers=HTML)
    assert answer.status_code in (303, 403) and "/portal/confirm" in answer.headers["location"]


def test_a_board_without_sheets_has_no_page_for_them_in_the_menu(
    school: School, browsers: Browsers
) -> None:
    page = browsers("nurse").get("/portal")
    assert 'href="/portal/sheets"' not in page and 'href="/portal/meetings"' not in page
    assert re.search(r'href="/portal/meetings"', browsers("guidance").get("/portal"))
    assert "シートを使いません" in browsers("nurse").get("/portal/sheets")


def test_without_lists_pages_say_so_and_cases_carry_their_ground(
    school: School, browsers: Browsers
) -> None:
    work_by(school, without_lists())
    make.staff(school.rooms.database, "office", ("welfare", make.BOARD))
    student = school.children["sakura-1"][0]
    guidance, office = browsers("guidance"), browsers("office")
    page = guidance.get("/portal")
    assert 'href="/portal/lists"' not in page and 'href="/portal/handed-over"' in page
    assert "リスト(点数や判定)を作りません" in guidance.get("/portal/lists")
    page = guidance.get(f"/portal/students/{student}")
    assert "保護者の同意" in page and 'name="items" value="absent_days"' in page
    form = {"ground": "support", "reason": "相談先がない", "items": ["absent_days"]}
    refused = guidance.post(f"/portal/students/{student}/hand-over", **form, basis="consent")
    assert refused.status_code == 422 and "同意を得た日" in refused.text
    assert re.search(r'value="absent_days" checked', refused.text)  # nothing entered is lost
    day = school.rooms.clock.today().isoformat()
    guidance.post(f"/portal/students/{student}/hand-over", **form, basis="consent", consent_on=day)
    assert "引き継がれたケース" in office.get("/portal/meetings")
    answer = office.post("/portal/committee/cases", student=student, chosen="B", n=1)
    assert "/portal/committee/cases?" in answer.headers["location"]
    page = office.get("/portal/cases")
    assert "保護者の同意" in page and "校内委員会の区分 B" in page
    found = re.search(r"/portal/cases/([0-9a-f-]+)/form", page)
    assert found is not None
    paper = office.get(found.group(0))
    assert "引き継ぎ票" in paper and "相談先がない" in paper and "校内委員会の区分 B" in paper
    theirs = guidance.get(f"/portal/handed-over/{found.group(1)}/form")
    assert "相談先がない" in theirs and "校内委員会の区分 B" not in theirs
    browsers("nurse").get(f"/portal/handed-over/{found.group(1)}/form", 403)


def test_a_long_menu_has_a_line_of_its_own(staged: School, browsers: Browsers) -> None:
    """Beside the name and the tools it would break into three lines on an office screen."""
    lengths = set()
    for login, path in (
        ("office", "/portal/cases"), ("committee", "/portal"), ("nurse", "/portal"),
        ("board", "/portal/board"), ("centre", "/portal"),
    ):  # fmt: skip
        head = browsers(login).get(path).split("<header")[1].split("</header>")[0]
        pages = head.split("<nav")[1].split("</nav>")[0].count("<a ")
        assert ("frame-long" in head) == (pages > 7), (login, pages)
        lengths.add(pages > 7)
    assert lengths == {True, False}


def test_who_asks_nobody_and_lists_nobody_shows_neither_as_still_missing(
    school: School, browsers: Browsers
) -> None:
    room = next(iter(school.rooms.gateway.classes_of(school.who("nurse"),
                                                     using=Ability.SEE_STUDENT))).id  # fmt: skip
    pages = ("/portal", "/portal/classes", f"/portal/classes/{room}")
    nurse, board = browsers("nurse"), browsers("board")
    of_child = f"/portal/students/{school.children['sakura-1'][0]}"
    assert "本人の回答" in nurse.get(of_child)
    for path in pages:
        assert re.search("きょう答えた|きょうの回答", nurse.get(path)), path
    assert 'href="/portal/evaluation"' in board.get("/portal/board")
    now = without_lists()
    work_by(school, now.model_copy(update={"questionnaires": ()}))
    for path in pages:
        page = nurse.get(path)
        assert not re.search("きょう|まだ", re.sub(r"(?s)<header.*?</header>", "", page)), path
    assert "在籍" in nurse.get("/portal/classes")
    assert "本人の回答" not in nurse.get(of_child)
    page = board.get("/portal/board")
    assert "リスト(点数や判定)を作りません" in page and "最初の予兆リスト" not in page
    assert 'href="/portal/evaluation"' not in page and 'href="/portal/case-counts"' in page
    page = board.get("/portal/playbook")
    assert "変えてみる数字はありません" in page and "window_days" not in page.split("<textarea")[0]


def test_the_meeting_shows_the_resources_that_fit(school: School, browsers: Browsers) -> None:
    older = {**CLUB, "id": "older", "label": "高校生のひろば", "grades": [9, 9]}
    work_by(school, playbook(review={"resources": True}, resources=[CLUB, older]))
    student = school.children["sakura-1"][0]
    list_id = school.warning_list([student])
    page = browsers("guidance").get(f"/portal/committee/{list_id}")
    assert "使える地域資源" in page and "児童クラブ" in page and "家庭訪問" in page
    assert "高校生のひろば" not in page
