"""Every route × every role × every way a child can stand to that role: allowed, 403 or 404.

Real requests go through the whole application on a real database: all of the matrix on SQLite, the
pages about children on PostgreSQL too, where row-level security stands behind them. What is right
is written by hand in matrix_rows.py (how to add a row is told there), for the people and children
of matrix_world.py. A route without a row fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from sqlalchemy import event

from tests.access.matrix_rows import ADDRESSED, OPEN, ROWS, Row
from tests.access.matrix_world import NOBODY, ROLES, SITUATIONS, World
from warning_service.access.pace import Bucket, Pace
from warning_service.access.web import CHILD_COOKIE, STAFF_COOKIE
from warning_service.app import create_app
from warning_service.rooms import Rooms

ANY = Bucket(10**9, 10**9)
PARTS = 4
"""The matrix is asked in so many tests, so that several processes can share it."""


def app_of(rooms: Rooms) -> FastAPI:
    app = create_app(rooms)
    # Thousands of requests from one address in a second are what the pace is there to stop.
    app.state.session_pace, app.state.address_pace = Pace(ANY), Pace(ANY)
    return app


def routes(app: FastAPI) -> Iterator[str]:
    """ "GET /portal/…" of every route, mounted static files aside."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            for method in sorted(route.methods or ()):
                yield f"{method} {route.path}"


def test_every_route_has_a_row(rooms: Rooms) -> None:
    known = set(routes(create_app(rooms)))
    assert sorted(known - ROWS.keys()) == [], "add rows to tests/access/matrix_rows.py"
    assert sorted(ROWS.keys() - known) == [], "rows for routes that are gone"


def test_a_route_without_a_row_would_be_seen(rooms: Rooms) -> None:
    app = create_app(rooms)

    @app.get("/portal/forgotten")
    def forgotten() -> None:
        return None

    assert "GET /portal/forgotten" in set(routes(app)) - ROWS.keys()


def expected(path: str, row: Row, role: str, situation: str) -> str:
    """What must happen: open, door (sign in first), forbidden (403), hidden (404), allowed."""
    if row.roles == OPEN:
        return "open"
    childs = path.startswith("/child")
    if role == NOBODY or (role == "child") != childs:
        return "door"
    if role not in row.allowed:
        return "forbidden"
    if row.of and situation not in row.reach.get(role, ()):
        return "hidden"
    return "allowed"


def fits(answer: httpx.Response, wanted: str, row: Row) -> bool:
    """Is the answer what must happen?"""
    status = answer.status_code
    if wanted == "door":
        location = answer.headers.get("location", "")
        return status == 401 or (status == 303 and "/sign-in" in location)
    if wanted == "forbidden":
        return status == 403
    if wanted == "hidden":
        return status == 404
    to_the_door = status == 303 and answer.headers["location"].split("?")[0].endswith("/sign-in")
    signs_out = row.roles == OPEN or bool(row.touches)
    return status in row.ok and (signs_out or not to_the_door)


class Asker:
    """Sends the matrix's requests."""

    def __init__(self, world: World, client: httpx.AsyncClient) -> None:
        self.world = world
        self._client = client
        self._csrf = {role: world.csrf(role) for role in ROLES}

    async def ask(
        self, route: str, row: Row, role: str, situation: str, *, csrf: str | None = None
    ) -> httpx.Response | None:
        """One request, or None where the situation has nothing to address."""
        method, _, template = route.partition(" ")
        found = ADDRESSED[row.of](self.world, situation) if row.of else {}
        if found is None:
            return None
        path = template.format(**{**row.path, **found}) + row.query
        cookies = {}
        if role != NOBODY:
            name = CHILD_COOKIE if role == "child" else STAFF_COOKIE
            cookies = {"cookie": f"{name}={self.world.sessions[role]}"}
        headers = {"accept": "text/html", **cookies}
        if method == "GET":
            return await self._client.get(path, headers=headers)
        token = self._csrf.get(role, "") if csrf is None else csrf
        if row.json is not None:
            headers["x-kizashi-csrf"] = token
            return await self._client.post(path, headers=headers, json=dict(row.json))
        form = row.form(self.world, situation) if callable(row.form) else row.form
        return await self._client.post(path, headers=headers, data={**form, "csrf": token})

    async def wrong(self, route: str, row: Row, roles: tuple[str, ...]) -> AsyncIterator[str]:
        """Every answer of this row that is not what must happen."""
        method, _, path = route.partition(" ")
        for role in roles:
            # Who is not signed in at this door stands to no child in any way.
            at_the_door = expected(path, row, role, "own") == "door"
            for situation in SITUATIONS if row.of and not at_the_door else SITUATIONS[:1]:
                if route == "GET /portal/live" and role in row.allowed:
                    continue  # a stream without end; test_live.py reads it
                wanted = expected(path, row, role, situation)
                if (
                    wanted == "allowed"
                    and method == "POST"
                    and not await self._needs_csrf(route, row, role, situation)
                ):
                    yield f"{route} {role} {situation}: taken without the session's token"
                answer = await self.ask(route, row, role, situation)
                if answer is None:
                    continue
                if not fits(answer, wanted, row):
                    yield f"{route} {role} {situation}: {wanted} wanted, {answer.status_code} given"
                if wanted in {"allowed", "open"}:
                    for table in row.touches:
                        self.world.restore(table)

    async def _needs_csrf(self, route: str, row: Row, role: str, situation: str) -> bool:
        answer = await self.ask(route, row, role, situation, csrf="guess")
        return answer is None or answer.status_code == 403


def hurry(rooms: Rooms) -> None:
    """Thousands of refusals are thousands of lines on the trail; none of them has to outlive us."""
    engine = rooms.database.engine

    @event.listens_for(engine, "connect")
    def _no_flush(connection: Any, _record: Any) -> None:
        for schema in ("main", "roster"):
            connection.execute(f"PRAGMA {schema}.synchronous=OFF")

    engine.dispose()


@asynccontextmanager
async def asking(rooms: Rooms) -> AsyncIterator[Asker]:
    if rooms.database.is_sqlite:
        hurry(rooms)
    world = World(rooms)
    for row in (one for rows in ROWS.values() for one in rows):
        for table in row.touches:
            world.keep(table)
    transport = httpx.ASGITransport(app=app_of(rooms), raise_app_exceptions=False)
    rooms.intake.start()
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield Asker(world, client)
    finally:
        rooms.intake.stop()


def all_wrong(rooms: Rooms, rows: dict[str, tuple[Row, ...]], roles: tuple[str, ...]) -> list[str]:
    async def run() -> list[str]:
        async with asking(rooms) as asker:
            return [
                line
                for route, found in rows.items()
                for row in found
                async for line in asker.wrong(route, row, roles)
            ]

    return asyncio.run(run())


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_whole_matrix(rooms: Rooms, part: int) -> None:
    mine = {route: ROWS[route] for route in sorted(ROWS)[part::PARTS]}
    assert all_wrong(rooms, mine, (*ROLES, NOBODY)) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_pages_about_children_on_postgresql(rooms: Rooms) -> None:
    about = {
        route: tuple(row for row in rows if row.of)
        for route, rows in ROWS.items()
        if any(row.of for row in rows)
    }
    roles = ("homeroom", "committee", "welfare", "board")
    assert all_wrong(rooms, about, roles) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_childs_token_under_the_staff_cookies_name_opens_nothing(rooms: Rooms) -> None:
    async def run() -> list[str]:
        async with asking(rooms) as asker:
            token = asker.world.sessions["child"]
            wrong: list[Any] = []
            for route, [row, *_] in ROWS.items():
                method, _, path = route.partition(" ")
                if method == "GET" and path.startswith("/portal") and row.roles != OPEN:
                    found = ADDRESSED[row.of](asker.world, "own") if row.of else {}
                    answer = await asker._client.get(
                        path.format(**row.path, **(found or {})),
                        headers={"accept": "text/html", "cookie": f"{STAFF_COOKIE}={token}"},
                    )
                    if not fits(answer, "door", row):
                        wrong.append((route, answer.status_code))
            return wrong

    assert asyncio.run(run()) == []
