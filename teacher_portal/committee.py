"""The meeting's screen: one child at a time, class it, go on.

Made for a shared big screen at 20 to 30 seconds a child: plain forms that work without script; the
keys (arrows, and the letters of the classes) are an addition. A letter is always shown with its
scheme's name. Choosing again replaces the decision; the log keeps each one.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from design.render import language
from teacher_portal.frame import go, show, worded
from teacher_portal.lists import Entry, entries_of, list_of, may_review
from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.sealing import CannotOpen
from warning_service.access.web import Needs
from warning_service.follow_up.service import LONGEST_NOTE, NoteTooLong, UnknownChoice
from warning_service.rooms import Rooms, rooms_of

router = APIRouter()
Reviewer = Annotated[Principal, Depends(Needs(Ability.SEE_LIST, Ability.REVIEW))]


@router.get("/portal/committee/{list_id}")
def meeting(request: Request, who: Reviewer, list_id: str, n: int = 0) -> Response:
    """The `n`-th child of the list; without `n` the first one that is not classed yet."""
    rooms = rooms_of(request)
    row = list_of(rooms, who, list_id)
    if not may_review(who, row):  # a homeroom duty is not a seat in the meeting
        raise NotYours
    entries = entries_of(request, who, row, why="committee")
    reviewed = sum(e.review is not None for e in entries)
    if n == 0:
        n = next((i for i, e in enumerate(entries, 1) if e.review is None), len(entries) + 1)
    if not entries or n > len(entries):
        return _summary(request, who, row, entries)
    return _one(request, who, row, entries, max(n, 1), reviewed=reviewed)


def _one(
    request: Request,
    who: Principal,
    row: object,
    entries: list[Entry],
    n: int,
    *,
    reviewed: int,
    problem: str = "",
    note: str = "",
) -> Response:
    rooms = rooms_of(request)
    rules = rooms.playbooks.of(who.board).review
    lang = language(request)
    entry = entries[n - 1]
    return show(
        request,
        who,
        "portal_committee.html",
        status=422 if problem else 200,
        row=row,
        entry=entry,
        n=n,
        total=len(entries),
        reviewed=reviewed,
        scheme=rules.scheme_label_en if lang == "en" else rules.scheme_label,
        classes=[(c.id, worded(c, lang)) for c in rules.classes],
        directions=[(c.id, worded(c, lang)) for c in rules.directions],
        chosen="" if entry.review is None else entry.review.chosen,
        agreed=[] if entry.review is None else entry.review.directions.split(","),
        note=note or _note(rooms, entry),
        longest=LONGEST_NOTE,
        problem=problem,
        wide=True,
    )


def _note(rooms: Rooms, entry: Entry) -> str:
    if entry.review is None or entry.review.sealed is None:
        return ""
    try:
        return rooms.sealer.open(entry.row.student, entry.review.sealed)
    except CannotOpen:
        return ""


def _summary(request: Request, who: Principal, row: object, entries: list[Entry]) -> Response:
    rooms = rooms_of(request)
    rules = rooms.playbooks.of(who.board).review
    lang = language(request)
    directions = {c.id: worded(c, lang) for c in rules.directions}
    authors = rooms.gateway.staff_names(who, [e.review.author for e in entries if e.review])
    lines = [
        (
            position,
            entry,
            [directions[d] for d in entry.review.directions.split(",") if d in directions]
            if entry.review
            else [],
            _note(rooms, entry),
            authors.get(entry.review.author, "") if entry.review else "",
        )
        for position, entry in enumerate(entries, 1)
    ]
    counts = [
        (
            c.id,
            worded(c, lang),
            sum(e.review is not None and e.review.chosen == c.id for e in entries),
        )
        for c in rules.classes
    ]
    return show(
        request,
        who,
        "portal_committee_done.html",
        row=row,
        lines=lines,
        counts=counts,
        total=len(entries),
        reviewed=sum(e.review is not None for e in entries),
        scheme=rules.scheme_label_en if lang == "en" else rules.scheme_label,
        wide=True,
    )


@router.post("/portal/committee/{list_id}")
def decide(
    request: Request,
    who: Reviewer,
    list_id: str,
    *,
    student: Annotated[str, Form()] = "",
    chosen: Annotated[str, Form()] = "",
    directions: Annotated[list[str] | None, Form()] = None,
    note: Annotated[str, Form()] = "",
    n: Annotated[int, Form()] = 1,
) -> Response:
    """Record the class for one child and go on to the next."""
    rooms = rooms_of(request)
    row = list_of(rooms, who, list_id)
    if not may_review(who, row):
        raise NotYours
    try:
        rooms.follow_ups.review(who, list_id, student, chosen, directions or [], note=note)
    except (UnknownChoice, NoteTooLong) as error:
        entries = entries_of(request, who, row, why="committee")
        at = next((i for i, e in enumerate(entries, 1) if e.row.student == student), 1)
        problem = "note" if isinstance(error, NoteTooLong) else "chosen"
        reviewed = sum(e.review is not None for e in entries)
        return _one(request, who, row, entries, at, reviewed=reviewed, problem=problem, note=note)
    return go(f"/portal/committee/{list_id}?n={n + 1}")
