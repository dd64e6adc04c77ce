"""A try's table of schools beside its dates: no small count follows by subtracting."""

from __future__ import annotations

from datetime import date

import pytest

from teacher_portal.playbook_figures import View, view_of
from teacher_portal.suppression import is_small
from warning_service.judging.trying.counts import Load, OfDate, OfSchool, Right, Tried

DAY = date(2026, 11, 2)
Counts = tuple[int, int, int]
"""(staying, entering, leaving) of one school."""


def load(n: int) -> Load:
    return Load(lists=1, entries=n, looked_at=n, minutes=float(n))


def one_date(*schools: Counts) -> View:
    """One date's lists: the line of each school, and their sum as the date's line."""
    nothing = Right(lists=0, listed=0, listed_hits=0, children=0, ranked=0, ranked_hits=0)
    staying, entering, leaving = (sum(of) for of in zip(*schools, strict=True))
    result = Tried(
        since=DAY, until=DAY, position=1, playbook_current="a-1", playbook_tried="a-2",
        other_dates=False, items=[], by_order=0, right=(nothing, nothing), right_own=None,
        outcome="futoko", same_as_shown=0, shown=0, shortened=False, excluded=0,
        dates=[
            OfDate(
                on=DAY, current=staying + leaving, tried=staying + entering, entering=entering,
                leaving=leaving, judge_current="rules", judge_tried="rules",
            )
        ],
        schools=[
            OfSchool(
                school=str(at), current=load(stay + leave), tried=load(stay + enter),
                children_current=stay + leave, children_tried=stay + enter, entering=enter,
                leaving=leave,
            )
            for at, (stay, enter, leave) in enumerate(schools)
        ],
    )  # fmt: skip
    return view_of(result, {})


@pytest.mark.parametrize(
    "schools",
    [
        ((10, 2, 5), (20, 10, 6)),
        ((10, 2, 5), (20, 10, 6), (30, 9, 9)),
        ((1, 0, 0), (5, 5, 5)),
        ((3, 5, 0), (20, 6, 6)),
        ((0, 0, 0), (3, 0, 0), (40, 5, 5)),
        ((40, 3, 9), (40, 9, 3), (50, 8, 8)),
    ],
)
def test_what_is_hidden_of_a_school_is_not_had_from_the_sums(schools: tuple[Counts, ...]) -> None:
    view = one_date(*schools)
    [day] = view.dates
    for name, told in (("entering", day.entering), ("leaving", day.leaving)):
        lines = [getattr(one, name) for one in view.schools]
        hidden = [at for at, one in enumerate(lines) if one.value is None]
        assert told.value is None or len(hidden) != 1
    for side in (0, 1):
        hidden = [at for at, one in enumerate(view.schools) if one.a_month[side] is None]
        assert len(hidden) != 1
    for one, (stay, enter, leave) in zip(view.schools, schools, strict=True):
        if any(map(is_small, (stay, enter, leave))):
            assert one.entering.value is None
            assert one.leaving.value is None
        if is_small(stay + leave) or is_small(stay + enter):
            assert one.a_month == one.minutes == (None, None)


def test_large_schools_are_shown_whole_and_one_alone_is_as_its_date() -> None:
    view = one_date((30, 6, 7), (20, 9, 0))
    assert [(one.entering.value, one.leaving.value) for one in view.schools] == [(6, 7), (9, 0)]
    assert view.a_month == (57.0, 65.0)
    [school] = one_date((30, 2, 7)).schools
    assert school.entering.value is school.leaving.value is None
    assert school.a_month == (37.0, 32.0)
