"""Families' requests: the inbox, finding the child, taking a request in, and its own page.

For somebody who does this twice a year: each page says what the kind of request means, what the law
wants by when, and what comes next. Deciding a disclosure, a correction or a stop of use is in
requests_disclosure.py and requests_amend.py; the second person's page in requests_approval.py.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from design.render import language
from teacher_portal.frame import go, show
from warning_service.access.asked_about import (
    LEAST_LETTERS,
    MOST_FOUND,
    AskedAbout,
    Person,
    SearchTooWide,
)
from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import Needs
from warning_service.events.types import new_id
from warning_service.rights.disclosure import LINK_DAYS
from warning_service.rights.letters import letter
from warning_service.rights.service import LONGEST_TEXT, Refused, View
from warning_service.rights.terms import (
    GROUNDS,
    LAW,
    LONGEST_EXTENSION,
    MAY_ASK,
    STATUTORY_DAYS,
    TERMS,
    Decision,
    Identity,
    Kind,
    State,
    due_on,
)
from warning_service.rooms import rooms_of

router = APIRouter()
Officer = Annotated[Principal, Depends(Needs(Ability.HANDLE_REQUESTS))]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A request in the inbox with the child's name."""

    view: View
    person: Person


@router.get("/portal/requests")
def inbox(request: Request, who: Officer, *, ended: bool = False) -> Response:
    """What families have asked for: overdue first."""
    rights = rooms_of(request).rights
    views = rights.requests.inbox(who, ended=ended)
    lines = [
        Line(view=view, person=look(rights.people, who, view, "request_inbox")) for view in views
    ]
    return show(
        request, who, "portal_requests.html",
        lines=lines, ended=ended, overdue=sum(view.overdue for view in views),
        soon=sum(view.days_left is not None and 0 <= view.days_left <= 7 for view in views),
    )  # fmt: skip


def look(people: AskedAbout, who: Principal, view: View, why: str) -> Person:
    """The child of a request, by name; the look is on the trail."""
    return people.person(who, view.row.student, using=Ability.HANDLE_REQUESTS, why=why)


# -- taking a request in ---------------------------------------------------------------------------


@router.get("/portal/requests/new")
def choose(request: Request, who: Officer) -> Response:
    """What each kind of request means; then one is chosen."""
    return show(request, who, "portal_request_kinds.html", kinds=list(Kind), terms=TERMS, law=LAW)


@router.get("/portal/requests/new/{kind}")
def find(request: Request, who: Officer, kind: Kind) -> Response:
    """The search for the child. Words go by POST: an address must not hold a name."""
    return _found(request, who, kind)


@router.post("/portal/requests/new/{kind}")
def found(
    request: Request,
    who: Officer,
    kind: Kind,
    words: Annotated[str, Form(max_length=100)] = "",
    school: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """Those who fit, a few at most; each is on the trail."""
    try:
        people = rooms_of(request).rights.people.search(who, words, school=school)
    except SearchTooWide:
        return _found(request, who, kind, words=words, school=school, problem="wide", status=422)
    return _found(request, who, kind, words=words, school=school, people=people)


def _found(
    request: Request,
    who: Principal,
    kind: Kind,
    *,
    words: str = "",
    school: str = "",
    people: list[Person] | None = None,
    problem: str = "",
    status: int = 200,
) -> Response:
    schools = rooms_of(request).gateway.schools_of(who, using=Ability.HANDLE_REQUESTS)
    return show(
        request, who, "portal_request_find.html", status=status,
        kind=kind, words=words, school=school, people=people, problem=problem,
        schools=schools, least=LEAST_LETTERS, most=MOST_FOUND,
    )  # fmt: skip


@router.get("/portal/requests/new/{kind}/{student}")
def form(request: Request, who: Officer, kind: Kind, student: str) -> Response:
    """The form, with what recording it will do."""
    return _form(request, who, kind, student, {})


@router.post("/portal/requests/new/{kind}/{student}")
def receive(
    request: Request,
    who: Officer,
    kind: Kind,
    student: str,
    *,
    asked_by: Annotated[str, Form(max_length=40)] = "",
    identity: Annotated[str, Form(max_length=40)] = "",
    received_on: Annotated[str, Form(max_length=10)] = "",
    days: Annotated[str, Form(max_length=3)] = str(STATUTORY_DAYS),
    wish: Annotated[str, Form()] = "",
    once: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Record it. What cannot be taken comes back in the form, with nothing lost."""
    given = {
        "asked_by": asked_by, "identity": identity, "received_on": received_on, "days": days,
        "wish": wish, "once": once,
    }  # fmt: skip
    try:
        new = rooms_of(request).rights.requests.receive(
            who, student, kind, asked_by=asked_by, identity=identity,
            received_on=_day(received_on), days=int(days) if days.isdecimal() else 0,
            wish=wish, once=once,
        )  # fmt: skip
    except Refused as error:
        return _form(request, who, kind, student, given, problem=error.field, status=422)
    return go(f"/portal/requests/{new}", saved="rq_received")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused("received_on") from None


def _form(
    request: Request,
    who: Principal,
    kind: Kind,
    student: str,
    given: dict[str, str],
    *,
    problem: str = "",
    status: int = 200,
) -> Response:
    rooms = rooms_of(request)
    person = rooms.rights.people.person(
        who, student, using=Ability.HANDLE_REQUESTS, why="request_form"
    )
    today = rooms.clock.today()
    identities = [i for i in Identity if kind not in TERMS or i is not Identity.KNOWN]
    return show(
        request, who, "portal_request_form.html", status=status,
        kind=kind, person=person, term=TERMS.get(kind), law=LAW, asked_by=MAY_ASK[kind],
        identities=identities, longest=LONGEST_TEXT, problem=problem, today=today,
        due=due_on(today, STATUTORY_DAYS),
        given={"asked_by": "", "identity": "", "received_on": today.isoformat(),
               "days": str(STATUTORY_DAYS), "wish": "", "once": new_id(), **given},
    )  # fmt: skip


# -- a request's own page --------------------------------------------------------------------------


@router.get("/portal/requests/{request_id}")
def one(request: Request, who: Officer, request_id: str) -> Response:
    """The request: its term, what comes next, its history."""
    return page_of(request, who, request_id)


def page_of(
    request: Request,
    who: Principal,
    request_id: str,
    *,
    problem: str = "",
    given: dict[str, Any] | None = None,
) -> Response:
    """The request's page; with `problem` what was wanted could not be done, and why."""
    rooms = rooms_of(request)
    rights = rooms.rights
    view = rights.requests.one(who, request_id)
    person = look(rights.people, who, view, "request_page")
    history = rights.requests.history(view)
    names = rooms.gateway.staff_names(who, [step.actor for step in history])
    held = rights.disclosures.look(view) if view.kind is Kind.DISCLOSURE else None
    link = rights.disclosures.link(view) if view.kind is Kind.DISCLOSURE else None
    now = rooms.clock.now()
    open_ = view.state is State.OPEN
    return show(
        request, who, "portal_request.html", status=422 if problem else 200,
        view=view, person=person, history=history, names=names, term=TERMS.get(view.kind), law=LAW,
        wish=rights.requests.words(view, view.row.sealed_wish),
        reason=rights.requests.words(view, view.row.sealed_reason),
        withholds=held is not None and held.withholds,
        tells_of_help=rights.disclosures.tells_of_help(view),
        as_of=now.isoformat(), fresh=rooms.sessions.is_fresh(who), link=link, link_days=LINK_DAYS,
        link_open=link is not None and link.used_at is None and link.until > now,
        facts=rights.amendments.facts(view) if open_ and view.kind is Kind.CORRECTION else [],
        corrected=rights.amendments.corrected(view),
        items=rights.amendments.items(view) if view.kind is Kind.STOP else [],
        grounds=GROUNDS, decisions=Decision, longest=LONGEST_TEXT,
        longest_extension=LONGEST_EXTENSION, lang_now=language(request),
        problem=problem, given=given or {},
        latest_due=view.row.due_on + timedelta(days=LONGEST_EXTENSION) if view.row.due_on else None,
    )  # fmt: skip


def back(request_id: str) -> Response:
    """To the request's page, with the word that it was done."""
    return go(f"/portal/requests/{request_id}", saved="rq_done")


def number(text: str) -> int:
    """A whole number a form gave; 0 for anything else."""
    return int(text) if text.isdecimal() and len(text) < 6 else 0


@router.post("/portal/requests/{request_id}/time")
def more_time(
    request: Request,
    who: Officer,
    request_id: str,
    *,
    what: Annotated[str, Form(max_length=10)] = "",
    days: Annotated[str, Form(max_length=5)] = "",
    reason: Annotated[str, Form()] = "",
) -> Response:
    """Extend the term, or leave out the days the family took to complete its request."""
    requests = rooms_of(request).rights.requests
    try:
        if what == "pause":
            requests.pause(who, request_id, number(days), reason)
        else:
            requests.extend(who, request_id, number(days), reason)
    except Refused as error:
        given = {"what": what, "days": days, "reason": reason}
        return page_of(request, who, request_id, problem=error.field, given=given)
    return back(request_id)


@router.post("/portal/requests/{request_id}/take-back")
def take_back(
    request: Request, who: Officer, request_id: str, reason: Annotated[str, Form()] = ""
) -> Response:
    """The family takes its request back."""
    try:
        rooms_of(request).rights.requests.take_back(who, request_id, reason)
    except Refused as error:
        return page_of(request, who, request_id, problem=error.field, given={"reason": reason})
    return back(request_id)


@router.post("/portal/requests/{request_id}/close")
def close(request: Request, who: Officer, request_id: str) -> Response:
    """The family has its answer."""
    try:
        rooms_of(request).rights.requests.close(who, request_id)
    except Refused as error:
        return page_of(request, who, request_id, problem=error.field)
    return go("/portal/requests", saved="rq_done")


@router.get("/portal/requests/{request_id}/notice")
def notice(request: Request, who: Officer, request_id: str) -> Response:
    """The notice to the family, to print. In Japanese: it is the authority's letter."""
    rights = rooms_of(request).rights
    view = rights.requests.one(who, request_id)
    if view.row.decision == Decision.TAKEN_BACK or not (
        view.state in (State.DECIDED, State.CLOSED) or view.row.extended_days
    ):
        raise NotYours
    person = look(rights.people, who, view, "request_notice")
    extension = view.state is State.OPEN
    steps = rights.requests.history(view)
    why = next((s.words for s in reversed(steps) if s.what == "extended"), "")
    withheld = []
    if view.kind is Kind.DISCLOSURE and view.row.decision == Decision.PART:
        withheld = rights.disclosures.withheld(view)
    printed = letter(
        view, person.name, rooms_of(request).clock.today(),
        reason=why if extension else rights.requests.words(view, view.row.sealed_reason),
        withheld=withheld, corrected=rights.amendments.corrected(view), extension=extension,
    )  # fmt: skip
    return show(request, who, "portal_request_notice.html", letter=printed, request_id=request_id)
