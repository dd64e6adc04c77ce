"""The door: class code, number, three pictures. Works without script, one page for each step.

A tablet remembers its class in a cookie (a class code is no secret), so that most children begin at
the grid of numbers. No page here shows a name: who a number is, the class knows and the tablet does
not tell.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from design.render import language
from student_checkin import account
from student_checkin.pictures import LENGTH, PICTURES, picked, secret
from student_checkin.show import FIRST_GRADE, child_page, from_here, small_form
from warning_service.access.child_sign_in import ClassDoor
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.tries import TooManyTries
from warning_service.access.web import CHILD_COOKIE, OPEN, Needs, session_token
from warning_service.rooms import Rooms, rooms_of

router = APIRouter(prefix="/child")

CLASS_COOKIE = "kizashi_class"
CLASS_COOKIE_SECONDS = 400 * 24 * 3600

TheRooms = Annotated[Rooms, Depends(rooms_of)]


def _set_cookie(rooms: Rooms, response: Response, name: str, value: str, seconds: int) -> None:
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        path="/child",
        secure=rooms.settings.public_url.startswith("https"),
        httponly=True,
        samesite="strict",
    )


@router.get("/sign-in", dependencies=[Depends(OPEN)])
async def class_page(request: Request, rooms: TheRooms, other: int = 0) -> Response:
    """Which class? Goes on to the numbers when the tablet knows."""
    code = request.cookies.get(CLASS_COOKIE, "")
    door = await run_in_threadpool(rooms.child_door.class_door, code) if code else None
    if door and not other:
        return RedirectResponse(f"/child/sign-in/{code}", 303)
    return child_page(
        request,
        "child_class.html",
        grade=FIRST_GRADE,
        unknown=False,
        accounts=account.buttons(request),
    )


@router.post("/sign-in", dependencies=[Depends(OPEN), Depends(small_form), Depends(from_here)])
async def choose_class(
    request: Request, rooms: TheRooms, code: Annotated[str, Form()] = ""
) -> Response:
    """Set the tablet to a class."""
    door = await run_in_threadpool(rooms.child_door.class_door, code.strip()[:40])
    if door is None:
        return child_page(
            request,
            "child_class.html",
            grade=FIRST_GRADE,
            status=422,
            unknown=True,
            accounts=account.buttons(request),
        )
    response = RedirectResponse(f"/child/sign-in/{door.code}", 303)
    _set_cookie(rooms, response, CLASS_COOKIE, door.code, CLASS_COOKIE_SECONDS)
    return response


@router.get("/sign-in/{class_code}", dependencies=[Depends(OPEN)])
async def seat_page(request: Request, class_code: str, rooms: TheRooms) -> Response:
    """Which number?"""
    door = await run_in_threadpool(rooms.child_door.class_door, class_code)
    if door is None:
        return RedirectResponse("/child/sign-in?other=1", 303)
    return child_page(request, "child_seat.html", grade=door.grade, door=door)


@router.get("/sign-in/{class_code}/{seat}", dependencies=[Depends(OPEN)])
async def picture_page(request: Request, class_code: str, seat: int, rooms: TheRooms) -> Response:
    """Which three pictures?"""
    door = await run_in_threadpool(rooms.child_door.class_door, class_code)
    if door is None or seat not in door.seats:
        return RedirectResponse("/child/sign-in?other=1", 303)
    return _pictures(request, door, seat)


@router.post(
    "/sign-in/{class_code}/{seat}",
    dependencies=[Depends(OPEN), Depends(small_form), Depends(from_here)],
)
async def sign_in(
    request: Request,
    class_code: str,
    seat: int,
    rooms: TheRooms,
    *,
    chosen: Annotated[str, Form()] = "",
    pick: Annotated[str, Form()] = "",
) -> Response:
    """One more picture; with the third, the session. `pick` = "again" begins anew."""
    door = await run_in_threadpool(rooms.child_door.class_door, class_code)
    if door is None or seat not in door.seats:
        return RedirectResponse("/child/sign-in?other=1", 303)
    so_far = [] if pick == "again" else picked(f"{chosen}-{pick}")
    if len(so_far) < LENGTH:
        return _pictures(request, door, seat, so_far=so_far)
    address = request.client.host if request.client else ""
    try:
        token = await run_in_threadpool(
            rooms.child_door.sign_in, class_code, seat, secret(so_far), address
        )
    except TooManyTries as error:
        response = _pictures(request, door, seat, status=429, wait=error.seconds)
        response.headers["retry-after"] = str(error.seconds)
        return response
    if token is None:
        return _pictures(request, door, seat, status=422, wrong=True)
    if old := session_token(request, child=True):
        await run_in_threadpool(rooms.sessions.sign_out, old)
    response = RedirectResponse("/child", 303)
    _set_cookie(rooms, response, CHILD_COOKIE, token, rooms.settings.child_session_longest)
    _set_cookie(rooms, response, CLASS_COOKIE, door.code, CLASS_COOKIE_SECONDS)
    return response


def _pictures(
    request: Request,
    door: ClassDoor,
    seat: int,
    *,
    status: int = 200,
    so_far: list[str] | None = None,
    wrong: bool = False,
    wait: int = 0,
) -> Response:
    lang = 1 if language(request) == "en" else 0
    return child_page(
        request,
        "child_pictures.html",
        grade=door.grade,
        status=status,
        door=door,
        seat=seat,
        so_far=so_far or [],
        pictures={key: names[lang] for key, names in PICTURES.items()},
        length=LENGTH,
        wrong=wrong,
        wait=wait,
    )


@router.post("/sign-out", dependencies=[Depends(small_form)])
async def sign_out(
    request: Request, rooms: TheRooms, _who: Annotated[Principal, Depends(Needs(Ability.ANSWER))]
) -> Response:
    """The next child's turn: the session ends at once, the tablet stays with its class."""
    await run_in_threadpool(rooms.sessions.sign_out, session_token(request, child=True))
    response = RedirectResponse("/child/sign-in", 303)
    response.delete_cookie(CHILD_COOKIE, path="/child", httponly=True, samesite="strict")
    return response
