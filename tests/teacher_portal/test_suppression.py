"""No small count is shown, and none can be worked out from what is shown."""

from __future__ import annotations

import itertools
from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from teacher_portal.board import judged, month_totals, school_rows
from teacher_portal.suppression import SMALL, Bounds, Cell, is_small, protect
from warning_service.follow_up.evaluating.rightness import Rightness
from warning_service.follow_up.queries import Funnel

counts = st.lists(st.integers(0, 40), min_size=1, max_size=8)


@given(counts)
def test_no_small_count_is_ever_shown(values: list[int]) -> None:
    cells, total = protect(values)
    for value, cell in zip(values, cells, strict=True):
        assert cell.value in {None, value}
        assert (cell.why == "small") == is_small(value)
    assert total.value in {None, sum(values)}
    assert total.value is None or not is_small(total.value)


@given(counts)
@settings(max_examples=300)
def test_no_small_count_follows_from_the_others_and_the_total(values: list[int]) -> None:
    """Each small count could be at least one other number and everything look the same."""
    cells, total = protect(values)
    if total.value is None:
        return
    hidden = total.value - sum(cell.value for cell in cells if cell.value is not None)
    ranges = {
        n: range(1, SMALL) if cell.why == "small" else range(SMALL, hidden + 1)
        for n, cell in enumerate(cells)
        if cell.value is None
    }
    for n, cell in enumerate(cells):
        if cell.why == "small":
            others = [ranges[m] for m in ranges if m != n]
            lowest = sum(r.start for r in others)
            highest = sum(r.stop - 1 for r in others)
            possible = [p for p in range(1, SMALL) if lowest <= hidden - p <= highest]
            assert len(possible) >= 2, (values, cells, total)


def pinned(cells: list[Cell], total: Cell, bounds: list[Bounds]) -> list[int]:
    """Small cells that only one number fits, by trying all that fits what is shown."""
    shown = sum(cell.value for cell in cells if cell.value is not None)
    hidden = [n for n, cell in enumerate(cells) if cell.value is None]
    most = 30 if total.value is None else total.value - shown
    choices = [
        [
            count
            for count in (range(1, SMALL) if cells[n].why == "small" else range(SMALL, most + 1))
            if count >= bounds[n].least and count <= (bounds[n].most or 99)
        ]
        for n in hidden
    ]
    fits = [
        table
        for table in itertools.product(*choices)
        if total.value is None or sum(table) == total.value - shown
    ]
    assert fits  # the truth is always among them
    return [
        n
        for at, n in enumerate(hidden)
        if cells[n].why == "small" and len({table[at] for table in fits}) < 2
    ]


def test_small_tables_checked_one_by_one() -> None:
    """All tables of three schools up to 12 children: no small count follows from the picture."""
    for table in itertools.product(range(13), repeat=3):
        cells, total = protect(table)
        assert pinned(cells, total, [Bounds()] * 3) == [], table


@given(
    st.lists(
        st.tuples(st.integers(0, 14), st.integers(0, 14), st.booleans()), min_size=2, max_size=4
    )
)
@settings(max_examples=300)
def test_what_stands_beside_a_count_does_not_give_it_away(
    drawn: list[tuple[int, int, bool]],
) -> None:
    """E.g. no more can be supported than are listed, where that is shown."""
    counts = [min(a, b) for a, b, _ in drawn]
    bounds = [
        Bounds(most=max(a, b)) if shown and max(a, b) >= SMALL else Bounds()
        for a, b, shown in drawn
    ]
    cells, total = protect(counts, bounds)
    assert pinned(cells, total, bounds) == []


def test_the_order_of_a_sorted_column_tells_nothing_about_hidden_counts() -> None:
    cells, _ = protect([1, 4, 2, 30, 3])
    assert {cell.order for cell in cells if cell.value is None} == {-1}


def funnel(school: str, *stages: int) -> Funnel:
    listed, reviewed, supported, better = stages
    return Funnel(
        list_id=school, school=school, list_date=date(2026, 5, 1), listed=listed,
        reviewed=reviewed, supported=supported, better=better,
    )  # fmt: skip


@given(st.lists(st.tuples(*[st.integers(0, 30)] * 4), min_size=1, max_size=6))
def test_the_months_table_shows_no_total_that_the_schools_table_withholds(
    stages: list[tuple[int, ...]],
) -> None:
    found = [funnel(f"s{n}", *sorted(row, reverse=True)) for n, row in enumerate(stages)]
    _, totals = school_rows({row.school: row.school for row in found}, found, [])
    by_month = month_totals(found, found[0].list_date)
    assert by_month == {stage: totals[stage] for stage in by_month}


@given(st.integers(0, 60), st.integers(0, 12), st.integers(0, 40))
def test_few_hits_cannot_be_worked_out_from_rates(listed: int, hits: int, missed: int) -> None:
    hits = min(hits, listed)
    right = Rightness(
        listed=listed, listed_hits=hits, ranked=listed + missed + 500, ranked_hits=hits + missed,
        until=date(2026, 6, 1), complete=False,
    )  # fmt: skip
    found = judged(right)
    if found is None:
        assert is_small(listed)
        return
    if is_small(listed - hits):  # the few of the listed to whom it did not come
        assert found.hits.value is None and found.interval is None
        assert found.missed.value is None or found.ranked_hits.value is None
    if is_small(hits):
        assert found.hits == Cell(None, "small")
        assert found.interval is None and found.at_most is not None
        # With the total shown, the missed are not.
        assert found.missed.value is None or found.ranked_hits.value is None
        assert (found.base is None) == (found.ranked_hits.value is None)
