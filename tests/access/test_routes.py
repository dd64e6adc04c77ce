"""Every route declares what it needs; a new route without a declaration fails here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from warning_service.access.roles import Ability
from warning_service.access.web import Needs, Open
from warning_service.app import Rooms, create_app

# The few doors anybody may knock at; a new one is a decision, and belongs in this list.
OPEN_DOORS = {
    "/healthz", "/readyz", "/metrics", "/lang", "/",
    "/child/sign-in", "/child/sign-in/{class_code}", "/child/sign-in/{class_code}/{seat}",
    "/child/card/{card}", "/child/class", "/child/class/{seat}",
    "/child/sw.js", "/portal/sw.js", "/child/offline", "/child/help",
    "/portal/sign-in", "/portal/invitation", "/portal/invitation/{token}",
    *(f"/{who}/account/{part}" for who in ("portal", "child")
      for part in ("{why}", "{name}/begin", "{name}/back")),
    "/slack/interactions",
}  # fmt: skip


def declarations(dependant: Dependant) -> Iterator[Needs | Open]:
    for child in dependant.dependencies:
        if isinstance(child.call, Needs | Open):
            yield child.call
        yield from declarations(child)


def declared(route: BaseRoute) -> list[Any]:
    if isinstance(route, APIRoute) and (found := list(declarations(route.dependant))):
        return found
    endpoint = getattr(route, "endpoint", None)
    return [endpoint] if getattr(endpoint, "abilities", None) else []


def routes(rooms: Rooms) -> list[BaseRoute]:
    found = []
    for context in iter_route_contexts(create_app(rooms).routes):
        route = context.original_route
        if isinstance(route, Mount) and isinstance(route.app, StaticFiles):
            continue
        found.append(route)
    return found


def test_every_route_declares_what_it_needs(rooms: Rooms) -> None:
    silent = [getattr(route, "path", str(route)) for route in routes(rooms) if not declared(route)]
    assert silent == []


def test_a_route_without_a_declaration_would_be_seen(rooms: Rooms) -> None:
    app = create_app(rooms)

    @app.get("/forgotten")
    def forgotten() -> None:
        return None

    assert [r.path for r in app.routes if isinstance(r, APIRoute) and not declared(r)] == [
        "/forgotten"
    ]


def test_only_the_listed_doors_are_open(rooms: Rooms) -> None:
    found = {
        getattr(route, "path", "")
        for route in routes(rooms)
        if any(isinstance(one, Open) for one in declared(route))
    }
    assert found <= OPEN_DOORS


def test_children_and_staff_have_doors_of_their_own(rooms: Rooms) -> None:
    for route in routes(rooms):
        path = getattr(route, "path", "")
        for one in declared(route):
            if isinstance(one, Open):
                continue
            assert (Ability.ANSWER in one.abilities) == path.startswith("/child"), path


def test_needs_refuses_to_need_nothing() -> None:
    with pytest.raises(ValueError, match="OPEN"):
        Needs()
