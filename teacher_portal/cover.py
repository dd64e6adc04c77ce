"""Who is away and who stands in at a school: the page on which it is entered and taken back.

Whoever plans for the school enters it for everybody there; everybody else for themselves. A name
stands here because colleagues plan with names; why somebody is away does not. What is entered
counts at once for whom an alert is told (access/presence.py).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from design.render import language, say
from teacher_portal.frame import go, show
from warning_service.access.cover import Plan
from warning_service.access.covering import COVERED
from warning_service.access.doors.accounts import Unfit
from warning_service.access.gateway import NotYours
from warning_service.access.presence import PARTS
from warning_service.access.principals import Principal
from warning_service.access.roles import OFFICES, Place, Role
from warning_service.access.web import AnyStaff
from warning_service.rooms import Rooms, rooms_of
from warning_service.roster import queries as roster

router = APIRouter(prefix="/portal/cover")
Staff = Annotated[Principal, Depends(AnyStaff())]
Text = Annotated[str, Form(max_length=200)]
DONE = ("absent", "back", "stands_in", "ended", "days")
"""Words the page may show after a change, by the query value `done`."""
WEEKDAYS = range(7)


@router.get("")
def index(request: Request, who: Staff, school: str = "", done: str = "") -> Response:
    """One school: who is away, who stands in, who is on duty without lessons."""
    return _page(request, who, school, done=done if done in DONE else "")


def _page(
    request: Request, who: Principal, school: str, *, done: str = "", problem: str = ""
) -> Response:
    rooms = rooms_of(request)
    planned = rooms.covering.schools(who)
    with rooms.database.reading() as conn:
        every = roster.schools(conn, who.board)
    mine = planned if planned else rooms.covering.schools_worked_at(who)
    schools = [one for one in every if planned is None or one.id in mine]
    if not school and len(schools) == 1:
        school = schools[0].id
    chosen = next((one for one in schools if one.id == school), None)
    plan = None if chosen is None else rooms.covering.plan(who, chosen.id)
    return show(
        request,
        who,
        "portal_cover.html",
        status=422 if problem else 200,
        schools=schools,
        school=chosen,
        plan=plan,
        plans=planned is None or (chosen is not None and chosen.id in planned),
        names=_names(rooms, who, plan),
        place_words=_place_words(request, rooms, who),
        duties=[] if plan is None else _duties(plan, who, planned is None or school in planned),
        today=rooms.clock.today(),
        parts=PARTS,
        weekdays=WEEKDAYS,
        day_duty=rooms.playbooks.for_help(who.board).escalation.day_duty,
        done=done,
        problem=problem,
    )


@router.post("/absences")
def absent(
    request: Request,
    who: Staff,
    *,
    school: Text = "",
    staff: Text = "",
    first: Text = "",
    last: Text = "",
    part: Text = "day",
) -> Response:
    """Somebody is away."""

    def change(rooms: Rooms) -> None:
        rooms.covering.add_absence(who, staff or who.key, _day(first), _day(last or first), part)

    return _done(request, who, school, change, "absent")


@router.post("/absences/{absence}/withdraw")
def back(request: Request, who: Staff, absence: str, school: Text = "") -> Response:
    """It was a mistake, or they are back."""
    return _done(
        request, who, school, lambda rooms: rooms.covering.withdraw_absence(who, absence), "back"
    )


@router.post("/stand-ins")
def stands_in(
    request: Request,
    who: Staff,
    *,
    school: Text = "",
    duty: Text = "",
    staff: Text = "",
    first: Text = "",
    last: Text = "",
) -> Response:
    """Somebody stands in. `duty`: role, place and whose it is, as the form has it."""

    def change(rooms: Rooms) -> None:
        role, place, instead_of = [*duty.split("|"), "", "", ""][:3]
        if not instead_of:
            raise Unfit("place")
        rooms.covering.add_stand_in(
            who, staff, role, place,
            first=_day(first), last=_day(last or first), instead_of=instead_of,
        )  # fmt: skip

    return _done(request, who, school, change, "stands_in")


@router.post("/on-duty")
def on_duty(
    request: Request,
    who: Staff,
    *,
    school: Text = "",
    staff: Text = "",
    first: Text = "",
    last: Text = "",
) -> Response:
    """Somebody is on duty at the school on days without lessons (日直)."""

    def change(rooms: Rooms) -> None:
        role = rooms.playbooks.for_help(who.board).escalation.day_duty
        rooms.covering.add_stand_in(
            who, staff, role, school, first=_day(first), last=_day(last or first)
        )

    return _done(request, who, school, change, "stands_in")


@router.post("/stand-ins/{stand_in}/withdraw")
def ended(request: Request, who: Staff, stand_in: str, school: Text = "") -> Response:
    """Take the duty back."""
    return _done(
        request, who, school, lambda rooms: rooms.covering.withdraw_stand_in(who, stand_in), "ended"
    )


@router.post("/working-days")
def working_days(
    request: Request,
    who: Staff,
    *,
    school: Text = "",
    staff: Text = "",
    day_0: Text = "",
    day_1: Text = "",
    day_2: Text = "",
    day_3: Text = "",
    day_4: Text = "",
    day_5: Text = "",
    day_6: Text = "",
) -> Response:
    """On which weekdays somebody is there; none chosen: on all."""
    chosen = (day_0, day_1, day_2, day_3, day_4, day_5, day_6)
    days = {n: part for n, part in enumerate(chosen) if part}
    return _done(
        request,
        who,
        school,
        lambda rooms: rooms.covering.set_working_days(who, staff or who.key, days),
        "days",
    )


def _done(
    request: Request, who: Principal, school: str, change: Callable[[Rooms], None], done: str
) -> Response:
    """Make the change; back to the page with a word, or with what was wrong."""
    rooms = rooms_of(request)
    with rooms.database.reading() as conn:
        known = {one.id for one in roster.schools(conn, who.board)}
    if school not in known:
        raise NotYours
    try:
        change(rooms)
    except Unfit as error:
        return _page(request, who, school, problem=error.key)
    except ValueError:
        return _page(request, who, school, problem="dates")
    return go(f"/portal/cover?school={school}&done={done}")


def _day(text: str) -> date:
    return date.fromisoformat(text)


def _names(rooms: Rooms, who: Principal, plan: Plan | None) -> dict[str, str]:
    if plan is None:
        return {}
    keys = {one.staff for one in plan.away} | {one.entered_by for one in plan.away}
    for one in plan.stand_ins:
        keys |= {one.staff, one.instead_of, one.entered_by}
    keys |= {one.staff for one in plan.colleagues}
    return rooms.gateway.staff_names(who, sorted(keys - {""}))


def _duties(plan: Plan, who: Principal, plans: bool) -> list[tuple[str, str, str]]:
    """(role, place, whose) of the duties somebody can stand in for."""
    return sorted(
        (held.role, held.place, one.staff)
        for one in plan.colleagues
        if plans or one.staff == who.key
        for held in one.held
        if held.role in COVERED
    )


def _place_words(request: Request, rooms: Rooms, who: Principal) -> Callable[[str, str], str]:
    """What a duty's place is called on the door."""
    with rooms.database.reading() as conn:
        doors = {room.id: str(room.name) for room in roster.classes_of_board(conn, who.board)}
    lang = language(request)

    def words(role: str, place: str) -> str:
        kind = OFFICES[Role(role)].place
        if kind is Place.CLASS:
            return doors.get(place, place)
        if kind is Place.GRADE:
            return say(lang, "accounts.grade_n", n=int(place.partition(":")[2] or 0))
        return ""

    return words
