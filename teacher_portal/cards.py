"""Children's sign-in cards, to be printed: a class's for its tablets, each child's small one.

What is made here is shown once, on the page that answers the click, because only hashes are kept.
A lost class card is one click: the old one stops and the new one is there to print. The pages show
numbers; names only where somebody asks for them on the strips to be cut out, each on the trail.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import segno
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from markupsafe import Markup

from design.render import language
from teacher_portal.frame import go, show
from warning_service.access.doors.cards import USING
from warning_service.access.doors.child_secrets import Kind, Made
from warning_service.access.doors.pictures import PICTURES
from warning_service.access.principals import Principal
from warning_service.access.web import Needs, ask_again
from warning_service.rooms import Rooms, rooms_of
from warning_service.roster import queries as roster

router = APIRouter(prefix="/portal/cards")
Keeper = Annotated[Principal, Depends(Needs(USING))]


class Strip(msgspec.Struct, frozen=True, kw_only=True):
    """A child's small card. `parts`: (picture id or '', what is written under it)."""

    seat: int
    name: str
    digits: bool
    parts: list[tuple[str, str]]


@router.get("")
def classes(request: Request, who: Keeper) -> Response:
    """The asker's classes and their cards; a single one is shown at once."""
    rooms = rooms_of(request)
    found = rooms.gateway.classes_of(who, using=USING)
    if len(found) == 1:
        return go(f"/portal/cards/{found[0].id}")
    cards = rooms.cards.in_force(who, [row.id for row in found])
    return show(request, who, "portal_cards.html", classes=found, cards=cards)


@router.get("/{class_id}")
def one_class(request: Request, who: Keeper, class_id: str, stopped: int = 0) -> Response:
    """A class: its card, and which numbers have a secret."""
    rooms = rooms_of(request)
    room = rooms.cards.room(who, class_id)
    card = rooms.cards.in_force(who, [class_id]).get(class_id)
    maker = rooms.gateway.staff_names(who, [card.made_by]) if card else {}
    return show(
        request,
        who,
        "portal_cards_class.html",
        room=room,
        card=card,
        maker=maker.get(card.made_by, "") if card else "",
        seats=rooms.cards.seats(who, class_id),
        stopped=bool(stopped),
    )


@router.post("/{class_id}/card")
def new_card(request: Request, who: Keeper, class_id: str) -> Response:
    """A new card; the one before is stopped. Shown here and never again."""
    rooms = rooms_of(request)
    room = rooms.cards.room(who, class_id)
    card = rooms.cards.new_card(who, class_id)
    address = f"{rooms.settings.public_url.rstrip('/')}/child/card/{card}"
    # Made by the library from the address alone, so nothing of it needs escaping.
    picture = Markup(segno.make(address, error="m").svg_inline(border=4, omitsize=True))  # noqa: S704
    return show(
        request,
        who,
        "portal_class_card.html",
        room=room,
        school=_school(rooms, room),
        picture=picture,
        address=address,
    )


@router.post("/{class_id}/stop")
def stop_card(request: Request, who: Keeper, class_id: str) -> Response:
    """Stop the card without a new one."""
    rooms_of(request).cards.stop_card(who, class_id)
    return go(f"/portal/cards/{class_id}?stopped=1")


@router.post("/{class_id}/children")
def new_secrets(
    request: Request,
    who: Keeper,
    class_id: str,
    *,
    seat: Annotated[int | None, Form(ge=1, le=99)] = None,
    whom: Annotated[str, Form(pattern="^(all|missing)?$")] = "",
    names: Annotated[bool, Form()] = False,
) -> Response:
    """New pictures or digits for one child, for all, or for those without; to print and cut out.

    A whole class's secrets on one page ask for a fresh confirmation; a child that stands there
    without its card does not wait for one.
    """
    rooms = rooms_of(request)
    room = rooms.cards.room(who, class_id)
    if seat is None:
        if not whom:
            return go(f"/portal/cards/{class_id}")
        ask_again(request, who)
    # Names first: when they cannot be put on the trail, nobody's secret has changed.
    shown: Mapping[str, str] = {}
    if names:
        roll = rooms.gateway.class_roll(who, class_id, using=USING, why="child_cards")
        shown = {child.student: child.name for child in roll}
    made = rooms.cards.renew(who, class_id, seat=seat, missing=whom == "missing")
    english = language(request) == "en"
    return show(
        request,
        who,
        "portal_child_cards.html",
        room=room,
        strips=[_strip(one, shown.get(one.student, ""), english=english) for one in made],
    )


def _strip(made: Made, name: str, *, english: bool) -> Strip:
    digits = made.kind is Kind.DIGITS
    parts = [("", part) if digits else (part, PICTURES[part][english]) for part in made.parts]
    return Strip(seat=made.seat, name=name, digits=digits, parts=parts)


def _school(rooms: Rooms, room: Any) -> str:
    with rooms.database.reading() as conn:
        return (roster.names_of_schools(conn, {room.school}, ()) or [""])[0]
