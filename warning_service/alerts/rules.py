"""The playbook's same-day rules, as pure functions over one child's own answers.

A rule asks two things: is this answer, with those before it, what the rule looks for; and was it so
already before this answer came. It fires only when the answer makes the difference. So a run of
bad days raises one alert, when it reaches its length, and another one only after it broke; and an
answer that arrives late from an offline tablet, filling a gap, is judged the same way. A critical
answer always fires.

Nothing here reads a database or a model: these rules work whatever else is down. A question the
child would rather not answer neither continues nor ends a run.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta

import msgspec

from warning_service.playbooks.model import AlertRule

LOOK_BACK_DAYS = 200
"""How far back a streak is followed. Three monthly answers fit, a year's daily ones need not."""


class Answered(msgspec.Struct, frozen=True):
    """One check-in: its place in the log, its day, and the answers by question id."""

    position: int
    on: date
    answers: Mapping[str, int | None]


def critical(rule: AlertRule, answers: Mapping[str, int | None]) -> bool:
    """Is this the answer a critical rule waits for? Needs no history."""
    value = answers.get(rule.question)
    return rule.kind == "critical" and value is not None and value >= _threshold(rule)


def needs_history(rule: AlertRule, answers: Mapping[str, int | None]) -> bool:
    """Could the rule fire on this answer, if what came before fits?

    Most answers are good ones and need no look into the log.
    """
    value = answers.get(rule.question)
    if value is None or rule.kind == "critical":
        return False
    if rule.kind == "streak":
        return value >= _threshold(rule)
    return value >= _fall(rule)  # values are at least 0, so a mean is too


def look_back(rules: Iterable[AlertRule]) -> timedelta:
    """How much history `fires` has to be given for these rules."""
    longest = max((rule.days for rule in rules if rule.kind == "fall"), default=0)
    return timedelta(days=max(LOOK_BACK_DAYS, longest + 60))


def fires(rule: AlertRule, history: Sequence[Answered], new: Answered) -> bool:
    """Does `new` make a streak or fall rule true that was not true of this run before?

    `history`: the child's check-ins before `new` in the log, in any order. Several on one day: the
    last one in the log counts.
    """
    if not needs_history(rule, new.answers):
        return False
    before = _by_day(rule.question, history)
    after = _by_day(rule.question, [*history, new])
    length = rule.days if rule.kind == "streak" else 1
    run = _run_around(new.on, after, _marker(rule, after))
    if len(run) < length:
        return False
    known = [day for day in sorted(before) if run[0] <= day <= run[-1]]
    return _longest_run(known, _marker(rule, before)) < length


def _threshold(rule: AlertRule) -> float:
    assert rule.at is not None  # the playbook's model refuses such a rule without it
    return rule.at


def _fall(rule: AlertRule) -> float:
    assert rule.by is not None
    return rule.by


def _by_day(question: str, check_ins: Iterable[Answered]) -> dict[date, int]:
    """Day -> the answer that counts for it."""
    days: dict[date, int] = {}
    for check_in in sorted(check_ins, key=lambda one: one.position):
        value = check_in.answers.get(question)
        if value is not None:
            days[check_in.on] = value
    return days


def _marker(rule: AlertRule, days: Mapping[date, int]) -> Callable[[date], bool]:
    """Which of `days` are bad days in the sense of the rule."""
    if rule.kind == "streak":
        return lambda day: days[day] >= _threshold(rule)
    ordered = sorted(days)

    def fell(day: date) -> bool:
        window = ordered[
            bisect_left(ordered, day - timedelta(days=rule.days)) : bisect_left(ordered, day)
        ]
        if len(window) < rule.least:
            return False
        mean = sum(days[earlier] for earlier in window) / len(window)
        return days[day] - mean >= _fall(rule)

    return fell


def _run_around(on: date, days: Mapping[date, int], bad: Callable[[date], bool]) -> list[date]:
    """The answered days in a row around `on` that are all bad; empty when `on` is not."""
    if not bad(on):
        return []
    ordered = sorted(days)
    here = bisect_left(ordered, on)
    first = here
    while first > 0 and bad(ordered[first - 1]):
        first -= 1
    last = here
    while last + 1 < len(ordered) and bad(ordered[last + 1]):
        last += 1
    return ordered[first : last + 1]


def _longest_run(ordered: Sequence[date], bad: Callable[[date], bool]) -> int:
    longest = current = 0
    for day in ordered:
        current = current + 1 if bad(day) else 0
        longest = max(longest, current)
    return longest
