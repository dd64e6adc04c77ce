"""Each decision has its letter; a letter about help says the one sentence and nothing else."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace

import pytest

from warning_service.rights.disclosure import Withheld
from warning_service.rights.letters import letter
from warning_service.rights.service import View
from warning_service.rights.terms import AskedBy, Decision, Kind, State

TODAY = date(2026, 5, 11)


def view(kind: Kind, decision: str = "", by: AskedBy = AskedBy.LEGAL) -> View:
    row = SimpleNamespace(received_on=date(2026, 5, 1), due_on=date(2026, 6, 1), decision=decision)
    return View(
        row=row, kind=kind, state=State.DECIDED, asked_by=by, days_left=None, reference="r-1"
    )


@pytest.mark.parametrize(
    ("kind", "decision", "title", "article"),
    [
        (Kind.DISCLOSURE, Decision.FULL, "開示決定通知書", "第82条第1項"),
        (Kind.DISCLOSURE, Decision.PART, "一部開示決定通知書", "第82条第1項"),
        (Kind.DISCLOSURE, Decision.NONE, "不開示決定通知書", "第82条第2項"),
        (Kind.DISCLOSURE, Decision.NO_ANSWER, "不開示決定通知書", "第81条"),
        (Kind.CORRECTION, Decision.ACCEPTED, "訂正決定通知書", "第93条第1項"),
        (Kind.CORRECTION, Decision.REFUSED, "訂正をしない旨の決定通知書", "第93条第2項"),
        (Kind.STOP, Decision.ACCEPTED, "利用停止決定通知書", "第101条第1項"),
        (Kind.STOP, Decision.REFUSED, "利用停止をしない旨の決定通知書", "第101条第2項"),
    ],
)
def test_each_decision_has_its_letter(
    kind: Kind, decision: Decision, title: str, article: str
) -> None:
    made = letter(view(kind, decision), "兆 児1", TODAY, reason="わけ")
    text = "".join(block.text for block in made.blocks)
    assert made.title == title and article in text and "わけ" in text
    # Whoever gets less than was asked for is told what can be done about it.
    contested = decision in {Decision.PART, Decision.NONE, Decision.NO_ANSWER, Decision.REFUSED}
    assert ("審査請求" in text) is contested
    assert ("兆 児1" in text) is (decision is not Decision.NO_ANSWER)


def test_what_concerns_help_is_one_sentence() -> None:
    withheld = [
        Withheld(section="相談", what="", ground="harm", note="ひみつ", about_help=True),
        Withheld(section="アラート", what="5月1日", ground="harm", note="ひみつ", about_help=True),
        Withheld(section="学校の記録", what="欠席", ground="conduct", note="ひみつ"),
    ]
    made = letter(view(Kind.DISCLOSURE, Decision.PART), "x", TODAY, withheld=withheld)
    told = [block.text for block in made.blocks if block.kind == "li"]
    assert len(told) == 2 and "あるかないかも含めて" in told[0] and "第78条第1項第7号" in told[1]
    assert "ひみつ" not in str(made) and "5月1日" not in str(told)


def test_corrections_refusals_and_longer_terms() -> None:
    corrected = [
        SimpleNamespace(day=date(2026, 4, 9), was=2.0, should_be=None),
        SimpleNamespace(day=date(2026, 4, 10), was=2.0, should_be=1.0),
    ]
    made = letter(view(Kind.CORRECTION, "accepted"), "x", TODAY, corrected=corrected)
    assert [b.text for b in made.blocks if b.kind == "li"] == [
        "2026年4月9日の記録: 訂正前 2、訂正後 なかったこととする",
        "2026年4月10日の記録: 訂正前 2、訂正後 1",
    ]
    longer = letter(view(Kind.STOP, ""), "x", TODAY, extension=True, reason="多い")
    assert (
        "2026年6月1日まで延長" in longer.blocks[0].text and "第102条第2項" in longer.blocks[0].text
    )
    refused = letter(view(Kind.OPT_OUT, "effective", AskedBy.CHILD), "x", TODAY)
    assert refused.to == "本人 様" and "相談" in refused.blocks[1].text
    back = letter(view(Kind.WITHDRAWAL, "effective"), "x", TODAY)
    assert back.to == "保護者・代理人 様" and "ふたたび使います" in back.blocks[0].text
