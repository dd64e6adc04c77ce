"""The first page after sign-in: what to do now, and when there is nothing, that.

By duty: open alerts of one's own scope first, then today's check-ins of one's classes, then the
current list. Who has neither alerts nor lists is sent to the first page of the own menu.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import Response

from teacher_portal import queries
from teacher_portal.alert_cards import live_values
from teacher_portal.digest import links
from teacher_portal.frame import asks_children, go, menu_for, show
from teacher_portal.lists import Summary, summaries, why_none
from teacher_portal.notices import waiting_cards
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import AnyStaff
from warning_service.clock import at
from warning_service.follow_up.digests import OF_WEEK, WAITING
from warning_service.rooms import Rooms, rooms_of
from warning_service.roster import queries as roster

router = APIRouter()


class ClassToday(msgspec.Struct, frozen=True, kw_only=True):
    """How many of a class have answered for today, and this month."""

    class_id: str
    name: str
    roll: int
    today: int
    month: int


@router.get("/portal")
def home(request: Request, who: Annotated[Principal, Depends(AnyStaff())]) -> Response:
    """What to do now, by the duties of the signed-in person."""
    rooms = rooms_of(request)
    pages = [path for path, _ in menu_for(request, who)]
    if not pages:
        raise HTTPException(403, "no duty with a page here")
    if pages[0] != "/portal":
        return go(pages[0])
    live: dict[str, Any] = {"position": 0, "open_cards": [], "taken_cards": []}
    if Ability.SEE_ALERTS in who.abilities:
        live = live_values(request, who)
    lists: list[Summary] = []
    if Ability.SEE_LIST in who.abilities:
        lists = [one for one in summaries(request, who) if one.latest]
    return show(
        request,
        who,
        "portal_home.html",
        today=rooms.clock.today(),
        classes=classes_today(rooms, who) if Ability.SEE_ALERTS in who.abilities else [],
        lists=lists,
        no_list=why_none(rooms, who),
        asks=asks_children(request, who),
        cards=waiting_cards(request, who),
        digest=next(iter(rooms.digests.latest(who)), None),
        digest_links=links(who),
        digest_waiting=WAITING,
        digest_week=OF_WEEK,
        **live,
    )


def classes_today(rooms: Rooms, who: Principal, school: str = "") -> list[ClassToday]:
    """The asker's classes (of one school, if named) with their check-in counts.

    Counts only: nobody is looked at by name.
    """
    today = rooms.clock.today()
    rows = rooms.gateway.classes_of(who, using=Ability.SEE_STUDENT)
    rows = [row for row in rows if school in ("", row.school)]
    month_began = today.replace(day=1)
    after = rooms.log.position_before(at(month_began))
    with rooms.database.reading() as conn:
        rolls = {
            row.id: {e.student for e in roster.on_roll(conn, today, class_id=row.id)}
            for row in rows
        }
        everyone = sorted(set().union(*rolls.values())) if rolls else []
        found = queries.check_ins(conn, everyone, month_began, after=after)
    month = {one.student for one in found}
    now = queries.answered_of(found, today)
    return [
        ClassToday(
            class_id=row.id,
            name=row.name,
            roll=len(rolls[row.id]),
            today=len(rolls[row.id] & now),
            month=len(rolls[row.id] & month),
        )
        for row in rows
    ]
