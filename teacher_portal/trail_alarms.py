"""Alarms on odd looking: what is to be asked about, and what came of it.

An alarm is a question about somebody's looking, never a verdict. Staff stand here by name, a child
that unusually many people opened by its key.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from design.render import language
from teacher_portal.frame import go, show
from teacher_portal.trail import person_words
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.trail import alarm_desk
from warning_service.access.trail import search as trail
from warning_service.access.trail.alarm_desk import LONGEST_NOTE, VERDICTS, NoVerdict
from warning_service.access.web import Needs
from warning_service.rooms import rooms_of

router = APIRouter()
Auditor = Annotated[Principal, Depends(Needs(Ability.SEE_TRAIL))]
ABOUT_A_CHILD = "watched"


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm with its names. `login`: what the search finds the person by; '' for a child."""

    row: Any
    name: str
    staff: str
    settled_by: str
    mine: bool


@router.get("/portal/trail/alarms")
def alarms(request: Request, who: Auditor, saved_alarm: str = "") -> Response:
    """Open alarms, the oldest first, then the settled ones."""
    return _page(request, who, saved=saved_alarm)


@router.post("/portal/trail/alarms/{alarm}")
def settle(
    request: Request,
    who: Auditor,
    alarm: str,
    *,
    verdict: Annotated[str, Form()] = "",
    note: Annotated[str, Form()] = "",
) -> Response:
    """Write down what came of an alarm."""
    rooms = rooms_of(request)
    try:
        first = alarm_desk.settle(
            rooms.database, rooms.clock, rooms.trail, who, alarm, verdict=verdict, note=note
        )
    except NoVerdict:
        return _page(request, who, problem=alarm, note=note)
    return go(f"/portal/trail/alarms?saved_alarm={'settled' if first else 'too_late'}")


def _page(
    request: Request, who: Principal, *, saved: str = "", problem: str = "", note: str = ""
) -> Response:
    rooms = rooms_of(request)
    with rooms.database.reading() as conn:
        waiting = alarm_desk.open_ones(conn, who.board)
        done = alarm_desk.settled(conn, who.board)
    with rooms.database.reading(identity=True) as conn:
        rows = [*waiting, *done]
        names = trail.names_of(
            conn, who.board, {r.subject for r in rows} | {r.acknowledged_by for r in rows}
        )
    lang = language(request)

    def shown(row: Any) -> Shown:
        of_child = row.rule == ABOUT_A_CHILD
        return Shown(
            row=row,
            name=row.subject if of_child else person_words(lang, names, row.subject),
            staff="" if of_child else row.subject,
            settled_by=names.get(row.acknowledged_by, row.acknowledged_by),
            mine=row.subject == who.key,
        )

    rooms.gateway.note(who, "alarms", [who.board], using=Ability.SEE_TRAIL)
    return show(
        request,
        who,
        "portal_trail_alarms.html",
        status=422 if problem else 200,
        waiting=[shown(row) for row in waiting],
        done=[shown(row) for row in done],
        verdicts=VERDICTS,
        longest=LONGEST_NOTE,
        saved_alarm=saved if saved in {"settled", "too_late"} else "",
        problem=problem,
        note=note,
    )
