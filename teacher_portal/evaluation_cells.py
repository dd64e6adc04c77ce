"""What may be shown of an evaluation where nobody may be recognised: small cells are hidden.

A rate is shown only when neither the children it counts nor the rest of its whole are one to four;
and where groups stand beside a total, further ones are withheld until no hidden number can be had
by subtracting (suppression.py). Rates of groups and their differences go with their cells: a rate
with its base would give the count back.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from models.agreement import Agreement
from models.shares import Ratio, Share
from teacher_portal.suppression import Bounds, Cell, is_small, protect
from warning_service.follow_up.evaluation_children import Figures, MissedCounts
from warning_service.follow_up.evaluation_effects import Break
from warning_service.follow_up.evaluation_fairness import Difference, Fairness, GroupFigures

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
    (found, missed), total = protect([figures.listed_hits, figures.missed.hits])
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
    """A trait's lines, each block protected by itself."""
    blocks: dict[str, list[GroupFigures]] = {}
    for group in one.groups:
        blocks.setdefault(group.block, []).append(group)
    return [line for members in blocks.values() for line in _block(members)]


def _block(members: Sequence[GroupFigures]) -> list[GroupShown]:
    hits, _ = _protected([group.figures.hits for group in members])
    clear, _ = _protected([group.figures.ranked - group.figures.hits for group in members])
    missed = _parts(
        [group.figures.missed.hits for group in members],
        [group.figures.listed_hits for group in members],
        hits,
    )
    alarms = _parts(
        [group.figures.false_alarms.hits for group in members],
        [group.figures.false_alarms.of - group.figures.false_alarms.hits for group in members],
        clear,
    )
    lines = []
    for at, group in enumerate(members):
        figures = group.figures
        miss = _rate(missed[at], hits[at], figures.missed)
        false = _rate(alarms[at], clear[at], figures.false_alarms)
        both = hits[at].value is not None and clear[at].value is not None
        lines.append(
            GroupShown(
                group=group.group, block=group.block, false=false, miss=miss,
                children=Cell(figures.ranked) if both else WITHHELD,
                false_apart=group.false_apart if false.value is not None else None,
                miss_apart=group.miss_apart if miss.value is not None else None,
            )
        )  # fmt: skip
    return lines


def _protected(counts: Sequence[int]) -> tuple[list[Cell], bool]:
    """(cells, may the total stand beside them); without it everything is hidden.

    The total of a trait is known from the page beside, so it cannot be the one to be withheld.
    """
    cells, total = protect(counts)
    if total.value is None:
        return [SMALL if is_small(count) else WITHHELD for count in counts], False
    return cells, True


def _parts(part: Sequence[int], rest: Sequence[int], whole: Sequence[Cell]) -> list[Cell]:
    """`part` of each group as cells, where `part` plus `rest` is `whole`, which stands beside.

    A part is hidden when its rest has to be, and with a whole that is hidden.
    """
    bounds = [Bounds(most=cell.value) for cell in whole]
    mine, mine_total = protect(part, bounds)
    others, others_total = protect(rest, bounds)
    if mine_total.value is None or others_total.value is None:
        return [SMALL if is_small(count) else WITHHELD for count in part]
    return [
        one if one.value is None else (WITHHELD if other.value is None or of.value is None else one)
        for one, other, of in zip(mine, others, whole, strict=True)
    ]


def _rate(hits: Cell, of: Cell, share: Share) -> Rate:
    if hits.value is None or of.value is None or share.value is None:
        return Rate(hits=hits, of=of)
    return open_rate(share)


def missed_rows(
    counts: dict[str, MissedCounts], names: dict[str, str]
) -> tuple[list[tuple[str, Rate, Rate]], tuple[Rate, Rate]]:
    """(school's name, affected, supported) by school, and the town's: never listed of all."""
    ids = sorted(set(counts) & set(names), key=lambda school: names[school])
    columns: list[list[Rate]] = []
    totals: list[Rate] = []
    for shares in ([counts[s].affected for s in ids], [counts[s].supported for s in ids]):
        whole, _ = _protected([share.of for share in shares])
        part = _parts(
            [share.hits for share in shares], [share.of - share.hits for share in shares], whole
        )
        columns.append([_rate(p, w, s) for p, w, s in zip(part, whole, shares, strict=True)])
        total = Share(sum(s.hits for s in shares), sum(s.of for s in shares))
        totals.append(closed_rate(total))
    rows = [(names[s], columns[0][at], columns[1][at]) for at, s in enumerate(ids)]
    return rows, (totals[0], totals[1])


def table_cells(table: Agreement) -> tuple[list[Cell], Cell]:
    """The four cells of two views (both, first only, second only, neither) and their sum."""
    return protect([table.both, table.first_only, table.second_only, table.neither])


def break_rate(one: Break, *, hide: bool = True) -> Rate:
    """Children under support before a break, and those of them met after it."""
    return closed_rate(one.met) if hide else open_rate(one.met)


def told_apart(line: GroupShown) -> bool:
    """Is a difference of this group's beyond its interval?"""
    found = [one for one in (line.false_apart, line.miss_apart) if one is not None]
    return any(not low <= 0.0 <= high for _, low, high in found)
