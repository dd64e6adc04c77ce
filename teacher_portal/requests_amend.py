"""Deciding corrections and stops of use from the request's page."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from teacher_portal.requests import Officer, back, page_of
from warning_service.rights.service import Refused
from warning_service.rooms import rooms_of

router = APIRouter()
NEVER = "never"


@router.post("/portal/requests/{request_id}/correct")
def correct(
    request: Request,
    who: Officer,
    request_id: str,
    *,
    accept: Annotated[str, Form(max_length=5)] = "",
    fact: Annotated[str, Form(max_length=80)] = "",
    how: Annotated[str, Form(max_length=10)] = "",
    value: Annotated[str, Form(max_length=12)] = "",
    reason: Annotated[str, Form()] = "",
    recipients: Annotated[str, Form()] = "",
) -> Response:
    """Accept or refuse. One fact of the log is corrected, or it was put right in a register."""
    amendments = rooms_of(request).rights.amendments
    try:
        if accept == "yes":
            changes = {fact: _right(how, value)} if fact else {}
            amendments.correct(who, request_id, reason, changes, recipients)
        else:
            amendments.refuse(who, request_id, reason)
    except Refused as error:
        given = {
            "accept": accept, "fact": fact, "how": how, "value": value, "reason": reason,
            "recipients": recipients,
        }  # fmt: skip
        return page_of(request, who, request_id, problem=error.field, given=given)
    return back(request_id)


def _right(how: str, value: str) -> float | None:
    """What is right: a number, or that it never happened."""
    if how == NEVER:
        return None
    try:
        return float(value)
    except ValueError:
        raise Refused("value") from None


@router.post("/portal/requests/{request_id}/stop")
def stop(
    request: Request,
    who: Officer,
    request_id: str,
    *,
    accept: Annotated[str, Form(max_length=5)] = "",
    item: Annotated[list[str] | None, Form()] = None,
    reason: Annotated[str, Form()] = "",
) -> Response:
    """Stop the use of everything or of the ticked items, or refuse to."""
    amendments = rooms_of(request).rights.amendments
    try:
        if accept == "yes":
            amendments.stop(who, request_id, reason, item or [])
        else:
            amendments.refuse(who, request_id, reason)
    except Refused as error:
        given = {"accept": accept, "item": item or [], "reason": reason}
        return page_of(request, who, request_id, problem=error.field, given=given)
    return back(request_id)


@router.post("/portal/requests/{request_id}/told")
def told(
    request: Request, who: Officer, request_id: str, recipients: Annotated[str, Form()] = ""
) -> Response:
    """Whoever had been given the wrong fact was told."""
    try:
        rooms_of(request).rights.amendments.tell(who, request_id, recipients)
    except Refused as error:
        given = {"recipients": recipients}
        return page_of(request, who, request_id, problem=error.field, given=given)
    return back(request_id)
