"""A town with somebody who handles requests, and two who may approve."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests import make
from tests.teacher_portal.conftest import server
from tests.teacher_portal.school import School
from warning_service.access.principals import Principal
from warning_service.access.web import STAFF_COOKIE
from warning_service.clock import MovableClock
from warning_service.events.types import NewEvent, ObservationRecorded, new_id
from warning_service.rights.room import Rights
from warning_service.rights.terms import Decision
from warning_service.rooms import Rooms

__all__ = ["server"]

HTML = {"accept": "text/html"}


class Town(School):
    """The school of the portal's tests, with the officer and the approvers."""

    def __init__(self, rooms: Rooms) -> None:
        super().__init__(rooms, children=3)
        make.staff(rooms.database, "officer", ("privacy", make.BOARD))
        make.staff(rooms.database, "head", ("management", make.SCHOOL))
        make.staff(rooms.database, "head2", ("management", "school2"))
        self.child = self.children["sakura-1"][0]

    @property
    def rights(self) -> Rights:
        return self.rooms.rights

    def token(self, login: str, *factors: str) -> str:
        return self.rooms.sessions.start_staff(
            f"staff-{login}", make.BOARD, factors=factors or ("totp",)
        )

    def who(self, login: str, *factors: str) -> Principal:
        found = self.rooms.sessions.find(self.token(login, *factors))
        assert found is not None
        return found

    def asked(self, kind: str, **more: object) -> str:
        given = {
            "asked_by": "legal",
            "identity": "photo_id",
            "received_on": self.rooms.clock.today(),
            **more,
        }
        wish = str(given.pop("wish", "欠席の日がちがう" if kind in {"correction", "stop"} else ""))
        student = str(given.pop("student", self.child))
        return self.rights.requests.receive(
            self.who("officer"),
            student,
            kind,
            wish=wish,
            **given,  # type: ignore[arg-type]
        )


class Page:
    """A signed-in browser that follows nothing by itself."""

    def __init__(self, client: httpx.Client, csrf: str) -> None:
        self.client = client
        self.csrf = csrf

    def get(self, path: str, status: int = 200) -> str:
        answer = self.client.get(path, headers=HTML)
        assert answer.status_code == status, (path, answer.status_code, answer.text[:800])
        return answer.text

    def post(self, path: str, **fields: object) -> httpx.Response:
        return self.client.post(path, data={"csrf": self.csrf, **fields}, headers=HTML)


def moved(town: Town, **by: int) -> None:
    clock = town.rooms.clock
    assert isinstance(clock, MovableClock)
    clock.move_by(timedelta(**by))


def absent(town: Town, value: float = 1.0, item: str = "absent_days") -> str:
    event = NewEvent(
        id=new_id(), board=make.BOARD, student=town.child, on=town.rooms.clock.today(),
        actor="system:import",
        body=ObservationRecorded(item=item, value=value, source="attendance"),
    )  # fmt: skip
    make.append(town.rooms.log, event)
    return event.id


def decided(town: Town, request: str, decision: str = "file", reason: str = "りゆう") -> Decision:
    return town.rights.disclosures.decide(
        town.who("officer"), request, decision, as_of=town.rooms.clock.now(), reason=reason
    )


def approved(town: Town, request: str) -> None:
    decided(town, request)
    town.rights.disclosures.approve(town.who("board"), request)


def file_of(town: Town, request: str) -> tuple[str, dict[str, Any]]:
    """Both files of a decided request."""
    officer, disclosures = town.who("officer"), town.rights.disclosures
    link = disclosures.link(town.rights.requests.one(officer, request))
    assert link is not None
    made = disclosures.make(officer, request, link.id)
    with zipfile.ZipFile(io.BytesIO(made)) as packed:
        return packed.read("kaiji.html").decode(), json.loads(packed.read("kaiji.json"))


@pytest.fixture
def town(rooms: Rooms) -> Town:
    return Town(rooms)


Pages = Callable[[str], Page]


@pytest.fixture
def pages(town: Town, server: str) -> Iterator[Pages]:
    """Makes browsers of people who have shown a second factor just now."""
    with ExitStack() as stack:

        def one(login: str) -> Page:
            token = town.token(login)
            principal = town.rooms.sessions.find(token)
            assert principal is not None
            client = httpx.Client(
                base_url=server,
                trust_env=False,
                verify=False,
                timeout=20,
                cookies={STAFF_COOKIE: token},
            )
            stack.callback(client.close)
            return Page(client, principal.csrf)

        yield one
