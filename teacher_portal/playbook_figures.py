"""A try's counts as they may be shown: small ones hidden, and what would give them away.

On one date four numbers stand beside each other (how many are listed now and by the tried playbook,
how many enter, how many leave), and any three of them give the fourth. So when few children enter,
leave or stay, neither change is shown. Schools stand beside the sums of the dates (`_kept_back`);
for hits it is suppression.py's rule. What the tried file counts is blurred besides (blurring.py):
what is hidden is decided on the exact counts. Used by the page and by the command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import date

import msgspec

from models.hiding import hide
from models.shares import wilson
from teacher_portal.blurring import about, blurred
from teacher_portal.suppression import SMALL, Cell, is_small, protect
from warning_service.judging.trying.counts import (
    Load,
    OfDate,
    OfItem,
    OfSchool,
    Right,
    Tried,
)

NO_LIST = Cell(None, "none")
WITHHELD = Cell(None, "withheld")


class DateView(msgspec.Struct, frozen=True, kw_only=True):
    """One date's lists of all schools together."""

    on: date
    current: Cell
    tried: Cell
    entering: Cell
    leaving: Cell
    judge_current: str
    judge_tried: str


class SchoolView(msgspec.Struct, frozen=True, kw_only=True):
    """One school over the whole time; pairs are (now, tried), None where withheld, and the tried
    one is made of a blurred count.
    """

    name: str
    a_month: tuple[float | None, float | None]
    minutes: tuple[float | None, float | None]
    entering: Cell
    leaving: Cell


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """How right one side's lists were. `at_most`: upper end when the hits are too few to show;
    `blurred`: all of it is about so.
    """

    lists: int
    listed: int
    hits: Cell
    missed: Cell
    base: float | None
    interval: tuple[float, float] | None
    at_most: float | None
    blurred: bool = False


class ItemView(msgspec.Struct, frozen=True, kw_only=True):
    """An item that was changed, or that made a difference."""

    item: str
    label_ja: str
    label_en: str
    was: tuple[float, float, int, float] | None
    now: tuple[float, float, int, float] | None
    more: Cell
    less: Cell


class View(msgspec.Struct, frozen=True, kw_only=True):
    """All of a try that may be shown. `notes`: keys of what has to be said beside it."""

    dates: list[DateView]
    schools: list[SchoolView]
    a_month: tuple[float | None, float | None]
    minutes: tuple[float | None, float | None]
    right: tuple[Side, Side]
    right_own: tuple[Side, Side] | None
    items: list[ItemView]
    by_order: Cell
    notes: list[str]


def view_of(result: Tried, names: Mapping[str, str]) -> View:
    """A try as it may be shown; `names`: of schools, by id."""
    months = result.months
    schools = sorted(result.schools, key=lambda one: names.get(one.school, one.school))
    lengths, changes = _kept_back(schools)
    now = _loads([one.current for one in schools], lengths, months)
    tried = _loads([_load(one) for one in schools], lengths, months)
    notes = ["not_looked_at", "excluded", "small", "blurred"]
    notes += ["other_dates"] if result.other_dates else []
    notes += ["own_outcome"] if result.right_own is not None else []
    notes += ["shortened"] if result.shortened else []
    return View(
        dates=[date_view(one) for one in result.dates],
        schools=[
            _school(
                one,
                names.get(one.school, one.school),
                now[0][at],
                tried[0][at],
                told=at not in changes,
            )
            for at, one in enumerate(schools)
        ],
        a_month=(now[1][0], tried[1][0]),
        minutes=(now[1][1], tried[1][1]),
        right=sides(*result.right),
        right_own=None if result.right_own is None else sides(*result.right_own, own=True),
        items=[_item(one) for one in result.items if one.changed or one.more or one.less],
        by_order=blurred(
            _small(result.by_order), result.items[0].grain if result.items else "", "by_order"
        ),
        notes=notes,
    )


def date_view(one: OfDate) -> DateView:
    """One date, with what few children would be known by left out."""
    if one.current is None or one.tried is None:
        cells = (
            NO_LIST if one.current is None else _small(one.current),
            NO_LIST if one.tried is None else _small(one.tried),
            NO_LIST,
            NO_LIST,
        )
    else:
        cells = changed(one.current - one.leaving, one.entering, one.leaving)
    current, tried, entering, leaving = cells
    if one.current is None or one.entering or one.leaving:
        # With the same children on both sides the tried count is the current one.
        tried = blurred(tried, one.grain, "tried")
    return DateView(
        on=one.on, current=current, tried=tried,
        entering=blurred(entering, one.grain, "entering"),
        leaving=blurred(leaving, one.grain, "leaving"),
        judge_current=one.judge_current, judge_tried=one.judge_tried,
    )  # fmt: skip


def changed(staying: int, entering: int, leaving: int) -> tuple[Cell, Cell, Cell, Cell]:
    """(now, tried, entering, leaving) as they may stand beside each other.

    With few who enter, leave or stay, both changes are withheld: which of them is small is not said
    either. Two lengths of five and more never tell a small count (a test goes through them all); a
    small length is hidden, and the other with it.
    """
    now, tried = staying + leaving, staying + entering
    if not any(map(is_small, (staying, entering, leaving))):
        return _small(now), _small(tried), Cell(entering), Cell(leaving)
    if is_small(now) or is_small(tried):
        return _or_withheld(_small(now)), _or_withheld(_small(tried)), WITHHELD, WITHHELD
    return Cell(now), Cell(tried), WITHHELD, WITHHELD


def _small(count: int) -> Cell:
    return Cell(None, "small") if is_small(count) else Cell(count)


def _or_withheld(cell: Cell) -> Cell:
    return cell if cell.value is None else WITHHELD


_Pair = tuple[float | None, float | None]


def _kept_back(schools: Sequence[OfSchool]) -> tuple[Set[int], Set[int]]:
    """Schools of which no length is shown, and those of which no change is.

    The dates above give the sums of all schools, as exactly as this table gives its lines: with one
    date they are the same children. So what is hidden is never one school alone. Both lengths of a
    school go together, and with them its changes, because three of the four give the fourth.
    """
    sizes = [
        (one.children_current, one.children_tried, one.current.entries, one.tried.entries)
        for one in schools
    ]
    lengths = {at for at, size in enumerate(sizes) if any(map(is_small, size))}
    if len(lengths) == 1 and len(schools) > 1:
        others = [at for at in range(len(schools)) if at not in lengths]
        # One without anybody on either side could not make up for the other.
        lengths.add(min(others, key=lambda at: (not all(sizes[at]), sum(sizes[at]), at)))
    held = hide(
        [
            [(one.entering, one.children_tried - one.entering) for one in schools],
            [(one.leaving, one.children_current - one.leaving) for one in schools],
        ]
    )
    if held is None:
        return lengths, set(range(len(schools)))
    return lengths, lengths.union(held.whole, *held.parts)


def _load(one: OfSchool) -> Load:
    """What the tried lists ask of a school, made of a blurred count."""
    if not (one.entering or one.leaving) and one.tried == one.current:
        return one.tried
    entries = about(one.tried.entries, one.grain, "entries")
    looked_at = entries
    if one.tried.looked_at != one.tried.entries:
        looked_at = about(one.tried.looked_at, one.grain, "looked_at")
    a_child = one.tried.minutes / one.tried.looked_at if one.tried.looked_at else 0.0
    return Load(
        lists=one.tried.lists, entries=entries, looked_at=looked_at,
        minutes=looked_at * a_child,
    )  # fmt: skip


def _loads(loads: Sequence[Load], hidden: Set[int], months: int) -> tuple[list[_Pair], _Pair]:
    """(entries, minutes) a month of each school, and of all; None where withheld."""
    each: list[_Pair] = [
        (None, None) if at in hidden else (one.entries / months, one.minutes / months)
        for at, one in enumerate(loads)
    ]
    total = sum(one.entries for one in loads)
    if is_small(total):
        return each, (None, None)
    return each, (total / months, sum(one.minutes for one in loads) / months)


def _school(one: OfSchool, name: str, now: _Pair, tried: _Pair, *, told: bool) -> SchoolView:
    _, _, entering, leaving = changed(one.children_current - one.leaving, one.entering, one.leaving)
    return SchoolView(
        name=name,
        a_month=(now[0], tried[0]),
        minutes=(now[1], tried[1]),
        entering=blurred(entering, one.grain, "entering") if told else WITHHELD,
        leaving=blurred(leaving, one.grain, "leaving") if told else WITHHELD,
    )


def sides(current: Right, tried: Right, *, own: bool = False) -> tuple[Side, Side]:
    """Both sides' hits. They share the same outcomes, so what one withholds both do. `own`: by the
    outcome of the tried file, which may ask for anything, too.
    """
    one, other = _side(current, blur=own), _side(tried, blur=True)
    alike = (current.ranked, current.ranked_hits) == (tried.ranked, tried.ranked_hits)
    if alike and not own and other.hits.value is not None and other.missed.value is not None:
        # Of the same children as many were hit; what was not listed is the rest of them.
        rest = max(SMALL, tried.ranked_hits - other.hits.value) if other.missed.value else 0
        other = msgspec.structs.replace(other, base=one.base, missed=Cell(rest, "about"))
    if one.base is None or other.base is None:
        one, other = (
            msgspec.structs.replace(side, base=None, missed=_or_withheld(side.missed))
            for side in (one, other)
        )
    return one, other


def _side(right: Right, *, blur: bool) -> Side:
    if is_small(right.listed):
        return Side(
            lists=right.lists, listed=0, hits=WITHHELD, missed=WITHHELD, base=None,
            interval=None, at_most=None, blurred=blur,
        )  # fmt: skip
    (hits, missed), total = protect([right.listed_hits, right.missed])
    if blur:
        right, hits, missed, total = _about(right, hits, missed, total)
    interval = at_most = None
    if right.listed and hits.value is not None:
        interval = wilson(hits.value / right.listed * right.children, right.children)
    elif right.listed and hits.why == "small":
        at_most = wilson((SMALL - 1) / right.listed * right.children, right.children)[1]
    base = None
    if total.value is not None and right.ranked:
        base = total.value / right.ranked
    return Side(
        lists=right.lists, listed=right.listed, hits=hits, missed=missed, base=base,
        interval=interval, at_most=at_most, blurred=blur,
    )  # fmt: skip


def _about(right: Right, hits: Cell, missed: Cell, total: Cell) -> tuple[Right, Cell, Cell, Cell]:
    """All of it blurred; no more hits than listed."""
    grain = right.grain
    listed = about(right.listed, grain, "listed")
    hits = blurred(hits, grain, "hits")
    if hits.value is not None and hits.value > listed:
        hits = Cell(listed, hits.why)
    right = msgspec.structs.replace(
        right, listed=listed, children=min(listed, about(right.children, grain, "children")),
        ranked=about(right.ranked, grain, "ranked"),
    )  # fmt: skip
    return right, hits, blurred(missed, grain, "missed"), blurred(total, grain, "total")


def _item(one: OfItem) -> ItemView:
    return ItemView(
        item=one.item, label_ja=one.label_ja, label_en=one.label_en, was=one.was, now=one.now,
        more=blurred(_small(one.more), one.grain, f"more:{one.item}"),
        less=blurred(_small(one.less), one.grain, f"less:{one.item}"),
    )  # fmt: skip
