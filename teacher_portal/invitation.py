"""An invitation: a link that works once, for setting an account's first password.

The link's token is exchanged for a short cookie at once, so that the address of the page with the
form says nothing, and neither a referrer nor the browser's history can give the account away later.
Whoever needs a second factor sets it up right afterwards.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import Response

from design.render import page
from teacher_portal.frame import go
from warning_service.access.doors import passwords
from warning_service.access.doors.tokens import BadToken
from warning_service.access.web import OPEN, give_staff_cookie
from warning_service.rooms import Rooms, rooms_of

router = APIRouter(prefix="/portal/invitation", dependencies=[Depends(OPEN)])
PAGE = "/portal/invitation"
COOKIE = "kizashi_invitation"
COOKIE_SECONDS = 20 * 60
LONGEST = 400
_TOKEN = re.compile(r"[A-Za-z0-9._-]{1,3000}")


def invitation_address(rooms: Rooms, token: str) -> str:
    """The link to hand to the person."""
    return f"{rooms.settings.public_url.rstrip('/')}{PAGE}/{token}"


@router.get("/{token}")
def follow(request: Request, token: str) -> Response:
    """From the link to the form, whose address holds no token."""
    response = go(PAGE)
    if not _TOKEN.fullmatch(token):  # not ours, and perhaps nothing a header can hold
        return response
    response.set_cookie(
        COOKIE,
        token,
        max_age=COOKIE_SECONDS,
        path=PAGE,
        httponly=True,
        samesite="lax",
        secure=rooms_of(request).sessions.https,
    )
    return response


@router.get("")
def form(request: Request) -> Response:
    """The form for the first password."""
    return _form(request)


@router.post("")
def accept(
    request: Request,
    new: Annotated[str, Form(max_length=LONGEST)] = "",
    again: Annotated[str, Form(max_length=LONGEST)] = "",
) -> Response:
    """Set the password and sign in; the link works no more."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise HTTPException(403, "the form came from another site")
    rooms = rooms_of(request)
    if new != again:
        return _form(request, wrong="differ", status=422)
    try:
        staff, board = rooms.passwords.accept(request.cookies.get(COOKIE, ""), new)
    except BadToken:
        return _form(request)
    except passwords.WeakPassword as weak:
        return _form(request, wrong=weak.key, status=422)
    response = go("/portal")
    response.delete_cookie(COOKIE, path=PAGE)
    give_staff_cookie(request, response, rooms.sessions.start_staff(staff, board, confirmed=True))
    return response


def _form(request: Request, *, wrong: str = "", status: int = 200) -> Response:
    rooms = rooms_of(request)
    login, known = "", True
    try:
        login = rooms.passwords.login_of(rooms.passwords.invited(request.cookies.get(COOKIE, "")))
    except BadToken:
        known, status = False, 410
    return page(
        request,
        "portal_invitation.html",
        status=status,
        known=known,
        login=login,
        wrong=wrong,
        least=passwords.LEAST_CHARACTERS,
    )
