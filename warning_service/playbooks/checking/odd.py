"""What a playbook may say but probably does not mean: for people to look at again.

None of it keeps a playbook from being used. A place on a list nobody can reach, a duty nobody can
hold, a deadline of a week for what minutes decide: each is allowed, and each has been a slip of the
pen somewhere. Numbers here say from where on something is odd, not what is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from warning_service.catalogue.items import all_items
from warning_service.catalogue.questionnaires import Question, questionnaire
from warning_service.playbooks.checking.positions import Path
from warning_service.playbooks.checking.words import like
from warning_service.playbooks.judging import Pick
from warning_service.playbooks.kinds import Kinds, Step
from warning_service.playbooks.model import ItemInUse, Playbook

Oddity = tuple[Path, str, str]
"""Where, in Japanese, in English."""

DUTIES = frozenset(
    {
        "homeroom", "grade_lead", "nurse", "counsellor", "social_worker", "guidance", "management",
        "committee", "board", "board_guidance", "welfare", "privacy", "accounts", "auditor",
        "operator",
    }
)  # fmt: skip
"""Duties people can hold. A test holds this against access/roles.py, which lies above this room."""

DAY_MINUTES = 24 * 60
LARGE_SHARE = 0.2
"""More than every fifth child is more than any of the systems we know looks at one by one."""


def oddities(playbook: Playbook, current: Playbook | None = None) -> Iterator[Oddity]:
    """All that is odd about a valid playbook; `current`: the one in force, to be replaced."""
    yield from _head(playbook, current)
    yield from _items(playbook)
    yield from _questions(playbook)
    yield from _list(playbook)
    yield from _types_and_bands(playbook)
    yield from _chains(playbook)


def _head(playbook: Playbook, current: Playbook | None) -> Iterator[Oddity]:
    if not playbook.id.isidentifier():
        yield (
            ("id",),
            "この id のファイルは読み込まれません(英数字と _ だけ、数字で始めない)",
            "a file of this id is never read (letters, digits and _, no digit first)",
        )
    if current is None or playbook == current:
        return
    if playbook.id != current.id:
        yield (
            ("id",),
            f"いま使う進め方は「{current.id}」です。別の id のファイルは読み込まれません",
            f"the board works by '{current.id}': a file of another id is not read for it",
        )
    if playbook.id == current.id and playbook.version <= current.version:
        yield (
            ("version",),
            f"いまの版({current.version})より大きくすると、どちらで作ったリストか見分けられます",
            f"raise it above the present {current.version}, to tell their lists apart",
        )
    if playbook.outcome != current.outcome:
        yield (
            ("outcome",),
            "防ぎたいことの定義がいまと違います。学習した結果は引き継がれません",
            "another outcome than at present: what was learned does not carry over",
        )


def _items(playbook: Playbook) -> Iterator[Oddity]:
    method = playbook.judgement.method
    used = _items_of_conditions(playbook)
    if method == "points" and not any(item.points for item in playbook.items):
        yield (
            ("items",),
            "どの項目にも点がありません。点数では誰も選ばれません",
            "no item has points: by points nobody is ever chosen",
        )
    for at, item in enumerate(playbook.items):
        path: Path = ("items", at)
        known = all_items().get(item.id)
        if method == "points" and not item.points and item.id not in used:
            yield (
                path,
                "点がありません(学習したモデルだけが使います)",
                "has no points: only the learned model uses it",
            )
        if method == "formula" and not item.coefficient and item.id not in used:
            yield path, "係数がありません", "has no coefficient"
        if known is None or known.worse != "unknown" or known.kind == "flag":
            continue
        if "at" in item.model_fields_set and (item.points or method == "count"):
            yield (
                (*path, "at"),
                "大きいほど悪いか、小さいほど悪いか、一覧に書かれていません。at 以上で数えます",
                "the catalogue does not say which way is worse: counted from 'at' upwards",
            )
    given = [at for at, item in enumerate(playbook.items) if item.points]
    if given and method in ("formula", "count"):
        yield (
            ("items", given[0], "points"),
            f"method が {method} なので、点は使われません({len(given)} 項目)",
            f"method is '{method}': points count for nothing (of {len(given)} items)",
        )


def _items_of_conditions(playbook: Playbook) -> set[str]:
    rule = playbook.list
    conditions = [*rule.leave_out, *rule.later]
    if playbook.judgement.similar_to is not None:
        conditions.append(playbook.judgement.similar_to)
    found = {condition.item for condition in conditions}
    if rule.second is not None:
        found |= {one.id for one in rule.second.items}
    return found


def _questions(playbook: Playbook) -> Iterator[Oddity]:
    asked: dict[str, Question] = {}
    for name in playbook.questionnaires:
        for one in questionnaire(name).questions:
            asked.setdefault(one.item, one)
    known = sorted(item[2:] for item in asked)

    def never(path: Path, question: str) -> Oddity:
        near = like(question, known)
        return (
            path,
            f"質問「{question}」は、使う調査のどれにもありません"
            + (f"。{near} のことですか" if near else ""),
            f"question '{question}' is in none of the questionnaires in use"
            + (f"; did you mean {near}?" if near else ""),
        )

    for at, item in enumerate(playbook.items):
        question = asked.get(item.id)
        if item.id.startswith("q.") and question is None:
            yield never(("items", at, "id"), item.id[2:])
        elif question is not None and item.points and _beyond(question, item.at):
            yield (
                ("items", at, "at"),
                "この値の答えはありません。点がつくことはありません",
                "no answer is that high: it never gives points",
            )
    own = "alert_rules" in playbook.model_fields_set
    for at, rule in enumerate(playbook.alert_rules):
        if not rule.question or not own:
            continue
        about = asked.get(f"q.{rule.question}")
        if about is None:
            yield never(("alert_rules", at, "question"), rule.question)
        elif rule.at is not None and rule.kind != "fall" and _beyond(about, rule.at):
            yield (
                ("alert_rules", at, "at"),
                "この値の答えはありません。お知らせは出ません",
                "no answer is that high: it is never raised",
            )
    for at, name in enumerate(playbook.sharing.welfare_sees):
        if name.startswith("q.") and name != "q.*" and name not in asked:
            yield never(("sharing", "welfare_sees", at), name[2:])
    if playbook.questionnaires and not any(r.kind == "critical" for r in playbook.alert_rules):
        yield (
            ("alert_rules",),
            '命にかかわる回答のお知らせ(kind = "critical")がありません',
            "no rule for answers about life and death (kind 'critical')",
        )


def _beyond(question: Question, at: float) -> bool:
    return bool(question.answers) and at > max(answer.value for answer in question.answers)


# -- the list ----


def most(playbook: Playbook, items: Sequence[ItemInUse]) -> float | None:
    """The highest score these items can give; None where there is no highest."""
    method = playbook.judgement.method
    if method == "points":
        return sum(item.points for item in items)
    if method == "count":
        return float(len(items))
    return 1.0 if method in ("similarity", "formula") else None


def _list(playbook: Playbook) -> Iterator[Oddity]:
    rule, judgement = playbook.list, playbook.judgement
    highest = most(playbook, playbook.items)
    if highest is not None and judgement.sibling is not None:
        if judgement.sibling.at > highest:
            yield (
                ("judgement", "sibling", "at"),
                f"きょうだいの点がこの値に届くことはありません(最高 {highest:g})",
                f"no sibling can reach it (at most {highest:g})",
            )
        highest += judgement.sibling.points
    for at, pick in enumerate(rule.picks):
        yield from _pick(playbook, pick, ("list", "picks", at), highest)
    if rule.budget_share is not None and rule.budget_share > LARGE_SHARE:
        yield (
            ("list", "budget_share"),
            "5人に1人より多くなります。一人ずつ見る時間があるか確かめてください",
            "more than every fifth child: is there time to look at each?",
        )
    if len(set(rule.months)) != len(rule.months):
        yield ("list", "months"), "同じ月が二度あります", "a month stands twice"
    if 8 in rule.months and len(set(rule.months)) == 1:
        yield (
            ("list", "months"),
            "8月だけです。登校日がなければリストは作られません",
            "August alone: without a school day no list is made",
        )


def _pick(playbook: Playbook, pick: Pick, path: Path, highest: float | None) -> Iterator[Oddity]:
    if pick.grades is not None and pick.grades[0] > pick.grades[1]:
        yield (
            (*path, "grades"),
            "学年は小さいほうから書きます。いまのままでは誰も選ばれません",
            "grades run from the lower to the higher: this takes nobody",
        )
    by_type = pick.each == "type"
    if pick.by == "at_least" and pick.at is not None:
        if by_type:
            tops = [_most_of_type(playbook, kind.id) for kind in playbook.types]
            highest = None if any(top is None for top in tops) else max(
                (top for top in tops if top is not None), default=0.0)  # fmt: skip
        if highest is not None and pick.at > highest:
            yield (
                (*path, "at"),
                f"誰も選ばれません(最高でも {highest:g})",
                f"can never take anybody: the highest score is {highest:g}",
            )
        if pick.at <= 0 and playbook.judgement.method != "formula":
            yield (
                (*path, "at"), "0 以下なので、全員が選ばれます", "0 or less: everybody is taken"
            )  # fmt: skip
    if pick.by in ("items", "top_items"):
        basic = sum(1 for one in playbook.items if _is_basic(one.id))
        count = {"all": len(playbook.items), "basic": basic}.get(
            pick.of, len(playbook.items) - basic
        )
        if count == 0 or (pick.by == "items" and (pick.n or 0) > count):
            yield (
                (*path, "of" if count == 0 else "n"),
                f"誰も選ばれません(数える項目は {count} 個)",
                f"can never take anybody: there are {count} such items",
            )


def _is_basic(item: str) -> bool:
    known = all_items().get(item)
    return known is not None and known.basic is not None


def _most_of_type(playbook: Playbook, kind: str) -> float | None:
    return most(playbook, [i for i in playbook.items if not i.types or kind in i.types])


def _types_and_bands(playbook: Playbook) -> Iterator[Oddity]:
    apart = any(item.types for item in playbook.items)
    for at, kind in enumerate(playbook.types):
        mine = [item for item in playbook.items if not item.types or kind.id in item.types]
        if apart and not any(kind.id in item.types for item in playbook.items):
            yield (
                ("types", at),
                "この類型だけを表す項目がありません",
                "no item speaks for this type in particular",
            )
        highest = most(playbook, mine)
        if kind.at is not None and highest is not None and kind.at > highest:
            yield (
                ("types", at, "at"),
                f"届く子はいません(最高 {highest:g})",
                f"nobody can reach it: the highest score is {highest:g}",
            )
    highest = most(playbook, playbook.items)
    if playbook.judgement.sibling is not None and highest is not None:
        highest += playbook.judgement.sibling.points
    for at, band in enumerate(playbook.bands.levels if playbook.bands is not None else ()):
        if band.at is not None and highest is not None and band.at > highest:
            yield (
                ("bands", "levels", at, "at"),
                f"このレベルになる子はいません(最高 {highest:g})",
                f"nobody can have this level: the highest score is {highest:g}",
            )


# -- who is told ----


def _chains(playbook: Playbook) -> Iterator[Oddity]:
    escalation = playbook.escalation
    open_minutes = 60 * (escalation.school_closes - escalation.school_opens)
    chains: list[tuple[Path, Sequence[Step], str]] = [
        (("escalation", name), getattr(escalation, name), name)
        for name in ("urgent", "today", "routine")
    ]
    for name in Kinds.model_fields:
        kind = playbook.kinds.of(name)
        chains.append((("kinds", name, "steps"), kind.steps, kind.urgency))
    for path, steps, urgency in chains:
        longest = DAY_MINUTES if urgency == "urgent" else max(1, open_minutes)
        for at, step in enumerate(steps):
            for d, duty in enumerate(step.duties):
                if duty not in DUTIES:
                    near = like(duty, sorted(DUTIES))
                    yield (
                        (*path, at, "duties", d),
                        f"役割「{duty}」を持てる人はいません"
                        + (f"。{near} のことですか" if near else ""),
                        f"nobody can hold the duty '{duty}'"
                        + (f"; did you mean {near}?" if near else ""),
                    )
            if step.minutes > longest and urgency != "routine":
                yield (
                    (*path, at, "minutes"),
                    "次の段階まで一日より長くかかります",
                    "the next step is more than a day away",
                )
            if step.school_days and urgency == "urgent":
                yield (
                    (*path, at, "school_days"),
                    "急ぐお知らせの期限が登校日で数えられています(夜と休日は進みません)",
                    "an urgent step counted in school days: nights and holidays do not count",
                )
