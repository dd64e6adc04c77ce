"""Staff who sign in with an account they have elsewhere (Google, Entra ID and the like).

The way there and back is connectors/sign_in/; here is what a member of staff gets who has arrived,
and the page that says what to do when the account did not lead in. The board's own door stays open
whatever a provider does.
"""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from connectors.sign_in.addresses import Door
from connectors.sign_in.flow import Arrival
from design.render import language, page
from teacher_portal.frame import go, local_path
from warning_service.access.doors.sessions import FRESH_SECONDS
from warning_service.access.web import OPEN, give_staff_cookie, session_token
from warning_service.clock import Clock
from warning_service.rooms import Rooms, rooms_of

DOOR = Door("staff", "/portal/account")
router = APIRouter(prefix=DOOR.path)
_LONGEST_NEXT = 300


def buttons(request: Request) -> list[tuple[str, str]]:
    """Name and label of each provider of the staff's, for the sign-in page."""
    return DOOR.buttons(request, english=language(request) == "en")


@router.get("/{why}", dependencies=[Depends(OPEN)])
def trouble(request: Request, why: str) -> Response:
    """Why the account did not open the door, and whom to ask."""
    return page(request, "portal_account_trouble.html", status=DOOR.status_of(why), why=why)


@router.get("/{name}/begin", dependencies=[Depends(OPEN)])
async def begin(request: Request, name: str, next: str = "/portal") -> Response:
    """Off to the provider."""
    return await DOOR.begin(request, name, _portal_path(next))


@router.get("/{name}/back", dependencies=[Depends(OPEN)])
async def back(
    request: Request, name: str, state: str = "", code: str = "", error: str = ""
) -> Response:
    """Back from the provider: a session, or the page that says why not."""
    came = await DOOR.back(request, name, state=state, code=code, error=error)
    if isinstance(came, Response):
        return came
    old = session_token(request, child=False)
    token = await run_in_threadpool(_start, rooms_of(request), came, old)
    answer = go(_portal_path(came.next_path))
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


def _portal_path(wanted: str) -> str:
    path = local_path(wanted[:_LONGEST_NEXT], "/portal")
    return path if path == "/portal" or path.startswith("/portal/") else "/portal"
