"""Children who sign in with an account of their own (from the school's Google or Entra domain).

The way there and back is connectors/sign_in/. A child who comes in this way has shown no class: its
place is found on the roll. Whatever goes wrong ends on a page that says so kindly, whom to tell,
and where help can be had without signing in.
"""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from connectors.sign_in.addresses import Door
from design.render import language
from student_checkin.show import FIRST_GRADE, child_page
from warning_service.access.web import OPEN, give_child_cookie, session_token
from warning_service.rooms import rooms_of

DOOR = Door("children", "/child/account")
router = APIRouter(prefix=DOOR.path)


def buttons(request: Request) -> list[tuple[str, str]]:
    """Name and label of each provider of the children's, for the sign-in page."""
    return DOOR.buttons(request, english=language(request) == "en")


@router.get("/{why}", dependencies=[Depends(OPEN)])
async def trouble(request: Request, why: str) -> Response:
    """Why the account did not open the door, and whom to tell."""
    status = DOOR.status_of(why)
    return child_page(
        request, "child_account_trouble.html", grade=FIRST_GRADE, status=status, why=why
    )


@router.get("/{name}/begin", dependencies=[Depends(OPEN)])
async def begin(request: Request, name: str) -> Response:
    """Off to the provider."""
    return await DOOR.begin(request, name, "/child")


@router.get("/{name}/back", dependencies=[Depends(OPEN)])
async def back(
    request: Request, name: str, state: str = "", code: str = "", error: str = ""
) -> Response:
    """Back from the provider: a session, or the page that says why not."""
    came = await DOOR.back(request, name, state=state, code=code, error=error)
    if isinstance(came, Response):
        return came
    sessions = rooms_of(request).sessions
    if old := session_token(request, child=True):
        await run_in_threadpool(sessions.sign_out, old)
    token = await run_in_threadpool(sessions.start_child, came.key, came.board, "")
    # A page, not a redirect: the browser is still on its way from another site, and would leave the
    # session's strict cookie at home until a page of ours has taken over.
    answer = child_page(request, "child_account_in.html", grade=FIRST_GRADE)
    give_child_cookie(request, answer, token)
    return answer
