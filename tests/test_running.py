"""A process at work: it serves boards that were set up after it was started."""

from __future__ import annotations

import threading

from sqlalchemy import select

from tests import make
from warning_service.alerts.tables import alerts
from warning_service.app import Jobs, Running
from warning_service.clock import monotonic
from warning_service.rooms import Rooms


def test_a_board_set_up_while_we_run_is_heard(rooms: Rooms) -> None:
    with Running(rooms, Jobs(work=True), intake=False):
        room = make.places(rooms.database)[0]
        (child,) = make.children(rooms.log, room, 1)
        make.append(rooms.log, make.consultation(child, rooms.clock))
        begin, found = monotonic(), []
        while not found and monotonic() - begin < 20:
            threading.Event().wait(0.1)
            with rooms.database.reading() as conn:
                found = list(conn.execute(select(alerts.c.student, alerts.c.state)))
    assert [tuple(row) for row in found] == [(child, "open")]
