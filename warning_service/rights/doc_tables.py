"""The tables in docs/personal-data*.md, made from what the service works by.

`python -m warning_service.rights.doc_tables` rewrites what stands between the markers; a test holds
the files to it, so that the documents cannot say something else than the program does.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from warning_service.access.retention import Clock, shipped_clocks
from warning_service.access.roles import OFFICES, PURPOSES, Ability, Purpose, Reach, Role
from warning_service.catalogue.items import all_items
from warning_service.rights.register import SENSITIVE
from warning_service.rights.terms import GROUNDS, TERMS, Kind
from warning_service.rights.words import ROLE_JA

FILES = {"en": Path("docs/personal-data.md"), "ja": Path("docs/personal-data.ja.md")}

REACH = {
    Reach.SELF: ("oneself", "自分"),
    Reach.CLASS: ("own class or grade, while enrolled", "担当の学級・学年に在籍中の子"),
    Reach.SCHOOL: ("the school's roll of the day", "その日、学校に在籍する子"),
    Reach.BOARD: ("the board's schools", "教育委員会のすべての学校の子"),
    Reach.AGENDA: ("children on the meeting's list", "会議のリストに載った子だけ"),
    Reach.CASES: ("children handed over to it", "引き継がれた子だけ"),
    Reach.NOBODY: ("no child by name", "だれの名前も見ない"),
}

ABILITY = {
    Ability.ANSWER: ("answer and ask for help", "回答と相談"),
    Ability.SEE_ALERTS: ("alerts", "お知らせ"),
    Ability.SEE_STUDENT: ("a child's page", "子どものページ"),
    Ability.SEE_LIST: ("warning lists", "予兆リスト"),
    Ability.REVIEW: ("decide in a meeting", "会議で決める"),
    Ability.RECORD_FOLLOW_UP: ("record follow-up", "見守りの記録"),
    Ability.FILL_SHEETS: ("sheets about a child", "シートの記入"),
    Ability.HAND_OVER: ("hand a case over", "福祉部局への引き継ぎ"),
    Ability.TAKE_CASES: ("take cases", "引き継ぎを受ける"),
    Ability.MANAGE_CARDS: ("sign-in cards", "サインインのカード"),
    Ability.SEE_COUNTS: ("counts, small ones hidden", "人数だけ(少ない数は伏せる)"),
    Ability.TRY_PLAYBOOK: ("trying a changed playbook", "変えた進め方の試し"),
    Ability.HANDLE_REQUESTS: ("families' requests", "家庭からの請求"),
    Ability.APPROVE_REQUESTS: ("approve what is withheld", "不開示の承認"),
    Ability.MANAGE_ACCOUNTS: ("accounts and duties", "アカウントと担当"),
    Ability.PLAN_COVER: ("absences and stand-ins", "不在と代理の登録"),
    Ability.SEE_TELLING: ("trying who is told when", "連絡が誰に届くかの確認"),
    Ability.REVIEW_RIGHTS: ("yearly review of rights", "権限の年次点検"),
    Ability.SEE_TRAIL: ("the audit trail", "閲覧の記録"),
    Ability.RUN_DEMO: ("the demo's clock", "デモの時計"),
    Ability.OPERATE: ("the installation, no personal data", "システムの運用(個人情報なし)"),
}

PURPOSE = {
    Purpose.CARE: ("care", "支援"),
    Purpose.SCREENING: ("screening", "早期の気づき"),
    Purpose.STATISTICS: ("statistics", "集計"),
    Purpose.RIGHTS: ("families' rights", "家庭の権利"),
    Purpose.ACCOUNTS: ("accounts", "アカウント管理"),
    Purpose.AUDIT: ("audit", "監査"),
    Purpose.OPERATION: ("operation", "運用"),
}

SHOWN = {
    "value": ("the value", "値"),
    "count_only": ('only "other departments: +n"', "「他部署のデータ: +n」だけ"),
    "score_only": ("nothing; it enters the score", "見せない(計算にだけ使う)"),
}

KIND = {
    Kind.DISCLOSURE: ("Disclosure", "開示"),
    Kind.CORRECTION: ("Correction", "訂正"),
    Kind.STOP: ("Stop of use", "利用停止"),
}


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def items(lang: str) -> str:
    """Every item of the catalogue."""
    en = lang == "en"
    rows = [
        [
            item.label_en if en else item.label,
            item.owner,
            item.legal_basis,
            SHOWN[item.shown][0 if en else 1],
            ("yes" if en else SENSITIVE[item.id]) if item.id in SENSITIVE else "",
        ]
        for item in all_items().values()
    ]
    head = (
        ["item", "owner", "legal basis", "school staff see", "special care (第2条第3項)"]
        if en
        else ["項目", "持ち主", "根拠", "学校の教職員に見えるもの", "要配慮個人情報"]
    )
    return _table(head, rows)


def duties(lang: str) -> str:
    """Who may do what, for whom, and for which purpose."""
    at = 0 if lang == "en" else 1
    rows = []
    for role, office in OFFICES.items():
        if role is Role.CHILD:
            continue
        mine = [ability for ability in Ability if ability in office.abilities]
        rows.append(
            [
                role.value.replace("_", " ") if lang == "en" else ROLE_JA[role],
                REACH[office.reach][at],
                ("; " if lang == "en" else "、").join(ABILITY[one][at] for one in mine),
                (", " if lang == "en" else "、").join(
                    words[at]
                    for purpose, words in PURPOSE.items()
                    if purpose in {PURPOSES[one] for one in mine}
                ),
            ]
        )
    head = (
        ["duty", "reaches", "may", "purposes"]
        if lang == "en"
        else ["役割", "だれについて", "できること", "目的の区分"]
    )
    return _table(head, rows)


def clocks(lang: str) -> str:
    """How long what is kept."""
    rows = [
        [clock.en, _long(clock, "en"), clock.why_en]
        if lang == "en"
        else [clock.ja, _long(clock, "ja"), clock.why_ja]
        for clock in shipped_clocks().values()
    ]
    head = ["kind", "kept", "why"] if lang == "en" else ["種類", "期間", "なぜ"]
    return _table(head, rows)


def _long(clock: Clock, lang: str) -> str:
    if clock.days is not None:
        return f"{clock.days} days" if lang == "en" else f"{clock.days}日"
    if lang == "en":
        since = "the school year" if clock.after == "school_year" else "the year of leaving"
        return f"{clock.months} months after {since} ends"
    since = "その学年" if clock.after == "school_year" else "離れた学年"
    return f"{since}の終わりから{clock.months}か月"


def rights(lang: str) -> str:
    """Terms of families' requests."""
    at = 0 if lang == "en" else 1
    rows = [
        [
            KIND[kind][at],
            f"{term.days} days" if lang == "en" else f"{term.days}日以内",
            term.article,
            term.extension,
        ]
        for kind, term in TERMS.items()
    ]
    head = (
        ["request", "decision within", "source", "longer by up to 30 days"]
        if lang == "en"
        else ["請求", "決定まで", "根拠", "延長(30日まで)の根拠"]
    )
    return _table(head, rows)


def grounds(lang: str) -> str:
    """Why something may be withheld."""
    rows = [[g.article, g.en if lang == "en" else g.ja] for g in GROUNDS.values()]
    return _table(["article", "what"] if lang == "en" else ["条文", "内容"], rows)


TABLES: dict[str, Callable[[str], str]] = {
    "items": items,
    "duties": duties,
    "clocks": clocks,
    "rights": rights,
    "grounds": grounds,
}


def renewed(text: str, lang: str) -> str:
    """A document with its tables as they should be. Raises KeyError for an unknown marker."""

    def fresh(match: re.Match[str]) -> str:
        name = match.group(1)
        return f"<!-- table: {name} -->\n{TABLES[name](lang)}\n<!-- end -->"

    return re.sub(r"<!-- table: (\w+) -->\n.*?<!-- end -->", fresh, text, flags=re.S)


def main(root: Path) -> int:
    """Rewrite both documents; returns how many changed."""
    changed = 0
    for lang, name in FILES.items():
        file = root / name
        before = file.read_text("utf-8")
        after = renewed(before, lang)
        if after != before:
            file.write_text(after, "utf-8")
            changed += 1
    return changed


if __name__ == "__main__":
    sys.stdout.write(f"{main(Path.cwd())} changed\n")
