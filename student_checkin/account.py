"""Children who sign in with an account of their own (from the school's Google or Entra domain).

The way there and back is connectors/sign_in/. A child who comes in this way has shown no class: its
place is found on the roll. Whatever goes wrong ends on a page that says so kindly, whom to tell,
and where help can be had without signing in.
"""

from __future__ import annotations

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from connectors.sign_in.flow import (
    PROBLEMS,
    NoEntry,
    come_back,
    keep_secret,
    providers_of,
    secret_of,
    set_out,
)
from connectors.sign_in.provider import Provider
from design.render import language
from student_checkin.show import FIRST_GRADE, child_page
from warning_service.access.web import OPEN, give_child_cookie, session_token
from warning_service.rooms import Rooms, rooms_of

router = APIRouter(prefix="/child/account")
_PATH = "/child/account"


def buttons(request: Request) -> list[tuple[str, str]]:
    """Name and label of each provider of the children's, for the sign-in page."""
    english = language(request) == "en"
    return [
        (one.settings.name, one.settings.label_en if english else one.settings.label)
        for one in providers_of(request).for_people("children")
    ]


@router.get("/{why}", dependencies=[Depends(OPEN)])
async def trouble(request: Request, why: str) -> Response:
    """Why the account did not open the door, and whom to tell."""
    if why not in PROBLEMS:
        raise HTTPException(404, "no such page")
    status = 503 if why == "down" else 403
    return child_page(
        request, "child_account_trouble.html", grade=FIRST_GRADE, status=status, why=why
    )


@router.get("/{name}/begin", dependencies=[Depends(OPEN)])
async def begin(request: Request, name: str) -> Response:
    """Off to the provider."""
    rooms, provider = rooms_of(request), _provider(request, name)
    secret = secret_of(request, rooms)
    try:
        away = await set_out(
            rooms, provider, back=_back(rooms, name), secret=secret, next_path="/child"
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
    if old := session_token(request, child=True):
        await run_in_threadpool(rooms.sessions.sign_out, old)
    token = await run_in_threadpool(rooms.sessions.start_child, arrival.key, arrival.board, "")
    # A page, not a redirect: the browser is still on its way from another site, and would leave the
    # session's strict cookie at home until a page of ours has taken over.
    answer = child_page(request, "child_account_in.html", grade=FIRST_GRADE)
    give_child_cookie(request, answer, token)
    return answer


def _provider(request: Request, name: str) -> Provider:
    found = providers_of(request).find("children", name)
    if found is None:
        raise HTTPException(404, "no such provider")
    return found


def _back(rooms: Rooms, name: str) -> str:
    return f"{rooms.settings.public_url.rstrip('/')}{_PATH}/{name}/back"


def _to_trouble(error: NoEntry) -> Response:
    # To an address without state and code: what is in the address line stays in the history.
    return RedirectResponse(f"{_PATH}/{error.problem}", 303)
