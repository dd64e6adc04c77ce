"""The link of a mail: one button, for whom the mail was meant, once.

The address holds a random token and nothing else. Who opens it signs in first; then the page shows
the neutral words the mail had and a button. Opening it uses nothing up (mail scanners open links
too); pressing does. Whoever the link is not for, or no longer for, gets one and the same page.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from teacher_portal.frame import go, show
from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal
from warning_service.access.trail.audit import REFUSED
from warning_service.access.web import AnyStaff
from warning_service.alerts.messages import page_of
from warning_service.alerts.outside.ack_links import AckLinks, LinkRefused
from warning_service.alerts.service import AlertView
from warning_service.database import StorageUnavailable
from warning_service.rooms import rooms_of

router = APIRouter()
Somebody = Annotated[Principal, Depends(AnyStaff())]
Token = Annotated[str, Path(max_length=100)]


@router.get("/portal/take/{token}")
def offered(request: Request, who: Somebody, token: Token) -> Response:
    """What the mail said, and the button; or the page that refuses."""
    try:
        found = _alert(request, who, _links(request).look(who, token))
    except (LinkRefused, NotYours):
        return _refused(request, who)
    return show(request, who, "portal_take.html", alert=found, page=_page_of(found), token=token)


@router.post("/portal/take/{token}")
def taken(request: Request, who: Somebody, token: Token) -> Response:
    """Take the alert on. The link is used up by it, also when somebody else was first."""
    links, rooms = _links(request), rooms_of(request)
    try:
        found = _alert(request, who, links.look(who, token))
        alert_id = links.use(who, token)
    except (LinkRefused, NotYours):
        return _refused(request, who)
    try:
        first = rooms.alerts.acknowledge(alert_id, who, "mail")
    except StorageUnavailable:
        links.give_back(who, token)
        raise
    taken_on = "acknowledged" if found.student else "notice_taken"
    return go(_page_of(found), saved=taken_on if first else "too_late")


def _links(request: Request) -> AckLinks:
    return AckLinks(rooms_of(request).database)


def _alert(request: Request, who: Principal, alert_id: str) -> AlertView:
    """The alert, or the notice, for somebody who may see it. Raises NotYours.

    One about a child is for those whose duties give SEE_ALERTS there; a notice for those told of it
    (an operator sees no alert of a child's, and has to be able to take on what is broken).
    """
    return rooms_of(request).alerts.one(who, alert_id)


def _page_of(alert: AlertView) -> str:
    return f"/portal/{page_of(alert.kind)}/{alert.id}"


def _refused(request: Request, who: Principal) -> Response:
    # One line for all reasons: the trail, too, does not say whether there was such a link.
    rooms_of(request).gateway.note(who, REFUSED + "take_on", ["/portal/take"], "mail")
    return show(request, who, "portal_take_refused.html", status=404)
