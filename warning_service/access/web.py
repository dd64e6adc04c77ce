"""Access at the door: what every route declares, who is asking, and CSRF.

A route says `Depends(Needs(Ability.…))` or `Depends(OPEN)`; nothing else counts as a declaration,
and a test walks the route table and fails for a route without one. A POST from a page must carry
the session's CSRF token in the form field `csrf` or the header `X-Kizashi-CSRF`.
"""

from __future__ import annotations

import hmac
from typing import cast

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from warning_service.access.pace import ADDRESS, SESSION, Bucket, Pace
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.sessions import Sessions

STAFF_COOKIE = "kizashi_staff"
CHILD_COOKIE = "kizashi_child"


class NotSignedIn(Exception):
    """Nobody is signed in, or the session has ended. `child` tells which door to show."""

    def __init__(self, *, child: bool) -> None:
        super().__init__("not signed in")
        self.child = child


class Needs:
    """Route dependency: the caller must be signed in and have all of `abilities`.

    `quiet`: a request a page makes by itself; it does not keep an idle session alive.
    Gives the `Principal`. Raises NotSignedIn, or HTTPException 403.
    """

    def __init__(self, *abilities: Ability, quiet: bool = False) -> None:
        if not abilities:
            raise ValueError("a route that needs nothing says OPEN")
        self.abilities = frozenset(abilities)
        self.quiet = quiet

    async def __call__(self, request: Request) -> Principal:
        child = Ability.ANSWER in self.abilities
        principal = await principal_of(request, child=child, touch=not self.quiet)
        if not self.abilities <= principal.abilities:
            raise HTTPException(403, "not allowed")
        if request.method not in {"GET", "HEAD", "OPTIONS"}:
            await check_csrf(request, principal)
        return principal


class AnyStaff(Needs):
    """Route dependency: any signed-in member of staff, whatever the duties (home, sign-out)."""

    def __init__(self) -> None:
        self.abilities = frozenset()
        self.quiet = False


class Open:
    """Route dependency for the few pages anybody may see (sign-in, health). Raises TooFast."""

    async def __call__(self, request: Request) -> None:
        _pace(request, "address_pace", ADDRESS).take(request.client.host if request.client else "")


OPEN = Open()


def session_token(request: Request, *, child: bool) -> str:
    """The cookie's token, '' when there is none."""
    return request.cookies.get(CHILD_COOKIE if child else STAFF_COOKIE, "")


async def principal_of(request: Request, *, child: bool, touch: bool = True) -> Principal:
    """Who is signed in on this door. Raises NotSignedIn, TooFast."""
    sessions = cast(Sessions, request.app.state.sessions)
    token = session_token(request, child=child)
    principal = await run_in_threadpool(sessions.find, token, touch=touch) if token else None
    # A child's token under the staff cookie's name (or the other way round) opens no door.
    if principal is None or principal.kind != ("child" if child else "staff"):
        raise NotSignedIn(child=child)
    _pace(request, "session_pace", SESSION).take(principal.token_hash)
    return principal


def _pace(request: Request, name: str, bucket: Bucket) -> Pace:
    state = request.app.state
    if not hasattr(state, name):
        setattr(state, name, Pace(bucket))
    return cast(Pace, getattr(state, name))


async def check_csrf(request: Request, principal: Principal) -> None:
    """Refuse a POST that did not come from one of our pages. Raises HTTPException 403."""
    given = request.headers.get("x-kizashi-csrf", "")
    kind = request.headers.get("content-type", "")
    if not given and ("urlencoded" in kind or "multipart" in kind):
        given = str((await request.form()).get("csrf", ""))
    if not hmac.compare_digest(given.encode(), principal.csrf.encode()):
        raise HTTPException(403, "the page was too old; load it again")
