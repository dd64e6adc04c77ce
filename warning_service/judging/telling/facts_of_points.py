"""The fact behind an item's points: what reached the playbook's mark within the rule's own window.

Beside facts.py, because points look at a sum or mean over their window and at a mark, and not at a
model's features.
"""

from __future__ import annotations

import math

import numpy as np

from models.items import WINDOW
from warning_service.judging.setup import Use
from warning_service.judging.telling.facts import Facts
from warning_service.judging.telling.wording import Told, ago, amount, answer, asked, dated, number


def reached(facts: Facts, use: Use, row: int) -> Told | None:
    """What gave the points; None when it shows nothing (a mark of 0 reached by nothing at all)."""
    columns = facts.extract.items[use.spec.id]
    first, last = np.searchsorted(columns.rows, (row, row + 1))
    late = columns.days[first:last] > facts.extract.day - use.window
    values = columns.values[first:last][late].tolist()
    on = int(columns.last_on[row])
    high = use.spec.worse != "low"
    if use.spec.kind == "flag":
        return facts.behind(use, "ever", row, 1)
    if use.spec.kind == "count":
        value = math.fsum(values)
        if high and value == 0:
            return None
        usual = float(columns.usual[row])
        own = Told("", "")
        if use.window == WINDOW and not math.isnan(usual):
            own = Told(f"ふだん月{amount(use, usual)}、", f"usually {number(usual)} a month; ")
            if number(usual) == "0":
                own = Told("ふだんはほとんどない、", "usually hardly any; ")
        mark = "以上" if high else "以下"
        most = "or more" if high else "or less"
        return Told(
            f"{use.label_ja} {use.window}日で{amount(use, value)}"
            f"({own.ja}めやす{amount(use, use.at)}{mark})",
            f"{use.label_en}: {number(value)} in {use.window} days"
            f" ({own.en}mark: {number(use.at)} {most})",
        )
    if use.answers and len(values) > 1:
        bad = sum(v >= use.at if high else v <= use.at for v in values)
        worst = answer(use, max(values) if high else min(values))
        return Told(
            f"{use.label_ja}:{use.window}日の{len(values)}回のうち{bad}回が悪い答え"
            f"(いちばん悪いのは{worst.ja})",
            f"{asked(use)}: {bad} of {len(values)} answers in {use.window} days were low"
            f" (the lowest: {worst.en})",
        )
    if use.answers:
        return facts.any_of(use, row, 1) or _plain_answer(facts, use, values[-1], on)
    when = dated(on, facts.today)
    mean = math.fsum(values) / len(values)
    many = Told("平均", "on average ") if len(values) > 1 else Told("", "")
    return Told(
        f"{use.label_ja} {many.ja}{amount(use, mean)}({when.ja})",
        f"{use.label_en}: {many.en}{number(mean)} ({when.en})",
    )


def _plain_answer(facts: Facts, use: Use, value: float, on: int) -> Told:
    words, when = answer(use, value), ago(on, facts.today)
    return Told(f"{use.label_ja}:{words.ja}({when.ja})", f"{asked(use)}: {words.en} ({when.en})")
