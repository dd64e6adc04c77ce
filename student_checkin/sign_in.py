"""The door: which class, which number, which secret. Works without script, a page for each step.

A tablet knows its class by a card that its camera has read, or by a typed code where the board
allows that, and remembers it in a cookie, so that most children begin at the grid of numbers. No
page here shows a name: who a number is, the class knows and the tablet does not tell.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from design.render import language
from student_checkin import account
from student_checkin.pictures import LENGTH, PICTURES, picked, secret
from student_checkin.show import FIRST_GRADE, child_page, from_here, small_form
from warning_service.access.doors.child import CardStopped, ClassDoor
from warning_service.access.doors.child_secrets import Kind
from warning_service.access.doors.tries import TooManyTries
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import (
    OPEN,
    Needs,
    give_child_cookie,
    session_token,
    take_child_cookie,
)
from warning_service.rooms import Rooms, rooms_of

router = APIRouter(prefix="/child")

CLASS_COOKIE = "kizashi_class"
DOOR_COOKIE = "kizashi_door"
REMEMBER_SECONDS = 400 * 24 * 3600
MOST_DIGITS = 8

TheRooms = Annotated[Rooms, Depends(rooms_of)]
Form_ = [Depends(OPEN), Depends(small_form), Depends(from_here)]


def _set_cookie(
    rooms: Rooms,
    response: Response,
    name: str,
    value: str,
    *,
    seconds: int = REMEMBER_SECONDS,
    samesite: Literal["strict", "lax"] = "strict",
) -> None:
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        path="/child",
        secure=rooms.settings.public_url.startswith("https"),
        httponly=True,
        samesite=samesite,
    )


def _again(request: Request) -> Response:
    """Back to the question which class it is; what the visitor was to be told goes along."""
    return RedirectResponse("/child/sign-in?other=1" + _told(request, "&"), 303)


def _told(request: Request, before: str) -> str:
    return f"{before}ended=1" if request.query_params.get("ended") else ""


# -- which class -----------------------------------------------------------------------------------


@router.get("/card/{card}", dependencies=[Depends(OPEN)])
async def read_card(request: Request, card: str, rooms: TheRooms) -> Response:
    """A tablet's camera has read a class card: from here on the tablet is that class's."""
    key = await run_in_threadpool(rooms.child_door.open_card, card[:200])
    if key is None:
        return child_page(request, "child_card_stopped.html", grade=FIRST_GRADE, status=404)
    response = RedirectResponse("/child/class", 303)
    # Lax, because some scanners open the address from a page of their own, and the step to the
    # numbers belongs to that journey; it opens nothing but a grid of numbers.
    _set_cookie(rooms, response, DOOR_COOKIE, key, samesite="lax")
    response.delete_cookie(CLASS_COOKIE, path="/child", httponly=True, samesite="strict")
    return response


@router.get("/sign-in", dependencies=[Depends(OPEN)])
async def class_page(request: Request, rooms: TheRooms, other: int = 0) -> Response:
    """Which class? Goes on to the numbers when the tablet knows."""
    stopped = False
    if not other:
        stopped = DOOR_COOKIE in request.cookies
        door = await _by_card(request, rooms)
        code = request.cookies.get(CLASS_COOKIE, "")
        if door is None and code:
            door = await _by_code(code, rooms)
        if door is not None:
            return RedirectResponse(base_of(door) + _told(request, "?"), 303)
    return await _class_page(request, rooms, stopped=stopped)


async def _class_page(
    request: Request,
    rooms: Rooms,
    *,
    status: int = 200,
    unknown: bool = False,
    stopped: bool = False,
) -> Response:
    return child_page(
        request,
        "child_class.html",
        grade=FIRST_GRADE,
        status=status,
        unknown=unknown,
        stopped=stopped,
        ended=bool(request.query_params.get("ended")),
        codes=await run_in_threadpool(rooms.child_door.takes_codes),
        accounts=account.buttons(request),
    )


@router.post("/sign-in", dependencies=Form_)
async def choose_class(
    request: Request, rooms: TheRooms, code: Annotated[str, Form()] = ""
) -> Response:
    """Set the tablet to a class by its code."""
    door = await run_in_threadpool(rooms.child_door.class_door, code.strip()[:40])
    if door is None:
        return await _class_page(request, rooms, status=422, unknown=True)
    response = RedirectResponse(f"/child/sign-in/{door.code}", 303)
    _set_cookie(rooms, response, CLASS_COOKIE, door.code)
    response.delete_cookie(DOOR_COOKIE, path="/child", httponly=True, samesite="lax")
    return response


# -- which number, which secret --------------------------------------------------------------------


async def _by_card(request: Request, rooms: TheRooms) -> ClassDoor | None:
    key = request.cookies.get(DOOR_COOKIE, "")
    return await run_in_threadpool(rooms.child_door.card_door, key) if key else None


async def _by_code(class_code: str, rooms: TheRooms) -> ClassDoor | None:
    return await run_in_threadpool(rooms.child_door.class_door, class_code[:40])


ByCard = Annotated[ClassDoor | None, Depends(_by_card)]
ByCode = Annotated[ClassDoor | None, Depends(_by_code)]


@router.get("/class", dependencies=[Depends(OPEN)])
async def card_numbers(request: Request, door: ByCard) -> Response:
    """Which number? On a tablet that a card has set to its class."""
    if door is None:
        return RedirectResponse("/child/sign-in" + _told(request, "?"), 303)
    return _numbers(request, door)


@router.get("/sign-in/{class_code}", dependencies=[Depends(OPEN)])
async def code_numbers(request: Request, door: ByCode) -> Response:
    """Which number? On a tablet that was set by the class's code."""
    return _again(request) if door is None else _numbers(request, door)


def _numbers(request: Request, door: ClassDoor) -> Response:
    return child_page(
        request,
        "child_seat.html",
        grade=door.grade,
        door=door,
        base=base_of(door),
        ended=bool(request.query_params.get("ended")),
    )


def base_of(door: ClassDoor) -> str:
    """The path of a class's numbers, on a tablet set in this way."""
    return "/child/class" if door.card else f"/child/sign-in/{door.code}"


@router.get("/class/{seat}", dependencies=[Depends(OPEN)])
async def card_secret(request: Request, seat: int, door: ByCard) -> Response:
    """Which pictures, or digits?"""
    return _secret_page(request, door, seat)


@router.get("/sign-in/{class_code}/{seat}", dependencies=[Depends(OPEN)])
async def code_secret(request: Request, seat: int, door: ByCode) -> Response:
    """Which pictures, or digits?"""
    return _secret_page(request, door, seat)


def _secret_page(request: Request, door: ClassDoor | None, seat: int) -> Response:
    if door is None or seat not in door.seats:
        return _again(request)
    return _secret(request, door, seat)


class Pressed:
    """What the form of the secret sends: pictures one by one, or digits at once."""

    def __init__(
        self,
        chosen: Annotated[str, Form()] = "",
        pick: Annotated[str, Form()] = "",
        digits: Annotated[str, Form()] = "",
    ) -> None:
        self.pictures = [] if pick == "again" else picked(f"{chosen}-{pick}")
        typed = unicodedata.normalize("NFKC", digits)
        self.digits = "".join(one for one in typed if one in "0123456789")[: MOST_DIGITS + 1]


ThePressed = Annotated[Pressed, Depends()]


@router.post("/class/{seat}", dependencies=Form_)
async def card_sign_in(
    request: Request, seat: int, rooms: TheRooms, door: ByCard, pressed: ThePressed
) -> Response:
    """One more picture, or all digits; with the last, the session."""
    return await _sign_in(request, rooms, door, seat, pressed)


@router.post("/sign-in/{class_code}/{seat}", dependencies=Form_)
async def code_sign_in(
    request: Request, seat: int, rooms: TheRooms, door: ByCode, pressed: ThePressed
) -> Response:
    """One more picture, or all digits; with the last, the session."""
    return await _sign_in(request, rooms, door, seat, pressed)


async def _sign_in(
    request: Request, rooms: Rooms, door: ClassDoor | None, seat: int, pressed: Pressed
) -> Response:
    if door is None or seat not in door.seats:
        return _again(request)
    if door.kind(seat) is Kind.DIGITS:
        given, whole = pressed.digits, bool(pressed.digits)
    else:
        given, whole = secret(pressed.pictures), len(pressed.pictures) == LENGTH
    if not whole:
        return _secret(request, door, seat, so_far=pressed.pictures)
    address = request.client.host if request.client else ""
    try:
        token = await run_in_threadpool(rooms.child_door.enter, door, seat, given, address)
    except CardStopped:
        return RedirectResponse("/child/sign-in", 303)
    except TooManyTries as error:
        response = _secret(request, door, seat, status=429, wait=error.seconds)
        response.headers["retry-after"] = str(error.seconds)
        return response
    if token is None:
        return _secret(request, door, seat, status=422, wrong=True)
    if old := session_token(request, child=True):
        await run_in_threadpool(rooms.sessions.sign_out, old)
    response = RedirectResponse("/child", 303)
    give_child_cookie(request, response, token)
    if not door.card:
        _set_cookie(rooms, response, CLASS_COOKIE, door.code)
    return response


def _secret(
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
    digits = door.kind(seat) is Kind.DIGITS
    return child_page(
        request,
        "child_digits.html" if digits else "child_pictures.html",
        grade=door.grade,
        status=status,
        door=door,
        base=base_of(door),
        seat=seat,
        so_far=so_far or [],
        pictures={key: names[lang] for key, names in PICTURES.items()},
        length=LENGTH,
        most_digits=MOST_DIGITS,
        wrong=wrong,
        wait=wait,
    )


# -- while signed in -------------------------------------------------------------------------------


@router.post("/stay", dependencies=[Depends(small_form)], status_code=204)
async def stay(_who: Annotated[Principal, Depends(Needs(Ability.ANSWER))]) -> Response:
    """The child is still there, though it opens no page: being asked is what prolongs a session."""
    return Response(status_code=204)


@router.post("/sign-out", dependencies=[Depends(small_form)])
async def sign_out(
    request: Request, rooms: TheRooms, _who: Annotated[Principal, Depends(Needs(Ability.ANSWER))]
) -> Response:
    """The next child's turn: the session ends at once, the tablet stays with its class."""
    await run_in_threadpool(rooms.sessions.sign_out, session_token(request, child=True))
    response = RedirectResponse("/child/sign-in", 303)
    take_child_cookie(request, response)
    return response
