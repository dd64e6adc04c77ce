"""Looking through what is held on a child, marking what is withheld, deciding, making the file.

The officer goes section by section. Words a child wrote to ask for help are never shown here: they
are opened only when a file is made that may hold them. Notes about the child are, so these pages
ask for a fresh second factor, and so does the download, which works once; its name says nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from teacher_portal.frame import go, show
from teacher_portal.requests import back, look, page_of
from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import Needs
from warning_service.rights.held import HELP, SECTIONS
from warning_service.rights.service import LONGEST_TEXT, Refused, View
from warning_service.rights.terms import GROUNDS, Kind, State
from warning_service.rooms import rooms_of

router = APIRouter()
Fresh = Annotated[Principal, Depends(Needs(Ability.HANDLE_REQUESTS, fresh=True))]
AT_ONCE = 40
"""Records on one page of a section."""


def _view(request: Request, who: Principal, request_id: str) -> View:
    view = rooms_of(request).rights.requests.one(who, request_id)
    if view.kind is not Kind.DISCLOSURE:
        raise NotYours
    return view


@router.get("/portal/requests/{request_id}/held")
def held(request: Request, who: Fresh, request_id: str) -> Response:
    """All sections with their counts, and what is withheld of each."""
    return _held(request, who, request_id)


def _held(request: Request, who: Principal, request_id: str, *, problem: str = "") -> Response:
    rights = rooms_of(request).rights
    view = _view(request, who, request_id)
    person = look(rights.people, who, view, "request_held")
    seen = rights.disclosures.look(view)
    return show(
        request, who, "portal_request_held.html", status=422 if problem else 200,
        view=view, person=person, sections=SECTIONS, look=seen, grounds=GROUNDS, help=HELP,
        may_mark=view.state is State.OPEN, longest=LONGEST_TEXT, problem=problem,
        withheld=rights.disclosures.withheld(view), opened=rights.disclosures.opened(view),
    )  # fmt: skip


@router.get("/portal/requests/{request_id}/held/{section}")
def section(
    request: Request, who: Fresh, request_id: str, section: str, *, page: int = 1
) -> Response:
    """The records of one section, with their notes opened, a page at a time."""
    return _section(request, who, request_id, section, page)


def _section(
    request: Request,
    who: Principal,
    request_id: str,
    section: str,
    page: int,
    *,
    problem: str = "",
) -> Response:
    rights = rooms_of(request).rights
    view = _view(request, who, request_id)
    if section not in SECTIONS:
        raise NotYours
    person = look(rights.people, who, view, "request_held")
    seen = rights.disclosures.look(view)
    records = seen.of(section)
    pages = max(1, -(-len(records) // AT_ONCE))
    page = min(max(page, 1), pages)
    return show(
        request, who, "portal_request_section.html", status=422 if problem else 200,
        view=view, person=person, section=section, title=SECTIONS[section], look=seen,
        records=records[(page - 1) * AT_ONCE : page * AT_ONCE], page=page, pages=pages,
        text=lambda part: rights.disclosures.text(view, part), grounds=GROUNDS, help=HELP,
        may_mark=view.state is State.OPEN, longest=LONGEST_TEXT, problem=problem,
    )  # fmt: skip


@router.post("/portal/requests/{request_id}/held")
def mark(
    request: Request,
    who: Fresh,
    request_id: str,
    *,
    piece: Annotated[list[str] | None, Form()] = None,
    ground: Annotated[str, Form(max_length=20)] = "",
    note: Annotated[str, Form()] = "",
    section: Annotated[str, Form(max_length=20)] = "",
    page: Annotated[int, Form(ge=1, le=100_000)] = 1,
) -> Response:
    """Withhold the ticked pieces, or show them again."""
    try:
        rooms_of(request).rights.disclosures.mark(who, request_id, piece or [], ground, note)
    except Refused as error:
        if section in SECTIONS:
            return _section(request, who, request_id, section, page, problem=error.field)
        return _held(request, who, request_id, problem=error.field)
    path = f"/portal/requests/{request_id}/held"
    return go(f"{path}/{section}?page={page}" if section in SECTIONS else path, saved="rq_done")


@router.post("/portal/requests/{request_id}/decide")
def decide(
    request: Request,
    who: Fresh,
    request_id: str,
    *,
    decision: Annotated[str, Form(max_length=20)] = "",
    as_of: Annotated[str, Form(max_length=40)] = "",
    reason: Annotated[str, Form()] = "",
) -> Response:
    """Decide on the disclosure as it is marked, or to give nothing."""
    try:
        seen = datetime.fromisoformat(as_of)
        if seen.tzinfo is None:
            raise ValueError
    except ValueError:
        return page_of(request, who, request_id, problem="as_of", given={"reason": reason})
    try:
        rooms_of(request).rights.disclosures.decide(
            who, request_id, decision, as_of=seen, reason=reason
        )
    except Refused as error:
        given = {"reason": reason, "decision": decision}
        return page_of(request, who, request_id, problem=error.field, given=given)
    return back(request_id)


@router.post("/portal/requests/{request_id}/renew")
def renew(
    request: Request, who: Fresh, request_id: str, reason: Annotated[str, Form()] = ""
) -> Response:
    """Leave to make the file once more."""
    try:
        rooms_of(request).rights.disclosures.renew(who, request_id, reason)
    except Refused as error:
        return page_of(request, who, request_id, problem=error.field, given={"reason": reason})
    return back(request_id)


@router.get("/portal/requests/{request_id}/file/{link}")
def file_page(request: Request, who: Fresh, request_id: str, link: str) -> Response:
    """What will happen, and the button; here the second factor is asked for."""
    rights = rooms_of(request).rights
    view = _view(request, who, request_id)
    person = look(rights.people, who, view, "request_page")
    return show(request, who, "portal_request_file.html", view=view, person=person, link=link)


@router.post("/portal/requests/{request_id}/file/{link}")
def download(request: Request, who: Fresh, request_id: str, link: str) -> Response:
    """The archive, once."""
    try:
        made = rooms_of(request).rights.disclosures.make(who, request_id, link)
    except Refused as error:
        return page_of(request, who, request_id, problem=error.field)
    return Response(
        made,
        media_type="application/zip",
        headers={
            "Content-Disposition": 'attachment; filename="kaiji.zip"',
            "Cache-Control": "no-store",
        },
    )
