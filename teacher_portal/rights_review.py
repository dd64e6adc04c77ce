"""The yearly review of rights: a page, a file and a sheet of paper, and the decision for each.

For the accounts manager (the whole board) and for management (its own school). Deciding "end" ends
nothing by itself: the accounts page does that, and until then the review keeps saying so.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from design.render import day_text, language, say
from teacher_portal.csv_files import csv_file
from teacher_portal.frame import duty_words, go, show
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.trail import search as trail
from warning_service.access.trail.review import (
    DECISIONS,
    HINTS,
    LONGEST_NOTE,
    Reviewed,
    RightsReview,
    UnfitDecision,
    year_now,
)
from warning_service.access.web import Needs
from warning_service.rooms import Rooms, rooms_of

router = APIRouter()
Reviewer = Annotated[Principal, Depends(Needs(Ability.REVIEW_RIGHTS))]
FreshReviewer = Annotated[Principal, Depends(Needs(Ability.REVIEW_RIGHTS, fresh=True))]
UNDECIDED = "undecided"
SHOWN = ("all", UNDECIDED, *HINTS)
YEARS_BACK = 5
PER_PAGE = 50
"""People on one page of the review; the sheet for paper (`whole`) has them all."""


@router.get("/portal/rights-review")
def page(
    request: Request,
    who: Reviewer,
    *,
    year: int = 0,
    only: str = "all",
    page: int = 1,
    whole: bool = False,
    decided: str = "",
) -> Response:
    """The accounts, what they did this school year, and what was decided."""
    return _page(request, who, year=year, only=only, page=page, whole=whole, decided=decided)


@router.get("/portal/rights-review/file")
def file(request: Request, who: FreshReviewer, year: int = 0) -> Response:
    """The same as CSV."""
    rooms = rooms_of(request)
    year = _year(rooms, year)
    lang = language(request)
    names = (
        "name", "login", "active", "duties", "last_sign_in", "opened", "shown", "refused",
        "exports", "factor", "hints", "decision", "decided_at", "note",
    )  # fmt: skip
    body = [
        [
            one.name,
            one.login,
            say(lang, "review.yes" if one.active else "review.no"),
            " / ".join(
                f"{duty_words(request, [duty.role])} {duty.place_name} "
                f"{duty.from_day.isoformat()}–{duty.until_day or ''} ({duty.used})"
                for duty in one.duties
            ),
            day_text(one.last_sign_in, lang, year=True),
            one.opened, one.shown, one.refused, one.exports,
            say(lang, "review.yes" if one.has_factor else "review.no"),
            " / ".join(say(lang, f"review.hint_{hint}") for hint in one.hints),
            say(lang, f"review.decision_{one.decision}") if one.decision else "",
            day_text(one.decided_at, lang, year=True),
            one.note,
        ]
        for one in _review(rooms).of_board(who, year, export=True)
    ]  # fmt: skip
    head: list[Any] = [say(lang, f"review.{name}") for name in names]
    return csv_file(f"kizashi-rights-{year}.csv", [head, *body])


@router.post("/portal/rights-review/{staff}")
def decide(
    request: Request,
    who: Reviewer,
    staff: str,
    *,
    decision: Annotated[str, Form()] = "",
    note: Annotated[str, Form()] = "",
    year: Annotated[int, Form()] = 0,
    only: Annotated[str, Form()] = "all",
    page: Annotated[int, Form()] = 1,
) -> Response:
    """Write down to keep or to end."""
    rooms = rooms_of(request)
    year = _year(rooms, year)
    try:
        _review(rooms).decide(who, staff, year, decision=decision, note=note)
    except UnfitDecision:
        return _page(request, who, year=year, only=only, page=page, problem=staff, note=note)
    only = only if only in SHOWN else "all"
    return go(f"/portal/rights-review?year={year}&only={only}&page={page}&decided=1#s-{staff}")


def _page(
    request: Request,
    who: Principal,
    *,
    year: int,
    only: str,
    page: int,
    whole: bool = False,
    decided: str = "",
    problem: str = "",
    note: str = "",
) -> Response:
    rooms = rooms_of(request)
    year = _year(rooms, year)
    only = only if only in SHOWN else "all"
    every = _review(rooms).of_board(who, year)
    with rooms.database.reading(identity=True) as conn:
        deciders = trail.names_of(conn, who.board, {one.decided_by for one in every})
    now = year_now(rooms.clock)
    wanted = [one for one in every if _wanted(one, only)]
    pages = 1 if whole else max(1, -(-len(wanted) // PER_PAGE))
    page = min(max(page, 1), pages)
    return show(
        request,
        who,
        "portal_rights_review.html",
        status=422 if problem else 200,
        year=year,
        years=range(now, now - YEARS_BACK, -1),
        people=wanted if whole else wanted[(page - 1) * PER_PAGE : page * PER_PAGE],
        page=page,
        pages=pages,
        counts={name: sum(_wanted(one, name) for one in every) for name in SHOWN},
        done=sum(bool(one.decision) for one in every if one.active),
        active=sum(one.active for one in every),
        only=only,
        decisions=DECISIONS,
        deciders=deciders,
        may_end=who.may(Ability.MANAGE_ACCOUNTS),
        duty_name=lambda role: duty_words(request, [role]),
        longest=LONGEST_NOTE,
        decided=bool(decided),
        problem=problem,
        note=note,
    )


def _wanted(one: Reviewed, only: str) -> bool:
    if only == "all":
        return True
    if only == UNDECIDED:
        return one.active and not one.decision
    return only in one.hints


def _review(rooms: Rooms) -> RightsReview:
    return RightsReview(rooms.database, rooms.clock, rooms.trail)


def _year(rooms: Rooms, year: int) -> int:
    now = year_now(rooms.clock)
    return year if now - YEARS_BACK < year <= now else now
