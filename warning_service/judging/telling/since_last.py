"""What has changed for a child since its latest list: the score, and which facts.

A fact is compared as it stood on both list dates: the amount in four weeks, the last value, whether
it was ever recorded. Items that may not be named are only counted. A score can also move because
the model has learned or another judge made the list; that is said where it is shown.
"""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import numpy as np

from models.features import F64, Extract
from models.student_state import StudentState
from warning_service.judging.setup import Setup, Use
from warning_service.judging.telling.facts import MORE
from warning_service.judging.telling.wording import Told, amount, answer, number

MOST = 5
MOVED = 0.1
"""A score that is this part higher or lower than before has moved."""
Line = dict[str, Any]


def levels(setup: Setup, extract: Extract) -> F64:
    """Where everybody stands in every item, shape (students, items); NaN for nothing."""
    columns = []
    for use in setup.uses:
        held = extract.items[use.spec.id]
        if use.spec.kind == "flag":
            columns.append((held.last_on > 0).astype(np.float64))
        else:
            columns.append(held.recent)
    return np.array(columns, dtype=np.float64).reshape(len(columns), len(extract.students)).T


def remember(state: StudentState, day: int, now: F64) -> None:
    """Keep where a child stands on a list date."""
    state.levels_on = day
    state.levels = [None if math.isnan(value) else value for value in now.tolist()]


def told(
    setup: Setup, state: StudentState, now: F64, score: float, mark: tuple[float, bool],
    *, was_listed: bool,
) -> dict[str, Any]:  # fmt: skip
    """The comparison as it is frozen with an entry. `state`: as it was before this list.

    `mark`: as in StudentState.marks. `way`: "first" (never ranked before), "entering", "rising",
    "falling" or "same", `by` the "chance", or by the "rule" where either score was not measured
    yet: such a score moves with whatever rate was assumed.
    """
    before = state.scores[-1][1] if state.scores else None
    if before is None or not state.levels_on:
        return {"way": "first"}
    (mark_before, measured_before), (mark_now, measured) = state.marks[-1], mark
    by_chance = measured and measured_before
    was, come = (before, score) if by_chance else (mark_before, mark_now)
    found: dict[str, Any] = {
        "since": date.fromordinal(state.levels_on).isoformat(),
        "score_before": before,
        "score": score,
        "by": "chance" if by_chance else "rule",
        "mark_before": mark_before,
        "mark": mark_now,
        "way": _way(was, come, was_listed),
    }
    sides: dict[str, list[tuple[float, Line]]] = {"worse": [], "better": [], "otherwise": []}
    others = 0
    for at, (use, value) in enumerate(zip(setup.uses, now.tolist(), strict=True)):
        old = state.levels[at] if at < len(state.levels) else None
        words, size = _difference(use, old, None if math.isnan(value) else value)
        if words is None or use.shown == "score_only":
            continue
        if use.shown == "count_only":
            others += 1
            continue
        line = {"item": use.spec.id, "text_ja": words.ja, "text_en": words.en}
        turn = size * use.spec.direction
        side = "worse" if turn > 0 else "better" if turn < 0 else "otherwise"
        sides[side].append((abs(size), line))
    for side, lines in sides.items():
        lines.sort(key=lambda held: (-held[0], held[1]["item"]))
        found[side] = [line for _, line in lines[:MOST]]
        found[f"{side}_more"] = max(0, len(lines) - MOST)
    found["others"] = others
    return found


def _way(before: float, score: float, was_listed: bool) -> str:
    if not was_listed:
        return "entering"
    if score > before * (1 + MOVED):
        return "rising"
    return "falling" if score < before * (1 - MOVED) else "same"


def _difference(use: Use, old: float | None, new: float | None) -> tuple[Told | None, float]:
    """(words, how much more) of a fact that is not what it was; None when it is."""
    if new is None or (old is not None and abs(new - old) < MORE):
        return None, 0.0
    if use.spec.kind == "flag":
        if not new:
            return None, 0.0
        return Told(f"{use.label_ja}:新しく記録", f"{use.label_en}: newly on record"), 1.0
    if use.answers:
        words = answer(use, new)
        if old is None:
            said = Told(
                f"{use.label_ja}:はじめての答え{words.ja}",
                f"{use.label_en}: first answer {words.en}",
            )
            return said, 0.0
        was = answer(use, old)
        return (
            Told(
                f"{use.label_ja}:最後の答えが{was.ja}から{words.ja}に",
                f"{use.label_en}: last answer from {was.en} to {words.en}",
            ),
            new - old,
        )
    if old is None:
        said = Told(
            f"{use.label_ja} はじめての記録({amount(use, new)})",
            f"{use.label_en}: first record ({number(new)})",
        )
        return said, 0.0
    span = Told("28日で", " in 28 days") if use.spec.kind == "count" else Told("", "")
    return (
        Told(
            f"{use.label_ja} {span.ja}{amount(use, old)} → {amount(use, new)}",
            f"{use.label_en}{span.en}: {number(old)} → {number(new)}",
        ),
        new - old,
    )
