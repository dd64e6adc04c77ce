"""What may be shown of an evaluation where nobody may be recognised: small cells are hidden.

A rate is shown only when neither the children it counts nor the rest of its whole are one to four.
Where groups stand beside sums that are known from the page next to it, further ones are withheld
until no hidden number can be had by subtracting (`hide` of models/hiding.py; suppression.py does it
for one row of counts). Rates of groups and their differences go with their cells: a rate with its
base would give the count back.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from models.agreement import Agreement
from models.hiding import Hidden, Parts, hide
from models.shares import Ratio, Share
from teacher_portal.suppression import Bounds, Cell, is_small, protect
from warning_service.follow_up.evaluating.children import Figures, MissedCounts, Spread
from warning_service.follow_up.evaluating.effects import Break
from warning_service.follow_up.evaluating.fairness import Difference, Fairness, GroupFigures

LEAST_CHILDREN = 5
"""A median stands for at least so many children."""

SMALL, WITHHELD = Cell(None, "small"), Cell(None, "withheld")


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """`hits` of `of` as cells; `value`, `low`, `high` are None when they would tell too much."""

    hits: Cell
    of: Cell
    value: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def drawn(self) -> tuple[float, float, float] | None:
        """(value, low, high) for a chart; None when there is nothing to draw."""
        if self.value is None or self.low is None or self.high is None:
            return None
        return self.value, self.low, self.high


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """Figures as a page may show them. `enough`: some child listed and some outcome at all."""

    precision: Rate
    recall: Rate
    base: Rate
    missed: Cell
    lift: Ratio | None
    enough: bool


class GroupShown(msgspec.Struct, frozen=True, kw_only=True):
    """One group's line. The differences are None where its rate is."""

    group: str
    block: str
    children: Cell
    false: Rate
    miss: Rate
    false_apart: Difference | None
    miss_apart: Difference | None


def open_rate(share: Share) -> Rate:
    """A rate with nothing hidden: for those who may see every child behind it."""
    if share.value is None:
        return Rate(hits=Cell(share.hits), of=Cell(share.of))
    low, high = share.interval
    return Rate(hits=Cell(share.hits), of=Cell(share.of), value=share.value, low=low, high=high)


def closed_rate(share: Share) -> Rate:
    """A rate that stands alone, hidden when it or its rest is one to four children."""
    if is_small(share.of):
        return Rate(hits=SMALL, of=SMALL)
    if is_small(share.hits):
        return Rate(hits=SMALL, of=Cell(share.of))
    if is_small(share.of - share.hits):
        return Rate(hits=WITHHELD, of=Cell(share.of))
    return open_rate(share)


def shown(figures: Figures, *, hide: bool = True) -> Shown:
    """Precision, recall and base rate together, so that none gives another's hidden count away."""
    enough = bool(figures.listed and figures.hits)
    if not hide:
        return Shown(
            precision=open_rate(figures.precision), recall=open_rate(figures.recall),
            base=open_rate(figures.base), missed=Cell(figures.missed.hits), lift=figures.lift,
            enough=enough,
        )  # fmt: skip
    # No more can be found than were listed, which stands beside.
    bounds = (Bounds(most=figures.listed), Bounds())
    (found, missed), total = protect([figures.listed_hits, figures.missed.hits], bounds)
    listed = SMALL if is_small(figures.listed) else Cell(figures.listed)
    ranked = SMALL if is_small(figures.ranked) else Cell(figures.ranked)
    alarms = figures.listed - figures.listed_hits
    whole = found.value is not None and total.value is not None
    if is_small(alarms) or listed.value is None:
        found, whole = (found if found.value is None else WITHHELD), False
        missed = missed if missed.value is None else WITHHELD
    base = open_rate(figures.base) if total.value is not None and ranked.value else None
    return Shown(
        precision=open_rate(figures.precision) if whole else Rate(hits=found, of=listed),
        recall=open_rate(figures.recall) if whole else Rate(hits=found, of=total),
        base=base or Rate(hits=total, of=ranked),
        missed=missed,
        lift=figures.lift if whole else None,
        enough=enough,
    )


def groups(one: Fairness) -> list[GroupShown]:
    """A trait's lines. Blocks are protected each by itself, and together when one cannot be.

    Children in no group (their family stopped the use of an item) have no line, but what the lines
    lack of the year's figures is theirs: they are protected as one group more.
    """
    blocks: dict[str, list[GroupFigures]] = {}
    for group in one.groups:
        blocks.setdefault(group.block, []).append(group)
    if one.unknown.ranked and blocks:
        largest = max(blocks.values(), key=lambda held: sum(g.figures.ranked for g in held))
        largest.append(
            GroupFigures(
                group="", block=largest[0].block, figures=one.unknown,
                false_apart=None, miss_apart=None,
            )
        )  # fmt: skip
    hidden = [hide(_measures(members)) for members in blocks.values()]
    # The sum of all blocks is known: one block shown would give the other's sums away.
    known = [held for held in hidden if held is not None]
    if len(known) < len(hidden):
        known = [_everything(members) for members in blocks.values()]
    return [
        _line(group, held, at)
        for members, held in zip(blocks.values(), known, strict=True)
        for at, group in enumerate(members)
        if group.figures is not one.unknown
    ]


def _measures(members: Sequence[GroupFigures]) -> list[Parts]:
    figures = [group.figures for group in members]
    return [
        [(one.missed.hits, one.listed_hits) for one in figures],
        [(one.false_alarms.hits, one.false_alarms.of - one.false_alarms.hits) for one in figures],
    ]


def _everything(members: Sequence[GroupFigures]) -> Hidden:
    every = frozenset(range(len(members)))
    return Hidden(every, (every, every))


def _line(group: GroupFigures, held: Hidden, at: int) -> GroupShown:
    figures = group.figures
    miss, false = (
        _part_rate(share, at in held.whole, at in held.parts[measure])
        for measure, share in enumerate((figures.missed, figures.false_alarms))
    )
    return GroupShown(
        group=group.group, block=group.block, false=false, miss=miss,
        children=WITHHELD if at in held.whole else Cell(figures.ranked),
        false_apart=group.false_apart if false.value is not None else None,
        miss_apart=group.miss_apart if miss.value is not None else None,
    )  # fmt: skip


def _part_rate(share: Share, whole_hidden: bool, part_hidden: bool) -> Rate:
    if whole_hidden or part_hidden:
        return Rate(hits=WITHHELD, of=WITHHELD if whole_hidden else Cell(share.of))
    return open_rate(share)


def missed_rows(
    counts: dict[str, MissedCounts], names: dict[str, str]
) -> tuple[list[tuple[str, Rate, Rate]], tuple[Rate, Rate]]:
    """(school's name, affected, supported) by school, and the town's: never listed of all."""
    ids = sorted(set(counts) & set(names), key=lambda school: names[school])
    columns: list[list[Rate]] = []
    totals: list[Rate] = []
    for shares in ([counts[s].affected for s in ids], [counts[s].supported for s in ids]):
        held = hide([[(share.hits, share.of - share.hits) for share in shares]])
        columns.append(
            [
                _part_rate(
                    share, held is None or at in held.whole, held is None or at in held.parts[0]
                )
                for at, share in enumerate(shares)
            ]
        )
        total = Share(sum(share.hits for share in shares), sum(share.of for share in shares))
        totals.append(closed_rate(total))
    rows = [(names[s], columns[0][at], columns[1][at]) for at, s in enumerate(ids)]
    return rows, (totals[0], totals[1])


class ViewsShown(msgspec.Struct, frozen=True, kw_only=True):
    """Two views: the cells (both, first only, second only, neither), their sum, and whether the
    share that agrees and kappa may stand beside them.
    """

    cells: list[Cell]
    total: Cell
    agreed: bool
    kappa: bool


def views_shown(table: Agreement) -> ViewsShown:
    """Who agrees and who does not are two sums, each protected with its own cells.

    The share that agrees tells both sums, so it stands only where they may; kappa tells what is
    within them, so it stands only where nothing is hidden.
    """
    (both, neither), agree = protect([table.both, table.neither])
    (first, second), differ = protect([table.first_only, table.second_only])
    if agree.value is None or differ.value is None:
        cells, total = protect([table.both, table.first_only, table.second_only, table.neither])
        return ViewsShown(cells=cells, total=total, agreed=False, kappa=False)
    cells = [both, first, second, neither]
    whole = all(cell.value is not None for cell in cells)
    return ViewsShown(cells=cells, total=Cell(table.n), agreed=True, kappa=whole)


def break_rates(breaks: Sequence[Break], *, hide: bool = True) -> list[tuple[Break, Rate]]:
    """Children under support before each break, and those of them met after it.

    Who moved up stands beside everybody: the others follow by subtracting and are protected too.
    """
    if not hide:
        return [(one, open_rate(one.met)) for one in breaks]
    everybody = {one.first: one.met for one in breaks if not one.moved}
    found = []
    for one in breaks:
        rate, whole = closed_rate(one.met), everybody.get(one.first)
        if one.moved and whole is not None:
            others = Share(whole.hits - one.met.hits, whole.of - one.met.of)
            if is_small(others.of):
                rate = Rate(hits=WITHHELD, of=WITHHELD)
            elif rate.value is not None and closed_rate(others).value is None and others.of:
                rate = Rate(hits=WITHHELD, of=rate.of)
        found.append((one, rate))
    return found


def steps_shown(counts: Sequence[int]) -> list[Cell]:
    """Steps of a funnel: none is shown that is small, or makes one by what it lacks of another.

    Beside six, "withheld and not small" could only be five: there, small is not said.
    """
    shown: list[Cell] = []
    for count in counts:
        known = [held.value for held in shown if held.value is not None]
        lacking = [value - count for value in known]
        if is_small(count):
            shown.append(WITHHELD if LEAST_CHILDREN + 1 in known else SMALL)
        else:
            shown.append(WITHHELD if any(is_small(abs(n)) for n in lacking) else Cell(count))
    return shown


def sum_is_safe(counts: Sequence[int]) -> bool:
    """May the sum of these counts be known where each stands, the small ones hidden?"""
    cells, total = protect(counts)
    return total.value is not None and not any(cell.why == "withheld" for cell in cells)


def lead_shown(lead: Spread | None, year: Shown) -> Spread | None:
    """How long before they were found. Its number of children is that of the found: where they are
    not shown, it is not either.
    """
    if lead is None or lead.n < LEAST_CHILDREN or year.recall.hits.value is None:
        return None
    return lead


def told_apart(line: GroupShown) -> bool:
    """Is a difference of this group's beyond its interval?"""
    found = [one for one in (line.false_apart, line.miss_apart) if one is not None]
    return any(not low <= 0.0 <= high for _, low, high in found)
