"""What the pages say of a list made by picks, types and levels."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select, update

from tests import make
from tests.teacher_portal.conftest import Browsers
from tests.teacher_portal.school import School
from warning_service.judging.rules import SIBLING
from warning_service.judging.tables import list_entries, warning_lists
from warning_service.playbooks.judging import Condition

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

LEVEL = {
    "key": "town:A", "scheme": "兆市レベル", "scheme_en": "Town level", "label": "優先",
    "label_en": "first",
}  # fmt: skip
WHY = {
    "probability": None, "method": "points", "mark": 7.0, "sibling_points": 2.0, "level": LEVEL,
    "items_reached": {"basic": 4, "other": 3},
    "picks": [{"id": "t", "label": "類型のめやす", "label_en": "a type's mark"}],
    "types": [
        {"id": "p", "label": "貧困", "label_en": "Poverty", "score": 3.5, "reached": True,
         "took": True},
        {"id": "b", "label": "いじめ", "label_en": "Bullying", "score": 0.0, "reached": False,
         "took": False},
    ],
    "held": {"school": 3.0, "others": 8.0},
    "second": {"reached": 2, "least": 1}, "later": True, "place_of_board": 17,
}  # fmt: skip


def change(school: School, list_id: str, why: dict[str, Any], judge_why: dict[str, Any]) -> None:
    with school.rooms.database.writing() as conn:
        e, w = list_entries.c, warning_lists.c
        held = conn.execute(select(e.evidence).where(e.list_id == list_id)).scalar_one()
        text = json.dumps({**json.loads(held), **why})
        conn.execute(update(list_entries).where(e.list_id == list_id).values(evidence=text))
        conn.execute(
            update(warning_lists)
            .where(w.id == list_id)
            .values(judge_why=json.dumps({"reason": "too_few_outcomes", **judge_why}))
        )


def test_why_a_child_is_on_the_list(school: School, browsers: Browsers) -> None:
    list_id = school.warning_list(school.children["sakura-1"][:1])
    board = {"scope": "board", "budget": 200, "ranked_of_board": 4000}
    change(school, list_id, WHY, board)
    page = browsers("nurse").get(f"/portal/lists/{list_id}")
    for words in (
        "兆市レベル 優先", "載った理由: 類型のめやす", "貧困", "3.5", "この類型で載った",
        "基本連携データ項目 4、ほか 3", "二次スクリーニング: 2項目", "きょうだいによる加点 2点",
        "全部の学校・園の中で 17番目", "あとの順番", "全部の学校・園あわせて 4000人から",
        "全部の学校・園あわせて 200人まで。",
        "当てはまっても、困難があるとは限りません",
    ):  # fmt: skip
        assert words in page, words
    assert page.count("この類型で載った") == 1 and "めやす以上" not in page
    # What other departments hold is not to be read off a type's score.
    own = browsers("homeroom").get(f"/portal/lists/{list_id}")
    assert "載った理由: 類型のめやす" in own and "兆市レベル 優先" in own
    more = browsers("homeroom").get(
        f"/portal/lists/{list_id}/entry/{school.children['sakura-1'][0]}"
    )
    assert "学校が持つデータで 3点、学校以外が持つデータで 8点" in page
    for words in ("貧困", "基本連携データ項目 4", "きょうだいによる加点", "学校以外が持つ"):
        assert words not in own, words
        assert words not in more, words
    whole = browsers("nurse").get(f"/portal/lists/{list_id}/entry/{school.children['sakura-1'][0]}")
    assert "貧困" in whole and "きょうだいによる加点 2点" in whole
    assert "載った類型: 貧困" in whole
    meeting = browsers("committee").get(f"/portal/committee/{list_id}")
    assert "兆市レベル 優先" in meeting and "載った類型: 貧困" in meeting
    entry = f"/portal/lists/{list_id}/entry/{school.children['sakura-1'][0]}"
    assert f'href="{entry}"' in meeting
    assert "リストに載ったわけ" in browsers("committee").get(entry)


def test_a_list_is_narrowed_to_one_type_of_difficulty(school: School, browsers: Browsers) -> None:
    children = school.children["sakura-1"][:2]
    list_id = school.warning_list(children)
    poverty, bullying = WHY["types"]
    types = [[poverty, bullying], [{**poverty, "took": False}, {**bullying, "took": True}]]
    with school.rooms.database.writing() as conn:
        for child, mine in zip(children, types, strict=True):
            of = (list_entries.c.list_id == list_id) & (list_entries.c.student == child)
            held = json.loads(conn.execute(select(list_entries.c.evidence).where(of)).scalar_one())
            text = json.dumps({**held, **WHY, "types": mine})
            conn.execute(update(list_entries).where(of).values(evidence=text))
    page = browsers("nurse").get(f"/portal/lists/{list_id}")
    assert "どの類型も 2" in page and "貧困 1</a>" in page and "いじめ 1</a>" in page
    one = browsers("nurse").get(f"/portal/lists/{list_id}?risk=b&sort=class")
    assert f"opinion-{children[1]}" in one and f"opinion-{children[0]}" not in one
    assert "すべて 1" in one and "only=new&amp;risk=b" in one
    none = browsers("nurse").get(f"/portal/lists/{list_id}?risk=b&only=supported")
    assert "しぼりこみ" in none and "opinion-" not in none
    # To a homeroom teacher a type would tell what other departments hold.
    own = browsers("homeroom").get(f"/portal/lists/{list_id}?risk=b")
    assert "どの類型も" not in own and f"opinion-{children[0]}" in own


def test_where_every_item_is_hidden_the_page_does_not_say_there_is_nothing(
    school: School, browsers: Browsers
) -> None:
    child = school.children["sakura-1"][0]
    list_id = school.warning_list([child])
    change(school, list_id, {"raising": [], "lowering": []}, {})
    for login, path in (
        ("homeroom", f"/portal/lists/{list_id}"),
        ("nurse", f"/portal/lists/{list_id}/entry/{child}"),
        ("committee", f"/portal/committee/{list_id}"),
    ):
        page = browsers(login).get(path)
        assert "この画面に出せる事実はありません" in page and "心配を高めた事実" not in page, path


def test_a_siblings_part_and_a_register_are_not_read_off_an_entry(
    school: School, browsers: Browsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = school.children["sakura-1"][0]
    list_id = school.warning_list([child])
    line = {
        "feature": SIBLING, "item": SIBLING, "share": 0.5, "text_ja": "同じ世帯の子どもの記録",
        "text_en": "Records of another child of the home",
    }  # fmt: skip
    change(school, list_id, {"later": True, "raising": [line]}, {})
    paths = (f"/portal/lists/{list_id}", f"/portal/lists/{list_id}/entry/{child}")
    for path in paths:
        own, whole = browsers("homeroom").get(path), browsers("nurse").get(path)
        assert "同じ世帯" not in own and "本人以外の事情" in own
        assert "同じ世帯" in whole and "本人以外の事情" not in whole
        assert "あとの順番" in own and "あとの順番" in whole
    # Where only a register puts children later, the word would say that this child is on it.
    now = school.rooms.playbooks.of(make.BOARD)
    register = Condition(item="youtaikyo_case", label="要対協に登録中", label_en="Now at 要対協")
    places = now.list.model_copy(update={"later": (register,)})
    told = now.model_copy(update={"list": places})
    monkeypatch.setattr(school.rooms.playbooks, "of", lambda board: told)
    for path in paths:
        for login in ("homeroom", "nurse"):
            assert "あとの順番" not in browsers(login).get(path), (path, login)
    opened = now.sharing.model_copy(update={"school_sees": ("youtaikyo_case",)})
    told = told.model_copy(update={"sharing": opened})
    assert "あとの順番" in browsers("nurse").get(paths[0])


def test_a_score_is_told_in_its_methods_terms(school: School, browsers: Browsers) -> None:
    list_id, nurse = school.warning_list(school.children["sakura-1"][:1]), browsers("nurse")
    for method, mark, words in (
        ("formula", 0.31, "計算式による見込み 31%"),
        ("similarity", 0.62, "近さ 62%"),
        ("count", 5.0, "あてはまる項目 5個"),
    ):
        why = {"probability": None, "method": method, "mark": mark}
        change(school, list_id, why, {"places": "picked"})
        page = nurse.get(f"/portal/lists/{list_id}")
        assert words in page and "規則の点数" not in page
        assert "決まりにあてはまった 1人です。" in page


def test_an_empty_list_is_empty_and_not_somebody_elses(school: School, browsers: Browsers) -> None:
    path = f"/portal/lists/{school.warning_list([])}"
    assert "このリストに載った人はいません" in browsers("nurse").get(path)
    assert "あなたの担当する児童生徒はいません" in browsers("homeroom").get(path)


def test_a_child_no_longer_listed_is_said_to_be_so(school: School, browsers: Browsers) -> None:
    first, second, left_out, never = school.children["sakura-1"][:4]
    school.warning_list([first, second, left_out], on=date(2026, 4, 1))
    school.warning_list([second], ranked=[first], on=date(2026, 5, 1))
    nurse = browsers("nurse")
    assert "いちばん新しい2026年5月1日(金)のリストには載っていません" in nurse.get(
        f"/portal/students/{first}"
    )
    for student in (second, left_out, never):
        assert "いちばん新しい" not in nurse.get(f"/portal/students/{student}")


def test_where_no_list_is_the_page_says_when_one_comes_and_to_whom(
    school: School, browsers: Browsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    books, now = school.rooms.playbooks, school.rooms.playbooks.of(make.BOARD)

    def works_by(**parts: Any) -> None:
        told = now.model_copy(update=parts)
        monkeypatch.setattr(books, "of", lambda board: told)
        monkeypatch.setattr(books, "for_help", lambda board: told)

    pages = ("/portal", "/portal/lists")
    for change_of, words in (
        ({}, "毎月はじめの登校日"),
        ({"months": (6, 11)}, "6・11月の、はじめの登校日"),
        ({"cadence": "first_school_day_of_week"}, "毎週はじめの登校日"),
    ):
        works_by(list=now.list.model_copy(update=change_of))
        assert all(words in browsers("nurse").get(path) for path in pages), words
    works_by(judgement=now.judgement.model_copy(update={"method": "none"}))
    home = browsers("nurse").get("/portal")
    assert "リスト(点数や判定)を作りません" in home and "毎月はじめ" not in home
    # Somebody whose lists are those of a meeting, where this board has no seat for such a one: the
    # list is not empty, it is not theirs.
    school.warning_list(school.children["sakura-1"][:2])
    works_by(review=now.review.model_copy(update={"duties": ("welfare",)}))
    for path in pages:
        page = browsers("committee").get(path)
        assert "あなたが加わる会議はありません" in page and "0<small>" not in page
        assert 'href="/portal/lists"' not in page
    assert "載っている人" in browsers("nurse").get("/portal")
