"""No small number of an evaluation is shown, and none can be worked out from what is shown."""

from __future__ import annotations

import itertools
from datetime import date

from hypothesis import example, given, settings
from hypothesis import strategies as st

from design.render import say
from models.agreement import Agreement
from models.hiding import hide
from models.shares import Share
from teacher_portal import evaluation_cells as cells
from teacher_portal import evaluation_file
from teacher_portal.board import judged
from teacher_portal.evaluation import thought_is_safe
from teacher_portal.suppression import SMALL, Cell, is_small
from warning_service.catalogue.traits import all_traits
from warning_service.follow_up.evaluating.children import Figures, MissedCounts, Spread
from warning_service.follow_up.evaluating.effects import Break, Corrected
from warning_service.follow_up.evaluating.fairness import Fairness, GroupFigures
from warning_service.follow_up.evaluating.rightness import Rightness
from warning_service.follow_up.opinions import Thought

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


MARCH, APRIL = date(2027, 3, 24), date(2027, 4, 7)
NOBODY = Figures(listed=0, listed_hits=0, ranked=0, hits=0)


def fairness(table: Table, clear: int = 50, blocks: str = "", unknown: int = 0) -> Fairness:
    """`unknown`: so many of the last are in no group."""
    groups = [
        GroupFigures(
            group=str(at), block=blocks[at : at + 1],
            false_apart=(0.1, 0.0, 0.2), miss_apart=(0.1, 0.0, 0.2),
            figures=Figures(listed=caught + 10, listed_hits=caught,
                            ranked=missed + caught + clear, hits=missed + caught),
        )
        for at, (missed, caught) in enumerate(table)
    ]  # fmt: skip
    shown = len(groups) - unknown
    return Fairness(
        trait=all_traits()[0], groups=tuple(groups[:shown]),
        unknown=groups[-1].figures if unknown else NOBODY,
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@example([(5, 5), (5, 5), (2, 1)], 1)
@given(TABLES, st.integers(0, 1))
def test_no_small_group_follows_from_the_others_and_the_sums(table: Table, unknown: int) -> None:
    missed, hits = sum(m for m, _ in table), sum(m + c for m, c in table)
    year = cells.shown(
        Figures(listed=hits - missed + 100, listed_hits=hits - missed, ranked=1000, hits=hits)
    )
    if year.missed.value is None or year.precision.hits.value is None:
        return  # the sums are not known, so nothing can be subtracted from them
    lines = cells.groups(fairness(table, unknown=unknown if len(table) > 1 else 0))
    whole, part = [line.miss.of for line in lines], [line.miss.hits for line in lines]
    for _ in table[len(lines) :]:  # in no group: what it has is had by subtracting only
        whole.append(Cell(None, "withheld"))
        part.append(Cell(None, "withheld"))
    assert pinned(whole, part, (hits, missed), table) == []


def test_a_group_with_nobody_in_it_makes_up_for_no_other() -> None:
    """Were it taken, two hidden ones beside it would be known to be small, here four each."""
    for small, other in ((4, 4), (3, 5), (2, 6)):
        held = hide([[(0, 0), (0, small), (0, other)]])
        assert held is not None and held.whole == {1, 2}


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


def fits(shown: cells.ViewsShown, n: int, agreed: int, table: tuple[int, ...]) -> bool:
    if shown.agreed and table[0] + table[3] != agreed:
        return False
    return sum(table) == n and all(
        count in may_be(cell, n) and (cell.why != "withheld" or count >= SMALL)
        for cell, count in zip(shown.cells, table, strict=True)
    )


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.integers(0, 9)] * 4))
def test_no_small_cell_of_the_two_views_follows_from_the_share_that_agrees(
    true: tuple[int, int, int, int],
) -> None:
    table = Agreement(both=true[0], first_only=true[1], second_only=true[2], neither=true[3])
    shown, n = cells.views_shown(table), sum(true)
    if shown.total.value is None:
        assert not shown.agreed
        return
    agreed = true[0] + true[3]
    assert not (shown.agreed and (is_small(agreed) or is_small(n - agreed)))
    fitting = [
        (a, b, c, n - a - b - c)
        for a, b, c in itertools.product(range(n + 1), repeat=3)
        if a + b + c <= n and fits(shown, n, agreed, (a, b, c, n - a - b - c))
    ]
    for at, count in enumerate(true):
        assert not is_small(count) or len({one[at] for one in fitting}) > 1, (true, shown)
    assert not shown.kappa or all(cell.value is not None for cell in shown.cells)


def test_who_did_not_move_up_is_not_had_by_subtracting_who_did() -> None:
    def of(moved: bool, hits: int, of_: int) -> Break:
        return Break(last=MARCH, first=APRIL, moved=moved, met=Share(hits, of_), known=True,
                     known_on=APRIL)  # fmt: skip

    def shown(met: tuple[int, int], moved: tuple[int, int]) -> tuple[Cell, Cell]:
        (_, whole), (_, rate) = cells.break_rates([of(False, *met), of(True, *moved)])
        assert whole.value is not None
        return rate.hits, rate.of

    assert shown((20, 40), (10, 20)) == (Cell(10), Cell(20))
    assert shown((12, 40), (10, 20)) == (Cell(None, "withheld"), Cell(20))  # 2 of 20 others
    assert shown((10, 23), (10, 20)) == (Cell(None, "withheld"),) * 2  # 3 others
    assert shown((10, 20), (10, 20)) == (Cell(10), Cell(20))  # nobody else
    assert cells.break_rates([of(True, 1, 2)], hide=False)[0][1].value == 0.5


def test_a_step_is_not_shown_that_lacks_a_few_of_another() -> None:
    assert cells.steps_shown([100, 20, 18, 9, 3]) == [
        Cell(100), Cell(20), Cell(None, "withheld"), Cell(9), Cell(None, "small"),
    ]  # fmt: skip
    # Nine were supported; that seven are better would tell of the two who are not.
    assert cells.steps_shown([100, 20, 9, 9, 7])[-1] == Cell(None, "withheld")
    assert cells.steps_shown([0, 0, 0, 0, 0]) == [Cell(0)] * 5
    by_shown: dict[tuple[Cell, ...], set[int]] = {}
    for first, second in itertools.combinations_with_replacement(range(12), 2):
        by_shown.setdefault(tuple(cells.steps_shown([second, first])), set()).add(second - first)
    alone = [held for held in by_shown.values() if len(held) == 1 and is_small(*held)]
    assert alone == [], "what one step lacks of another follows"


def test_the_missed_do_not_follow_from_as_many_found_as_listed() -> None:
    """Of nine five were found, the five listed: fewer than five missed would be four."""
    held = cells.shown(Figures(listed=5, listed_hits=5, ranked=200, hits=9))
    assert held.missed == Cell(None, "small") and held.recall.of.value is None
    board = judged(
        Rightness(
            listed=5,
            listed_hits=5,
            ranked=200,
            ranked_hits=9,
            until=date(2026, 5, 1),
            complete=True,
        )
    )
    assert board is not None and board.missed == Cell(None, "small")
    assert board.ranked_hits.value is None and board.base is None


def test_how_many_were_found_is_not_told_by_the_lead_time() -> None:
    lead = Spread(20, 10.0, 20.0, 30.0)
    open_ = cells.shown(Figures(listed=60, listed_hits=20, ranked=500, hits=29))
    assert cells.lead_shown(lead, open_) == lead
    hidden = cells.shown(Figures(listed=60, listed_hits=20, ranked=500, hits=22))  # 2 missed
    assert hidden.recall.of == Cell(22) and cells.lead_shown(lead, hidden) is None
    assert cells.lead_shown(Spread(4, 1, 2, 3), open_) is None is cells.lead_shown(None, open_)


def test_a_sum_of_months_is_safe_when_it_pins_none_of_the_hidden() -> None:
    assert cells.sum_is_safe([12, 9, 0]) and cells.sum_is_safe([3, 2, 20]) and cells.sum_is_safe([])
    assert not cells.sum_is_safe([3, 9, 20])  # the one that is hidden is the rest
    assert not cells.sum_is_safe([1, 1, 20])  # of two: both are one


def test_a_years_opinions_do_not_give_a_months_away() -> None:
    def month(helpful: int, judged: int) -> Thought:
        return Thought(kind="entry", things=40, judged=judged, helpful=helpful, not_helpful=0,
                       differs=judged - helpful)  # fmt: skip

    assert thought_is_safe([]) and thought_is_safe([month(9, 20), month(12, 20)])
    assert not thought_is_safe([month(3, 20), month(12, 20)])  # 15 in all, 12 of them in June
    assert thought_is_safe([month(3, 20), month(2, 20), month(12, 20)])


def test_the_file_hides_what_the_page_hides_around_the_cut() -> None:
    few = Corrected(
        n=3, n_others=12, before=0.0, after=0.0, others_before=0.0, others_after=0.0, gap=None
    )
    for lang in ("ja", "en"):
        row = evaluation_file._gap(lang, "eval.around_supported", few, None)
        assert row[2:4] == [say(lang, "portal.under_five"), 12]
