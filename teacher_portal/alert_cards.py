"""Alerts as cards: with names, in the order in which somebody should look at them, grouped.

What is urgent always stands by itself, however much else there is of the same child. The rest is
grouped: by class where a reader has several, and several of one child on one card, each with its
own button. Nothing is left out by grouping; who may see what was decided by `Alerts.look`.

Drawing the cards counts as delivery: from then on an open page has these alerts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from fastapi import Request

from design.render import language
from teacher_portal.frame import duty_words
from warning_service.access.gateway import Child
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.alerts import states
from warning_service.alerts.handing_over import DUTY, STAFF
from warning_service.alerts.service import AlertView
from warning_service.rooms import rooms_of

NOTED_AT_ONCE = 50
"""So many alerts are noted as delivered by one look; the next look notes the next."""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """An alert with what a page says about it. `child` is None when it is on no roll any more.

    `mine`: the reader has it; `asked`: the reader is asked to take it over. Names and duties are in
    words; `next_at`: when the `next_duties` are told.
    """

    alert: AlertView
    child: Child | None
    label: str
    next_duties: str
    next_at: datetime | None
    taken_by: str
    mine: bool
    asked: bool
    offered_to: str
    snoozed_by: str
    snooze_reason: str


class ChildGroup(msgspec.Struct, frozen=True, kw_only=True):
    """What is due today of one child."""

    child: Child | None
    cards: list[Card]


class ClassGroup(msgspec.Struct, frozen=True, kw_only=True):
    """What is due today in one class. `count`: alerts, not children."""

    name: str
    count: int
    children: list[ChildGroup]


def cards_of(request: Request, who: Principal, found: Sequence[AlertView]) -> list[Card]:
    """Alerts with names (each look on the trail), urgent ones first, then the oldest."""
    rooms = rooms_of(request)
    children = rooms.gateway.children(
        who,
        sorted({a.student for a in found if a.student}),
        using=Ability.SEE_ALERTS,
        why="alerts",
    )
    people = {a.acknowledged_by for a in found} | {a.snoozed_by for a in found}
    people |= {a.offered_to.removeprefix(STAFF) for a in found if a.offered_to.startswith(STAFF)}
    names = rooms.gateway.staff_names(who, sorted(people - {""}))
    english = language(request) == "en"
    playbook = rooms.playbooks.for_help(who.board)
    reasons = {
        one.id: one.label_en if english else one.label for one in playbook.alert_life.snooze_reasons
    }
    cards = []
    for alert in found:
        chain = playbook.chain(alert.kind, alert.urgency)
        cards.append(
            Card(
                alert=alert,
                child=children.get(alert.student),
                label=alert.rule_label_en if english else alert.rule_label,
                next_duties=duty_words(request, chain[min(alert.step + 1, len(chain) - 1)].duties),
                next_at=alert.due_at if alert.state == states.OPEN else None,
                taken_by=names.get(alert.acknowledged_by, ""),
                mine=alert.state == states.ACKNOWLEDGED and alert.acknowledged_by == who.key,
                asked=rooms.alerts.asked(who, alert),
                offered_to=whom(request, alert.offered_to, names),
                snoozed_by=names.get(alert.snoozed_by, ""),
                snooze_reason=reasons.get(alert.snooze_reason, alert.snooze_reason),
            )
        )
    return sorted(cards, key=lambda c: (c.alert.urgency != "urgent", c.alert.raised_at))


def whom(request: Request, to: str, names: dict[str, str]) -> str:
    """Who is asked, in words: a duty, or a colleague's name."""
    if to.startswith(DUTY):
        return duty_words(request, (to.removeprefix(DUTY),))
    return names.get(to.removeprefix(STAFF), "")


def by_class(cards: Sequence[Card]) -> list[ClassGroup]:
    """Cards that may share a place, by class and child, in the order in which the first came."""
    classes: dict[str, dict[str, list[Card]]] = {}
    for card in cards:
        name = card.child.class_name if card.child else ""
        # A notice is about no child, and is a group of its own.
        classes.setdefault(name, {}).setdefault(card.alert.student or card.alert.id, []).append(
            card
        )
    return [
        ClassGroup(
            name=name,
            count=sum(len(group) for group in children.values()),
            children=[ChildGroup(child=group[0].child, cards=group) for group in children.values()],
        )
        for name, children in classes.items()
    ]


def live_values(request: Request, who: Principal) -> dict[str, Any]:
    """What the live part of a page shows, and the log position it is true for."""
    rooms = rooms_of(request)
    position = rooms.log.head(who.board)
    inbox = rooms.alerts.look(who)
    if new := [alert.id for alert in inbox.alerts if alert.delivered_at is None]:
        rooms.alerts.shown(new[:NOTED_AT_ONCE], who)
        position = rooms.log.head(who.board)
        inbox = rooms.alerts.look(who)
    cards = cards_of(request, who, inbox.alerts)
    waiting = [card for card in cards if card.alert.state == states.OPEN]
    return {
        "position": position,
        "for_others": inbox.for_others,
        "open_cards": waiting,
        "urgent_cards": [card for card in waiting if card.alert.urgency == "urgent"],
        "class_groups": by_class([card for card in waiting if card.alert.urgency != "urgent"]),
        "asked_cards": [card for card in cards if card.asked],
        "taken_cards": [
            card for card in cards if card.alert.state == states.ACKNOWLEDGED and not card.asked
        ],
        "snoozed_cards": [card for card in cards if card.alert.state == states.SNOOZED],
    }
