"""The second person's page: what is to be withheld and why, and whether one agrees.

It shows places and reasons, and what is opened against the default, never contents: to agree one
must understand the reason, not read the child's file. A school's head sees for whom it is; the
board's approver, whose duty reaches no child, sees the reference only.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from teacher_portal.frame import go, show
from warning_service.access.asked_about import Person
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import Needs
from warning_service.rights.service import LONGEST_TEXT, Refused
from warning_service.rights.terms import GROUNDS, LAW, TERMS
from warning_service.rooms import rooms_of

router = APIRouter()
Approver = Annotated[Principal, Depends(Needs(Ability.APPROVE_REQUESTS))]
Fresh = Annotated[Principal, Depends(Needs(Ability.APPROVE_REQUESTS, fresh=True))]


@router.get("/portal/approvals")
def waiting(request: Request, who: Approver) -> Response:
    """Decisions that wait for a second person."""
    views = rooms_of(request).rights.requests.waiting(who)
    return show(request, who, "portal_approvals.html", views=views)


@router.get("/portal/approvals/{request_id}")
def one(request: Request, who: Fresh, request_id: str) -> Response:
    """One decision with its reasons."""
    return _page(request, who, request_id)


def _page(request: Request, who: Principal, request_id: str, *, problem: str = "") -> Response:
    rooms = rooms_of(request)
    rights = rooms.rights
    view = rights.requests.for_approval(who, request_id)
    person: Person | None = None
    if rights.requests.reaches(who, view, Ability.APPROVE_REQUESTS):
        person = rights.people.person(
            who, view.row.student, using=Ability.APPROVE_REQUESTS, why="request_approval"
        )
    else:  # the board's own approver, who may head another school as well: no name, no refusal
        rights.people.note(
            who, "request_approval", view.row.student, view.row.id, using=Ability.APPROVE_REQUESTS
        )
    names = rooms.gateway.staff_names(who, [view.row.decided_by])
    return show(
        request, who, "portal_approval.html", status=422 if problem else 200,
        view=view, person=person, law=LAW, term=TERMS.get(view.kind), grounds=GROUNDS,
        withheld=rights.disclosures.withheld(view), opened=rights.disclosures.opened(view),
        names=names, problem=problem,
        reason=rights.requests.words(view, view.row.sealed_reason), longest=LONGEST_TEXT,
    )  # fmt: skip


@router.post("/portal/approvals/{request_id}")
def answer(
    request: Request,
    who: Fresh,
    request_id: str,
    *,
    agree: Annotated[str, Form(max_length=5)] = "",
    reason: Annotated[str, Form()] = "",
) -> Response:
    """Agree, or send it back with a reason."""
    disclosures = rooms_of(request).rights.disclosures
    try:
        if agree == "yes":
            disclosures.approve(who, request_id)
        else:
            disclosures.send_back(who, request_id, reason)
    except Refused as error:
        return _page(request, who, request_id, problem=error.field)
    return go("/portal/approvals", saved="rq_done")
