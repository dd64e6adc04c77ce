"""How right a school's lists were, for those who see the whole school, and for its meeting.

Nothing is hidden here, because every child behind a number may be seen by its reader anyway; where
names stand (children who were never listed and needed it), they come from the gateway, which shows
those the asker's duties cover and puts each on the trail. So the meeting's screen, which reaches
the children on the agenda only, shows the numbers and no such name.

What is shown of a missed child is what was known on the day of each list: where it stood, and by
how many points. It is for finding out what the list does not see, not for finding fault.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from design import plots
from models.shares import Share
from teacher_portal import evaluation_cells as cells
from teacher_portal.evaluation import calibrated, common
from teacher_portal.frame import go, show
from warning_service.access.gateway import Child, NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import Needs
from warning_service.follow_up.evaluating.children import Missed, MissedCounts
from warning_service.rooms import Rooms, rooms_of
from warning_service.roster import queries as roster

router = APIRouter()
Reader = Annotated[Principal, Depends(Needs(Ability.SEE_LIST))]
MOST_MISSED = 100
NOBODY = MissedCounts(affected=Share(0, 0), supported=Share(0, 0))


class MissedChild(msgspec.Struct, frozen=True, kw_only=True):
    """A child that had not been listed, by name."""

    of: Missed
    child: Child


def whole_schools(who: Principal) -> frozenset[str]:
    """The schools whose list the asker's duties are about as a whole, or whose meeting it is."""
    extent = who.reach(Ability.SEE_LIST)
    return extent.schools | extent.agendas


@router.get("/portal/evaluation/school")
def schools(request: Request, who: Reader) -> Response:
    """The asker's schools to choose from; straight on with one."""
    rooms = rooms_of(request)
    mine = whole_schools(who)
    if len(mine) == 1:
        return go(f"/portal/evaluation/school/{next(iter(mine))}")
    with rooms.database.reading() as conn:
        found = [row for row in roster.schools(conn, who.board) if row.id in mine]
    return show(request, who, "portal_evaluation_schools.html", schools=found)


@router.get("/portal/evaluation/school/{school}")
def of_school(request: Request, who: Reader, school: str) -> Response:
    """One school's figures, and the children its lists had not seen."""
    rooms = rooms_of(request)
    if school not in whole_schools(who):
        raise NotYours
    with rooms.database.reading() as conn:
        name = next((s.name for s in roster.schools(conn, who.board) if s.id == school), None)
    if name is None:
        raise NotYours
    room = rooms.evaluation
    found, effects = room.right(who.board, school), room.effects(who.board, school)
    _, counts = room.missed(who.board)
    views = room.views(who.board)
    mine = views.schools.get(school) if views else None
    thought = room.thought(who.board, [school])
    rooms.gateway.note(who, "evaluation", [school], using=Ability.SEE_LIST)
    months = [
        (month, cells.shown(month.figures, hide=False) if month.figures else None)
        for month in found.months
    ]
    missed, more = missed_by_name(rooms, who, school)
    return show(
        request,
        who,
        "portal_evaluation_school.html",
        **common(rooms, who, request, open_numbers=True),
        school_name=name,
        right=found,
        year=cells.shown(found.year, hide=False),
        lead=found.lead,
        new=cells.open_rate(found.new_to_us),
        months=months,
        month_plot=plots.rows(
            [shown.precision.drawn if shown else None for _, shown in months],
            [shown.base.value if shown else None for _, shown in months],
        ),
        **calibrated(found.bins),
        counts=counts.get(school, NOBODY),
        missed=missed,
        more=more,
        table=mine,
        thought=thought if thought.judged else None,
        found=effects,
        breaks=cells.break_rates(effects.breaks, hide=False),
    )


def missed_by_name(rooms: Rooms, who: Principal, school: str) -> tuple[list[MissedChild], int]:
    """(children of the school that the asker may see by name, how many there are beyond those).

    Those with the outcome first, then by day, the latest first.
    """
    found = [one for one in rooms.evaluation.missed(who.board)[0] if one.school == school]
    found.sort(key=lambda one: (one.began is None, -(one.began or one.supported).toordinal()))  # type: ignore[union-attr]
    wanted = found[:MOST_MISSED]
    seen = rooms.gateway.children(
        who, [one.student for one in wanted], using=Ability.SEE_LIST, why="missed"
    )
    rows = [
        MissedChild(of=one, child=seen[one.student])
        for one in wanted
        if one.student in seen and not seen[one.student].opted_out
    ]
    return rows, len(found) - len(rows)
