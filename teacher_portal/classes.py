"""A class by seat: who has answered today and this month, and what asks for attention.

Answered or not is shown before anything else; the small line is the child's own report of its mood
over a month, not a judgement.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from teacher_portal import queries
from teacher_portal.frame import asks_children, go, show
from teacher_portal.home import classes_today
from warning_service.access.gateway import Child
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import Needs
from warning_service.clock import at
from warning_service.playbooks.sharing import answer_shown_to
from warning_service.rooms import rooms_of
from warning_service.roster import queries as roster

router = APIRouter()
Reader = Annotated[Principal, Depends(Needs(Ability.SEE_STUDENT))]
TREND_DAYS = 31
TREND_QUESTION = "mood"


class RollRow(msgspec.Struct, frozen=True, kw_only=True):
    """One child of the class. `mood`: (day, value or None) of the last month, higher is worse."""

    child: Child
    today: bool
    month: bool
    mood: list[tuple[str, float | None]]
    open_alerts: int


@router.get("/portal/classes")
def classes(request: Request, who: Reader, school: str = "") -> Response:
    """The asker's classes; a single one is shown at once.

    Who has several schools chooses one first: a board has too many classes for one page.
    """
    rooms = rooms_of(request)
    schools = rooms.gateway.schools_of(who, using=Ability.SEE_STUDENT)
    if len(schools) > 1 and school not in {one.id for one in schools}:
        return show(request, who, "portal_schools.html", schools=schools)
    found = classes_today(rooms, who, school if len(schools) > 1 else "")
    if len(found) == 1:
        return go(f"/portal/classes/{found[0].class_id}")
    return show(
        request,
        who,
        "portal_classes.html",
        classes=found,
        asks=asks_children(request, who),
        today=rooms.clock.today(),
        school=next((one.name for one in schools if one.id == school and len(schools) > 1), ""),
    )


@router.get("/portal/classes/{class_id}")
def one_class(request: Request, who: Reader, class_id: str) -> Response:
    """The roll of a class by seat."""
    rooms = rooms_of(request)
    roll = rooms.gateway.class_roll(who, class_id, using=Ability.SEE_STUDENT, why="class")
    today = rooms.clock.today()
    since = min(today.replace(day=1), today - timedelta(days=TREND_DAYS))
    keys = [child.student for child in roll]
    after = rooms.log.position_before(at(since))
    with rooms.database.reading() as conn:
        room = roster.school_class(conn, class_id)
        found = queries.check_ins(conn, keys, since, after=after)
    this_month = {one.student for one in found if one.on >= today.replace(day=1)}
    now = queries.answered_of(found, today)
    waiting: dict[str, int] = {}
    if Ability.SEE_ALERTS in who.abilities:
        for alert in rooms.alerts.inbox(who):
            waiting[alert.student] = waiting.get(alert.student, 0) + 1
    playbook = rooms.playbooks.of(who.board)
    rows = [
        RollRow(
            child=child,
            today=child.student in now,
            month=child.student in this_month,
            mood=[
                (one.on.isoformat(), one.answers[TREND_QUESTION])
                for one in found
                if one.student == child.student and TREND_QUESTION in one.answers
            ]
            if answer_shown_to(
                rooms.gateway.side(who, child, using=Ability.SEE_STUDENT), TREND_QUESTION, playbook
            )
            else [],
            open_alerts=waiting.get(child.student, 0),
        )
        for child in roll
    ]
    return show(
        request,
        who,
        "portal_class.html",
        room=room,
        rows=rows,
        today=today,
        answered=len(now),
        answered_month=len(this_month),
        asks=asks_children(request, who),
    )
