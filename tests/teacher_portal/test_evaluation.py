"""The pages on how right the lists were: what each reader gets, and what is never shown."""

from __future__ import annotations

import csv
import io
from datetime import date

import msgspec
import pytest

from models.agreement import Agreement
from models.effects import Gap, Paired
from tests import make
from tests.follow_up.test_evaluation import LATE, MAY, fact, move, outcome, supported
from tests.teacher_portal.conftest import Browsers
from tests.teacher_portal.school import School
from warning_service.access.tables import audit
from warning_service.follow_up.evaluating.agreement import Views
from warning_service.follow_up.evaluating.effects import BeforeAfter, Schools
from warning_service.rooms import Rooms
from warning_service.roster.service import set_opt_out

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PAGES = ("/portal/evaluation", "/portal/evaluation/fairness", "/portal/evaluation/effects")


@pytest.fixture
def school(rooms: Rooms) -> School:
    return School(rooms, children=20)


@pytest.fixture
def judged(school: School) -> School:
    """80 children; of sakura 12 are listed, it comes to 8 of them, 7 more, and 2 of school2."""
    one, two = school.children["sakura-1"], school.children["sakura-2"]
    far = [*school.children["school2-1"], *school.children["school2-2"]]
    school.warning_list(one[:12], on=MAY, ranked=[*one, *two])
    school.warning_list(far[:6], school="school2", on=MAY, ranked=far)
    make.append(
        school.rooms.log,
        fact(one[0], "absent_days", date(2026, 4, 8)),
        *(outcome(key, date(2026, 6, 1)) for key in (*one[:8], *two[:7], *far[10:12])),
    )
    for key in (*one[:3], *two[10:13]):
        supported(school, key, date(2026, 5, 20))
    move(school, LATE)
    return school


def test_before_the_first_list_the_pages_say_what_to_wait_for(
    school: School, browsers: Browsers
) -> None:
    board = browsers("board")
    for path in PAGES:
        assert "この1年、予兆リストはまだありません" in board.get(path), path
    assert browsers("nurse").client.get("/portal/evaluation/school").status_code == 303
    assert "予兆リストはまだありません" in browsers("nurse").get("/portal/evaluation/school/sakura")


def test_while_the_horizon_runs_nothing_is_said_but_when(
    school: School, browsers: Browsers
) -> None:
    school.warning_list(school.children["sakura-1"][:6], on=MAY, ranked=school.children["sakura-1"])
    board = browsers("board")
    page = board.get("/portal/evaluation")
    assert "2026年7月24日(金)にわかります" in page and "当たり外れは言えません" in page
    assert "まだわかりません" in board.get("/portal/evaluation/fairness")
    make.append(school.rooms.log, outcome(school.children["sakura-1"][0], date(2026, 5, 9)))
    assert 'class="plot-dot"' not in board.get("/portal/evaluation")


def test_the_board_sees_rates_with_bases_and_no_small_number(
    judged: School, browsers: Browsers
) -> None:
    board = browsers("board")
    page = board.get("/portal/evaluation")
    # 8 of 18 listed; 8 of 17 it came to; base 17 of 80.
    for words in ("8 / 18", "8 / 17", "17 / 80", "44.4%", "47.1%", "21.2%", "95%区間"):
        assert words in page, words
    assert "少なすぎて言えません" in page  # calibration, agreement: too few
    # Of school2 it came to two, both not listed: neither number may stand, nor sakura's beside it.
    assert "非表示" in page and ">2/" not in page and "2 / 2" not in page
    names = {child for keys in judged.children.values() for child in keys}
    for path in PAGES:
        text = board.get(path)
        assert not any(name in text for name in names) and "児" not in text.replace("児童", ""), (
            path
        )
    page = board.get("/portal/evaluation/effects")
    assert "平均への回帰" in page and "効果と読まないでください" in page
    assert "少なすぎて言えません(いま5未満人" in page or "少なすぎて言えません(いま0人" in page
    assert "短すぎて言えません" in page  # records of 15 school days before the first list
    assert "このページから言えないこと" in page


def test_the_boards_two_pages_tell_the_same_year(judged: School, browsers: Browsers) -> None:
    board = browsers("board")
    counts = (
        board.get("/portal/board").split("結果の出そろったリスト 2件")[1].split("</section>")[0]
    )
    assert "44.4%" in counts and "8 / 18" in counts and "17 / 80" in counts


def test_schools_unlike_before_and_a_share_that_would_tell_are_said_so(
    judged: School, browsers: Browsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = judged.rooms.evaluation
    found = room.effects(make.BOARD)
    line = (("a", 1.0, 2.0),) * 3

    def gap(value: float, low: float, high: float) -> Gap:
        return Gap(value=value, low=low, high=high, n=3, n_others=3)

    unlike = Schools(
        span=25, since=MAY, with_lists=line, without=line, gap=gap(-2.0, -3.0, -1.0),
        earlier=gap(-1.5, -2.0, -1.0),
    )  # fmt: skip
    views = Views(
        table=Agreement(both=2, first_only=1, second_only=2, neither=50), schools={}, silent=9,
        answers=2, records=3,
    )  # fmt: skip
    sure = Paired(n=40, before=6.0, after=2.0, low=-5.0, high=-3.0, p=1e-9)
    before_after = BeforeAfter(n=40, running=0, result=sure)
    went_apart = msgspec.structs.replace(found, schools=unlike, before_after=before_after)
    monkeypatch.setattr(room, "effects", lambda *_: went_apart)
    monkeypatch.setattr(room, "views", lambda *_: views)
    board = browsers("board")
    page = board.get("/portal/evaluation/effects")
    assert "差は-1.50でした(95%区間 -2.00〜-1.00)" in page and "動きは違っていました" in page
    assert "符号反転検定 p&lt;0.001、" in page, "no p is 0"
    assert "最初のリストより前の前半と後半" in board.client.get("/portal/evaluation/file").text
    alike = msgspec.structs.replace(unlike, earlier=gap(0.1, -1.0, 1.2))
    later = msgspec.structs.replace(found, schools=alike)
    monkeypatch.setattr(room, "effects", lambda *_: later)
    page = board.get("/portal/evaluation/effects")
    assert "前から動きが違っていたとは言えません" in page and "動きは違っていました" not in page
    nobody = Schools(span=0, since=None, with_lists=(), without=(), gap=None, earlier=None)
    long_ago = msgspec.structs.replace(found, schools=nobody)
    monkeypatch.setattr(room, "effects", lambda *_: long_ago)
    assert "新しくリストを始めた学校がない" in board.get("/portal/evaluation/effects")
    page = board.get("/portal/evaluation")
    assert "伏せた人数がわかってしまうため、一致率は出しません" in page and "94.5%" not in page


def test_fairness_and_the_file_are_on_the_trail(judged: School, browsers: Browsers) -> None:
    board = browsers("board")
    page = board.get("/portal/evaluation/fairness")
    assert "性別" in page and "この確認のためだけに使い" in page
    assert "判定の項目にも使われています" in page  # household: allowances give points here
    actions = [row.action for row in make.rows(judged.rooms.database, audit)]
    assert actions.count("fairness_report") == 1
    board.get("/portal/evaluation")
    assert "evaluation" in [row.action for row in make.rows(judged.rooms.database, audit)]
    with make.no_trail(judged.rooms.database):
        assert board.client.get("/portal/evaluation/fairness").status_code == 503
    answer = board.client.get("/portal/evaluation/file")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(answer.text.lstrip("\ufeff"))))
    assert rows[0][:3] == ["項目", "対象", "人数"] and all(len(row) == 7 for row in rows)
    precision = next(row for row in rows if row[0].endswith("(的中率)"))
    assert precision[2:5] == ["8", "18", "0.4444"]
    assert not any(row[2] in {"1", "2", "3", "4"} for row in rows[1:])
    actions = [row.action for row in make.rows(judged.rooms.database, audit)]
    assert {"evaluation_file", "fairness_report"} <= set(actions)


def test_a_school_sees_its_missed_children_by_name_and_what_was_known(
    judged: School, browsers: Browsers
) -> None:
    two = judged.children["sakura-2"]
    page = browsers("nurse").get("/portal/evaluation/school/sakura")
    assert f"/portal/students/{two[0]}" in page  # it came to it, never listed
    assert f"/portal/students/{two[10]}" in page  # supported, never listed
    assert f"/portal/students/{judged.children['sakura-1'][0]}" not in page  # listed
    # What was known: its place on May's list among 40, and nothing of what came later.
    assert "40人中21番目(載ったのは12人)" in page
    assert "なった15人のうち7人" in page
    seen = {row.subject for row in make.rows(judged.rooms.database, audit)
            if row.action == "missed"}  # fmt: skip
    assert seen == {*two[:7], *two[10:13]}


def test_names_of_the_missed_are_for_those_whose_duty_covers_them(
    judged: School, browsers: Browsers
) -> None:
    missed = judged.children["sakura-2"][0]
    # The homeroom teacher's duty is a class: the page is not theirs, and they are told whose it is.
    assert "学校全体を見る職務の人のページです" in browsers("homeroom").get(
        "/portal/evaluation/school"
    )
    browsers("homeroom").get("/portal/evaluation/school/sakura", 404)
    browsers("nurse").get("/portal/evaluation/school/school2", 404)
    # The meeting's screen reaches whom it has on its agenda: the numbers, and no such name.
    page = browsers("committee").get("/portal/evaluation/school/sakura")
    assert (
        missed not in page
        and "なった15人のうち7人" in page
        and "この画面では名前を出しません" in page
    )
    english = browsers("nurse")
    english.client.cookies.set("lang", "en")
    text = english.get("/portal/evaluation/school/sakura")
    assert "Of 15 it came to" in text and "載った" not in text and "なった" not in text
    # Whoever refuses is on nobody's page.
    set_opt_out(judged.rooms.log, board=make.BOARD, student=missed, refused=True, actor="x")
    page = browsers("nurse").get("/portal/evaluation/school/sakura")
    assert missed not in page and "なった14人のうち6人" in page
