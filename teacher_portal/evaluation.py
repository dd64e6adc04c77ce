"""The board's pages: how right its lists were, for whom they err, whether it helped. No names.

Everything is counted by follow_up/evaluating/room.py; here it is put into words and cells, with
small ones hidden. What is not known yet, and what is too little to say anything, is said so with
its number, and never drawn. Each page is a look at numbers on the trail; the fairness page is one
more, because it reads traits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from design import plots
from design.render import language, say
from models import reliability
from models.effects import LEAST, LEAST_SCHOOLS
from models.reliability import Bin
from teacher_portal import evaluation_cells as cells
from teacher_portal.board import month_totals, thought_row
from teacher_portal.evaluation_file import file_of
from teacher_portal.frame import show
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import Needs
from warning_service.catalogue.traits import OTHERWISE, Trait
from warning_service.follow_up.evaluating.days import SPAN
from warning_service.follow_up.evaluating.effects import LEAST_SPAN, MET_WITHIN
from warning_service.follow_up.evaluating.fairness import Fairness
from warning_service.follow_up.evaluating.room import OfDate, Right
from warning_service.follow_up.opinions import Thought
from warning_service.follow_up.queries import funnels
from warning_service.playbooks.model import Playbook
from warning_service.rooms import Rooms, rooms_of
from warning_service.roster import queries as roster
from warning_service.roster.grades import in_words

router = APIRouter()
Reader = Annotated[Principal, Depends(Needs(Ability.SEE_COUNTS))]
TABS = ("", "fairness", "effects")
STEPS = ("ranked", "listed", "reviewed", "supported", "better")


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """One month's lists. `shown` is None while it is not known, or must not be said."""

    of: OfDate
    shown: cells.Shown | None
    withheld: bool


class TraitShown(msgspec.Struct, frozen=True, kw_only=True):
    """One trait's table and chart. `judged`: an item it is made from is used for judging."""

    trait: Trait
    judged: bool
    lines: list[cells.GroupShown]
    names: list[str]
    plot: plots.Rows
    apart: bool


@router.get("/portal/evaluation")
def right(request: Request, who: Reader) -> Response:
    """Precision, recall, lift, lead time, calibration, missed children, agreement, feedback."""
    rooms = rooms_of(request)
    found = rooms.evaluation.right(who.board)
    _note(rooms, who)
    months = months_of(rooms, who, found)
    _, counts = rooms.evaluation.missed(who.board)
    missed, missed_total = cells.missed_rows(counts, _schools(rooms, who))
    views = rooms.evaluation.views(who.board)
    thought = rooms.evaluation.thought(who.board)
    by_month = rooms.evaluation.thought_by_month(who.board)
    year = cells.shown(found.year)
    return show(
        request,
        who,
        "portal_evaluation.html",
        **common(rooms, who, request),
        tab="",
        right=found,
        year=year,
        lead=cells.lead_shown(found.lead, year),
        new=cells.closed_rate(found.new_to_us),
        months=months,
        month_plot=plots.rows(
            [m.shown.precision.drawn if m.shown else None for m in months],
            [m.shown.base.value if m.shown else None for m in months],
        ),
        **calibrated(bins_of(found)),
        missed=missed,
        missed_total=missed_total,
        views=views,
        shown_views=cells.views_shown(views.table) if views else None,
        thought=thought_row(thought) if thought.judged else None,
        thought_tells=not thought_is_safe(by_month),
    )


@router.get("/portal/evaluation/fairness")
def fairness(request: Request, who: Reader) -> Response:
    """False alarms and misses by sex, grade, school, household and disability."""
    rooms = rooms_of(request)
    found = rooms.evaluation.right(who.board)
    asked = rooms.evaluation.fairness(who, using=Ability.SEE_COUNTS) if found.settled else []
    playbook, lang = rooms.playbooks.of(who.board), language(request)
    names = _schools(rooms, who)
    return show(
        request,
        who,
        "portal_evaluation_fairness.html",
        **common(rooms, who, request),
        tab="fairness",
        right=found,
        traits=[trait_shown(one, playbook, names, lang) for one in asked],
    )


@router.get("/portal/evaluation/effects")
def effects(request: Request, who: Reader) -> Response:
    """Before and after, around the cut, between schools, over breaks, and the funnel."""
    rooms = rooms_of(request)
    found = rooms.evaluation.effects(who.board)
    _note(rooms, who)
    return show(
        request,
        who,
        "portal_evaluation_effects.html",
        **common(rooms, who, request),
        tab="effects",
        found=found,
        breaks=cells.break_rates(found.breaks),
        steps=list(
            zip(STEPS, cells.steps_shown([getattr(found.steps, s) for s in STEPS]), strict=True)
        ),
    )


@router.get("/portal/evaluation/file")
def file(request: Request, who: Reader) -> Response:
    """The aggregates of the three pages as one CSV file, small cells hidden as on them."""
    rooms, lang = rooms_of(request), language(request)
    found = rooms.evaluation.right(who.board)
    asked = rooms.evaluation.fairness(who, using=Ability.SEE_COUNTS) if found.settled else []
    names, playbook = _schools(rooms, who), rooms.playbooks.of(who.board)
    made = file_of(
        lang,
        right=found,
        bins=bins_of(found),
        months=months_of(rooms, who, found),
        traits=[trait_shown(one, playbook, names, lang) for one in asked],
        effects=rooms.evaluation.effects(who.board),
    )
    rooms.gateway.note(who, "evaluation_file", [who.board], using=Ability.SEE_COUNTS)
    return made


def common(
    rooms: Rooms, who: Principal, request: Request, *, open_numbers: bool = False
) -> dict[str, Any]:
    """What all pages on evaluation say: the outcome in words, and the least numbers.

    `open_numbers`: the reader may see every child, so that no number is hidden.
    """
    playbook = rooms.playbooks.of(who.board)
    outcome, lang = playbook.outcome, language(request)
    item = playbook.catalogue_items().get(outcome.item)
    words = ""
    if item is not None:
        words = item.label_en if lang == "en" else item.label
    return {
        "tabs": TABS,
        "outcome": outcome.label_en if lang == "en" else outcome.label,
        "horizon": outcome.horizon_days,
        "item": words,
        "supported_days": playbook.list.supported_days,
        "span": SPAN,
        "least": LEAST,
        "least_schools": LEAST_SCHOOLS,
        "least_span": LEAST_SPAN,
        "met_within": MET_WITHIN,
        "today": rooms.evaluation.today,
        "open_numbers": open_numbers,
    }


def bins_of(found: Right) -> tuple[Bin, ...]:
    """The bins for a page beside the months: their hits add up to those of the months they are made
    of, and where that would give a hidden month's away there are none.
    """
    hits = [m.figures.hits for m in found.months if m.stated and m.figures is not None]
    return found.bins if cells.sum_is_safe(hits) else ()


def thought_is_safe(months: Sequence[Thought]) -> bool:
    """May the year's opinions be shown, where the board's page shows each month's?"""
    counts = [(m.helpful, m.not_helpful, m.differs, m.judged, m.things - m.judged) for m in months]
    return all(cells.sum_is_safe(of_months) for of_months in zip(*counts, strict=True))


def calibrated(bins: tuple[Bin, ...]) -> dict[str, Any]:
    """The bins, their plot, and the error over them."""
    return {
        "bins": bins,
        "bin_plot": plots.square([(b.stated, b.happened, *b.interval) for b in bins]),
        "bin_error": reliability.error(bins),
    }


def months_of(rooms: Rooms, who: Principal, found: Right) -> list[Month]:
    """Each month as it may be shown beside the board's page, which gives its counts by school."""
    with rooms.database.reading() as conn:
        playbook = rooms.playbooks.of(who.board)
        counts = funnels(conn, playbook, who.board, found.first, rooms.evaluation.today)
    made = []
    for month in found.months:
        withheld = month_totals(counts, month.month)["listed"].value is None
        shown = None
        if month.figures is not None and not withheld:
            shown = cells.shown(month.figures)
        made.append(Month(of=month, shown=shown, withheld=withheld))
    return made


def trait_shown(
    one: Fairness, playbook: Playbook, schools: dict[str, str], lang: str
) -> TraitShown:
    """A trait in the reader's language, with the chart of its false alarms."""
    lines = cells.groups(one)
    names = [group_name(one.trait, line.group, schools, lang) for line in lines]
    used = {use.id for use in playbook.items}
    return TraitShown(
        trait=one.trait,
        judged=any(item in used for group in one.trait.groups for item in group.items),
        lines=lines,
        names=names,
        plot=plots.rows([line.false.drawn for line in lines]),
        apart=any(cells.told_apart(line) for line in lines),
    )


def group_name(trait: Trait, group: str, schools: dict[str, str], lang: str) -> str:
    """What a group is called."""
    if trait.source == "school":
        return schools.get(group, group)
    if trait.source == "grade":
        ja, en = in_words(int(group))
        return en if lang == "en" else ja
    named = {one.id: one for one in trait.groups}
    words = trait.otherwise if group == OTHERWISE else named.get(group)
    if words is not None:
        return words.label_en if lang == "en" else words.label
    return say(lang, f"eval.group_{group}")


def _schools(rooms: Rooms, who: Principal) -> dict[str, str]:
    with rooms.database.reading() as conn:
        return {row.id: row.name for row in roster.schools(conn, who.board)}


def _note(rooms: Rooms, who: Principal) -> None:
    rooms.gateway.note(who, "evaluation", [who.board], using=Ability.SEE_COUNTS)
