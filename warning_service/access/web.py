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
from fastapi.responses import Response

from warning_service.access.doors.sessions import Sessions
from warning_service.access.gateway import Gateway
from warning_service.access.pace import ADDRESS, SESSION, Bucket, Pace
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.asking import answer_to

STAFF_COOKIE = "kizashi_staff"
CHILD_COOKIE = "kizashi_child"


class NotSignedIn(Exception):
    """Nobody is signed in, or the session has ended. `child` tells which door to show."""

    def __init__(self, *, child: bool) -> None:
        super().__init__("not signed in")
        self.child = child


class SecondFactorNeeded(Exception):
    """The session has shown a password only, and its holder must show a second factor first."""


class ConfirmNeeded(Exception):
    """What is asked for needs a factor shown within the last minutes (`Needs(fresh=True)`)."""


class NotFromHere(Exception):
    """The duties that would allow it are not in force from this address (settings `networks`)."""


class NotAllowed(HTTPException):
    """No duty of the caller's allows this page: 403, and a line on the trail (errors.py)."""

    def __init__(self) -> None:
        super().__init__(403, "not allowed")


class Needs:
    """Route dependency: the caller must be signed in and have all of `abilities`.

    `quiet`: a request a page makes by itself; it does not keep an idle session alive.
    `fresh`: who they are was shown again within the last minutes (step-up), with a second factor,
    or with the password by somebody who has none.
    Gives the `Principal`. Raises NotSignedIn, SecondFactorNeeded, NotFromHere, ConfirmNeeded, or
    HTTPException 403.
    """

    def __init__(self, *abilities: Ability, quiet: bool = False, fresh: bool = False) -> None:
        if not abilities:
            raise ValueError("a route that needs nothing says OPEN")
        self.abilities = frozenset(abilities)
        self.quiet = quiet
        self.fresh = fresh

    async def __call__(self, request: Request) -> Principal:
        child = Ability.ANSWER in self.abilities
        found = await principal_of(request, child=child, touch=not self.quiet)
        sessions = cast(Sessions, request.app.state.sessions)
        principal = sessions.seen_from(found, address_of(request))
        if (found.duties and not principal.duties) or (found.waiting and not principal.waiting):
            raise NotFromHere
        if principal.owes_factor:
            raise SecondFactorNeeded
        if not self.abilities <= principal.abilities:
            raise NotFromHere if self.abilities <= found.abilities else NotAllowed
        if request.method not in {"GET", "HEAD", "OPTIONS"}:
            await check_csrf(request, principal)
        if self.fresh:
            ask_again(request, principal)
        await answer_to_one(request, principal)
        return principal


class AnyStaff(Needs):
    """Route dependency: any signed-in member of staff, whatever the duties (home, security)."""

    def __init__(self, *, fresh: bool = False) -> None:
        self.abilities = frozenset()
        self.quiet = False
        self.fresh = fresh


class HalfSignedIn(Needs):
    """Route dependency: staff who have shown a password at least, and may owe a second factor.

    Only for the pages that end that state: showing or setting up the factor, and signing out
    (`anywhere`: from any address). Such a principal has no duties, so nothing else opens to it.
    """

    def __init__(self, *, anywhere: bool = False) -> None:
        self.abilities = frozenset()
        self.quiet = self.fresh = False
        self._anywhere = anywhere

    async def __call__(self, request: Request) -> Principal:
        principal = await principal_of(request, child=False)
        if not self._anywhere:
            sessions = cast(Sessions, request.app.state.sessions)
            seen = sessions.seen_from(principal, address_of(request))
            if len(seen.duties + seen.waiting) == 0 < len(principal.duties + principal.waiting):
                raise NotFromHere
            principal = seen
        if request.method not in {"GET", "HEAD", "OPTIONS"}:
            await check_csrf(request, principal)
        await answer_to_one(request, principal)
        return principal


class Open:
    """Route dependency for the few pages anybody may see (sign-in, health). Raises TooFast.

    The children's door is not paced by address: at 8:15 a city comes in within ten minutes, perhaps
    behind one proxy, and who cannot come in cannot ask for help. Wrong guesses are counted there.
    """

    async def __call__(self, request: Request) -> None:
        if request.url.path.startswith("/child"):
            return
        _pace(request, "address_pace", ADDRESS).take(address_of(request))


OPEN = Open()


def address_of(request: Request) -> str:
    """The network address the request came from; behind a trusted proxy, the one it names."""
    return request.client.host if request.client else ""


def staff_cookie(request: Request) -> str:
    """The name of the staff's cookie here.

    Over https a browser takes a `__Host-` cookie from this very host only, over https only, so that
    no neighbouring site can plant a session of its own.
    """
    sessions = cast(Sessions, request.app.state.sessions)
    return f"__Host-{STAFF_COOKIE}" if sessions.https else STAFF_COOKIE


def child_cookie(*, https: bool) -> str:
    """The name of a child's cookie here.

    It is kept below /child, so that no page of the portal ever gets it; a `__Host-` cookie would be
    for all paths, so over https it is a `__Secure-` one, which no page over http can plant.
    """
    return f"__Secure-{CHILD_COOKIE}" if https else CHILD_COOKIE


def give_staff_cookie(request: Request, response: Response, token: str) -> None:
    """Hand a session's token to the browser."""
    sessions = cast(Sessions, request.app.state.sessions)
    response.set_cookie(
        staff_cookie(request),
        token,
        max_age=sessions.longest_staff,
        path="/",
        httponly=True,
        samesite="lax",
        secure=sessions.https,
    )


def take_staff_cookie(request: Request, response: Response) -> None:
    """The browser forgets the token."""
    sessions = cast(Sessions, request.app.state.sessions)
    response.delete_cookie(
        staff_cookie(request), path="/", httponly=True, samesite="lax", secure=sessions.https
    )


def give_child_cookie(request: Request, response: Response, token: str) -> None:
    """Hand a child's session to the tablet."""
    sessions = cast(Sessions, request.app.state.sessions)
    response.set_cookie(
        child_cookie(https=sessions.https),
        token,
        max_age=sessions.longest_child,
        path="/child",
        httponly=True,
        samesite="strict",
        secure=sessions.https,
    )


def take_child_cookie(request: Request, response: Response) -> None:
    """The tablet forgets the child's session."""
    sessions = cast(Sessions, request.app.state.sessions)
    response.delete_cookie(
        child_cookie(https=sessions.https),
        path="/child",
        httponly=True,
        samesite="strict",
        secure=sessions.https,
    )


def session_token(request: Request, *, child: bool) -> str:
    """The cookie's token, '' when there is none."""
    sessions = cast(Sessions, request.app.state.sessions)
    name = child_cookie(https=sessions.https) if child else staff_cookie(request)
    return request.cookies.get(name, "")


async def principal_of(request: Request, *, child: bool, touch: bool = True) -> Principal:
    """Who is signed in on this door. Raises NotSignedIn, TooFast."""
    sessions = cast(Sessions, request.app.state.sessions)
    token = session_token(request, child=child)
    principal = await run_in_threadpool(sessions.find, token, touch=touch) if token else None
    # A child's token under the staff cookie's name (or the other way round) opens no door.
    if principal is None or principal.kind != ("child" if child else "staff"):
        raise NotSignedIn(child=child)
    request.state.who = principal  # so that a refusal can be put on the trail
    _pace(request, "session_pace", SESSION).take(principal.token_hash)
    return principal


def _pace(request: Request, name: str, bucket: Bucket) -> Pace:
    state = request.app.state
    if not hasattr(state, name):
        setattr(state, name, Pace(bucket))
    return cast(Pace, getattr(state, name))


def ask_again(request: Request, who: Principal) -> None:
    """Like `Needs(fresh=True)`, where only some of what a route does asks for it.

    Raises ConfirmNeeded.
    """
    if not cast(Sessions, request.app.state.sessions).is_fresh(who):
        raise ConfirmNeeded


async def answer_to_one(request: Request, who: Principal) -> None:
    """From here on the database shows this request no more than `who` may see."""
    gateway = cast(Gateway, request.app.state.gateway)
    if gateway.walled:
        answer_to(await run_in_threadpool(gateway.scope_of, who))


async def check_csrf(request: Request, principal: Principal) -> None:
    """Refuse a POST that did not come from one of our pages. Raises HTTPException 403."""
    given = request.headers.get("x-kizashi-csrf", "")
    kind = request.headers.get("content-type", "")
    if not given and ("urlencoded" in kind or "multipart" in kind):
        given = str((await request.form()).get("csrf", ""))
    if not hmac.compare_digest(given.encode(), principal.csrf.encode()):
        raise HTTPException(403, "the page was too old; load it again")
