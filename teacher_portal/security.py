"""My security: one's own factors, passkeys, signed-in places and password.

For every member of staff, about themselves only. Looking and ending a session need no more than
being signed in (somebody who finds a stranger signed in must be able to throw them out at once);
whatever makes the account weaker or gives it a new key needs a confirmation of the last minutes.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from teacher_portal.frame import go, show
from warning_service.access.doors import passwords
from warning_service.access.principals import Principal
from warning_service.access.web import AnyStaff, give_staff_cookie
from warning_service.rooms import Rooms, rooms_of

router = APIRouter(prefix="/portal/security")
PAGE = "/portal/security"
LONGEST = 400

DONE = ("app_removed", "passkey_removed", "session_ended", "sessions_ended", "password_changed")
"""Words the page may show after a change, by the query value `done`."""

Whole = Annotated[Principal, Depends(AnyStaff())]
Fresh = Annotated[Principal, Depends(AnyStaff(fresh=True))]


@router.get("")
def page(request: Request, who: Whole, done: str = "") -> Response:
    """What this account can be opened with, and where it is open now."""
    return _page(request, who, done=done if done in DONE else "")


@router.post("/app/remove")
def remove_app(request: Request, who: Fresh) -> Response:
    """Take the authenticator app out of use."""
    rooms = rooms_of(request)
    factors = rooms.factors.of(who.key)
    if _is_last(rooms, who, factors.passkeys):
        return _page(request, who, wrong="last", status=422)
    rooms.factors.remove_totp(
        who.key, note=rooms.trail.line(who, "factor_removed", who.key, "totp")
    )
    return go(f"{PAGE}?done=app_removed")


@router.post("/passkeys/remove")
def remove_passkey(
    request: Request, who: Fresh, passkey: Annotated[str, Form(max_length=LONGEST)] = ""
) -> Response:
    """Take one passkey out of use."""
    rooms = rooms_of(request)
    factors = rooms.factors.of(who.key)
    others = max(factors.passkeys - 1, 0) + (factors.totp_since is not None)
    if _is_last(rooms, who, others):
        return _page(request, who, wrong="last", status=422)
    note = rooms.trail.line(who, "factor_removed", who.key, "passkey")
    rooms.passkeys.remove(who.key, passkey, note=note)
    return go(f"{PAGE}?done=passkey_removed")


@router.post("/sessions/end")
def end_session(
    request: Request, who: Whole, session: Annotated[str, Form(max_length=LONGEST)] = ""
) -> Response:
    """End one of one's own sessions."""
    rooms = rooms_of(request)
    note = rooms.trail.line(who, "sessions_ended", who.key, "one")
    rooms.sessions.end_one(who.key, session, note=note)
    return go(f"{PAGE}?done=session_ended")


@router.post("/sessions/end-others")
def end_others(request: Request, who: Whole) -> Response:
    """End all of one's own sessions but this one."""
    rooms = rooms_of(request)
    note = rooms.trail.line(who, "sessions_ended", who.key, "others")
    rooms.sessions.end_all(who.key, but=who.token_hash, note=note)
    return go(f"{PAGE}?done=sessions_ended")


@router.post("/password")
def change_password(
    request: Request,
    who: Fresh,
    new: Annotated[str, Form(max_length=LONGEST)] = "",
    again: Annotated[str, Form(max_length=LONGEST)] = "",
) -> Response:
    """Set a new password; every other session ends, and this one goes on under a new token."""
    rooms = rooms_of(request)
    if new != again:
        return _page(request, who, wrong="differ", status=422)
    try:
        rooms.passwords.change(who.key, new, but=who.token_hash)
    except passwords.WeakPassword as weak:
        return _page(request, who, wrong=weak.key, status=422)
    response = go(f"{PAGE}?done=password_changed")
    give_staff_cookie(request, response, rooms.sessions.renew(who))
    return response


def _is_last(rooms: Rooms, who: Principal, others: int) -> bool:
    """Would a person whose duties need a factor be left without one?"""
    needed = rooms.settings.roles_with_second_factor
    return others == 0 and any(duty.role in needed for duty in who.duties)


def _page(
    request: Request, who: Principal, *, done: str = "", wrong: str = "", status: int = 200
) -> Response:
    rooms = rooms_of(request)
    factors = rooms.factors.of(who.key)
    reset_at, invited_at = rooms.passwords.by_others(who.key)
    have = factors.passkeys + (factors.totp_since is not None)
    return show(
        request,
        who,
        "portal_security.html",
        status=status,
        done=done,
        wrong=wrong,
        fresh=rooms.sessions.is_fresh(who),
        factors=factors,
        reset_at=reset_at,
        invited_at=invited_at,
        last=have == 1 and _is_last(rooms, who, 0),
        passkeys=rooms.passkeys.of(who.key),
        sessions=rooms.sessions.living(who.key),
        has_password=rooms.passwords.has_one(who.key),
        least=passwords.LEAST_CHARACTERS,
    )
