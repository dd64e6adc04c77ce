"""A class of children, and the running application, asked over real HTTP on a loopback port."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn
from sqlalchemy import update

from tests import make
from warning_service.app import create_app
from warning_service.clock import monotonic
from warning_service.events.types import new_id
from warning_service.rooms import Rooms
from warning_service.roster import tables as roster

SECRET = "cat-sun-boat"
HTML = {"Accept": "text/html"}


@dataclass
class Town:
    """The rooms, one class of five children, and where the service listens."""

    rooms: Rooms
    children: list[str]
    code: str
    url: str

    def grade(self, grade: int) -> None:
        """Move the class to another grade."""
        with self.rooms.database.writing() as conn:
            conn.execute(update(roster.classes).values(grade=grade))
            conn.execute(update(roster.enrolments).values(grade=grade))

    @contextmanager
    def client(self, seat: int = 0) -> Iterator[httpx.Client]:
        """A tablet; with `seat`, after that child has signed in through the pages."""
        with httpx.Client(base_url=self.url, headers=HTML, verify=False) as made:
            if seat:
                answer = made.post(
                    f"/child/sign-in/{self.code}/{seat}", data={"chosen": "cat-sun", "pick": "boat"}
                )
                assert answer.headers.get("location") == "/child", answer.text
                session = made.get("/child/api/session").json()
                made.headers["X-Kizashi-CSRF"] = session["csrf"]
            yield made


def run(rooms: Rooms) -> tuple[str, Callable[[], None]]:
    """Serve in a thread; the address and what stops it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = uvicorn.Config(create_app(rooms), host="127.0.0.1", port=port, log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    began = monotonic()
    while not server.started:
        assert monotonic() - began < 20
        thread.join(0.02)

    def stop() -> None:
        server.should_exit = True
        thread.join(20)

    return f"http://127.0.0.1:{port}", stop


@pytest.fixture
def town(rooms: Rooms) -> Iterator[Town]:
    (class_id,) = make.places(rooms.database)
    children = make.children(rooms.log, class_id, 5)
    make.seats(rooms.database, rooms.sealer, class_id, children, SECRET)
    url, stop = run(rooms)
    yield Town(rooms, children, class_id.upper(), url)
    stop()


def check_in(rooms: Rooms, **changes: Any) -> dict[str, Any]:
    """A good body; a change to None takes the field out."""
    body = {
        "id": new_id(),
        "questionnaire": "kokoro_daily",
        "version": 1,
        "answers": {"mood": 1, "sleep": None, "body": 0},
        "answered_at": rooms.clock.now().isoformat(),
        **changes,
    }
    return {key: value for key, value in body.items() if value is not ...}


def consultation(rooms: Rooms, **changes: Any) -> dict[str, Any]:
    """A good call for help."""
    body = {
        "id": new_id(),
        "whom": ["nurse"],
        "about": ["friends"],
        "words": "ひるやすみに ひとりです",
        "asked_at": rooms.clock.now().isoformat(),
        **changes,
    }
    return {key: value for key, value in body.items() if value is not ...}
