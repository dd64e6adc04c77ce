"""Staff who sign in with an account they have elsewhere (Google, Entra ID and the like).

The way there and back is connectors/sign_in/; here are the two addresses it needs and the page that
says what to do when it did not lead in. The board's own door stays open whatever a provider does.
"""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from connectors.sign_in.flow import (
    PROBLEMS,
    Arrival,
    NoEntry,
    come_back,
    keep_secret,
    providers_of,
    secret_of,
    set_out,
)
from connectors.sign_in.provider import Provider
from design.render import language, page
from teacher_portal.frame import go, local_path
from warning_service.access.doors.sessions import FRESH_SECONDS
from warning_service.access.web import OPEN, give_staff_cookie, session_token
from warning_service.clock import Clock
from warning_service.rooms import Rooms, rooms_of

router = APIRouter(prefix="/portal/account")
_PATH = "/portal/account"
_LONGEST_NEXT = 300


def buttons(request: Request) -> list[tuple[str, str]]:
    """Name and label of each provider of the staff's, for the sign-in page."""
    english = language(request) == "en"
    return [
        (one.settings.name, one.settings.label_en if english else one.settings.label)
        for one in providers_of(request).for_people("staff")
    ]


@router.get("/{why}", dependencies=[Depends(OPEN)])
def trouble(request: Request, why: str) -> Response:
    """Why the account did not open the door, and whom to ask."""
    if why not in PROBLEMS:
        raise HTTPException(404, "no such page")
    status = 503 if why == "down" else 403
    return page(request, "portal_account_trouble.html", status=status, why=why)


@router.get("/{name}/begin", dependencies=[Depends(OPEN)])
async def begin(request: Request, name: str, next: str = "/portal") -> Response:
    """Off to the provider."""
    rooms, provider = rooms_of(request), _provider(request, name)
    secret = secret_of(request, rooms)
    path = _portal_path(next)
    try:
        away = await set_out(
            rooms, provider, back=_back(rooms, name), secret=secret, next_path=path
        )
    except NoEntry as error:
        return _to_trouble(error)
    answer = RedirectResponse(away.address, 303)
    keep_secret(answer, rooms, away.secret, path=_PATH)
    return answer


@router.get("/{name}/back", dependencies=[Depends(OPEN)])
async def back(
    request: Request, name: str, state: str = "", code: str = "", error: str = ""
) -> Response:
    """Back from the provider: a session, or the page that says why not."""
    rooms, provider = rooms_of(request), _provider(request, name)
    try:
        arrival = await come_back(
            rooms,
            provider,
            back=_back(rooms, name),
            secret=secret_of(request, rooms),
            state=state,
            code=code,
            error=error,
        )
    except NoEntry as problem:
        return _to_trouble(problem)
    token = await run_in_threadpool(_start, rooms, arrival, session_token(request, child=False))
    answer = go(_portal_path(arrival.next_path))
    give_staff_cookie(request, answer, token)
    return answer


def _start(rooms: Rooms, arrival: Arrival, old: str) -> str:
    if old:
        rooms.sessions.sign_out(old)
    # The provider may have asked who it is hours ago (single sign-on): the second factor shown then
    # is good for the session, but not for what asks for a fresh one. Unsaid, it was long ago.
    shown = arrival.account.authenticated_at
    just_now = shown is not None and Clock().now() - shown <= timedelta(seconds=FRESH_SECONDS)
    return rooms.sessions.start_staff(
        arrival.key,
        arrival.board,
        factors=("provider",) if arrival.account.second_factor else (),
        confirmed=just_now,
        note=rooms.trail.line_by(
            arrival.key, "provider_signed_in", arrival.key, board=arrival.board
        ),
    )


def _provider(request: Request, name: str) -> Provider:
    found = providers_of(request).find("staff", name)
    if found is None:
        raise HTTPException(404, "no such provider")
    return found


def _back(rooms: Rooms, name: str) -> str:
    return f"{rooms.settings.public_url.rstrip('/')}{_PATH}/{name}/back"


def _portal_path(wanted: str) -> str:
    path = local_path(wanted[:_LONGEST_NEXT], "/portal")
    return path if path == "/portal" or path.startswith("/portal/") else "/portal"


def _to_trouble(error: NoEntry) -> Response:
    # To an address without state and code: what is in the address line stays in the history.
    return RedirectResponse(f"{_PATH}/{error.problem}", 303)
