"""Notices: what is due at a place, for those whose duty was told of it.

A notice is about a school, a class or the service and names nobody. The children behind overdue
records are shown through the gateway, each look on the trail, and only those the reader's duties
reach. A notice is taken on like an alert; what it is about ends it (the review, the records, the
file), and where nothing of the kind comes by itself a person says that it is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from design.render import language
from teacher_portal.frame import duty_words, go, show
from warning_service.access.gateway import Child, NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import AnyStaff
from warning_service.alerts.notices import (
    EXTRACT_MISSING,
    FOLLOW_UP_OVERDUE,
    LIST_PUBLISHED,
    REVIEW_DUE,
    SYSTEM_TROUBLE,
)
from warning_service.alerts.notices_due import Rules
from warning_service.alerts.seeing import AlertView
from warning_service.alerts.watchman import ABOUT
from warning_service.catalogue.items import all_items
from warning_service.follow_up.notice_job import OF_MEETING, overdue_in_class, read_board
from warning_service.rooms import Rooms, rooms_of
from warning_service.roster import queries as roster
from warning_service.roster.calendar import SchoolCalendar

router = APIRouter()
Staff = Annotated[Principal, Depends(AnyStaff())]

BY_HAND = (LIST_PUBLISHED, SYSTEM_TROUBLE)
"""Kinds a person may end: nothing that would end them need ever come."""
MOST_DONE = 30


class NoticeCard(msgspec.Struct, frozen=True, kw_only=True):
    """A notice with what a page says about it."""

    notice: AlertView
    label: str
    place: str
    told: str
    next_duties: str
    next_at: datetime | None
    taken_by: str

    @property
    def may_end(self) -> bool:
        """Can a person say that it is done?"""
        return self.notice.kind in BY_HAND and self.notice.state == "acknowledged"


def waiting_cards(request: Request, who: Principal) -> list[NoticeCard]:
    """The reader's notices that are not over: first those nobody has, then the oldest."""
    found = rooms_of(request).alerts.notices_for(who)
    cards = notice_cards(request, who, found)
    return sorted(cards, key=lambda c: (c.notice.state != "open", c.notice.raised_at))


def notice_cards(request: Request, who: Principal, found: Sequence[AlertView]) -> list[NoticeCard]:
    """Notices as cards, in the order given. Places have names; nobody else has."""
    rooms = rooms_of(request)
    lang = language(request)
    with rooms.database.reading() as conn:
        schools = {row.id: row.name for row in roster.schools(conn, who.board)}
        rows = {key: roster.school_class(conn, key) for key in {n.class_id for n in found} - {""}}
        board = roster.board(conn, who.board)
    rooms_named = {key: row.name for key, row in rows.items() if row is not None}
    takers = rooms.gateway.staff_names(who, [n.acknowledged_by for n in found if n.acknowledged_by])
    playbook = rooms.playbooks.for_help(who.board)
    cards = []
    for one in found:
        chain = playbook.chain(one.kind, one.urgency)
        place = schools.get(one.school, "" if board is None else board.name)
        cards.append(
            NoticeCard(
                notice=one,
                label=one.rule_label_en if lang == "en" else one.rule_label,
                place=" ".join(filter(None, (place, rooms_named.get(one.class_id, "")))),
                told=duty_words(request, one.duties),
                next_duties=duty_words(request, chain[min(one.step + 1, len(chain) - 1)].duties),
                next_at=one.due_at if one.state == "open" else None,
                taken_by=takers.get(one.acknowledged_by, ""),
            )
        )
    return cards


@router.get("/portal/notices")
def notices(request: Request, who: Staff) -> Response:
    """The reader's notices: what waits, and what is over."""
    done = rooms_of(request).alerts.notices_for(who, done=True)[:MOST_DONE]
    return show(
        request,
        who,
        "portal_notices.html",
        cards=waiting_cards(request, who),
        done_cards=notice_cards(request, who, done),
    )


@router.get("/portal/notices/{notice_id}")
def notice(request: Request, who: Staff, notice_id: str) -> Response:
    """One notice: what it is about, where to do it, who is told next."""
    rooms = rooms_of(request)
    found = _one(rooms, who, notice_id)
    return show(
        request,
        who,
        "portal_notice.html",
        card=notice_cards(request, who, [found])[0],
        may_list=Ability.SEE_LIST in who.abilities,
        may_operate=Ability.OPERATE in who.abilities,
        **_behind(request, who, found),
    )


@router.post("/portal/notices/{notice_id}/acknowledge")
def acknowledge(request: Request, who: Staff, notice_id: str) -> Response:
    """Take it on: one tap; nobody further is told."""
    rooms = rooms_of(request)
    _one(rooms, who, notice_id)
    first = rooms.alerts.acknowledge(notice_id, who, "portal")
    return go(f"/portal/notices/{notice_id}", saved="notice_taken" if first else "too_late")


@router.post("/portal/notices/{notice_id}/end")
def end(request: Request, who: Staff, notice_id: str) -> Response:
    """It is done, says who has it. Only where nothing else would end it."""
    rooms = rooms_of(request)
    found = _one(rooms, who, notice_id)
    ended = (
        found.kind in BY_HAND
        and found.state == "acknowledged"
        and rooms.notices.end(notice_id, who, rooms.trail)
    )
    return go(f"/portal/notices/{notice_id}", saved="notice_done" if ended else "too_late")


def _one(rooms: Rooms, who: Principal, notice_id: str) -> AlertView:
    found = rooms.alerts.one(who, notice_id)  # raises NotYours
    if found.student:  # an alert about a child has a page of its own, with other conditions
        raise NotYours
    return found


def _behind(request: Request, who: Principal, found: AlertView) -> dict[str, Any]:
    """What the notice is about, as far as the reader's duties reach."""
    rooms = rooms_of(request)
    if found.kind == FOLLOW_UP_OVERDUE:
        return {"children": _overdue(rooms, who, found)}
    if found.kind in (LIST_PUBLISHED, REVIEW_DUE):
        list_id, _, meeting = found.source.partition(OF_MEETING)
        return {"list_id": list_id, "meeting": meeting}
    if found.kind == EXTRACT_MISSING:
        return _extract(rooms, who, found.source, language(request))
    if found.kind == SYSTEM_TROUBLE:
        # Said in the words of the watchman's page; another's trouble is told by its code alone.
        code = found.source.removeprefix(ABOUT)
        return {"trouble": code.partition(":")[0] if code != found.source else ""}
    return {}


def _overdue(rooms: Rooms, who: Principal, found: AlertView) -> list[Child]:
    playbook = rooms.playbooks.of(who.board)
    with rooms.database.reading() as conn:
        board = read_board(conn, playbook, who.board, rooms.clock.now(), school=found.school)
    students = sorted(overdue_in_class(board, found.class_id))
    children = rooms.gateway.children(
        who, students, using=Ability.RECORD_FOLLOW_UP, why="notice", detail=found.id
    )
    mine = [child for child in children.values() if not child.opted_out]
    return sorted(mine, key=lambda child: (child.class_name, child.seat or 999))


def _extract(rooms: Rooms, who: Principal, extract: str, lang: str) -> dict[str, Any]:
    with rooms.database.reading() as conn:
        calendar = SchoolCalendar(conn, who.board)
    rules = Rules(rooms.playbooks.for_help(who.board), calendar, rooms.clock.now())
    items = [item for item in all_items().values() if item.extract == extract]
    return {
        "items": [item.label_en if lang == "en" else item.label for item in items],
        "fresh_days": rules.expected_extracts().get(extract, 0),
    }
