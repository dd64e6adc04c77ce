"""The table of the twenty in docs/playbooks/, made from the files so that it cannot drift.

`python -m tests.playbooks.table` writes it anew; test_docs.py fails when that was forgotten.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.playbooks.city import counted
from tests.playbooks.seen import SIZES
from warning_service.playbooks.judging import ListRule
from warning_service.playbooks.model import Playbook, shipped

DOCS = Path(__file__).resolve().parents[2] / "docs" / "playbooks"
FILES = {"en": DOCS / "README.md", "ja": DOCS / "README.ja.md"}
BEGIN, END = "<!-- the twenty: made by tests/playbooks/table.py -->", "<!-- end of the twenty -->"

HEADS = {
    "en": ("playbook", "children", "score", "who is listed", "levels", "made", "meetings", "items"),
    "ja": ("ファイル", "子ども", "点数", "リストにのる子", "段階", "作る時", "会議", "項目"),
}
METHODS = {
    "en": {
        "points": "points", "count": "count of items", "formula": "probability",
        "similarity": "likeness", "none": "none",
    },
    "ja": {
        "points": "加点", "count": "該当数", "formula": "確率", "similarity": "類似",
        "none": "なし",
    },
}  # fmt: skip
WHEN = {
    "en": {
        "every_school_day": "daily", "first_school_day_of_week": "weekly",
        "first_school_day_of_month": "monthly", "none": "never",
    },
    "ja": {
        "every_school_day": "毎日", "first_school_day_of_week": "毎週",
        "first_school_day_of_month": "毎月", "none": "作らない",
    },
}  # fmt: skip


def lines(lang: str) -> list[str]:
    """The table's lines."""
    heads = HEADS[lang]
    rows = [_row(shipped(name), children, lang) for name, (children, _, _) in SIZES.items()]
    return [_line(heads), _line(["---"] * len(heads)), *(_line(row) for row in rows)]


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _row(book: Playbook, children: int, lang: str) -> list[str]:
    en = lang == "en"
    items, basic = counted(book.id)
    method = METHODS[lang][book.judgement.method]
    if book.judgement.sibling:
        method += " + siblings" if en else "+きょうだい"
    levels = "" if book.bands is None else " ".join(band.id for band in book.bands.levels)
    if book.bands is not None and book.bands.each == "type":
        levels += " by type" if en else "(類型ごと)"
    months = book.list.months
    when = WHEN[lang][book.list.cadence]
    if months:
        when = f"month {', '.join(map(str, months))}" if en else f"{'・'.join(map(str, months))}月"
    meetings = [sitting.name(lang) for sitting in book.sittings]
    return [
        f"[{book.id}](../../warning_service/playbooks/shipped/{book.id}.toml)",
        f"{children:,}", method, _listed(book.list, lang), levels, when,
        (" → " if en else "→").join(meetings), f"{items} ({basic})",
    ]  # fmt: skip


def _listed(rule: ListRule, lang: str) -> str:
    en = lang == "en"
    if rule.cadence == "none":
        return "nobody" if en else "だれも"
    parts = [pick.label_en if en else pick.label for pick in rule.picks]
    if rule.budget_share:
        most = f"{rule.budget_share:.0%}"
        parts.append(f"at most {most}" if en and parts else most if en else f"{most}まで")
    if rule.budget_places:
        places = rule.budget_places
        parts.append(f"{places} places" if en else f"{places}人まで")
    if rule.spread:
        parts.append("institutions take turns" if en else "所属先が順に")
    if rule.second:
        parts.append("second screening" if en else "二次スクリーニング")
    for name, held in (
        ("not" if en else "除く", rule.leave_out),
        ("later" if en else "後回し", rule.later),
    ):
        labels = [one.label_en if en else one.label for one in held]
        if labels:
            parts.append(f"{name}: {', '.join(labels)}")
    of = {"school": "each school", "board": "whole board"} if en else {
        "school": "学校ごと", "board": "全体から"
    }  # fmt: skip
    return f"{'; '.join(parts)} ({of[rule.scope]})"


def written(lang: str) -> str:
    """The page with its table as it should be."""
    text = FILES[lang].read_text("utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return "\n".join([before + BEGIN, *lines(lang), END]) + after


if __name__ == "__main__":
    for language, file in FILES.items():
        file.write_text(written(language), "utf-8")
    sys.stdout.write("written\n")
