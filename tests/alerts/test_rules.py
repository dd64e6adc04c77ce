"""The same-day rules as tables: what was answered when, and which answers fire."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warning_service.alerts.rules import Answered, critical, fires, needs_history
from warning_service.playbooks.model import AlertRule

START = date(2026, 5, 11)
STREAK = AlertRule(id="s", kind="streak", question="mood", at=2, days=3, label="s", label_en="s")
FALL = AlertRule(
    id="f", kind="fall", question="mood", by=2, days=30, least=3, label="f", label_en="f"
)
CRITICAL = AlertRule(id="c", kind="critical", question="vanish", at=1, label="c", label_en="c")


def play(rule: AlertRule, answers: list[tuple[int, int | None]]) -> list[int]:
    """Feed (day, value) in the order they arrive; the places in that order that fire."""
    history: list[Answered] = []
    fired = []
    for place, (day, value) in enumerate(answers):
        new = Answered(place + 1, START + timedelta(days=day), {"mood": value})
        if fires(rule, history, new):
            fired.append(place)
        history.append(new)
    return fired


def daily(*values: int | None) -> list[tuple[int, int | None]]:
    return list(enumerate(values))


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (daily(2, 2), []),
        (daily(2, 2, 2), [2]),
        (daily(2, 3, 2, 3, 2, 2, 2), [2]),  # the same run says it once
        (daily(2, 2, 2, 0, 2, 2, 2), [2, 6]),  # again after it broke
        (daily(2, 2, 1, 2, 2), []),
        (daily(2, 2, None, 2), [3]),  # "rather not say" neither continues nor ends a run
        ([(0, 2), (5, 2), (40, 2)], [2]),  # answered days running, not calendar days
        ([(0, 2), (2, 2), (1, 2)], [2]),  # the gap is filled late
        ([(0, 2), (1, 2), (3, 2), (4, 2), (2, 2)], [2]),  # late, but the run was known
        ([(0, 2), (1, 0), (2, 2), (1, 2)], [3]),  # a second answer that day turns it bad
        ([(0, 2), (1, 2), (2, 2), (2, 2)], [2]),  # twice on the day: once
        ([(0, 2), (1, 2), (2, 2), (2, 0), (2, 2)], [2, 4]),  # taken back, then bad again
    ],
)
def test_streak(answers: list[tuple[int, int | None]], expected: list[int]) -> None:
    assert play(STREAK, answers) == expected


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (daily(0, 0, 2), []),  # too few answers to know what is usual
        (daily(0, 0, 0, 2), [3]),
        (daily(1, 1, 1, 2), []),  # below the child's own usual by 1 only
        (daily(1, 1, 1, 3), [3]),
        (daily(0, 0, 0, 3, 3, 3), [3]),  # still down: said once
        (daily(0, 0, 0, 3, 0, 3), [3, 5]),
        (daily(2, 2, 2, 3, 3), []),  # low as ever: that is for the streak
        ([(0, 0), (1, 0), (2, 0), (40, 3)], []),  # what was long ago is not the usual
        (daily(0, None, 0, None, 0, 2), [5]),
    ],
)
def test_fall(answers: list[tuple[int, int | None]], expected: list[int]) -> None:
    assert play(FALL, answers) == expected


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"vanish": 1}, True),
        ({"vanish": 0}, False),
        ({"vanish": None}, False),
        ({"mood": 3}, False),
    ],
)
def test_critical(answers: dict[str, int | None], expected: bool) -> None:
    assert critical(CRITICAL, answers) is expected


def test_critical_needs_no_history() -> None:
    assert not needs_history(CRITICAL, {"vanish": 3})
    assert not critical(STREAK, {"mood": 3})


_answers = st.lists(
    st.tuples(st.integers(0, 20), st.one_of(st.none(), st.integers(0, 3))), max_size=25
)


@given(_answers)
def test_good_answers_never_fire_and_never_need_the_log(
    answers: list[tuple[int, int | None]],
) -> None:
    for rule in (STREAK, FALL):
        for place in play(rule, answers):
            value = answers[place][1]
            assert value is not None and value >= 2
            assert needs_history(rule, {"mood": value})


@given(st.lists(st.integers(0, 3), max_size=30))
def test_a_run_in_order_says_it_exactly_once(values: list[int]) -> None:
    expected, length = [], 0
    for place, value in enumerate(values):
        length = length + 1 if value >= 2 else 0
        if length == 3:
            expected.append(place)
    assert play(STREAK, daily(*values)) == expected
