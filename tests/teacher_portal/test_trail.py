"""The trail's pages: the auditor's search and file, alarms, and what a family is shown."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest

from tests import make
from tests.teacher_portal.conftest import HTML, Browser, Browsers
from tests.teacher_portal.school import School
from warning_service.access.tables import audit, looking_alarms
from warning_service.access.trail import search as questions
from warning_service.access.trail.alarm_rules import load_rules
from warning_service.access.trail.alarms import Watch
from warning_service.access.trail.audit import Look
from warning_service.clock import MovableClock
from warning_service.rooms import Rooms


@pytest.fixture
def office(school: School) -> School:
    for login, role in (("auditor", "auditor"), ("auditor2", "auditor"), ("privacy", "privacy")):
        make.staff(school.rooms.database, login, (role, make.BOARD))
    return school


def actions(school: School) -> list[tuple[str, str, str]]:
    return [(r.actor, r.action, r.subject) for r in make.rows(school.rooms.database, audit)]


# -- what is on the trail ----------------------------------------------------------------------


def test_looks_changes_and_refusals_of_pages_are_on_the_trail(
    office: School, browsers: Browsers
) -> None:
    mine, theirs = office.children["sakura-1"][0], office.children["sakura-2"][0]
    alert = office.alert(mine, "homeroom")
    list_id = office.warning_list([mine, theirs])
    teacher = browsers("homeroom")
    teacher.get("/portal/classes/sakura-1")
    teacher.get(f"/portal/students/{mine}")
    teacher.get(f"/portal/students/{theirs}", status=404)
    teacher.get("/portal/classes/sakura-2", status=404)
    teacher.get(f"/portal/lists/{list_id}")
    teacher.get("/portal/lists/unknown", status=404)
    teacher.get(f"/portal/committee/{list_id}", status=403)
    teacher.get("/portal/students/山田太郎", status=404)
    teacher.post(f"/portal/alerts/{alert}/acknowledge")
    found = [(action, subject) for actor, action, subject in actions(office)
             if actor == "staff-homeroom"]  # fmt: skip
    for wanted in (
        ("class", mine),
        ("student", mine),
        ("refused:student", theirs),
        ("refused:class", "sakura-2"),
        ("list", mine),
        ("open_list", list_id),
        ("refused:page", "unknown"),
        ("refused:page", list_id),
        ("refused:student", "?"),
        ("take_on", mine),
    ):
        assert wanted in found, wanted
    assert ("list", theirs) not in found
    row = next(r for r in make.rows(office.rooms.database, audit) if r.action == "list")
    assert (row.detail, row.purpose, row.duty) == (list_id, "screening", "homeroom")


# -- searching ---------------------------------------------------------------------------------


def test_an_auditor_searches_by_person_child_kind_and_day(
    office: School, browsers: Browsers
) -> None:
    mine, theirs = office.children["sakura-1"][0], office.children["sakura-2"][0]
    browsers("homeroom").get(f"/portal/students/{mine}")
    nurse = browsers("nurse")
    nurse.get(f"/portal/students/{theirs}")
    nurse.get("/portal/classes/school2-1", status=404)
    auditor = browsers("auditor")

    def rows(query: str) -> str:
        return auditor.get(f"/portal/trail?{query}").split("<tbody>")[-1]

    everything = rows("")
    assert mine in everything and theirs in everything
    assert "先生homeroom" in everything and "担任" in everything
    assert "兆 児" not in auditor.get("/portal/trail")  # no child's name, ever

    def found(**form: str) -> str:
        sent = auditor.post("/portal/trail", **form)
        assert sent.status_code == 303, sent.text[:500]
        return sent.headers["location"].partition("?")[2]

    homeroom = found(person="先生homeroom")
    assert homeroom == "staff=staff-homeroom&sort=at&dir=desc"
    assert theirs not in rows(homeroom) and mine in rows(homeroom)
    assert "先生homeroom にしぼる" in auditor.get(f"/portal/trail?{homeroom}")
    assert mine not in rows(found(person="nurse")) and theirs in rows(found(person="nurse"))
    assert f"about={mine}" in found(about=mine, staff="staff-homeroom", what="student")
    assert "先生nurse" not in rows(f"about={mine}")
    refused = rows("what=refused")
    assert "school2-1" in refused and mine not in refused
    assert "児童生徒のページを見た" in rows("what=student")
    assert "school2-1" not in rows("what=opened") and theirs in rows("what=opened")
    assert mine in rows("first=2026-05-11&last=2026-05-11")
    assert "あてはまる記録はありません" in auditor.get("/portal/trail?last=2026-05-10")
    for typed in ("nobody", "兆 児1"):
        back = auditor.post("/portal/trail", person=typed)
        assert back.status_code == 422 and "その名前" in back.text
    for typed in ("兆 児1", "kizashi"):  # a child's name, where a key belongs
        back = auditor.post("/portal/trail", about=typed)
        assert back.status_code == 422 and "名前ではさがせません" in back.text
        assert typed not in back.text and "/portal/trail/file" not in back.text
    typed_by_hand = auditor.get("/portal/trail?about=児&staff=児1&first=児2&what=児3", status=422)
    assert "児" not in typed_by_hand.replace("児童生徒", "")
    assert "日付は" in auditor.get("/portal/trail?first=yesterday", status=422)
    assert "日付は" in auditor.get("/portal/trail?last=13", status=422)
    for edge in ("first=0001-01-01", "last=9999-12-31", "last=2101-01-01", "first=1999-12-31"):
        assert "日付は" in auditor.get(f"/portal/trail?{edge}", status=422), edge
    # The search itself is on the trail, by keys.
    searched = [(s, r.detail) for r in make.rows(office.rooms.database, audit)
                if r.action == "trail_search" and (s := r.subject)]  # fmt: skip
    assert ("staff-nurse", "") in searched and (mine, "") in searched
    assert (make.BOARD, "what=refused") in searched


def test_order_and_pages(
    office: School, browsers: Browsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = office.children["sakura-1"]
    browsers("homeroom").get("/portal/classes/sakura-1")
    auditor = browsers("auditor")

    def order(query: str) -> list[str]:
        page = auditor.get(f"/portal/trail?what=class&{query}").split("<tbody>")[1]
        places = sorted((page.find(f"<code>{key}"), key) for key in keys)
        return [key for place, key in places if place >= 0]

    assert order("sort=about&dir=asc") == sorted(keys)
    assert order("sort=about&dir=desc") == sorted(keys, reverse=True)
    assert order("dir=asc") == sorted(keys)
    assert order("sort=nonsense") == sorted(keys, reverse=True)
    assert order("sort=person") and order("sort=what")
    monkeypatch.setattr(questions, "PAGE", 4)
    monkeypatch.setattr("teacher_portal.trail.PAGE", 4)
    first = auditor.get("/portal/trail?what=class&dir=asc")
    assert 'rel="next"' in first and 'rel="prev"' not in first and "1 / 2" in first
    assert order("dir=asc") == sorted(keys)[:4]
    assert order("dir=asc&page=2") == sorted(keys)[4:]
    second = auditor.get("/portal/trail?what=class&page=2")
    assert 'rel="prev"' in second and 'rel="next"' not in second
    monkeypatch.setattr(questions, "COUNTED_UP_TO", 5)
    monkeypatch.setattr("teacher_portal.trail.COUNTED_UP_TO", 5)
    assert "5件より多く" in auditor.get("/portal/trail?what=class")


def test_the_file_needs_a_fresh_confirmation_and_is_on_the_trail(
    office: School, browsers: Browsers, clock: MovableClock
) -> None:
    mine = office.children["sakura-1"][0]
    browsers("homeroom").get(f"/portal/students/{mine}")
    with office.rooms.database.writing() as conn:
        office.rooms.trail.write(
            conn, [Look(board=make.BOARD, actor="x", action="student", subject="=1+1")]
        )
    auditor = browsers("auditor")
    answer = auditor.client.get("/portal/trail/file?what=student")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")
    lines = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert lines[0][1:4] == ["いつ", "だれが(教職員)", "担当"]
    assert [line[5] for line in lines[1:]] == ["'=1+1", mine]
    assert lines[2][2] == "先生homeroom" and lines[2][7] == "子どもの支援"
    row = next(r for r in make.rows(office.rooms.database, audit) if r.action == "trail_export")
    assert (row.actor, row.detail) == ("staff-auditor", "what=student rows=2")
    empty = auditor.client.get("/portal/trail/file?about=nobody").text
    assert len(empty.splitlines()) == 1
    clock.move_by(timedelta(minutes=25))
    later = auditor.client.get("/portal/trail/file?what=student", headers=HTML)
    assert later.status_code == 303 and "confirm" in later.headers["location"]


def test_in_english_too(office: School, browsers: Browsers) -> None:
    browsers("homeroom").get("/portal/classes/sakura-1")
    auditor = browsers("auditor")
    auditor.client.cookies.set("lang", "en")
    page = auditor.get("/portal/trail")
    assert "Audit trail" in page and "looked at the class" in page
    assert "Odd looking" in auditor.get("/portal/trail/alarms")


@pytest.mark.parametrize("login", ["homeroom", "nurse", "board", "privacy"])
def test_only_auditors(office: School, browsers: Browsers, login: str) -> None:
    browser = browsers(login)
    for path in ("/portal/trail", "/portal/trail/file", "/portal/trail/alarms"):
        assert browser.client.get(path).status_code == 403
    assert browser.post("/portal/trail/alarms/x", verdict="reasonable").status_code == 403


# -- what a family is shown --------------------------------------------------------------------


def test_a_family_reads_who_looked_in_plain_words(
    office: School, browsers: Browsers, clock: MovableClock
) -> None:
    child = office.children["sakura-1"][0]
    list_id = office.warning_list([child])
    homeroom = browsers("homeroom")
    homeroom.get(f"/portal/lists/{list_id}")
    homeroom.get(f"/portal/students/{child}")
    homeroom.get(f"/portal/students/{child}")
    browsers("other").get(f"/portal/students/{child}", status=404)
    office.rooms.trail.by("system:import", "student", child, board=make.BOARD)
    clock.move_by(timedelta(days=1))
    browsers("nurse").get(f"/portal/students/{child}")
    officer = browsers("privacy")
    page = officer.get(f"/portal/trail/child/{child}")
    for words in (
        "兆 児1 さんのデータを、だれが見たか",
        "2026年5月11日(月)",
        "担任の先生が、5月の予兆リストで、お子さんの名前と、載った理由を見ました。",
        "担任の先生が、お子さんのページ",
        "(この日に2回)",
        "教職員が、お子さんのページを開こうとしましたが、担当ではないため表示されませんでした。",
        "システムが、",
        "2026年5月12日(火)",
        "養護教諭(保健室の先生)が、お子さんのページ",
        "教育委員会の個人情報担当が、この「だれが見たか」の一覧を作りました。",
        "教職員は担当(役わり)で示しています。",
    ):
        assert words in page, words
    assert "先生homeroom" not in page and "先生nurse" not in page
    assert page.index("5月12日") < page.index("5月11日(月)")  # the newest day first
    assert "養護教諭" not in officer.get(f"/portal/trail/child/{child}?last=2026-05-11")
    none = officer.get(f"/portal/trail/child/{child}?first=2025-01-01&last=2025-02-01")
    assert "この期間に見た人はいません" in none
    for days in ("first=x&last=y", "first=0001-01-01&last=9999-12-31", "last=0001-01-01"):
        assert "いません" not in officer.get(f"/portal/trail/child/{child}?{days}"), days
    officer.client.cookies.set("lang", "en")
    english = officer.get(f"/portal/trail/child/{child}")
    assert "The homeroom teacher saw the child" in english and "warning list of May" in english


def test_a_board_may_name_its_staff(
    office: School, browsers: Browsers, server: str, rooms: Rooms
) -> None:
    child = office.children["sakura-1"][0]
    browsers("homeroom").get(f"/portal/students/{child}")
    object.__setattr__(
        rooms, "settings", rooms.settings.model_copy(update={"family_sees_staff_names": True})
    )
    page = browsers("privacy").get(f"/portal/trail/child/{child}")
    assert "担任の先生(先生homeroom)が、" in page and "(先生 privacy)" in page
    assert "教職員は担当" not in page


def test_a_list_of_another_time_is_just_a_list(office: School, browsers: Browsers) -> None:
    child = office.children["sakura-1"][0]
    office.rooms.trail.record(
        [Look(board=make.BOARD, actor="staff-nurse", action="list", subject=child, detail="gone"),
         Look(board=make.BOARD, actor="staff-nurse", action="newer", subject=child)]
    )  # fmt: skip
    page = browsers("privacy").get(f"/portal/trail/child/{child}")
    assert "教職員が、予兆リストで、お子さんの名前" in page
    assert "教職員が、newer。" in page  # unknown, and still told


@pytest.mark.parametrize("login", ["homeroom", "nurse", "board", "auditor"])
def test_only_who_handles_requests(office: School, browsers: Browsers, login: str) -> None:
    child = office.children["sakura-1"][0]
    assert browsers(login).client.get(f"/portal/trail/child/{child}").status_code == 403


# -- alarms ------------------------------------------------------------------------------------


def raise_alarm(school: School, who: str) -> str:
    rooms = school.rooms
    rooms.trail.record(
        [Look(board=make.BOARD, actor=who, action="refused:student", subject=f"k{n}")
         for n in range(9)]
    )  # fmt: skip
    assert Watch(rooms.database, rooms.clock, load_rules(rooms.settings.data_dir)).run() == 1
    rows = make.rows(rooms.database, looking_alarms)
    return str(next(row.id for row in rows if row.subject == who))


def settle(browser: Browser, alarm: str, **fields: str) -> int:
    return browser.post(f"/portal/trail/alarms/{alarm}", **fields).status_code


def test_an_alarm_is_asked_about_and_settled_once(office: School, browsers: Browsers) -> None:
    auditor = browsers("auditor")
    assert "いま確かめるものはありません" in auditor.get("/portal/trail/alarms")
    alarm = raise_alarm(office, "staff-homeroom")
    page = auditor.get("/portal/trail/alarms")
    assert "担当外のものを何度も開こうとした" in page and "先生homeroom" in page
    assert "staff=staff-homeroom" in page
    assert "1件" in auditor.get("/portal/trail")
    assert settle(auditor, alarm) == 422
    assert "結果を1つ選んで" in auditor.post(f"/portal/trail/alarms/{alarm}", note="a" * 501).text
    assert settle(auditor, alarm, verdict="reasonable", note="学級替えの準備") == 303
    second = browsers("auditor2").post(f"/portal/trail/alarms/{alarm}", verdict="misuse")
    assert second.headers["location"].endswith("too_late")
    row = make.rows(office.rooms.database, looking_alarms)[0]
    assert (row.verdict, row.acknowledged_by, row.note) == (
        "reasonable", "staff-auditor", "学級替えの準備",
    )  # fmt: skip
    done = auditor.get("/portal/trail/alarms?saved_alarm=settled")
    assert "学級替えの準備" in done and "仕事として説明がつく" in done and "記録しました" in done
    assert ("staff-auditor", "alarm_settled", "staff-homeroom") in actions(office)
    assert settle(auditor, "unknown", verdict="reasonable") == 404


def test_nobody_settles_an_alarm_about_themselves(office: School, browsers: Browsers) -> None:
    alarm = raise_alarm(office, "staff-auditor")
    auditor = browsers("auditor")
    assert "あなた自身についてのもの" in auditor.get("/portal/trail/alarms")
    assert settle(auditor, alarm, verdict="reasonable") == 404
    assert settle(browsers("auditor2"), alarm, verdict="talked") == 303


def test_a_watched_child_stands_there_by_key(office: School, browsers: Browsers) -> None:
    child, rooms = office.children["sakura-1"][0], office.rooms
    for n in range(10):
        rooms.trail.record(
            [Look(board=make.BOARD, actor=f"s{n}", action="student", subject=key)
             for key in (child, office.children["sakura-2"][n % 6], f"k{n}", f"l{n}")]
        )  # fmt: skip
    Watch(rooms.database, rooms.clock, load_rules(rooms.settings.data_dir)).run()
    page = browsers("auditor").get("/portal/trail/alarms")
    assert "1人の子どもを多くの人が見た" in page and child in page and "兆 児" not in page


def test_the_watch_runs_in_the_process_that_leads(rooms: Rooms, school: School) -> None:
    from warning_service.schedule import Scheduler

    raise_alarm(school, "staff-nurse")
    scheduler = Scheduler(rooms)
    rooms.trail.record(
        [Look(board=make.BOARD, actor="staff-other", action="refused:student", subject=f"k{n}")
         for n in range(9)]
    )  # fmt: skip
    assert scheduler._leader.leads()
    scheduler._look_at_looking()
    assert len(make.rows(rooms.database, looking_alarms)) == 2
    scheduler._leader.resign()
