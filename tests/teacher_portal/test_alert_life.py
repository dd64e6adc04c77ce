"""The alert's page through its life: what it offers whom, and the history it tells."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from connectors.messaging import registry
from teacher_portal.frame import via_words
from tests import make
from tests.teacher_portal.conftest import Browsers
from tests.teacher_portal.school import School
from warning_service.clock import MovableClock


@pytest.fixture
def alert(school: School) -> str:
    """A call for help for the homeroom teacher and the nurse."""
    return school.alert(school.children["sakura-1"][0], "homeroom", "nurse", words="きいてほしい")


def sad(school: School, clock: MovableClock, *students: str) -> None:
    """Three bad days each: what is due today."""
    for student in students:
        for days_ago in (2, 1, 0):
            make.append(school.rooms.log, make.check_in(student, clock, days_ago=days_ago, mood=3))
    school.raise_alerts()


def steps(page: str) -> list[str]:
    """The second column of the history."""
    table = page.split('id="history-head"')[1]
    return re.findall(r"</time></td><td>([^<]*)</td>", table)


def test_a_mistaken_tap_is_given_back_within_minutes(
    school: School, browsers: Browsers, clock: MovableClock, alert: str
) -> None:
    nurse, path = browsers("nurse"), f"/portal/alerts/{alert}"
    nurse.post(f"{path}/acknowledge")
    page = nurse.get(path)
    assert "やっぱり戻す" in page and "09:05 まで" in page
    answer = nurse.post(f"{path}/put-back")
    assert answer.headers["location"] == "/portal/alerts?saved=put_back"
    assert "対応します" in nurse.get(path)
    nurse.post(f"{path}/acknowledge")
    clock.move_by(timedelta(minutes=6))
    assert "やっぱり戻す" not in nurse.get(path)
    assert nurse.post(f"{path}/put-back").headers["location"] == f"{path}?saved=changed"
    assert "いまの状態を表示しています" in nurse.get(f"{path}?saved=changed")


def test_handing_over_is_asked_accepted_and_told(
    school: School, browsers: Browsers, alert: str
) -> None:
    nurse, teacher = browsers("nurse"), browsers("homeroom")
    path = f"/portal/alerts/{alert}"
    nurse.post(f"{path}/acknowledge")
    assert "わたしが引き継ぐ" in teacher.get(path)
    page = nurse.get(path)
    assert 'value="duty:homeroom"' in page and 'value="staff:staff-homeroom"' in page
    answer = nurse.post(f"{path}/offer", to="staff:staff-homeroom")
    assert answer.headers["location"] == f"{path}?saved=offered"
    assert "先生homeroom に引き継ぎをたのんでいます" in nurse.get(path)
    assert "あなたへの引き継ぎのお願い 1件" in teacher.get("/portal/alerts")
    assert "引き受けられない" in teacher.get(path)
    assert "引き受けられない" not in nurse.get(path)
    nurse.get(path)
    teacher.post(f"{path}/decline")
    nurse.post(f"{path}/offer", to="duty:homeroom")
    nurse.post(f"{path}/withdraw")
    nurse.post(f"{path}/offer", to="duty:homeroom")
    assert teacher.post(f"{path}/accept").headers["location"] == f"{path}?saved=taken_over"
    page = teacher.get(path)
    assert steps(page) == [
        "お知らせが出て、担任・養護教諭へ知らせた",
        "はじめて届いた(この画面)",
        "対応をはじめた(この画面)",
        "はじめて開いた",
        "先生homeroom に引き継ぎをたのんだ",
        "引き継ぎをことわった",
        "担任 に引き継ぎをたのんだ",
        "引き継ぎのお願いを取り下げた",
        "担任 に引き継ぎをたのんだ",
        "先生nurse 先生のお願いを引き受けた",
    ]
    assert nurse.post(f"{path}/take-over").headers["location"] == f"{path}?saved=taken_over"
    assert nurse.post(f"{path}/accept").status_code == 404


def test_nobody_can_be_asked_who_is_not_offered(
    school: School, browsers: Browsers, alert: str
) -> None:
    nurse, path = browsers("nurse"), f"/portal/alerts/{alert}"
    nurse.post(f"{path}/acknowledge")
    for to in ("", "duty:board", "staff:staff-nurse", "staff:somebody"):
        answer = nurse.post(f"{path}/offer", to=to)
        assert answer.headers["location"] == f"{path}?saved=cannot_ask"
    assert "たのんでいます" not in nurse.get(path)


def test_what_can_wait_is_put_off_and_stands_apart_until_it_wakes(
    school: School, browsers: Browsers, clock: MovableClock, alert: str
) -> None:
    student = school.children["sakura-1"][1]
    sad(school, clock, student)
    soft = school.rooms.alerts.of_student(student)[0].id
    nurse, path = browsers("nurse"), f"/portal/alerts/{soft}"
    assert 'name="until"' in nurse.get(path)
    assert 'name="until"' not in nurse.get(f"/portal/alerts/{alert}")  # a call for help is not
    for until, reason in (("hour", "because"), ("never", "absent")):
        answer = nurse.post(f"{path}/snooze", until=until, reason=reason)
        assert answer.headers["location"] == f"{path}?saved=snooze_refused"
    refused = nurse.post(f"/portal/alerts/{alert}/snooze", until="hour", reason="absent")
    assert refused.headers["location"] == f"/portal/alerts/{alert}?saved=snooze_refused"
    answer = nurse.post(f"{path}/snooze", until="hour", reason="absent")
    assert answer.headers["location"] == f"{path}?saved=snoozed"
    listed = nurse.get("/portal/alerts")
    assert "後にしているもの 1件" in listed and "本人が休んでいる" in listed
    assert "いま対応すること 1件" in listed
    clock.move_by(timedelta(hours=1))
    school.rooms.alerts.escalate_due()
    assert "後にしているもの" not in nurse.get("/portal/alerts")
    said = steps(nurse.get(path))
    assert "5月11日(月) 10:00 まで後にした(本人が休んでいる)" in said
    assert any(words.startswith("後にした時間が過ぎ") for words in said)


def test_what_was_recorded_is_closed_and_opened_again(
    school: School, browsers: Browsers, alert: str
) -> None:
    student = school.children["sakura-1"][0]
    nurse, path = browsers("nurse"), f"/portal/alerts/{alert}"
    assert "終わりにする" not in nurse.get(path)
    nurse.post(f"/portal/follow-up/{student}", action="talked", change="same", alert_id=alert)
    page = nurse.get(path)
    assert "終わりにする" in page and "もういちど対応する" in page and "対応します" not in page
    assert nurse.post(f"{path}/close").headers["location"] == f"{path}?saved=closed"
    assert "この件は終わっています" in nurse.get(path)
    assert alert in nurse.get("/portal/alerts?state=done")
    assert nurse.post(f"{path}/reopen").headers["location"] == f"{path}?saved=reopened"
    assert alert in nurse.get("/portal/alerts")
    assert alert not in nurse.get("/portal/alerts?state=done")


def test_urgent_ones_stand_singly_and_the_rest_by_class_and_child(
    school: School, browsers: Browsers, clock: MovableClock
) -> None:
    first, second = school.children["sakura-1"][0], school.children["sakura-2"][0]
    for _ in range(2):
        school.alert(first, "nurse")
    calls = [view.id for view in school.rooms.alerts.of_student(first)]
    sad(school, clock, first, second)
    clock.move_by(timedelta(days=7))
    make.append(school.rooms.log, make.check_in(first, clock, days_ago=4, mood=0))
    sad(school, clock, first)  # another run: two of one child
    page = browsers("nurse").get("/portal/alerts")  # signed in after the week
    articles = page.split("<article")[1:]
    assert [sum(call in one for one in articles) for call in calls] == [1, 1]
    assert sum(any(call in one for call in calls) for one in articles) == 2
    soft = [view.id for view in school.rooms.alerts.of_student(first) if view.id not in calls]
    assert len(soft) == 2
    [together] = [one for one in articles if soft[0] in one]
    assert soft[1] in together and "この子について 2件" in together
    assert together.count("対応します") == 2  # each its own button
    assert page.count("4年1組 · 2件") == 1 and page.count("4年2組 · 1件") == 1
    assert "いま対応すること 5件" in page


def test_opening_the_page_is_seen_and_drawing_the_list_is_delivered(
    school: School, browsers: Browsers, alert: str
) -> None:
    nurse, who = browsers("nurse"), school.who("nurse")
    nurse.get("/portal/alerts")
    view = school.rooms.alerts.one(who, alert)
    assert (view.delivered_via, view.seen_at) == ("portal", None)
    nurse.get(f"/portal/alerts/{alert}")
    assert school.rooms.alerts.one(who, alert).seen_by == "staff-nurse"


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_every_state_reads_in_both_languages(
    school: School, browsers: Browsers, clock: MovableClock, alert: str, lang: str
) -> None:
    nurse = browsers("nurse")
    nurse.client.cookies.set("lang", lang)
    path = f"/portal/alerts/{alert}"
    alerts = school.rooms.alerts
    who = school.who("homeroom")
    for step in ("acknowledge", "offer", "close", "reopen", "take-over"):
        nurse.post(f"{path}/{step}", to="duty:homeroom")
        assert ("What has happened" if lang == "en" else "これまでの経過") in nurse.get(path)
    clock.move_by(timedelta(days=2))
    alerts.escalate_due()
    with school.rooms.log.unit_of_work() as unit:
        alerts.handle(unit, alert, "f1", who.key)
    nurse.sign_in("nurse")  # two days are longer than a session
    page = nurse.get(path)
    assert ("open again" if lang == "en" else "未対応に戻して") in page
    assert ("Close it" if lang == "en" else "終わりにする") in page


def test_a_long_history_shows_the_latest_and_folds_the_rest(
    school: School, browsers: Browsers, alert: str
) -> None:
    nurse, path = browsers("nurse"), f"/portal/alerts/{alert}"
    for _ in range(6):
        nurse.post(f"{path}/acknowledge")
        nurse.post(f"{path}/put-back")
    page = nurse.get(path)
    shown, folded = page.split('id="history-head"')[1].split('<details class="more">')
    said = re.findall(r"</time></td><td>([^<]*)</td>", shown)
    assert len(said) == 8
    assert said[-2:] == ["まちがえて始めた対応を戻した", "はじめて開いた"]
    before = re.findall(r"</time></td><td>([^<]*)</td>", folded)
    assert before[0].startswith("お知らせが出て")
    assert f"それより前の経過 {len(before)}件" in page


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_ways_of_telling_are_named_and_one_that_is_gone_keeps_its_own_name(lang: str) -> None:
    for name in registry.kinds():
        assert via_words(lang, name) not in {"", name}
    assert via_words(lang, "portal") == ("the portal" if lang == "en" else "この画面")
    assert via_words(lang, "fax") == "fax"
