"""No small number of an evaluation is shown, and none can be worked out from what is shown."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from design.render import say
from models.shares import Share
from teacher_portal import evaluation_cells as cells
from teacher_portal import evaluation_file
from teacher_portal.suppression import SMALL, Cell, is_small
from warning_service.catalogue.traits import all_traits
from warning_service.follow_up.evaluating.children import Figures, MissedCounts
from warning_service.follow_up.evaluating.effects import Corrected
from warning_service.follow_up.evaluating.fairness import Fairness, GroupFigures

MOST = 5
PARTS = st.integers(0, MOST)
TABLES = st.lists(st.tuples(PARTS, PARTS), min_size=1, max_size=3)
"""Groups as (missed, found): their sum, the children it came to, stands beside."""


Table = list[tuple[int, int]]


def may_be(cell: Cell, most: int) -> list[int]:
    """What a reader can take a cell for; that it is withheld says nothing of its size."""
    if cell.value is not None:
        return [cell.value]
    return list(range(1, SMALL)) if cell.why == "small" else list(range(most + 1))


def pinned(
    whole: list[Cell], part: list[Cell], sums: tuple[int, int], true: Table
) -> list[tuple[int, str]]:
    """Small numbers that only one value fits, by trying every table that fits what is shown.

    The reader knows both sums, because they stand on the page beside.
    """
    total, total_part = sums
    of_each = [
        [(w, p) for w in may_be(w_cell, total) for p in may_be(p_cell, total) if p <= w]
        for w_cell, p_cell in zip(whole, part, strict=True)
    ]
    fitting = [
        table
        for table in itertools.product(*of_each)
        if sum(w for w, _ in table) == total and sum(p for _, p in table) == total_part
    ]
    found = []
    for at, (missed, caught) in enumerate(true):
        seen = {"whole": {t[at][0] for t in fitting}, "part": {t[at][1] for t in fitting},
                "rest": {t[at][0] - t[at][1] for t in fitting}}  # fmt: skip
        values = {"whole": missed + caught, "part": missed, "rest": caught}
        found += [(at, name) for name, n in values.items() if is_small(n) and len(seen[name]) < 2]
    return found


def fairness(table: Table, clear: int = 50, blocks: str = "") -> Fairness:
    groups = [
        GroupFigures(
            group=str(at), block=blocks[at : at + 1],
            false_apart=(0.1, 0.0, 0.2), miss_apart=(0.1, 0.0, 0.2),
            figures=Figures(listed=caught + 10, listed_hits=caught,
                            ranked=missed + caught + clear, hits=missed + caught),
        )
        for at, (missed, caught) in enumerate(table)
    ]  # fmt: skip
    return Fairness(trait=all_traits()[0], groups=tuple(groups), unknown=0)


@settings(max_examples=40, deadline=None)
@given(TABLES)
def test_no_small_group_follows_from_the_others_and_the_sums(table: Table) -> None:
    missed, hits = sum(m for m, _ in table), sum(m + c for m, c in table)
    year = cells.shown(
        Figures(listed=hits - missed + 100, listed_hits=hits - missed, ranked=1000, hits=hits)
    )
    if year.missed.value is None or year.precision.hits.value is None:
        return  # the sums are not known, so nothing can be subtracted from them
    lines = cells.groups(fairness(table))
    whole, part = [line.miss.of for line in lines], [line.miss.hits for line in lines]
    assert pinned(whole, part, (hits, missed), table) == []


def test_one_block_that_cannot_be_shown_takes_the_others_with_it() -> None:
    """Grades 7 to 9 are the junior high schools: what one table shows, the other must not give."""
    wide = [(6, 9), (7, 8), (6, 10)]
    shown = cells.groups(fairness([*wide, (9, 9)], blocks="pppj"))
    assert all(line.miss.value is not None for line in shown)
    hidden = cells.groups(fairness([*wide, (2, 9)], blocks="pppj"))
    assert all(line.miss.value is None and line.miss.of.value is None for line in hidden)
    assert all(line.children.value is None and line.false.value is None for line in hidden)


@settings(max_examples=100, deadline=None)
@given(TABLES)
def test_no_small_count_is_shown_and_a_rate_only_with_its_cells(
    table: Table,
) -> None:
    for line, (missed, caught) in zip(cells.groups(fairness(table)), table, strict=True):
        for cell, count in ((line.miss.hits, missed), (line.miss.of, missed + caught)):
            assert cell.value is None or (cell.value == count and not is_small(count))
        if line.miss.value is None:
            assert line.miss.low is None and line.miss.drawn is None and line.miss_apart is None
        else:
            assert line.miss.value == missed / (missed + caught)
            assert not is_small(missed) and not is_small(caught)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 300))
def test_a_years_figures_give_no_small_number_away(a: int, b: int, c: int, d: int) -> None:
    """`a` found, `b` false alarms, `c` missed, `d` neither."""
    one = cells.shown(Figures(listed=a + b, listed_hits=a, ranked=a + b + c + d, hits=a + c))
    shown = [rate.hits.value for rate in (one.precision, one.recall, one.base) if rate.hits.value]
    shown += [n for n in (one.precision.of.value, one.recall.of.value, one.missed.value) if n]
    assert all(not is_small(n) for n in shown)
    if one.precision.value is not None:
        assert not is_small(a) and not is_small(b)
        assert one.recall.value is not None or not a + c
    if is_small(a):
        assert one.precision.value is one.recall.value is one.lift is None
    if is_small(b):  # of the listed all but a few: the few are children it did not come to
        assert one.precision.value is None


def test_nothing_is_hidden_from_who_may_see_each_child() -> None:
    one = cells.shown(Figures(listed=4, listed_hits=1, ranked=40, hits=2), hide=False)
    assert (one.precision.value, one.recall.value, one.missed.value) == (0.25, 0.5, 1)
    assert cells.open_rate(Share(0, 0)).value is None


def test_missed_children_by_school_are_protected_with_their_total() -> None:
    counts = {
        "a": MissedCounts(affected=Share(2, 20), supported=Share(8, 30)),
        "b": MissedCounts(affected=Share(9, 30), supported=Share(0, 40)),
        "c": MissedCounts(affected=Share(12, 40), supported=Share(7, 25)),
    }
    rows, (affected, supported) = cells.missed_rows(counts, {"a": "A", "b": "B", "c": "C"})
    first = {name: row.hits for name, row, _ in rows}
    assert first["A"] == Cell(None, "withheld")
    # The total stands, so one more is withheld, or the 2 could be had by subtracting.
    assert affected.hits == Cell(23) and first["B"] == Cell(None, "withheld")
    assert first["C"] == Cell(12)
    assert [row.hits for _, _, row in rows] == [Cell(8), Cell(0), Cell(7)]
    assert supported.value == 15 / 95
    assert cells.missed_rows({}, {})[0] == []


def test_the_file_hides_what_the_page_hides_around_the_cut() -> None:
    few = Corrected(
        n=3, n_others=12, before=0.0, after=0.0, others_before=0.0, others_after=0.0, gap=None
    )
    for lang in ("ja", "en"):
        row = evaluation_file._gap(lang, "eval.around_supported", few, None)
        assert row[2:4] == [say(lang, "portal.under_five"), 12]
