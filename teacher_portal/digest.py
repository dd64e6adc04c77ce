"""A person's own digests: what waits for them, as counts, and which of the two they want.

Whatever is counted here is on the pages the links lead to, which decide who sees what; a digest
shows numbers and the reader's own only.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from teacher_portal.frame import go, show
from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import AnyStaff
from warning_service.follow_up.digests import KINDS, OF_WEEK, WAITING
from warning_service.rooms import rooms_of

router = APIRouter()
Staff = Annotated[Principal, Depends(AnyStaff())]
SHOWN_DAYS = 14


def links(who: Principal) -> dict[str, str]:
    """Where what is counted can be done, as far as the reader has such a page."""
    found = {"notices": "/portal/notices"}
    if who.may(Ability.SEE_ALERTS):
        found |= {"open": "/portal/alerts", "mine": "/portal/alerts"}
    if who.may(Ability.SEE_LIST):
        found["records"] = "/portal/lists"
    return found


@router.get("/portal/digest")
def digest(request: Request, who: Staff) -> Response:
    """The newest digest, those of the last days, and the two switches."""
    found = rooms_of(request).digests
    unwanted = found.unwanted(who)
    return show(
        request,
        who,
        "portal_digest.html",
        digests=found.latest(who, days=SHOWN_DAYS),
        wanted={kind: kind not in unwanted for kind in KINDS},
        links=links(who),
        waiting=WAITING,
        of_week=OF_WEEK,
    )


@router.post("/portal/digest/choice")
def choose(
    request: Request,
    who: Staff,
    kind: Annotated[str, Form(max_length=20)] = "",
    wanted: Annotated[str, Form(max_length=5)] = "",
) -> Response:
    """Get a kind of digest from now on, or not."""
    try:
        rooms_of(request).digests.choose(who, kind, wanted=wanted == "yes")
    except KeyError as error:
        raise NotYours from error
    return go("/portal/digest")
