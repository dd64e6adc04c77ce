"""Letters to families: decisions, an extension, a refusal received. In Japanese: they are letters.

They say what was decided, by which article, why, and what the family can do about it. What concerns
calls for help is named by one sentence, whatever there is. A board checks form and instruction on
remedies against its own rules before it hands one over.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec

from warning_service.rights.disclosure import Withheld
from warning_service.rights.file import help_sentence
from warning_service.rights.service import View
from warning_service.rights.terms import GROUNDS, LAW, TERMS, AskedBy, Decision, Kind

_ASKED = {Kind.DISCLOSURE: "開示", Kind.CORRECTION: "訂正", Kind.STOP: "利用停止"}
_ARTICLES = {Kind.CORRECTION: "第93条", Kind.STOP: "第101条"}
_REMEDIES = (
    "この決定を知った日の翌日から3か月以内に、審査請求ができます(行政不服審査法第18条第1項)。"
    "また、決定を知った日から6か月以内に、取消しの訴えを起こせます(行政事件訴訟法第14条第1項)。"
    "あて先は窓口におたずねください。"
)


class Block(msgspec.Struct, frozen=True):
    """A piece of the letter. `kind`: p, h2, li, or words (somebody's own)."""

    kind: str
    text: str


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """What is printed."""

    reference: str
    on: str
    to: str
    title: str
    blocks: list[Block]


def day(on: date) -> str:
    """2026年5月11日."""
    return f"{on.year}年{on.month}月{on.day}日"


def letter(
    view: View,
    name: str,
    today: date,
    *,
    reason: str = "",
    withheld: Sequence[Withheld] = (),
    corrected: Sequence[Any] = (),
    extension: bool = False,
) -> Letter:
    """The letter for a request as it stands; with `extension`, the one about the longer term."""
    about = f"{day(view.row.received_on)}に受け付けたご請求"
    named = f"{about}({name} さんに関するもの)"
    if extension:
        title = f"{_ASKED[view.kind]}決定等の期限の延長について"
        until = f"決定の期限を{day(view.row.due_on)}まで延長します"
        blocks = [Block("p", f"{named}は、{LAW}{TERMS[view.kind].extension}により、{until}。")]
    elif view.kind is Kind.OPT_OUT:
        title, blocks = "不同意書を受け付けました", _refusal(name)
    elif view.kind is Kind.WITHDRAWAL:
        title, blocks = "不同意の撤回を受け付けました", _withdrawal(name)
    else:
        decision = Decision(view.row.decision)
        title = _title(view.kind, decision)
        opening = about if decision is Decision.NO_ANSWER else named
        blocks = [Block("p", f"{opening}について、次のとおり決定しました。")]
        if view.kind is Kind.DISCLOSURE:
            blocks += _disclosed(decision, withheld)
        else:
            blocks += _amended(view.kind, decision, corrected)
    if reason:
        blocks += [Block("h2", "理由"), Block("words", reason)]
    if not extension and view.row.decision in _CONTESTABLE:
        blocks += [Block("h2", "不服があるとき"), Block("p", _REMEDIES)]
    to = "本人" if view.asked_by is AskedBy.CHILD else "保護者・代理人"
    return Letter(
        reference=f"受付番号 {view.reference}", on=day(today), to=f"{to} 様", title=title,
        blocks=blocks,
    )  # fmt: skip


_CONTESTABLE = {Decision.PART, Decision.NONE, Decision.NO_ANSWER, Decision.REFUSED}


def _refusal(name: str) -> list[Block]:
    return [
        Block(
            "p",
            f"{name} さんについて、データの連携、予兆リスト、モデルの学習への利用を、"
            "受け付けと同時にやめました。すでにあるモデルからも、作りなおして外します。",
        ),
        Block(
            "p",
            "お子さんは、これまでどおり健康観察に答え、先生に相談できます。相談と、いのちにかかわる回答は、"
            "これからも先生に届きます。",
        ),
        Block("p", "不同意はいつでも撤回できます。"),
    ]


def _withdrawal(name: str) -> list[Block]:
    return [
        Block(
            "p",
            f"{name} さんについて、受け付けた日からの記録を、データの連携、予兆リスト、"
            "モデルの学習にふたたび使います。それより前の記録は使いません。",
        ),
        Block("p", "不同意書は、いつでもあらためて出せます。"),
    ]


def _title(kind: Kind, decision: Decision) -> str:
    if kind is Kind.DISCLOSURE:
        how = {Decision.FULL: "開示", Decision.PART: "一部開示"}.get(decision, "不開示")
        return f"{how}決定通知書"
    how = "" if decision is Decision.ACCEPTED else "をしない旨の"
    return f"{_ASKED[kind]}{how}決定通知書"


def _disclosed(decision: Decision, withheld: Sequence[Withheld]) -> list[Block]:
    if decision is Decision.NONE:
        return [Block("p", f"{LAW}第82条第2項により、開示しません。")]
    if decision is Decision.NO_ANSWER:
        return [
            Block(
                "p",
                "ご請求の情報があるかないかを答えるだけで、開示しないこととされている情報を開示することに"
                "なるため、あるかないかを明らかにせず、ご請求に応じません"
                f"({LAW}第81条、第82条第2項)。",
            )
        ]
    how = "すべて" if decision is Decision.FULL else "次のものをのぞいて"
    blocks = [
        Block(
            "p",
            f"「Kizashi(兆し)」が持つ保有個人情報を、{how}開示します({LAW}第82条第1項)。"
            "だれでも開ける形のファイルでお渡しします。",
        )
    ]
    helped = next((one for one in withheld if one.about_help), None)
    if withheld:
        blocks.append(Block("h2", "開示しない部分とその理由"))
    if helped is not None:
        blocks.append(Block("li", help_sentence(helped.ground)))
    for one in withheld:
        if not one.about_help:
            why = GROUNDS[one.ground]
            blocks.append(Block("li", f"{one.section} {one.what}: {why.article}({why.ja})"))
    return blocks


def _amended(kind: Kind, decision: Decision, corrected: Sequence[Any]) -> list[Block]:
    article = f"{LAW}{_ARTICLES[kind]}"
    if decision is not Decision.ACCEPTED:
        return [Block("p", f"{_ASKED[kind]}をしません({article}第2項)。")]
    if kind is Kind.STOP:
        return [Block("p", f"保有個人情報の利用を停止しました({article}第1項)。")]
    blocks = [Block("p", f"保有個人情報を訂正しました({article}第1項)。")]
    for one in corrected:
        after = "なかったこととする" if one.should_be is None else f"{one.should_be:g}"
        blocks.append(Block("li", f"{day(one.day)}の記録: 訂正前 {one.was:g}、訂正後 {after}"))
    return blocks
