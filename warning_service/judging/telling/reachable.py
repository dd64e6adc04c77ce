"""Facts of a child that may come to be otherwise within weeks, and its state as it would be then.

Reachable are amounts that pile up in a window (days absent, visits) and answers the child gives.
What is written in a register, a certificate, a check-up years ago, the days on the roll or what
happened before is not: telling anybody to change it would be a mockery. An amount becomes smaller
by its latest days; answers become no worse than one of the questionnaire's own.

A change here is arithmetic on the child's own numbers, as of one day. It says nothing about what
would bring it about.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from models.items import WINDOW
from models.student_state import ItemHistory, StudentState
from warning_service.judging.setup import Use
from warning_service.judging.telling.wording import Told, amount, answer, number

LONGEST = 92
"""Days; what counts over a longer window is not soon otherwise."""
MOST_STEPS = 12


@dataclass(frozen=True)
class Now:
    """How a reachable fact stands: `value` is the amount in the window, or the worst answer in it.

    `steps`: the values it could have instead, the nearest first.
    """

    use: Use
    window: int
    value: float
    steps: tuple[float, ...]


def reachable(uses: Sequence[Use], state: StudentState, until: int) -> list[Now]:
    """Every fact of a child that counts against it as of `until` and could soon be otherwise.

    Only of items that may be shown by name and have a worse direction.
    """
    found = []
    for use in uses:
        held = state.items.get(use.spec.id)
        if held is None or use.shown != "value" or use.spec.direction != 1:
            continue
        now = _count(use, held, until) if use.spec.kind == "count" else _answers(use, held, until)
        if now is not None:
            found.append(now)
    return found


def changed(state: StudentState, until: int, wanted: Mapping[Now, float]) -> StudentState:
    """The child's state, had these facts been at those values. The state given stays as it is."""
    items = dict(state.items)
    for now, value in wanted.items():
        item = now.use.spec.id
        items[item] = _as_if(now, items[item], until, value)
    return msgspec.structs.replace(state, items=items)


def words(now: Now, value: float) -> Told:
    """The change as the first half of a sentence."""
    use, said = now.use, span(now.window)
    if use.spec.kind == "count":
        if not value:
            return Told(
                f"{said.ja}の{use.label_ja}が一度もなければ(いま{amount(use, now.value)})",
                f"{use.label_en}: none in {said.en} (now {number(now.value)})",
            )
        return Told(
            f"{said.ja}の{use.label_ja}が{amount(use, value)}以下なら"
            f"(いま{amount(use, now.value)})",
            f"{use.label_en}: {number(value)} or less in {said.en} (now {number(now.value)})",
        )
    best, worst = answer(use, value), answer(use, now.value)
    if value == min(known for known, _, _ in use.answers):
        return Told(
            f"{said.ja}の{use.label_ja}の答えがどれも{best.ja}なら(いちばん悪いのは{worst.ja})",
            f"{use.label_en}: every answer in {said.en} {best.en} (the worst is {worst.en})",
        )
    return Told(
        f"{said.ja}の{use.label_ja}の答えがどれも{best.ja}かそれよりよければ"
        f"(いちばん悪いのは{worst.ja})",
        f"{use.label_en}: every answer in {said.en} {best.en} or better (the worst is {worst.en})",
    )


def span(days: int) -> Told:
    """A window as people say it."""
    if days % 7 == 0 and days <= 56:
        return Told(f"{days // 7}週間", "a week" if days == 7 else f"{days // 7} weeks")
    return Told(f"{days}日間", f"{days} days")


def _window(use: Use) -> int:
    return use.window if use.points or use.coefficient else WINDOW


def _count(use: Use, held: ItemHistory, until: int) -> Now | None:
    window = _window(use)
    value = math.fsum(_late(held, until, window))
    if value <= 0 or window > LONGEST:
        return None
    lower = math.ceil(value) - 1
    step = max(1, math.ceil(lower / MOST_STEPS))
    steps = [float(v) for v in range(lower, -1, -step)]
    if steps[-1]:
        steps.append(0.0)
    return Now(use, window, value, tuple(steps))


def _answers(use: Use, held: ItemHistory, until: int) -> Now | None:
    window = _window(use)
    values = _late(held, until, window)
    if not values or not use.answers or window > LONGEST:
        return None
    worst = max(values)
    better = sorted({value for value, _, _ in use.answers if value < worst}, reverse=True)
    return Now(use, window, worst, tuple(better)) if better else None


def _late(held: ItemHistory, until: int, window: int) -> list[float]:
    first, last = bisect_right(held.days, until - window), bisect_right(held.days, until)
    return held.values[first:last]


def _as_if(now: Now, held: ItemHistory, until: int, value: float) -> ItemHistory:
    first, last = bisect_right(held.days, until - now.window), bisect_right(held.days, until)
    if now.use.spec.kind == "measure":
        capped = [min(old, value) for old in held.values[first:last]]
        values = [*held.values[:first], *capped, *held.values[last:]]
        return msgspec.structs.replace(held, values=values)
    days, values = list(held.days), list(held.values)
    over = math.fsum(values[first:last]) - value
    at = last - 1
    while over > 0 and at >= first:
        less = min(over, values[at])
        values[at] -= less
        over -= less
        if values[at] <= 0:
            del days[at], values[at]
        at -= 1
    return msgspec.structs.replace(held, days=days, values=values)
