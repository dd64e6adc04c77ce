"""The 20-second record: what was done, how the child is, a few words if wanted.

The form stands on its own page (from a list entry or a child's page) and inside an alert. It
carries a token, so that sending it twice is one record. Choices are the board's, from its playbook.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from design.render import language
from teacher_portal.frame import go, local_path, show, worded
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import Needs
from warning_service.events.types import new_id
from warning_service.follow_up.service import LONGEST_NOTE, NoteTooLong, UnknownChoice
from warning_service.rooms import rooms_of

router = APIRouter()
Recorder = Annotated[Principal, Depends(Needs(Ability.RECORD_FOLLOW_UP))]


class FormValues(msgspec.Struct, frozen=True, kw_only=True):
    """What the form's template needs. Choices are (id, words)."""

    actions: list[tuple[str, str]]
    changes: list[tuple[str, str]]
    longest: int
    once: str
    back: str
    alert_id: str
    list_id: str
    action: str = ""
    change: str = ""
    note: str = ""
    problem: str = ""


def form_values(
    request: Request,
    who: Principal,
    *,
    back: str,
    alert_id: str = "",
    list_id: str = "",
    action: str = "",
    change: str = "",
    note: str = "",
    problem: str = "",
) -> FormValues:
    """A fresh form in the reader's language, with what was entered before, if anything."""
    lang = language(request)
    offered = rooms_of(request).playbooks.for_help(who.board).follow_up
    return FormValues(
        actions=[(c.id, worded(c, lang)) for c in offered.actions],
        changes=[(c.id, worded(c, lang)) for c in offered.changes],
        longest=LONGEST_NOTE,
        once=new_id(),
        back=back,
        alert_id=alert_id,
        list_id=list_id,
        action=action,
        change=change,
        note=note,
        problem=problem,
    )


@router.get("/portal/follow-up/{student}")
def page(
    request: Request,
    who: Recorder,
    student: str,
    *,
    list_id: str = "",
    alert_id: str = "",
    back: str = "",
) -> Response:
    """The form on a page of its own."""
    child = rooms_of(request).gateway.child(
        who, student, using=Ability.RECORD_FOLLOW_UP, why="follow_up_form"
    )
    back = local_path(back, f"/portal/students/{student}")
    form = form_values(request, who, back=back, alert_id=alert_id, list_id=list_id)
    return show(request, who, "portal_follow_up.html", child=child, form=form)


@router.post("/portal/follow-up/{student}")
def record(
    request: Request,
    who: Recorder,
    student: str,
    *,
    action: Annotated[str, Form()] = "",
    change: Annotated[str, Form()] = "",
    note: Annotated[str, Form()] = "",
    list_id: Annotated[str, Form()] = "",
    alert_id: Annotated[str, Form()] = "",
    once: Annotated[str, Form(max_length=64)] = "",
    back: Annotated[str, Form()] = "",
) -> Response:
    """Store the record; what cannot be taken comes back in the form, with nothing lost."""
    rooms = rooms_of(request)
    back = local_path(back, f"/portal/students/{student}")
    try:
        rooms.follow_ups.record(
            who, student, action, change, note,
            list_id=list_id or None, alert_id=alert_id or None, once=once,
        )  # fmt: skip
    except (UnknownChoice, NoteTooLong) as error:
        child = rooms.gateway.child(
            who, student, using=Ability.RECORD_FOLLOW_UP, why="follow_up_form"
        )
        problem = error.field if isinstance(error, UnknownChoice) else "note"
        form = form_values(
            request, who, back=back, alert_id=alert_id, list_id=list_id,
            action=action, change=change, note=note, problem=problem,
        )  # fmt: skip
        return show(request, who, "portal_follow_up.html", status=422, child=child, form=form)
    return go(back, saved="follow_up")
