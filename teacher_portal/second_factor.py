"""Showing and setting up a second factor: at sign-in, and again before something grave (step-up).

After the password comes one short page: the app's six digits, or a passkey. Who signs in for the
first time sets one up there instead, in two minutes, and gets recovery codes on paper. Passkeys
need the page's script; everything else works without. Whoever has no factor and needs none confirms
with the password.

Nothing here looks at a child. What may be shown, how often one may guess and what stands on the
trail is access/doors/confirming.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import quote

import segno
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from teacher_portal.frame import go, portal_path, show
from warning_service.access.doors.passkeys import LONGEST_NAME, BadPasskey
from warning_service.access.doors.second_factors import totp_address
from warning_service.access.doors.sessions import SessionEnded
from warning_service.access.doors.tries import TooManyTries
from warning_service.access.principals import Principal
from warning_service.access.web import (
    AnyStaff,
    ConfirmNeeded,
    HalfSignedIn,
    NotSignedIn,
    SecondFactorNeeded,
    address_of,
    give_staff_cookie,
)
from warning_service.rooms import Rooms, rooms_of

router = APIRouter(prefix="/portal")
LONGEST = 200

Half = Annotated[Principal, Depends(HalfSignedIn())]
Whole = Annotated[Principal, Depends(AnyStaff())]
Fresh = Annotated[Principal, Depends(AnyStaff(fresh=True))]
Next = Annotated[str, Form()]
Typed = Annotated[str, Form(max_length=LONGEST)]


# -- after the password ----------------------------------------------------------------------------


@router.get("/second-factor")
def ask(request: Request, who: Half, next: str = "/portal") -> Response:
    """The second step of signing in; or, the first time, the way to setting a factor up."""
    if not who.owes_factor:
        return go(portal_path(next))
    if not rooms_of(request).factors.of(who.key).any:
        return go(_with_next("/portal/second-factor/set-up", next))
    return _ask(request, who, next)


@router.post("/second-factor")
def take(request: Request, who: Half, code: Typed = "", next: Next = "/portal") -> Response:
    """A code of the app, or a recovery code."""
    return _judged(
        request,
        next,
        lambda: rooms_of(request).confirming.show_code(who, code, address_of(request)),
        lambda **values: _ask(request, who, next, **values),
    )


def _ask(request: Request, who: Principal, next: str, **values: Any) -> Response:
    return _form(request, who, next, "portal_second_factor.html", **values)


# -- again, before something grave -----------------------------------------------------------------


@router.get("/confirm")
def confirm_page(request: Request, who: Whole, next: str = "/portal") -> Response:
    """Shows who one is again; then back to `next`."""
    return _confirm(request, who, next)


@router.post("/confirm")
def confirm(
    request: Request, who: Whole, code: Typed = "", password: Typed = "", next: Next = "/portal"
) -> Response:
    """A code, or the password of somebody who has no factor."""
    confirming, address = rooms_of(request).confirming, address_of(request)
    return _judged(
        request,
        next,
        lambda: (
            confirming.show_password(who, password, address)
            if password
            else confirming.show_code(who, code, address)
        ),
        lambda **values: _confirm(request, who, next, **values),
    )


def _confirm(request: Request, who: Principal, next: str, **values: Any) -> Response:
    by_password = rooms_of(request).confirming.by_password(who)
    return _form(request, who, next, "portal_confirm.html", by_password=by_password, **values)


# -- setting one up --------------------------------------------------------------------------------


@router.get("/second-factor/set-up")
def set_up_page(request: Request, who: Half, next: str = "/portal") -> Response:
    """An app or a passkey, with the picture for the app."""
    _may_add(rooms_of(request), who)
    return _set_up(request, who, next)


@router.post("/second-factor/set-up")
def set_up(request: Request, who: Half, code: Typed = "", next: Next = "/portal") -> Response:
    """The first code of the new app; then the recovery codes, when there are none yet."""
    rooms = rooms_of(request)
    _may_add(rooms, who)
    return _judged(
        request,
        _after_adding(rooms, who, next),
        lambda: rooms.confirming.prove_app(who, code, address_of(request)),
        lambda **values: _set_up(request, who, next, **values),
    )


def _set_up(request: Request, who: Principal, next: str, **values: Any) -> Response:
    rooms = rooms_of(request)
    secret = rooms.factors.offer_totp(who.key, who.token_hash)
    address = totp_address(secret, rooms.passwords.login_of(who.key))
    return _form(
        request,
        who,
        next,
        "portal_set_up_factor.html",
        picture=segno.make(address, error="m").svg_inline(scale=5, border=3),
        secret=" ".join(secret[n : n + 4] for n in range(0, len(secret), 4)),
        first=who.owes_factor,
        **values,
    )


def _may_add(rooms: Rooms, who: Principal) -> None:
    """A factor may be added with the password alone only while there is none to show.

    Raises SecondFactorNeeded, ConfirmNeeded.
    """
    if who.owes_factor:
        if rooms.factors.of(who.key).any:
            raise SecondFactorNeeded
    elif not rooms.sessions.is_fresh(who):
        raise ConfirmNeeded


def _after_adding(rooms: Rooms, who: Principal, next: str) -> str:
    if rooms.factors.of(who.key).recovery_left:
        return portal_path(next)
    return _with_next("/portal/second-factor/codes", next)


@router.get("/second-factor/codes")
def codes_page(request: Request, who: Fresh, next: str = "/portal") -> Response:
    """What recovery codes are for, and the button that makes them."""
    return show(request, who, "portal_recovery_codes.html", codes=[], next_path=portal_path(next))


@router.post("/second-factor/codes")
def codes(request: Request, who: Fresh, next: Next = "/portal") -> Response:
    """New recovery codes, shown this once."""
    rooms = rooms_of(request)
    if not rooms.factors.of(who.key).any:
        return go("/portal/security")
    note = rooms.trail.line(who, "recovery_codes", who.key)
    made = rooms.factors.new_recovery_codes(who.key, note=note)
    return show(request, who, "portal_recovery_codes.html", codes=made, next_path=portal_path(next))


# -- passkeys, for the page's script ---------------------------------------------------------------


class PasskeyAnswer(BaseModel):
    """What the browser's authenticator answered, as it is; `name` is the owner's word for it."""

    answer: dict[str, Any]
    name: str = Field(default="", max_length=LONGEST_NAME)
    next: str = "/portal"


@router.post("/passkeys/ask")
def passkey_ask(request: Request, who: Half) -> Response:
    """Options for `navigator.credentials.get`."""
    try:
        options = rooms_of(request).passkeys.ask_to_confirm(who)
    except BadPasskey:
        return JSONResponse({"error": "none"}, status_code=409)
    return Response(options, media_type="application/json")


@router.post("/passkeys/show")
def passkey_show(request: Request, who: Half, body: PasskeyAnswer) -> Response:
    """The answer; a confirmed session when it fits."""
    return _judged(
        request,
        body.next,
        lambda: rooms_of(request).confirming.show_passkey(
            who, json.dumps(body.answer), address_of(request)
        ),
    )


@router.post("/passkeys/ask-new")
def passkey_ask_new(request: Request, who: Half) -> Response:
    """Options for `navigator.credentials.create`."""
    rooms = rooms_of(request)
    _may_add(rooms, who)
    options = rooms.passkeys.ask_to_register(who, rooms.passwords.login_of(who.key))
    return Response(options, media_type="application/json")


@router.post("/passkeys/new")
def passkey_new(request: Request, who: Half, body: PasskeyAnswer) -> Response:
    """Takes a new passkey into use."""
    rooms = rooms_of(request)
    _may_add(rooms, who)

    def add() -> str | None:
        try:
            return rooms.confirming.add_passkey(who, body.name, json.dumps(body.answer))
        except BadPasskey:
            return None

    return _judged(request, _after_adding(rooms, who, body.next), add)


# -- what they share -------------------------------------------------------------------------------


def _judged(
    request: Request,
    next: str,
    judge: Callable[[], str | None],
    again: Callable[..., Response] | None = None,
) -> Response:
    """On to `next` under the new token, or the form `again` with what went wrong.

    Without `again` the answer is JSON: {"next": …}, or {"error": wrong | wait}.
    """
    try:
        token = judge()
    except SessionEnded as error:
        raise NotSignedIn(child=False) from error
    except TooManyTries as wait:
        response = (
            again(wrong="wait", seconds=wait.seconds, status=429)
            if again
            else JSONResponse({"error": "wait", "seconds": wait.seconds}, status_code=429)
        )
        response.headers["Retry-After"] = str(wait.seconds)
        return response
    if token is None:
        if again:
            return again(wrong="wrong", status=422)
        return JSONResponse({"error": "wrong"}, status_code=422)
    path = portal_path(next)
    response = go(path) if again else JSONResponse({"next": path})
    give_staff_cookie(request, response, token)
    return response


def _form(
    request: Request,
    who: Principal,
    next: str,
    template: str,
    *,
    wrong: str = "",
    seconds: int = 0,
    status: int = 200,
    **values: Any,
) -> Response:
    rooms = rooms_of(request)
    return show(
        request,
        who,
        template,
        status=status,
        next_path=portal_path(next),
        factors=rooms.factors.of(who.key),
        passkeys_possible=rooms.passkeys.possible,
        wrong=wrong,
        seconds=seconds,
        **values,
    )


def _with_next(path: str, next: str) -> str:
    return f"{path}?next={quote(portal_path(next), safe='/')}"
