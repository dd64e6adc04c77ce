"""The board's page: counts with denominators, and how right the lists were. No names, ever.

Small cells are suppressed (see suppression.py), also in the order of a sorted column. Nothing here
goes through the gateway because nothing here is about one child; the look is on the trail all the
same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from teacher_portal.frame import show
from teacher_portal.suppression import Bounds, Cell, is_small, protect
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import Needs
from warning_service.follow_up.evaluating.rightness import (
    Rightness,
    how_right,
    lists_between,
    wilson,
)
from warning_service.follow_up.evaluating.room import Right
from warning_service.follow_up.opinions import Thought, of_days
from warning_service.follow_up.queries import Answered, Funnel, acknowledgements, funnels
from warning_service.rooms import rooms_of
from warning_service.roster import queries as roster

router = APIRouter()
STAGES = ("listed", "reviewed", "supported", "better")


class SchoolRow(msgspec.Struct, frozen=True, kw_only=True):
    """One school's line: the stages, then its alerts."""

    name: str
    listed: Cell
    reviewed: Cell
    supported: Cell
    better: Cell
    alerts: Cell
    in_time: Cell
    median_minutes: float | None


class ThoughtRow(msgspec.Struct, frozen=True, kw_only=True):
    """What staff thought of one kind of thing, as it may be shown. `given`: all opinions."""

    kind: str
    things: Cell
    judged: Cell
    helpful: Cell
    not_helpful: Cell
    differs: Cell
    given: Cell


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """How right lists were, as far as it may be shown."""

    right: Rightness
    hits: Cell
    missed: Cell
    ranked_hits: Cell
    interval: tuple[float, float] | None
    base: float | None
    at_most: float | None
    """Upper end when the hits are too few to show."""


@router.get("/portal/board")
def board(
    request: Request,
    who: Annotated[Principal, Depends(Needs(Ability.SEE_COUNTS))],
    month: str = "",
    sort: str = "school",
    dir: str = "",
) -> Response:
    """Counts of one month by school, the months beside each other, and how right lists were."""
    rooms = rooms_of(request)
    today = rooms.clock.today()
    playbook = rooms.playbooks.of(who.board)
    year_from = (today - timedelta(days=364)).replace(day=1)
    with rooms.database.reading() as conn:
        schools = {s.id: s.name for s in roster.schools(conn, who.board)}
        found = funnels(conn, playbook, who.board, year_from, today)
        months = sorted({row.list_date.replace(day=1) for row in found}, reverse=True)
        chosen = next((m for m in months if m.isoformat()[:7] == month), (months or [today])[0])
        first, last = chosen.replace(day=1), _month_end(chosen)
        thought = of_days(conn, who.board, first, last)
        answered = acknowledgements(conn, who.board, first, last)
        lists = lists_between(conn, who.board, year_from, today)
        before = [row for row in lists if row.list_date < today.replace(day=1)]
        last_month = max((row.list_date.replace(day=1) for row in before), default=None)
        right_last = how_right(conn, playbook, _of_month(before, last_month), today)
    # Each child once, as on the evaluation's page: two totals of one year would only puzzle, and
    # one of children times lists is the sum of its months, among them those that are hidden there.
    year = rooms.evaluation.right(who.board)
    rooms.gateway.note(
        who, "board_counts", [who.board], first.isoformat(), using=Ability.SEE_COUNTS
    )
    of_month = [row for row in found if row.list_date.replace(day=1) == first]
    rows, totals = school_rows(schools, of_month, answered)
    column = ORDERS.get(sort, ORDERS["school"])
    rows.sort(key=lambda row: row.name)
    rows.sort(key=column, reverse=dir == "desc")
    return show(
        request,
        who,
        "portal_board.html",
        month=first,
        months=months,
        no_lists=playbook.judgement.method == "none",
        rows=rows,
        totals=totals,
        by_month=[(m, month_totals(found, m)) for m in months],
        sort=sort if sort in ORDERS else "school",
        direction="desc" if dir == "desc" else "asc",
        last_month=last_month,
        # Where the month's number of listed children is withheld, it must not stand here either.
        right_last=judged(right_last)
        if last_month and month_totals(found, last_month)["listed"].value is not None
        else None,
        right_year=judged(of_year(year, today)),
        settled=year.settled,
        thoughts=[thought_row(one) for one in thought if one.judged],
        outcome=playbook.outcome,
        supported_days=playbook.list.supported_days,
    )


ORDERS: dict[str, Callable[[SchoolRow], Any]] = {
    "school": lambda row: row.name,
    **{stage: (lambda row, stage=stage: getattr(row, stage).order) for stage in STAGES},  # type: ignore[misc]
    "alerts": lambda row: row.alerts.order,
    "in_time": lambda row: row.in_time.order,
    "median": lambda row: -1.0 if row.median_minutes is None else row.median_minutes,
}


def school_rows(
    schools: dict[str, str], found: Sequence[Funnel], answered: Sequence[Answered]
) -> tuple[list[SchoolRow], dict[str, Cell]]:
    """One line for each school, and the totals that may stand below them."""
    funnel = {row.school: row for row in found}
    quick = {row.school: row for row in answered}
    ids = sorted(schools)
    columns: dict[str, list[Cell]] = {}
    totals: dict[str, Cell] = {}
    stages, stage_totals = protect_stages([funnel.get(s) for s in ids])
    columns.update(stages)
    totals.update(stage_totals)
    raised = [quick[s].raised if s in quick else 0 for s in ids]
    columns["alerts"], totals["alerts"] = protect(raised)
    columns["in_time"], totals["in_time"] = protect(
        [quick[s].in_time if s in quick else 0 for s in ids],
        [Bounds(most=cell.value) for cell in columns["alerts"]],
    )
    rows = [
        SchoolRow(
            name=schools[s],
            **{name: cells[at] for name, cells in columns.items()},
            median_minutes=quick[s].median_minutes
            if s in quick and not is_small(quick[s].acknowledged)
            else None,
        )
        for at, s in enumerate(ids)
    ]
    return rows, totals


def month_totals(found: Sequence[Funnel], month: date) -> dict[str, Cell]:
    """The town's stages of one month: the same totals as below that month's schools."""
    rows = [row for row in found if row.list_date.replace(day=1) == month]
    rows.sort(key=lambda row: row.school)
    return protect_stages(rows)[1]


def protect_stages(
    rows: Sequence[Funnel | None],
) -> tuple[dict[str, list[Cell]], dict[str, Cell]]:
    """The stages of several schools as they may stand beside each other, with their totals.

    A school without a list counts nobody. Nobody can be classed or supported who is not listed, nor
    be better who is not supported; what is shown of one stage bounds the next.
    """
    counts = {stage: [getattr(row, stage) if row else 0 for row in rows] for stage in STAGES}
    cells: dict[str, list[Cell]] = {}
    totals: dict[str, Cell] = {}
    cells["listed"], totals["listed"] = protect(counts["listed"])
    listed = [Bounds(most=cell.value) for cell in cells["listed"]]
    cells["reviewed"], totals["reviewed"] = protect(counts["reviewed"], listed)
    supported = [
        Bounds(least=better, most=bound.most)
        for bound, better in zip(listed, counts["better"], strict=True)
    ]
    cells["supported"], totals["supported"] = protect(counts["supported"], supported)
    better = [Bounds(most=cell.value) for cell in cells["supported"]]
    cells["better"], totals["better"] = protect(counts["better"], better)
    return cells, totals


def thought_row(thought: Thought) -> ThoughtRow:
    """Opinions with small counts hidden, and what would give them away by subtraction."""
    (helpful, not_helpful, differs), given = protect(
        [thought.helpful, thought.not_helpful, thought.differs]
    )
    (with_one, _), things = protect([thought.judged, thought.things - thought.judged])
    return ThoughtRow(
        kind=thought.kind, things=things, judged=with_one, helpful=helpful,
        not_helpful=not_helpful, differs=differs, given=given,
    )  # fmt: skip


def of_year(found: Right, today: date) -> Rightness | None:
    """The year's figures, each child once; None before a list is settled."""
    if found.last is None:
        return None
    year = found.year
    return Rightness(
        listed=year.listed, listed_hits=year.listed_hits, ranked=year.ranked,
        ranked_hits=year.hits, until=today, complete=True,
    )  # fmt: skip


def judged(right: Rightness | None) -> Judged | None:
    """How right lists were, with small counts of hits hidden, and what would give them away."""
    if right is None or right.ranked == 0 or is_small(right.listed):
        return None
    bounds = (Bounds(most=right.listed), Bounds())  # no more hits than listed
    (hits, missed), total = protect([right.listed_hits, right.missed], bounds)
    if is_small(right.listed - right.listed_hits) and hits.value is not None:
        # Who was listed stands beside: the few it did not come to would follow.
        hits = Cell(None, "withheld")
        missed = missed if missed.value is None else Cell(None, "withheld")
    interval = at_most = None
    if hits.value is not None:
        interval = wilson(hits.value, right.listed)
    elif hits.why == "small":
        at_most = wilson(4, right.listed)[1]
    base = total.value / right.ranked if total.value is not None else None
    return Judged(
        right=right,
        hits=hits,
        missed=missed,
        ranked_hits=total,
        interval=interval,
        base=base,
        at_most=at_most,
    )


def _of_month(rows: Sequence[Any], month: date | None) -> list[Any]:
    return [row for row in rows if row.list_date.replace(day=1) == month]


def _month_end(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
