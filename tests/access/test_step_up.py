"""Which addresses ask again who it is: written here by hand, as docs/operations.md promises it.

Each of them is asked, over the whole application, by somebody whose confirmation is six minutes old
and then by the same person fresh. What shuts a door is not among them and must never be.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from tests.access.matrix_rows import ROWS
from tests.access.matrix_world import ROLES, SITUATIONS
from tests.access.test_matrix import Asker, asking
from warning_service.access.web import Needs
from warning_service.app import create_app
from warning_service.clock import MovableClock
from warning_service.rooms import Rooms

FRESH = {
    # files to take away
    "GET /portal/trail/file", "GET /portal/rights-review/file",
    "GET /portal/requests/{request_id}/file/{link}",
    "POST /portal/requests/{request_id}/file/{link}",
    "GET /portal/sheets/{sheet_id}/file", "POST /portal/sheets/{sheet_id}/file",
    # disclosure, and who looked
    "GET /portal/requests/{request_id}/held", "GET /portal/requests/{request_id}/held/{section}",
    "POST /portal/requests/{request_id}/held", "POST /portal/requests/{request_id}/decide",
    "POST /portal/requests/{request_id}/renew", "GET /portal/trail/child/{student}",
    "GET /portal/approvals/{request_id}", "POST /portal/approvals/{request_id}",
    # letting staff in, giving duties
    "POST /portal/accounts", "POST /portal/accounts/{staff}/duties",
    "POST /portal/accounts/{staff}/open", "POST /portal/accounts/{staff}/factors",
    "POST /portal/accounts/{staff}/invitation", "POST /portal/accounts/{staff}/provider",
    # one's own factors and password
    "GET /portal/second-factor/codes", "POST /portal/second-factor/codes",
    "POST /portal/passkeys/ask-new", "POST /portal/passkeys/new",
    "POST /portal/security/app/remove", "POST /portal/security/passkeys/remove",
    "POST /portal/security/password",
    # where messages about children go
    "POST /portal/channels", "POST /portal/channels/remove",
}  # fmt: skip

IN_THE_PAGE = {"POST /portal/passkeys/ask-new", "POST /portal/passkeys/new"}
"""Not declared, because somebody without any factor adds the first one there without confirming."""

CARDS = "POST /portal/cards/{class_id}/children"
"""Asks for a whole class only."""

SHUTS = {
    "POST /portal/cards/{class_id}/card", "POST /portal/cards/{class_id}/stop",
    "POST /portal/accounts/{staff}/close", "POST /portal/accounts/{staff}/duties/end",
    "POST /portal/security/sessions/end", "POST /portal/security/sessions/end-others",
    "POST /portal/sign-out",
}  # fmt: skip


def needs_of(found: Dependant) -> list[Needs]:
    mine = [found.call] if isinstance(found.call, Needs) else []
    return mine + [one for sub in found.dependencies for one in needs_of(sub)]


def declared(rooms: Rooms) -> set[str]:
    """Every route that declares `fresh=True`."""
    found = set()
    for context in iter_route_contexts(create_app(rooms).routes):
        route = context.original_route
        if isinstance(route, APIRoute) and any(n.fresh for n in needs_of(route.dependant)):
            found |= {f"{method} {route.path}" for method in route.methods or ()}
    return found


def test_what_asks_again_is_what_is_promised(rooms: Rooms) -> None:
    asked = declared(rooms)
    assert asked == FRESH - IN_THE_PAGE
    assert not asked & SHUTS and ROWS.keys() >= SHUTS | FRESH


async def tried(asker: Asker, route: str, **form: str) -> httpx.Response:
    """The route's first row, by somebody who may use it, about something of theirs."""
    row = ROWS[route][0]
    if form:
        row = replace(row, form=form)
    if route.endswith("/passkeys/new"):
        row = replace(row, json={"answer": {}})
    role = next(role for role in ROLES if role in row.allowed)
    situation = next((s for s in SITUATIONS if s in row.reach.get(role, ())), "own")
    answer = await asker.ask(route, row, role, situation)
    assert answer is not None, route
    return answer


def asks_again(answer: httpx.Response) -> bool:
    if answer.request.method == "GET":
        return answer.headers.get("location", "").startswith("/portal/confirm?next=")
    return answer.status_code == 401


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_six_minutes_later_they_ask_and_nothing_is_done(rooms: Rooms, clock: MovableClock) -> None:
    async def run() -> dict[str, bool]:
        async with asking(rooms) as asker:
            soon = {route: asks_again(await tried(asker, route)) for route in (CARDS,)}
            clock.move_by(timedelta(minutes=6))
            late = {route: asks_again(await tried(asker, route)) for route in sorted(FRESH)}
            late["class"] = asks_again(await tried(asker, CARDS, whom="all"))
            late["one child"] = asks_again(await tried(asker, CARDS, seat="1"))
            shut = {route: asks_again(await tried(asker, route)) for route in sorted(SHUTS)}
            return {"soon": any(soon.values()), **late, "shuts": any(shut.values())}

    asked = asyncio.run(run())
    assert asked == {
        "soon": False, **dict.fromkeys(FRESH, True), "class": True, "one child": False,
        "shuts": False,
    }  # fmt: skip
