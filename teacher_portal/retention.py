"""How long what is kept: what goes in the coming night, and what went in the last ones.

For whoever handles the families' requests. The page counts by kind of data and names nobody; the
clocks with their reasons are the installation's (access/retention.toml and its own file), and
nothing can be changed or deleted from here.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from design.render import language
from teacher_portal.frame import show
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import Needs
from warning_service.keeping.backups import LONGEST_DAYS
from warning_service.keeping.outlook import outlook
from warning_service.rooms import rooms_of

router = APIRouter()
Officer = Annotated[Principal, Depends(Needs(Ability.HANDLE_REQUESTS))]


@router.get("/portal/retention")
def page(request: Request, who: Officer) -> Response:
    """Each kind with its clock, what of it goes tonight, and the nights before."""
    rooms = rooms_of(request)
    found = outlook(rooms.log, rooms.trail, rooms.settings, who.board)
    return show(
        request,
        who,
        "portal_retention.html",
        outlook=found,
        due=[one for one in found.coming if one.rows],
        english=language(request) == "en",
        backup_days=LONGEST_DAYS,
    )
