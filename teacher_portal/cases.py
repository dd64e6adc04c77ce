"""Cases: a child's hand-over to the welfare office, on both sides of it, and its printed form.

The school's page lists what it gave and whether it came back; a child's page carries the form that
hands over or takes back. The office's page lists the children whose cases it has now, with the
reason it was given, and nobody else. Each name and each reason opened is on the trail.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from design.render import language
from teacher_portal import queries
from teacher_portal.committee_turns import named
from teacher_portal.frame import go, show, worded
from warning_service.access.gateway import Child, NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.sealing import CannotOpen
from warning_service.access.web import Needs
from warning_service.catalogue.items import Item
from warning_service.follow_up import cases
from warning_service.follow_up import queries as followed
from warning_service.follow_up.hand_over import LONGEST_REASON, LooksOn, NotHandedOver
from warning_service.playbooks.model import Playbook
from warning_service.playbooks.sharing import Side, on_offer, shown_to
from warning_service.rooms import Rooms, rooms_of

router = APIRouter()
Giver = Annotated[Principal, Depends(Needs(Ability.HAND_OVER))]
Taker = Annotated[Principal, Depends(Needs(Ability.TAKE_CASES))]
ENDED_DAYS = 92


class CaseCard(msgspec.Struct, frozen=True, kw_only=True):
    """A case as a page shows it. `child` is None when it is on no roll, or out of sight, now.

    `case_id` is '' where there is no open case and the form to hand over stands in its place.
    `reason`: the words of whoever gave it; `lost`: they cannot be opened any more.
    """

    case_id: str = ""
    student: str
    child: Child | None = None
    ground: str = ""
    given_at: datetime | None = None
    given_by: str = ""
    reason: str = ""
    lost: bool = False
    ended_at: datetime | None = None
    ended_how: str = ""
    ended_note: str = ""
    taker: bool = False
    grounds: tuple[str, ...] = ()
    longest: int = LONGEST_REASON
    problem: str = ""
    entered: str = ""
    entered_ground: str = ""
    entered_basis: str = ""
    entered_items: tuple[str, ...] = ()
    basis: str = ""  # on what the office may look, in words
    consent_on: date | None = None
    items: tuple[str, ...] | None = None  # labels of what was chosen to be shared
    bases: tuple[tuple[str, str], ...] = ()  # what can be chosen, by id and words
    offer: tuple[tuple[str, str], ...] | None = None
    decided: str = ""  # what a meeting on the case last decided, with its scheme's name


@router.get("/portal/cases")
def taken(request: Request, who: Taker) -> Response:
    """The open cases of the asker's office."""
    with rooms_of(request).database.reading() as conn:
        rows = cases.at_offices(conn, who.reach(Ability.TAKE_CASES).cases)
    return _overview(request, who, rows, Ability.TAKE_CASES)


@router.get("/portal/handed-over")
def given(request: Request, who: Giver) -> Response:
    """The cases the asker's schools have given: open ones, and those that ended lately."""
    rooms = rooms_of(request)
    since = rooms.clock.now() - timedelta(days=ENDED_DAYS)
    with rooms.database.reading() as conn:
        rows = cases.of_schools(conn, who.reach(Ability.HAND_OVER).schools, since)
    return _overview(request, who, rows, Ability.HAND_OVER)


def _overview(request: Request, who: Principal, rows: list[Any], using: Ability) -> Response:
    children = rooms_of(request).gateway.children(
        who, sorted({row.student for row in rows}), using=using, why="cases"
    )
    return show(
        request,
        who,
        "portal_cases.html",
        taker=using is Ability.TAKE_CASES,
        cards=[_card(request, who, row, children.get(row.student)) for row in rows],
    )


def case_card(request: Request, who: Principal, child: Child) -> CaseCard | None:
    """What a child's page says of its case, for those who gave or have it; None for all others."""
    rooms = rooms_of(request)
    with rooms.database.reading() as conn:
        found = {child.student: child}
        giver = bool(rooms.gateway.within(conn, who, found, using=Ability.HAND_OVER))
        taker = bool(rooms.gateway.within(conn, who, found, using=Ability.TAKE_CASES))
        case = cases.open_of(conn, child.student) if giver or taker else None
    if case is not None:
        return _card(request, who, case, child)
    if not giver:
        return None
    playbook, lang = rooms.playbooks.of(who.board), language(request)
    sharing = playbook.sharing
    return CaseCard(
        student=child.student,
        child=child,
        grounds=(cases.HELP,) if child.opted_out else cases.GROUNDS,
        bases=tuple((one.id, worded(one, lang)) for one in sharing.bases),
        offer=tuple((item.id, _label(item, lang)) for item in on_offer(playbook))
        if sharing.item_by_item
        else None,
    )


def _label(item: Item, lang: str) -> str:
    return item.label_en if lang == "en" else item.label


def _card(request: Request, who: Principal, row: Any, child: Child | None) -> CaseCard:
    rooms = rooms_of(request)
    if child is None:  # on no roll: that there is a case is known, what it says is not read here
        reason, lost, note = "", False, ""
    else:
        reason, lost = _opened(request, row.student, row.sealed)
        note, _ = _opened(request, row.student, row.ended_sealed)
    names = rooms.gateway.staff_names(who, [row.given_by])
    playbook, lang = rooms.playbooks.of(who.board), language(request)
    known = playbook.catalogue_items()
    return CaseCard(
        case_id=row.id,
        student=row.student,
        child=child,
        ground=row.ground,
        given_at=row.given_at,
        given_by=names.get(row.given_by, ""),
        reason=reason,
        lost=lost,
        ended_at=row.ended_at,
        ended_how=row.ended_how,
        ended_note=note,
        taker=row.board in who.reach(Ability.TAKE_CASES).cases,
        basis=next((worded(b, lang) for b in playbook.sharing.bases if b.id == row.basis), ""),
        consent_on=row.consent_on,
        items=None
        if row.items is None
        else tuple(_label(known[i], lang) for i in row.items.split(",") if i in known),
        decided=_decided(rooms, playbook, row, lang) if _may_know(rooms, who, row) else "",
    )


def _may_know(rooms: Rooms, who: Principal, row: Any) -> bool:
    """What was decided on a case is for the office and for who sits in the meeting on it."""
    office = row.board in who.reach(Ability.TAKE_CASES).cases
    return office or rooms.follow_ups.meetings.sits(who)


def _decided(rooms: Rooms, playbook: Playbook, row: Any, lang: str) -> str:
    with rooms.database.reading() as conn:
        found = followed.reviews_of(conn, row.id).get(row.student)
    for sitting in playbook.sittings:
        if found is not None and found.scheme == sitting.scheme:
            words = {c.id: worded(c, lang) for c in sitting.classes}
            return named(sitting.scheme_name(lang), found.chosen, words.get(found.chosen, ""))
    return ""


def _opened(request: Request, student: str, sealed: str | None) -> tuple[str, bool]:
    if sealed is None:
        return "", False
    try:
        return rooms_of(request).sealer.open(student, sealed), False
    except CannotOpen:
        return "", True


@router.post("/portal/students/{student}/hand-over")
def hand_over(
    request: Request,
    who: Giver,
    student: str,
    *,
    ground: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
    basis: Annotated[str, Form()] = "",
    consent_on: Annotated[str, Form()] = "",
    items: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Hand the child's case over; what cannot be taken comes back with nothing lost."""
    rooms = rooms_of(request)
    chosen = tuple(items or ())
    on = LooksOn(basis=basis, consent_on=_day(consent_on), items=chosen)
    try:
        rooms.follow_ups.hand_overs.give(who, student, ground, reason, on)
    except NotHandedOver as error:
        child = rooms.gateway.child(who, student, using=Ability.HAND_OVER, why="hand_over_form")
        held = case_card(request, who, child) or CaseCard(student=student)
        card = msgspec.structs.replace(
            held, problem=error.why, entered=reason, entered_ground=ground,
            entered_basis=basis, entered_items=chosen, consent_on=on.consent_on,
        )  # fmt: skip
        return show(request, who, "portal_case.html", status=422, child=child, case=card)
    return go(f"/portal/students/{student}", saved="case_given")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


@router.get("/portal/cases/{case_id}/form")
def taken_form(request: Request, who: Taker, case_id: str) -> Response:
    """The hand-over on paper, as the office has it: its reason, its ground and what it may see."""
    with rooms_of(request).database.reading() as conn:
        rows = cases.at_offices(conn, who.reach(Ability.TAKE_CASES).cases)
    return _form(request, who, [row for row in rows if row.id == case_id], Ability.TAKE_CASES)


@router.get("/portal/handed-over/{case_id}/form")
def given_form(request: Request, who: Giver, case_id: str) -> Response:
    """The same, for the school that gave the case."""
    rooms = rooms_of(request)
    since = rooms.clock.now() - timedelta(days=ENDED_DAYS)
    with rooms.database.reading() as conn:
        rows = cases.of_schools(conn, who.reach(Ability.HAND_OVER).schools, since)
    return _form(request, who, [row for row in rows if row.id == case_id], Ability.HAND_OVER)


def _form(request: Request, who: Principal, rows: list[Any], using: Ability) -> Response:
    if not rows:
        raise NotYours
    rooms, row = rooms_of(request), rows[0]
    child = rooms.gateway.child(who, row.student, using=using, why="hand_over_paper", detail=row.id)
    playbook, today = rooms.playbooks.of(who.board), rooms.clock.today()
    taker = using is Ability.TAKE_CASES
    side = Side.WELFARE if taker else rooms.gateway.side(who, child, using=using)
    with rooms.database.reading() as conn:
        facts = queries.observations(conn, playbook, row.student, today, side)
    if not taker:  # of what the school sees itself, what it shared; never what the office holds
        chosen = cases.shared_items(row)
        shared = [
            fact
            for fact in facts.shown
            if shown_to(Side.WELFARE, fact.item, playbook, chosen) == "value"
        ]
        facts = queries.Facts(shown=shared, others=0)
    return show(
        request,
        who,
        "portal_case_form.html",
        card=_card(request, who, row, child),
        facts=None if child.opted_out else facts,
        today=today,
        back="/portal/cases" if using is Ability.TAKE_CASES else "/portal/handed-over",
    )


@router.post("/portal/students/{student}/take-back")
def take_back(
    request: Request, who: Giver, student: str, note: Annotated[str, Form()] = ""
) -> Response:
    """End the case from the school's side, at once."""
    rooms = rooms_of(request)
    rooms.follow_ups.hand_overs.take_back(who, student, note[:LONGEST_REASON])
    return go("/portal/handed-over", saved="case_taken_back")


@router.post("/portal/cases/{case_id}/return")
def give_back(
    request: Request, who: Taker, case_id: str, note: Annotated[str, Form()] = ""
) -> Response:
    """End the case from the office's side, at once."""
    rooms = rooms_of(request)
    rooms.follow_ups.hand_overs.give_back(who, case_id, note[:LONGEST_REASON])
    return go("/portal/cases", saved="case_returned")
