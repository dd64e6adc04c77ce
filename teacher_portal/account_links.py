"""Which accounts at sign-in providers are linked to whom: to staff, to the children of a class.

For whoever looks after accounts: note the address an account will come with, and unlink one that
has changed hands or was lost; that also ends what is signed in. A child's account shows here as
linked or not, by number: its address is most often its name.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from connectors.sign_in.flow import People, providers_of
from design.render import language
from teacher_portal.frame import go, show
from warning_service.access.doors import accounts, cards
from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal
from warning_service.access.web import Needs
from warning_service.rooms import rooms_of

router = APIRouter(prefix="/portal")
Clerk = Annotated[Principal, Depends(Needs(accounts.USING))]
FreshClerk = Annotated[Principal, Depends(Needs(accounts.USING, fresh=True))]
Keeper = Annotated[Principal, Depends(Needs(cards.USING))]

DONE = ("noted", "unlinked")


@router.get("/accounts/{staff}/provider")
def of_staff(request: Request, who: Clerk, staff: str, done: str = "") -> Response:
    """One person's accounts at providers."""
    return _of_staff(request, who, staff, done=done if done in DONE else "")


@router.post("/accounts/{staff}/provider")
def note(
    request: Request,
    who: FreshClerk,
    staff: str,
    address: Annotated[str, Form(max_length=300)] = "",
) -> Response:
    """Note the address an account will come with; it may open this person's door from then on."""
    rooms = rooms_of(request)
    rooms.accounts.one(who, staff)
    if staff == who.key:
        return _of_staff(request, who, staff, problem="own")
    try:
        rooms.identities.note(who, "staff", staff, address, using=accounts.USING)
    except ValueError:
        return _of_staff(request, who, staff, problem="address")
    return go(f"/portal/accounts/{staff}/provider?done=noted")


@router.post("/accounts/{staff}/provider/unlink")
def unlink(request: Request, who: Clerk, staff: str) -> Response:
    """Unlink, and end what is signed in."""
    rooms = rooms_of(request)
    rooms.accounts.one(who, staff)
    if staff == who.key:
        return _of_staff(request, who, staff, problem="own")
    rooms.identities.unlink(who, "staff", staff, using=accounts.USING)
    rooms.sessions.end_all(staff)
    return go(f"/portal/accounts/{staff}/provider?done=unlinked")


def _of_staff(
    request: Request, who: Principal, staff: str, *, done: str = "", problem: str = ""
) -> Response:
    rooms = rooms_of(request)
    account = rooms.accounts.one(who, staff)
    return show(
        request,
        who,
        "portal_account_provider.html",
        status=422 if problem else 200,
        account=account,
        linked=rooms.identities.of("staff", [staff]).get(staff, []),
        noted=rooms.identities.expected("staff", staff),
        labels=_labels(request, who, "staff"),
        own=staff == who.key,
        done=done,
        problem=problem,
    )


@router.get("/cards/{class_id}/accounts")
def of_class(request: Request, who: Keeper, class_id: str, done: str = "") -> Response:
    """Which numbers of a class have an account linked."""
    rooms = rooms_of(request)
    room = rooms.cards.room(who, class_id)
    seats = rooms.cards.seats(who, class_id)
    return show(
        request,
        who,
        "portal_cards_accounts.html",
        room=room,
        seats=seats,
        linked=rooms.identities.of("child", [seat.student for seat in seats]),
        labels=_labels(request, who, "children"),
        done=done if done in DONE else "",
    )


@router.post("/cards/{class_id}/accounts/unlink")
def unlink_child(
    request: Request, who: Keeper, class_id: str, seat: Annotated[int, Form(ge=1, le=99)]
) -> Response:
    """Unlink the account of the child with that number, and end what is signed in."""
    rooms = rooms_of(request)
    here = {one.seat: one.student for one in rooms.cards.seats(who, class_id)}
    if seat not in here:
        raise NotYours
    rooms.identities.unlink(who, "child", here[seat], using=cards.USING)
    rooms.sessions.end_all(here[seat])
    return go(f"/portal/cards/{class_id}/accounts?done=unlinked")


def _labels(request: Request, who: Principal, people: People) -> dict[str, str]:
    """Issuer -> label of the asker's board's providers; of two at one issuer, the first."""
    english = language(request) == "en"
    labels: dict[str, str] = {}
    for one in providers_of(request).for_people(people):
        if one.settings.board == who.board:
            label = one.settings.label_en if english else one.settings.label
            labels.setdefault(one.settings.issuer, label)
    return labels
