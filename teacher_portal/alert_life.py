"""What can be done with an alert beside taking it on: take over, hand over, put off, give back,
close, open again; and its history in words.

Each route posts one step and goes back to a page that shows what is so now, also when somebody was
first. Who may do what is alerts/life.py's and handing_over.py's; nothing is decided here.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from design.render import day_text, language, say, time_text
from teacher_portal.alert_cards import whom
from teacher_portal.frame import duty_words, go, via_words
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import Needs
from warning_service.alerts.handing_over import DUTY, STAFF
from warning_service.alerts.service import AlertView, SnoozeRefused, Step
from warning_service.clock import at, day_of
from warning_service.events.types import (
    AlertAcknowledged,
    AlertDelivered,
    AlertEscalated,
    AlertOffered,
    AlertOfferEnded,
    AlertOpenedAgain,
    AlertRaised,
    AlertSnoozed,
    AlertTakenOver,
)
from warning_service.rooms import Rooms, rooms_of
from warning_service.roster.calendar import SchoolCalendar

router = APIRouter()
Reader = Annotated[Principal, Depends(Needs(Ability.SEE_ALERTS))]
SYSTEM = "system:"
LIST = "/portal/alerts"


def _back(alert_id: str, done: bool, saved: str) -> Response:
    return go(f"{LIST}/{alert_id}", saved=saved if done else "changed")


@router.post("/portal/alerts/{alert_id}/take-over")
def take_over(request: Request, who: Reader, alert_id: str) -> Response:
    """Take on what a colleague has."""
    done = rooms_of(request).alerts.take_over(alert_id, who, "portal")
    return _back(alert_id, done, "taken_over")


@router.post("/portal/alerts/{alert_id}/put-back")
def put_back(request: Request, who: Reader, alert_id: str) -> Response:
    """やっぱり戻す: it was taken on by mistake. Then to the list, where it stands again."""
    done = rooms_of(request).alerts.undo(alert_id, who)
    return go(LIST, saved="put_back") if done else _back(alert_id, done, "")


@router.post("/portal/alerts/{alert_id}/offer")
def offer(
    request: Request, who: Reader, alert_id: str, *, to: Annotated[str, Form(max_length=120)] = ""
) -> Response:
    """Ask a duty or a colleague to take it over."""
    try:
        done = rooms_of(request).alerts.offer(alert_id, who, to)
    except ValueError:
        return go(f"{LIST}/{alert_id}", saved="cannot_ask")
    return _back(alert_id, done, "offered")


@router.post("/portal/alerts/{alert_id}/accept")
def accept(request: Request, who: Reader, alert_id: str) -> Response:
    """Take over what was offered."""
    return _back(alert_id, rooms_of(request).alerts.accept(alert_id, who, "portal"), "taken_over")


@router.post("/portal/alerts/{alert_id}/decline")
def decline(request: Request, who: Reader, alert_id: str) -> Response:
    """Say that one cannot. Then to the list: the alert need not be for the asker any more."""
    done = rooms_of(request).alerts.decline(alert_id, who)
    return go(LIST, saved="declined" if done else "changed")


@router.post("/portal/alerts/{alert_id}/withdraw")
def withdraw(request: Request, who: Reader, alert_id: str) -> Response:
    """Ask nobody any more and keep it."""
    return _back(alert_id, rooms_of(request).alerts.withdraw(alert_id, who), "withdrawn")


@router.post("/portal/alerts/{alert_id}/snooze")
def snooze(
    request: Request,
    who: Reader,
    alert_id: str,
    *,
    until: Annotated[str, Form(max_length=20)] = "",
    reason: Annotated[str, Form(max_length=60)] = "",
) -> Response:
    """Put it off until one of the offered times, for one of the playbook's reasons."""
    rooms = rooms_of(request)
    view = rooms.alerts.one(who, alert_id)
    chosen = dict(snooze_times(rooms, view)).get(until)
    if chosen is None:
        return go(f"{LIST}/{alert_id}", saved="snooze_refused")
    try:
        done = rooms.alerts.snooze(alert_id, who, chosen, reason)
    except SnoozeRefused:
        return go(f"{LIST}/{alert_id}", saved="snooze_refused")
    return _back(alert_id, done, "snoozed")


@router.post("/portal/alerts/{alert_id}/close")
def close(request: Request, who: Reader, alert_id: str) -> Response:
    """What was recorded is over."""
    return _back(alert_id, rooms_of(request).alerts.close(alert_id, who), "closed")


@router.post("/portal/alerts/{alert_id}/reopen")
def reopen(request: Request, who: Reader, alert_id: str) -> Response:
    """An adult is needed after all."""
    return _back(alert_id, rooms_of(request).alerts.reopen(alert_id, who), "reopened")


# -- what the page offers ------------------------------------------------------------------------


def snooze_times(rooms: Rooms, view: AlertView) -> list[tuple[str, datetime]]:
    """(key, moment) until which this alert can be put off; none where the playbook has none."""
    life = rooms.playbooks.for_help(view.board).alert_life
    now = rooms.clock.now()
    if view.urgency == "urgent":
        minutes = life.snooze_urgent
        return [("minutes", now + timedelta(minutes=minutes))] if minutes else []
    opens = rooms.playbooks.for_help(view.board).escalation.school_opens
    today = day_of(now)
    with rooms.database.reading() as conn:
        calendar = SchoolCalendar(conn, view.board)
        try:
            following = calendar.next_school_day(today, view.school)
        except ValueError:  # no school day known: tomorrow
            following = today + timedelta(days=1)
    found = [
        ("hour", now + timedelta(hours=1)),
        ("next", at(following, opens)),
        ("three", at(today + timedelta(days=3), opens)),
        ("week", at(today + timedelta(days=7), opens)),
    ]
    latest = now + timedelta(days=life.snooze_days)
    return [(key, moment) for key, moment in found if now < moment <= latest]


class Choice(msgspec.Struct, frozen=True):
    """One entry of a select. `under`: the group it stands in."""

    value: str
    words: str
    under: str = ""


def choices(request: Request, who: Principal, view: AlertView) -> dict[str, list[Choice]]:
    """Whom one can ask, until when and why one can put it off: for the alert's forms."""
    rooms, lang = rooms_of(request), language(request)
    asking: list[Choice] = []
    if view.state == "acknowledged" and view.acknowledged_by == who.key:
        found = rooms.alerts.candidates(who, view.id)
        names = rooms.gateway.staff_names(who, sorted({k for one in found for k in one.staff}))
        for one in found:
            duty = duty_words(request, (one.duty,))
            asking.append(Choice(DUTY + one.duty, say(lang, "life.any_of", duty=duty), duty))
            asking += [Choice(STAFF + key, names.get(key, ""), duty) for key in one.staff]
    english = lang == "en"
    return {
        "ask": asking,
        "until": [
            Choice(key, f"{say(lang, f'life.until_{key}')} {_moment(moment, lang)}")
            for key, moment in snooze_times(rooms, view)
        ],
        "reasons": [
            Choice(one.id, one.label_en if english else one.label)
            for one in rooms.playbooks.for_help(view.board).alert_life.snooze_reasons
        ],
    }


# -- history -------------------------------------------------------------------------------------


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One step in words. `by`: the author's name, or that it came by itself."""

    at: datetime
    words: str
    by: str


def history(request: Request, who: Principal, view: AlertView) -> list[Line]:
    """Every step of an alert's life in the reader's language, oldest first."""
    rooms, lang = rooms_of(request), language(request)
    steps = rooms.alerts.history(who, view.id)
    keys = {step.author for step in steps}
    for step in steps:
        if isinstance(step.body, AlertOffered):
            keys.add(step.body.to.removeprefix(STAFF))
        if isinstance(step.body, AlertTakenOver):
            keys.add(step.body.before)
    names = rooms.gateway.staff_names(who, sorted(k for k in keys if not k.startswith(SYSTEM)))
    itself = say(lang, "life.by_itself")
    return [
        Line(
            at=step.at,
            words=_words(request, view.board, step, names),
            by=itself if step.author.startswith(SYSTEM) else names.get(step.author, "–"),
        )
        for step in steps
    ]


def _words(request: Request, board: str, step: Step, names: dict[str, str]) -> str:
    lang, what, said = language(request), step.what, dict[str, Any]()
    match step.body:
        case AlertRaised(duties=duties) | AlertEscalated(duties=duties):
            said["duties"] = duty_words(request, duties)
        case AlertOpenedAgain(duties=duties):
            said["duties"] = duty_words(request, duties)
        case AlertDelivered(via=via) | AlertAcknowledged(via=via):
            said["via"] = via_words(lang, via)
        case AlertTakenOver():
            said["before"] = names.get(step.body.before, "–")
            what = "accepted" if step.body.accepted else what
        case AlertOffered():
            said["to"] = whom(request, step.body.to, names) or "–"
        case AlertOfferEnded():
            what = step.body.how
        case AlertSnoozed():
            said["until"] = _moment(step.body.until, lang)
            said["reason"] = _reason(request, board, step.body.reason)
    return say(lang, f"life.step_{what}", **said)


def _reason(request: Request, board: str, reason: str) -> str:
    offered = rooms_of(request).playbooks.for_help(board).alert_life.snooze_reasons
    english = language(request) == "en"
    found = {one.id: one.label_en if english else one.label for one in offered}
    return found.get(reason, reason)


def _moment(moment: datetime, lang: str) -> str:
    return f"{day_text(moment, lang)} {time_text(moment)}"
