"""A process at work: each job it has is really started, for boards set up later, too."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date

import pytest
from apscheduler.schedulers.background import BackgroundScheduler
from pydantic import SecretStr
from sqlalchemy import select

from tests import make
from warning_service.alerts.tables import alerts
from warning_service.app import Jobs, Running, build
from warning_service.clock import MovableClock, at, monotonic
from warning_service.follow_up.tables import digests
from warning_service.rooms import Rooms
from warning_service.schedule import Scheduler
from warning_service.settings import Settings


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


def names_of_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def soon(found: Callable[[], object]) -> bool:
    """Does it come to be within some seconds?"""
    begin = monotonic()
    while not found() and monotonic() - begin < 20:
        threading.Event().wait(0.1)
    return bool(found())


def test_the_schedule_looks_for_gaps_makes_digests_and_is_watched(
    rooms: Rooms, clock: MovableClock
) -> None:
    room = make.places(rooms.database)[0]
    make.children(rooms.log, room, 1)  # a class without a homeroom teacher, and nobody else either
    make.staff(rooms.database, "nurse", ("nurse", make.SCHOOL))
    clock.move_to(at(date(2026, 5, 12), 6, 30))
    with Running(rooms, Jobs(schedule=True), intake=False):
        assert "watchman" in names_of_threads()
        assert soon(lambda: [row for row in make.rows(rooms.database, alerts)
                             if (row.kind, row.source) == ("duty_gap", "no_teacher")])  # fmt: skip
        assert make.rows(rooms.database, digests) == []
        clock.move_to(at(date(2026, 5, 12), 7, 31))
        assert soon(lambda: make.rows(rooms.database, digests))
    assert [row.staff for row in make.rows(rooms.database, digests)] == ["staff-nurse"]
    assert "watchman" not in names_of_threads()


def test_no_job_of_the_schedule_is_dropped_on_a_busy_machine(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = BackgroundScheduler.start
    monkeypatch.setattr(BackgroundScheduler, "start", lambda self: real(self, paused=True))
    scheduler = Scheduler(rooms)
    scheduler.start()
    jobs = {job.id: job for job in scheduler._scheduler.get_jobs()}
    scheduler.stop()
    assert jobs.keys() == {
        "due_slots", "odd_looking", "notices", "duty_gaps", "keeping", "at_start", "gaps_at_start",
    }  # fmt: skip
    assert {job.misfire_grace_time for job in jobs.values()} == {None}


def test_a_process_that_works_escalates_watches_and_listens_to_slack(
    settings: Settings, clock: MovableClock
) -> None:
    connected = settings.model_copy(
        update={
            "slack_api_url": "http://127.0.0.1:9/api/",
            "slack_bot_token": SecretStr("xoxb-1"),
            "slack_app_token": SecretStr("xapp-1"),
        }
    )
    rooms = build(connected, clock)
    ours = {"escalator", "watchman", "slack:socket", "readers"}
    with Running(rooms, Jobs(work=True), intake=False):
        assert ours <= names_of_threads()
    assert not ours & names_of_threads()
    rooms.database.close()
