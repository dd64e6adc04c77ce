"""One tap on an alert or a list's entry: helpful, not helpful, or "I see the child differently".

The same button again takes it back. It is the reader's own and nobody else's page shows it; the
board's page counts all of them, without names and with small counts withheld.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from teacher_portal.frame import go
from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import Needs
from warning_service.follow_up.opinions import UnknownVerdict
from warning_service.rooms import rooms_of

router = APIRouter()
Verdict = Annotated[str, Form(max_length=20)]


@router.post("/portal/alerts/{alert_id}/opinion")
def on_alert(
    request: Request,
    who: Annotated[Principal, Depends(Needs(Ability.SEE_ALERTS))],
    alert_id: str,
    verdict: Verdict = "",
) -> Response:
    """Of an alert about a child. What is no verdict is refused as what is not there."""
    try:
        rooms_of(request).opinions.on_alert(who, alert_id, verdict)
    except UnknownVerdict as error:
        raise NotYours from error
    return go(f"/portal/alerts/{alert_id}#opinion", saved="")


@router.post("/portal/lists/{list_id}/opinion/{student}")
def on_entry(
    request: Request,
    who: Annotated[Principal, Depends(Needs(Ability.SEE_LIST))],
    list_id: str,
    student: str,
    verdict: Verdict = "",
) -> Response:
    """Of a child's entry on a list."""
    try:
        rooms_of(request).opinions.on_entry(who, list_id, student, verdict)
    except UnknownVerdict as error:
        raise NotYours from error
    return go(f"/portal/lists/{list_id}#opinion-{student}", saved="")
