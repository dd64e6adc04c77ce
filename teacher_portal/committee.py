"""The meeting's screen: choose the meeting, one child at a time, class it, go on.

Made for a shared big screen at 20 to 30 seconds a child: plain forms that work without script; the
keys (arrows, the letters of the classes, Z to undo) and the clock are an addition. Siblings on the
agenda stand beside the child. A letter is always shown with its scheme's name. Choosing again
replaces the decision; the log keeps each one, also one that was taken back.
"""

from __future__ import annotations

import math
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from design.render import language
from teacher_portal.committee_turns import Turn, facts_of, side_of, turns_of
from teacher_portal.frame import go, show, worded
from teacher_portal.sheets import for_meeting
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import Needs
from warning_service.catalogue.questionnaires import plain
from warning_service.follow_up.meetings import Agenda, seated
from warning_service.follow_up.service import (
    LONGEST_NOTE,
    DecidedFurtherOn,
    NoteTooLong,
    UnknownChoice,
)
from warning_service.playbooks.sharing import Side
from warning_service.rooms import rooms_of

router = APIRouter()
Reviewer = Annotated[Principal, Depends(Needs(Ability.REVIEW))]


@router.get("/portal/meetings")
def meetings(request: Request, who: Reviewer) -> Response:
    """Which meetings there are for the asker, how many children wait in each, how long it takes."""
    rooms, lang = rooms_of(request), language(request)
    found = rooms.follow_ups.meetings.open_to(who)
    names = {s.id: s.name for s in rooms.gateway.schools_of(who, using=Ability.REVIEW)}
    return show(
        request,
        who,
        "portal_meetings.html",
        meetings=[
            {
                "agenda": one,
                "name": one.sitting.name(lang),
                "scheme": one.sitting.scheme_name(lang),
                "place": names.get(one.rows[0].school, "") if len(one.rows) == 1 else "",
                "left": len(one.subjects) - one.done,
                "minutes": math.ceil((len(one.subjects) - one.done) * one.sitting.minutes),
                "address": address(one),
            }
            for one in found
        ],
    )


def address(agenda: Agenda, **more: object) -> str:
    """The path of a meeting's screen."""
    query = urlencode({"meeting": agenda.sitting.id, **more})
    return f"/portal/committee/{agenda.list_id}?{query}"


@router.get("/portal/committee/{list_id}")
def meeting(
    request: Request, who: Reviewer, list_id: str, *, meeting: str = "", n: int = 0, last: int = 0
) -> Response:
    """The `n`-th child of the agenda; without `n` the first one that is not classed yet.

    `last`: the one just decided on, which can be undone from here.
    """
    agenda = rooms_of(request).follow_ups.meetings.agenda(who, list_id, meeting)
    turns = turns_of(request, who, agenda)
    if n == 0:
        n = next((i for i, one in enumerate(turns, 1) if one.decided is None), len(turns) + 1)
    if not turns or n > len(turns):
        return _summary(request, who, agenda, turns)
    return _one(request, who, agenda, turns, at=max(n, 1), last=last)


def _one(
    request: Request,
    who: Principal,
    agenda: Agenda,
    turns: list[Turn],
    *,
    at: int,
    last: int = 0,
    problem: str = "",
    note: str = "",
) -> Response:
    rooms, lang = rooms_of(request), language(request)
    turn, sitting = turns[at - 1], agenda.sitting
    side = side_of(rooms, who, sitting, turn.child)
    beside = [
        (n, one)
        for n, one in enumerate(turns, 1)
        if one.household == turn.household and one is not turn
    ]
    before = turns[last - 1] if 1 <= last <= len(turns) else None
    own_facts = turn.row is None or side is Side.WELFARE
    return show(
        request,
        who,
        "portal_committee.html",
        status=422 if problem else 200,
        agenda=agenda,
        address=address(agenda),
        turn=turn,
        entry=turn,
        n=at,
        total=len(turns),
        reviewed=agenda.done,
        household=turn.household,
        households=turns[-1].household,
        over=sitting.households is not None and turn.household > sitting.households,
        sitting=sitting,
        seconds=round(sitting.minutes * 60),
        name=sitting.name(lang),
        scheme=sitting.scheme_name(lang),
        classes=[(c.id, worded(c, lang)) for c in sitting.classes],
        directions=[(c.id, worded(c, lang)) for c in sitting.directions],
        chosen="" if turn.decided is None else turn.decided.chosen,
        agreed=() if turn.decided is None else turn.decided.agreed,
        note=note or ("" if turn.decided is None else turn.decided.note),
        longest=LONGEST_NOTE,
        problem=problem,
        siblings=beside,
        last=(last, before) if before is not None and before.decided is not None else None,
        facts=facts_of(request, who, agenda, turn) if own_facts else None,
        sheets=for_meeting(rooms, seated(who, sitting), turn.child, sitting.id),
        may_fill=who.may(Ability.FILL_SHEETS),
        resources=_resources(request, who, turn) if sitting.resources else [],
        wide=True,
    )


def _resources(request: Request, who: Principal, turn: Turn) -> list[dict[str, str]]:
    """The board's community resources for a child of that grade, with the directions they serve."""
    lang = language(request)
    playbook = rooms_of(request).playbooks.of(who.board)
    directions = {c.id: worded(c, lang) for one in playbook.sittings for c in one.directions}
    return [
        {
            "name": plain(one.label_en if lang == "en" else one.label),
            "about": plain(one.about_en if lang == "en" else one.about),
            "contact": one.english[0] if lang == "en" else plain(one.contact),
            "hours": one.english[1] if lang == "en" else plain(one.hours),
            "serves": "・".join(directions[d] for d in one.directions),
        }
        for one in playbook.resources
        if "meeting" in one.shown and one.fits(grade=turn.child.grade)
    ]


def _summary(request: Request, who: Principal, agenda: Agenda, turns: list[Turn]) -> Response:
    lang, sitting = language(request), agenda.sitting
    counts = [
        (
            c.id,
            worded(c, lang),
            sum(one.decided is not None and one.decided.chosen == c.id for one in turns),
        )
        for c in sitting.classes
    ]
    following = [
        (one.name(lang), sum(count for chosen, _, count in counts if chosen in one.takes))
        for one in rooms_of(request).playbooks.of(who.board).meetings
        if one.after == sitting.id
    ]
    return show(
        request,
        who,
        "portal_committee_done.html",
        agenda=agenda,
        address=address(agenda),
        name=sitting.name(lang),
        lines=list(enumerate(turns, 1)),
        counts=counts,
        following=following,
        total=len(turns),
        reviewed=agenda.done,
        scheme=sitting.scheme_name(lang),
        wide=True,
    )


@router.post("/portal/committee/{list_id}")
def decide(
    request: Request,
    who: Reviewer,
    list_id: str,
    *,
    meeting: Annotated[str, Form()] = "",
    student: Annotated[str, Form()] = "",
    chosen: Annotated[str, Form()] = "",
    directions: Annotated[list[str] | None, Form()] = None,
    note: Annotated[str, Form()] = "",
    n: Annotated[int, Form()] = 1,
) -> Response:
    """Record the class for one child and go on to the next."""
    follow_ups = rooms_of(request).follow_ups
    try:
        follow_ups.review(
            who, list_id, student, chosen, directions or [], note=note, meeting=meeting
        )
    except (UnknownChoice, NoteTooLong) as error:
        agenda = follow_ups.meetings.agenda(who, list_id, meeting)
        turns = turns_of(request, who, agenda)
        at = next((i for i, one in enumerate(turns, 1) if one.child.student == student), 1)
        problem = "note" if isinstance(error, NoteTooLong) else "chosen"
        return _one(request, who, agenda, turns, at=at, problem=problem, note=note)
    return go(_next(list_id, meeting, n=n + 1, last=n))


@router.post("/portal/committee/{list_id}/undo")
def undo(
    request: Request,
    who: Reviewer,
    list_id: str,
    *,
    meeting: Annotated[str, Form()] = "",
    student: Annotated[str, Form()] = "",
    n: Annotated[int, Form()] = 1,
) -> Response:
    """Take back what was decided on one child, and show it again."""
    try:
        rooms_of(request).follow_ups.take_back(who, list_id, student, meeting)
    except DecidedFurtherOn:
        return go(_next(list_id, meeting, n=n), saved="review_further_on")
    return go(_next(list_id, meeting, n=n), saved="review_undone")


def _next(list_id: str, meeting: str, **more: Any) -> str:
    held = {"meeting": meeting} if meeting else {}
    return f"/portal/committee/{list_id}?{urlencode({**held, **more})}"
