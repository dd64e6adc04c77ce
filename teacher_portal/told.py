"""Who would be told when, tried for any class or child and any moment; and where nobody would be.

Nothing is stored and nobody is told by trying. What is shown is the walk of alerts/who_is_told.py,
with colleagues by name. A child is chosen on its own page, so that its name stands in no form and
the look is on the trail there; here it is a class.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from design.render import language, say
from teacher_portal.frame import show, via_words
from warning_service.access.principals import Principal
from warning_service.access.roles import OFFICES, Ability, Place
from warning_service.access.web import Needs
from warning_service.alerts.gaps import DAYS, GRAVE
from warning_service.alerts.telling import Place as Where
from warning_service.clock import JAPAN
from warning_service.rooms import Rooms, rooms_of
from warning_service.roster import queries as roster

router = APIRouter(prefix="/portal/told")
Planner = Annotated[Principal, Depends(Needs(Ability.SEE_TELLING))]
KINDS = ("consultation", "critical", "same_day", "list_published", "follow_up_overdue")
"""Kinds that can be tried here."""
GAPS_SHOWN = 200


@router.get("")
def tried(
    request: Request,
    who: Planner,
    *,
    room: str = "",
    student: str = "",
    kind: str = "consultation",
    day: str = "",
    time: str = "",
) -> Response:
    """The form, and when a class was chosen the walk."""
    rooms = rooms_of(request)
    found = _classes(rooms, who)
    now = rooms.clock.now()
    moment, problem = _moment(day, time, now)
    kind = kind if kind in KINDS else "consultation"
    if student and who.may(Ability.SEE_STUDENT):
        child = rooms.gateway.child(who, student, using=Ability.SEE_STUDENT, why="told")
        place = rooms.who_is_told.place_of(child.student, moment)
        room = place.class_id if place.class_id in {one.id for one in found} else child.class_id
    chosen = next((one for one in found if one.id == room), None)
    steps = []
    if chosen is not None and not problem:
        steps = rooms.who_is_told.of_class(
            who.board, Where(chosen.school, chosen.id), kind=kind, at=moment
        )
    keys = {staff for step in steps for duty in step.duties for staff in duty.people + duty.away}
    return show(
        request,
        who,
        "portal_told.html",
        status=422 if problem else 200,
        classes=found,
        school_names=_school_names(rooms, who),
        chosen=chosen,
        kind=kind,
        kinds=KINDS,
        moment=moment,
        local=moment.astimezone(JAPAN),
        steps=steps,
        names=rooms.gateway.staff_names(who, sorted(keys)),
        problem=problem,
        via_words=via_words,
    )


@router.get("/gaps")
def gaps(request: Request, who: Planner) -> Response:
    """Where an alert would reach nobody in the next fortnight, at the asker's schools."""
    rooms = rooms_of(request)
    mine = _schools(who)
    found = rooms.gaps.gaps(who.board, None if mine is None else sorted(mine))
    grave = [gap for gap in found if gap.kind in GRAVE]
    return show(
        request,
        who,
        "portal_gaps.html",
        grave=grave[:GAPS_SHOWN],
        others=[gap for gap in found if gap.kind not in GRAVE][:GAPS_SHOWN],
        count=len(found),
        shown=GAPS_SHOWN,
        days=DAYS,
        today=rooms.clock.today(),
        place_words=_place_words(request, rooms, who),
        may_plan=who.may(Ability.PLAN_COVER),
    )


def _schools(who: Principal) -> frozenset[str] | None:
    """The schools the asker may try; None for the whole board."""
    giving = [d for d in who.duties if Ability.SEE_TELLING in OFFICES[d.role].abilities]
    if any(OFFICES[duty.role].place is Place.BOARD for duty in giving):
        return None
    return frozenset(school for duty in giving for school in duty.schools)


def _classes(rooms: Rooms, who: Principal) -> list[Any]:
    mine = _schools(who)
    with rooms.database.reading() as conn:
        every = roster.classes_of_board(conn, who.board)
    newest = every[0].school_year if every else 0
    return [
        room
        for room in every
        if room.school_year == newest and (mine is None or room.school in mine)
    ]


def _school_names(rooms: Rooms, who: Principal) -> dict[str, str]:
    with rooms.database.reading() as conn:
        return {one.id: str(one.name) for one in roster.schools(conn, who.board)}


def _moment(day: str, time: str, now: datetime) -> tuple[datetime, str]:
    """The moment asked for, in Japan; now when none is; with `dates` when it is no moment."""
    local = now.astimezone(JAPAN)
    try:
        on = date.fromisoformat(day) if day else local.date()
        if not 2000 <= on.year <= 2100:
            raise ValueError(day)
        clock = datetime.strptime(time, "%H:%M").time() if time else local.time()  # noqa: DTZ007
    except ValueError:
        return now, "dates"
    return datetime.combine(on, clock.replace(microsecond=0), tzinfo=JAPAN), ""


def _place_words(request: Request, rooms: Rooms, who: Principal) -> Any:
    with rooms.database.reading() as conn:
        doors = {room.id: room for room in roster.classes_of_board(conn, who.board)}
    schools, lang = _school_names(rooms, who), language(request)

    def words(place: str) -> str:
        if place in doors:
            room = doors[place]
            return f"{schools.get(room.school, '')} {room.name}"
        school, _, grade = place.partition(":")
        if school in schools:
            more = say(lang, "accounts.grade_n", n=int(grade)) if grade.isdigit() else ""
            return f"{schools[school]} {more}".strip()
        return say(lang, "accounts.whole_board")

    return words
