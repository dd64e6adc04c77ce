"""A try's table of schools beside its dates: no small count follows by subtracting."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from teacher_portal.blurring import about
from teacher_portal.playbook_figures import Side, View, date_view, sides, view_of
from teacher_portal.suppression import Cell, is_small
from warning_service.judging.trying.counts import (
    Load,
    OfDate,
    OfSchool,
    OneList,
    Right,
    Tried,
    by_date,
)

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
    view = one_date((30, 5, 10), (20, 10, 0))
    shown = [(one.entering.value, one.leaving.value) for one in view.schools]
    assert shown == [(5, 10), (10, 0)]
    assert view.a_month == (60.0, 65.0)
    [school] = one_date((30, 2, 7)).schools
    assert school.entering.value is school.leaving.value is None
    assert school.a_month[0] == 37.0
    assert school.a_month[1] in (30.0, 35.0)


def test_one_try_taken_from_another_tells_of_no_child() -> None:
    """Two files that differ by one grade list the same children but one: it must not be counted."""
    children = [f"k{n:03d}" for n in range(48)]
    before = [_list(["a1", "a2", "a3", "a4", "a5", "a6"])]

    def shown(listed: list[str]) -> list[int | None]:
        tried = [_list(listed)]
        [day] = by_date(before, tried)
        told = date_view(day)
        return [cell.value for cell in (told.current, told.tried, told.entering, told.leaving)]

    every = [shown(children)]
    for left_out in children:
        every.append(shown([one for one in children if one != left_out]))
        assert every[-1] == shown([one for one in reversed(children) if one != left_out])
    assert all(now == 6 for now, _, _, _ in every), "what people were shown is known anyway"
    for column in range(1, 4):
        assert {told[column] for told in every} <= {5, 10, 45, 50}
    with_all = {told[1] for told in every[1:]}
    assert with_all == {45, 50}, "the same answer for 47 as for 48, by chance"


def test_hits_are_blurred_by_the_children_hit_and_a_share_stays_one() -> None:
    def of(listed: int, hits: int, grain: str) -> tuple[Side, Side]:
        right = Right(
            lists=1, listed=listed, listed_hits=hits, children=listed, ranked=400,
            ranked_hits=hits + 30, grain=grain,
        )  # fmt: skip
        return sides(right, right)

    for grain in map(str, range(40)):
        now, tried = of(6, 6, grain)
        assert (now.listed, now.hits) == (6, Cell(6))
        assert tried.listed in (5, 10) and tried.hits.value in (5, 10)
        assert tried.hits.value <= tried.listed and tried.blurred
        assert tried.base == now.base == 36 / 400, "of the same children as many were hit"
        assert tried.missed == Cell(36 - tried.hits.value, "about")
    assert {of(48, 12, str(grain))[1].hits.value for grain in range(40)} == {10, 15}
    assert abs(sum(about(12, str(grain), "") for grain in range(2000)) / 2000 - 12) < 0.3
    fewer = Right(lists=1, listed=48, listed_hits=12, children=48, ranked=393, ranked_hits=42)
    _, tried = sides(msgspec.structs.replace(fewer, ranked=400), fewer)
    assert tried.base in {of / all_ for of in (40, 45) for all_ in (390, 395)}
    own, _ = sides(*[Right(lists=1, listed=48, listed_hits=12, children=48, ranked=400,
                           ranked_hits=42)] * 2, own=True)  # fmt: skip
    assert own.blurred, "by an outcome the tried file chose, the lists in force are blurred too"


def _list(listed: list[str]) -> OneList:
    return OneList(
        day=DAY.toordinal(), school="s", judge="rules", listed=frozenset(listed),
        ranked=tuple(listed), new=0,
    )  # fmt: skip
