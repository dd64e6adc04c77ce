"""The operator's pages on alerts as a whole: do the sums agree, and which messages did not arrive.

Numbers, times, channels and marks of alerts; no person, no place, no address. Both pages say what
follows for people when something is wrong, since whoever reads them may have been called at night.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from teacher_portal.frame import go, show, via_words
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import Needs
from warning_service.alerts import dead_letters
from warning_service.alerts.counting import Figures
from warning_service.alerts.stuck import Finding
from warning_service.alerts.watchman import Look, looks
from warning_service.clock import Clock
from warning_service.rooms import rooms_of

router = APIRouter()
Operator = Annotated[Principal, Depends(Needs(Ability.OPERATE))]

SILENT_AFTER = timedelta(minutes=3)
"""A last look older than that: nobody is watching."""
SHOWN_LOOKS = 60
SUBMITTED = ("stored", "joined", "on_the_way", "lost")
STORED = ("taken", "delivered", "moved_on", "pending", "in_portal", "given_up", "unaccounted")
WRONG = frozenset({"lost", "unaccounted"})


class Sum(msgspec.Struct, frozen=True):
    """One board's sums, as (name, number, is it wrong if not nought)."""

    board: str
    figures: Figures
    submitted: list[tuple[str, int, bool]]
    stored: list[tuple[str, int, bool]]


@router.get("/portal/watchman")
def watchman(request: Request, who: Operator) -> Response:
    """The last look, what it found, and how the looks of the last hour went."""
    rooms = rooms_of(request)
    with rooms.database.as_service().reading() as conn:
        found = looks(conn, limit=SHOWN_LOOKS)
    last = found[0] if found else None
    return show(
        request, who, "portal_watchman.html",
        last=last,
        silent=last is None or Clock().now() - last.minute > SILENT_AFTER,
        sums=_sums(last),
        troubles=[_worded(one) for one in (last.troubles if last else [])],
        disagreed=sum(not look.agrees for look in found),
        looks=len(found),
    )  # fmt: skip


@router.get("/portal/messages")
def messages(request: Request, who: Operator, again: str = "") -> Response:
    """Messages that were given up, and those that are late. `again`: how many are sent again."""
    rooms = rooms_of(request)
    with rooms.database.as_service().reading() as conn:
        found = dead_letters.letters(conn, Clock().now())
    return show(
        request, who, "portal_messages.html", letters=found, most=dead_letters.MOST_SHOWN,
        via_words=via_words,
        again=int(again) if again.isascii() and again.isdigit() and len(again) < 7 else None,
    )  # fmt: skip


@router.post("/portal/messages/again")
def send_again(request: Request, who: Operator, message: Annotated[str, Form()] = "") -> Response:
    """Send one given-up message again, or all of them (`message` empty)."""
    rooms = rooms_of(request)
    ids = [message] if message else None
    count = dead_letters.send_again(rooms.log, rooms.trail, who, Clock(), ids)
    return go(f"/portal/messages?again={count}")


def _sums(last: Look | None) -> list[Sum]:
    if last is None:
        return []

    def rows(figures: Figures, names: tuple[str, ...]) -> list[tuple[str, int, bool]]:
        return [(n, getattr(figures, n), n in WRONG and getattr(figures, n) > 0) for n in names]

    return [
        Sum(board, figures, rows(figures, SUBMITTED), rows(figures, STORED))
        for board, figures in sorted(last.seen.figures.items())
    ]


def _worded(one: Finding) -> tuple[str, str, str, int]:
    """The trouble's kind, what it is about, the board, how many."""
    kind, _, about = one.code.partition(":")
    return kind, about, one.board, one.count
