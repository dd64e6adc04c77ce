"""What has changed in the data is told in words; a list says how all three judges stand."""

from __future__ import annotations

import hashlib
import json
from datetime import date

import msgspec
import numpy as np
import pytest
from sqlalchemy import insert, update

from models.drift import Watch
from tests import make
from tests.teacher_portal.conftest import Browser, Browsers
from tests.teacher_portal.school import School
from warning_service.access.tables import audit
from warning_service.judging.drift import WATCH
from warning_service.judging.tables import model_snapshots, warning_lists
from warning_service.roster.tables import closed_days

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
DAY = date(2026, 1, 5).toordinal()


def store(school: School, watch: Watch) -> None:
    state = msgspec.msgpack.encode(watch, order="deterministic")
    with school.rooms.database.writing() as conn:
        conn.execute(
            insert(model_snapshots).values(
                board=make.BOARD, name=WATCH, position=1, versions="{}", state=state,
                sha256=hashlib.sha256(state).hexdigest(),
            )
        )  # fmt: skip


def watched(*, wrong: bool = False) -> Watch:
    dice, watch = np.random.default_rng(1), Watch()
    for step in range(5):
        day = DAY + 28 * step
        late = dice.poisson(6 if step == 4 else 1, 400) * 1.0
        absent = dice.poisson(1, 400) * 1.0 if step < 3 else np.zeros(400)
        watch.look("late_days", day, late.tolist(), day)
        watch.look("absent_days", day, absent.tolist(), min(day, DAY + 28 * 2))
        watch.look("nurse_visits", day, dice.poisson(2, 400).tolist(), day)
        watch.looked_on = day
    for step in range(20):
        odds = np.full(500, -2.2)
        watch.settle(DAY + 7 * step, odds, dice.random(500) < (0.4 if wrong else 0.1))
    return watch


@pytest.fixture
def operator(school: School, browsers: Browsers) -> Browser:
    make.staff(school.rooms.database, "operator", ("operator", make.BOARD))
    return browsers("operator")


@SQLITE
def test_before_anything_was_looked_at_the_page_says_when(operator: Browser) -> None:
    text = operator.get("/portal/feeds")
    assert "まだ見くらべるものがありません" in text


@SQLITE
def test_changes_are_told_in_words_to_board_and_operator(
    school: School, operator: Browser, browsers: Browsers
) -> None:
    store(school, watched())
    make.staff(school.rooms.database, "office", ("board", make.BOARD))
    board = browsers("office")
    for text in (operator.get("/portal/feeds"), board.get("/portal/drift")):
        worth = text.split('id="model-head"')[0]
        assert (
            "「遅刻" in worth
            and "この項目の出かたが、先月やこれまでから大きく変わりました" in worth
        )
        assert "「欠席" in worth and "新しさの期限より長く、1件も届いていません" in worth
        assert "保健室" not in worth, "what is as before is in the table only"
        assert "保健室" in text and "いつもどおり" in text
        assert "言ったとおりに起きています" in text and "変わりめは見つかっていません" in text
    board.client.cookies.set("lang", "en")
    english = board.get("/portal/drift")
    assert "very differently from last month" in english and "What was stated came true" in english
    operator.get("/portal/drift", status=403)


@SQLITE
def test_the_board_is_not_sent_looking_because_of_a_vacation(
    school: School, operator: Browser
) -> None:
    closed = [date.fromordinal(DAY + 28 * 3 + n) for n in range(1, 29)]  # before the latest look
    with school.rooms.database.writing() as conn:
        rows = [{"board": make.BOARD, "school": "", "day": day, "why": "春休み"} for day in closed]
        conn.execute(insert(closed_days), rows)
    store(school, watched())
    text = operator.get("/portal/feeds")
    worth = text.split('id="model-head"')[0]
    assert (
        "「遅刻" not in worth and "「欠席" not in worth and "大きく変わった項目、止まって" in worth
    )
    [late] = [row for row in text.split('<th scope="row">')[1:] if "遅刻" in row.split("</th>")[0]]
    assert "休みの月(くらべない)" in late


@SQLITE
def test_what_few_children_have_is_told_neither_by_a_share_nor_by_a_day(
    school: School, operator: Browser
) -> None:
    watch, nobody = watched(), [float("nan")]
    for step, known in ((5, 30), (6, 3)):
        day = DAY + 28 * step
        watch.look("late_days", day, [1.0] * known + nobody * (400 - known), day)
        # On record of one child, since that day.
        watch.look("nurse_visits", day, [0.0] * 399 + [1.0], day)
        watch.look("absent_days", day, [float(n % 3) for n in range(400)], day)
        watch.looked_on = day
    store(school, watch)
    text = operator.get("/portal/feeds")
    rows = {row.split("</th>")[0]: row for row in text.split('<th scope="row">')[1:]}
    [late] = [row for name, row in rows.items() if "遅刻" in name]
    assert "99.2%" not in text and "0.8%" not in text, "three of four hundred"
    assert "非表示" in late and "(先月 92.5%)" in late
    day = date.fromordinal(DAY + 28 * 6)
    [nurse] = [row for name, row in rows.items() if "保健室" in name]
    assert f"{day.year}年{day.month}月<" in nurse and f"{day.month}月{day.day}日" not in nurse
    [absent] = [row for name, row in rows.items() if "欠席" in name]
    assert f"{day.month}月{day.day}日" in absent
    actions = [(row.action, row.detail) for row in make.rows(school.rooms.database, audit)]
    assert ("board_counts", "drift") in actions


@SQLITE
def test_a_model_that_says_too_little_is_told(school: School, operator: Browser) -> None:
    store(school, watched(wrong=True))
    text = operator.get("/portal/feeds")
    assert "足りません。実際には、言った確率より多く起きました" in text


@SQLITE
def test_drift_is_among_the_metrics(school: School, operator: Browser) -> None:
    store(school, watched())
    text = operator.client.get("/metrics").text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    name = f'{{board="{make.BOARD}",item="late_days"}}'
    assert float(lines[f"kizashi_item_drift{name}"]) > 0.25
    assert float(lines[f"kizashi_item_silent_days{name}"]) >= 0
    assert 0.05 < float(lines[f'kizashi_model_stated_rate{{board="{make.BOARD}"}}']) < 0.15


@SQLITE
@pytest.mark.parametrize(
    ("why", "wanted", "english"),
    [
        ({"challenger": "silent"}, "まだ何も言っていません", "says nothing yet"),
        (
            {
                "challenger": "clearly_better", "against": "model", "auc_challenger": 0.81,
                "auc_of_present": 0.74, "challenger_lead": 0.07, "challenger_needs": 0.031,
            },
            "作り直すモデル 0.81、学習したモデル 0.74(差 +0.070。任せるのは +0.031",
            "lead +0.070; it takes over beyond +0.031",
        ),
        (  # nothing can be said of chance yet: no figure that looks like a hurdle
            {
                "challenger": "too_little_compared", "against": "model", "auc_challenger": 0.97,
                "auc_of_present": 0.87, "challenger_lead": 0.1, "challenger_needs": None,
            },
            "作り直すモデル 0.97、学習したモデル 0.87(偶然の差かどうかは、まだ言えません)",
            "whether by chance cannot be told yet",
        ),
        (  # a figure below the rule's is no worse where chance makes as much
            {
                "challenger": "silent", "reason": "model_measured_no_worse", "auc_model": 0.78,
                "auc_rules": 0.89, "doubt": 0.152,
            },
            "点数の規則 0.89(0.5は当てずっぽう)。 0.15くらいまでの差は、偶然でもよく出ます",
            "Differences of up to 0.15 often come by chance",
        ),
    ],
)  # fmt: skip
def test_a_list_says_how_the_three_stand(
    school: School, browsers: Browsers, why: dict[str, object], wanted: str, english: str
) -> None:
    list_id = school.warning_list(school.children["sakura-1"][:2])
    nurse, page = browsers("nurse"), f"/portal/lists/{list_id}"
    assert "勾配ブースティング" not in nurse.get(page), "a list older than the challenger"
    reason = "challenger_measured_better" if "against" in why else "too_few_outcomes"
    with school.rooms.database.writing() as conn:
        conn.execute(
            update(warning_lists)
            .where(warning_lists.c.id == list_id)
            .values(judge="challenger", judge_why=json.dumps({"reason": reason, "hits": 3, **why}))
        )
    text = nurse.get(page)
    assert wanted in text and "結果がふえるたびに作り直すモデルによる" in text
    nurse.client.cookies.set("lang", "en")
    assert english in nurse.get(page)
