"""Staff sign-in and sign-out.

A wrong login and a wrong password look the same, and after some failures one waits; the page says
so kindly, because the person is most often a teacher in a hurry. A form sent from another site is
refused by what the browser says about its origin (there is no session yet to hold a CSRF token).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import Response

from design.render import page
from teacher_portal import account
from teacher_portal.frame import go, portal_path
from warning_service.access.doors.tries import TooManyTries
from warning_service.access.web import (
    OPEN,
    HalfSignedIn,
    address_of,
    give_staff_cookie,
    session_token,
    take_staff_cookie,
)
from warning_service.rooms import rooms_of

router = APIRouter()
LONGEST = 200


@router.get("/portal/sign-in", dependencies=[Depends(OPEN)])
def form(request: Request, next: str = "/portal", out: str = "") -> Response:
    """The sign-in page."""
    return _form(request, next=next, key="portal.signed_out" if out else "")


@router.post("/portal/sign-in", dependencies=[Depends(OPEN)])
def sign_in(
    request: Request,
    login: Annotated[str, Form(max_length=LONGEST)] = "",
    password: Annotated[str, Form(max_length=LONGEST)] = "",
    next: Annotated[str, Form()] = "/portal",
) -> Response:
    """Sign in and go on to a page of the portal."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise HTTPException(403, "the form came from another site")
    rooms = rooms_of(request)
    try:
        token = rooms.staff_door.sign_in(login.strip(), password, address_of(request))
    except TooManyTries as wait:
        answer = _form(request, next=next, key="portal.wait", seconds=wait.seconds, status=429)
        answer.headers["Retry-After"] = str(wait.seconds)
        return answer
    if token is None:
        return _form(request, next=next, key="portal.does_not_fit", status=401)
    if old := session_token(request, child=False):
        rooms.sessions.sign_out(old)
    response = go(portal_path(next))
    give_staff_cookie(request, response, token)
    return response


@router.post("/portal/sign-out", dependencies=[Depends(HalfSignedIn(anywhere=True))])
def sign_out(request: Request) -> Response:
    """End the session here and now."""
    rooms_of(request).sessions.sign_out(session_token(request, child=False))
    response = go("/portal/sign-in?out=1")
    take_staff_cookie(request, response)
    return response


def _form(
    request: Request,
    *,
    next: str,
    key: str = "",
    seconds: int = 0,
    status: int = 200,
) -> Response:
    return page(
        request,
        "portal_sign_in.html",
        status=status,
        next_path=portal_path(next),
        accounts=account.buttons(request),
        message_key=key,
        seconds=seconds,
    )
