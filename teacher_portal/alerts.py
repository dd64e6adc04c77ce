"""Alerts: what asks for an adult now, who has it, and the record that closes it.

A child's call for help is seen only by those who were told of it; for others there is a count and
no child. What it wrote is opened only for those it was for (alerts/privacy.py); who was told later
because nobody answered can take it on without reading. Each opening is on the audit trail before
the words are. Answers behind a same-day alert are the child's self-report of the last days.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from design.render import language
from teacher_portal import queries
from teacher_portal.alert_cards import Card, cards_of, live_values
from teacher_portal.alert_life import choices, history
from teacher_portal.follow_up import form_values
from teacher_portal.frame import duty_words, go, place_name, show
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.sealing import CannotOpen
from warning_service.access.web import Needs
from warning_service.alerts import states
from warning_service.alerts.listeners import chosen_duties
from warning_service.alerts.many_calls import WITHIN
from warning_service.alerts.service import AlertView
from warning_service.catalogue.questionnaires import consultation, plain
from warning_service.clock import at
from warning_service.events.types import ConsultationRequested
from warning_service.follow_up.opinions import ALERT
from warning_service.rooms import Rooms, rooms_of

router = APIRouter()
Reader = Annotated[Principal, Depends(Needs(Ability.SEE_ALERTS))]
ANSWERS_DAYS = 14


@router.get("/portal/alerts")
def alerts(request: Request, who: Reader, state: str = "open") -> Response:
    """Open and taken alerts, or (`state=done`) those a record has closed."""
    values = live_values(request, who)
    done: list[Card] = []
    if state == "done":
        found = rooms_of(request).alerts.inbox(who, include_done=True, limit=200)
        done = cards_of(request, who, [a for a in found if a.state in states.DONE])
        done.sort(key=lambda card: card.alert.raised_at, reverse=True)
    return show(request, who, "portal_alerts.html", state=state, done_cards=done, **values)


@router.get("/portal/alerts/fragment")
def fragment(
    request: Request,
    who: Annotated[Principal, Depends(Needs(Ability.SEE_ALERTS, quiet=True))],
) -> Response:
    """The live part alone, for live.js to swap in."""
    return show(request, who, "portal_alerts_live.html", **live_values(request, who))


@router.get("/portal/alerts/{alert_id}")
def alert(request: Request, who: Reader, alert_id: str) -> Response:
    """One alert: what it is, who is told next, and the form that closes it.

    A child that has left the roll, or the school, since it asked is still to be answered: until the
    alert is closed those who were told can open it, without the name that is no longer theirs.
    """
    rooms = rooms_of(request)
    found = rooms.alerts.one(who, alert_id)
    if not found.student:
        return go(f"/portal/notices/{alert_id}")
    if found.state in states.DONE and found.student:
        rooms.gateway.child(
            who, found.student, using=Ability.SEE_ALERTS, why="alert", detail=found.id
        )
    else:
        about = found.student or found.id
        rooms.gateway.note(who, "alert", [about], found.id, using=Ability.SEE_ALERTS)
    rooms.alerts.seen(found.id, who)
    card = cards_of(request, who, [found])[0]
    told = rooms.alerts.may_read(who, found)
    now = rooms.clock.now()
    return show(
        request,
        who,
        "portal_alert.html",
        card=card,
        told=duty_words(request, found.duties),
        may_read=told,
        consulted=_consulted(request, who, found) if told else None,
        series=_answers(rooms, found, language(request)),
        place=place_name(request, who),
        form=form_values(request, who, alert_id=alert_id, back=f"/portal/alerts/{alert_id}"),
        may_undo=card.mine and found.undo_until is not None and now <= found.undo_until,
        offers=choices(request, who, found),
        history=history(request, who, found),
        opinion=rooms.opinions.of(who, ALERT, alert_id).get(found.student, ""),
    )


@router.post("/portal/alerts/{alert_id}/acknowledge")
def acknowledge(request: Request, who: Reader, alert_id: str) -> Response:
    """Take the alert on: one tap. The page then shows the record form."""
    rooms = rooms_of(request)
    rooms.alerts.one(who, alert_id)  # raises NotYours
    first = rooms.alerts.acknowledge(alert_id, who, "portal")
    return go(f"/portal/alerts/{alert_id}", saved="acknowledged" if first else "too_late")


class Consulted(msgspec.Struct, frozen=True, kw_only=True):
    """What the child chose and wrote. `lost`: the words are there but cannot be opened.

    `later`: the child's further calls of that hour that are shown with this alert.
    """

    whom: list[str]
    about: list[str]
    words: str
    lost: bool
    at: datetime
    later: list[Consulted] = []


def _consulted(request: Request, who: Principal, alert: AlertView) -> Consulted | None:
    rooms = rooms_of(request)
    with rooms.database.reading() as conn:
        body = queries.consultation_words(conn, alert.source)
        later = queries.calls_after(conn, alert.student, alert.source, alert.raised_at + WITHIN)
    if body is None:
        return None
    rooms.gateway.note(who, "read_consultation", [alert.student], alert.id)
    playbook = rooms.playbooks.for_help(alert.board)
    joined = [
        _opened(request, alert.student, call)
        for event_id, call in later
        if rooms.alerts.of_source(event_id) is None
        and set(alert.readers) <= set(chosen_duties(playbook, call.whom, call.about))
    ]
    return msgspec.structs.replace(_opened(request, alert.student, body), later=joined)


def _opened(request: Request, student: str, body: ConsultationRequested) -> Consulted:
    words, lost = "", False
    if body.sealed is not None:
        try:
            words = rooms_of(request).sealer.open(student, body.sealed)
        except CannotOpen:
            lost = True
    english = language(request) == "en"
    offered = consultation()
    named = {
        (kind, c.id): c.text_en if english else plain(c.text)
        for kind, choices in (("whom", offered.whom), ("about", offered.about))
        for c in choices
    }
    return Consulted(
        whom=[named.get(("whom", one), one) for one in body.whom],
        about=[named.get(("about", one), one) for one in body.about],
        words=words,
        lost=lost,
        at=body.asked_at,
    )


def _answers(rooms: Rooms, alert: AlertView, lang: str) -> list[queries.Series]:
    """The self-reports behind an alert on answers; none for a consultation."""
    if alert.kind == "consultation" or not alert.student:
        return []
    since = (alert.raised_at - timedelta(days=ANSWERS_DAYS)).date()
    after = rooms.log.position_before(at(since))
    with rooms.database.reading() as conn:
        found = queries.check_ins(conn, [alert.student], since, after=after)
    return queries.self_reports(found, lang)
