"""When keeping works: retention once a night, models derived again while schools are closed."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import select

from tests import make
from warning_service.clock import MovableClock, at
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.tables import events, job_runs
from warning_service.judging.consumer import JudgingConsumer
from warning_service.judging.deriving import gone
from warning_service.judging.deriving.removal import Removal
from warning_service.keeping import night, tombstones
from warning_service.keeping.night import JOB, Nights, Remover, is_quiet
from warning_service.rooms import Rooms
from warning_service.roster import service

MONDAY = date(2026, 5, 11)


@pytest.fixture
def nights(rooms: Rooms) -> Nights:
    return Nights(rooms.log, rooms.trail, rooms.settings)


def test_retention_runs_once_a_night(rooms: Rooms, nights: Nights, clock: MovableClock) -> None:
    room = make.places(rooms.database)[0]
    child = make.children(rooms.log, room, 1)[0]
    clock.move_to(at(MONDAY, 23))
    assert nights.look(), "the first time it runs at whatever hour"
    make.append(rooms.log, make.check_in(child, clock, days_ago=1500, mood=1))
    clock.move_to(at(MONDAY + timedelta(days=1), 1, 59))
    assert not nights.look()
    clock.move_to(at(MONDAY + timedelta(days=1), 2))
    assert nights.look()
    make.append(rooms.log, make.check_in(child, clock, days_ago=1500, mood=1))
    assert not nights.look(), "the next night is soon enough"
    clock.move_to(at(MONDAY + timedelta(days=2), 2, 30))
    assert nights.look() and not nights.look()
    with rooms.database.reading() as conn:
        types = set(conn.execute(select(events.c.type)).scalars())
    assert types == {"enrolment_started", "log_shortened"}
    assert (rooms.settings.data_dir / tombstones.FILE).is_file()


def test_where_no_process_runs_at_night_it_runs_by_day(
    nights: Nights, rooms: Rooms, clock: MovableClock
) -> None:
    make.places(rooms.database)
    assert nights.look()
    clock.move_to(at(MONDAY + timedelta(days=1), 9))
    assert not nights.look()
    clock.move_to(at(MONDAY + timedelta(days=2), 9))
    assert nights.look()
    slots = [row.slot for row in make.rows(rooms.database, job_runs) if row.job == JOB]
    assert sorted(slots) == ["2026-05-11", "2026-05-13"]


def test_clocks_that_cannot_be_read_delete_nothing(nights: Nights, rooms: Rooms) -> None:
    rooms.settings.data_dir.mkdir(parents=True, exist_ok=True)
    (rooms.settings.data_dir / "retention.toml").write_text("clocks = 3", "utf-8")
    with pytest.raises(ValueError, match="Input should"):
        nights.look()
    assert make.rows(rooms.database, job_runs) == []


def test_what_is_quiet() -> None:
    hours = [hour for hour in range(24) if is_quiet(at(MONDAY, hour))]
    assert hours == [*range(6), *range(19, 24)]


def refuse(rooms: Rooms) -> Removal:
    room = make.places(rooms.database)[0]
    child = make.children(rooms.log, room, 2)[0]
    service.set_opt_out(rooms.log, board=make.BOARD, student=child, refused=True, actor="x")
    dispatcher = Dispatcher(rooms.log, JudgingConsumer(rooms.log, rooms.playbooks), make.BOARD)
    dispatcher.drain()
    dispatcher.release()
    return Removal(rooms.log, rooms.playbooks, make.BOARD)


def test_a_removal_waits_for_the_evening(rooms: Rooms, clock: MovableClock) -> None:
    removal, remover = refuse(rooms), Remover(rooms.log, rooms.playbooks)
    assert remover.look() == [] and removal.due()  # nine in the morning
    clock.move_to(at(MONDAY, 19))
    assert remover.look() == [make.BOARD] and not removal.due()
    assert remover.look() == []


def test_a_removal_waits_a_day_at_the_longest(rooms: Rooms, clock: MovableClock) -> None:
    removal, remover = refuse(rooms), Remover(rooms.log, rooms.playbooks)
    clock.move_by(timedelta(hours=24))
    assert remover.look() == [make.BOARD] and not removal.due()


def test_a_remover_that_is_told_to_stop_leaves_the_rest_to_the_next(
    rooms: Rooms, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warning_service.judging.deriving.removal.BATCH", 1)
    removal, remover = refuse(rooms), Remover(rooms.log, rooms.playbooks)
    clock.move_to(at(MONDAY, 20))
    remover._stopping.set()
    assert remover.look() == []
    with rooms.database.reading() as conn:
        assert gone.running(conn, make.BOARD) is not None
    assert Remover(rooms.log, rooms.playbooks).look() == [make.BOARD]
    assert not removal.due()


def test_the_thread_goes_on_whatever_it_meets(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch, clock: MovableClock
) -> None:
    from warning_service.clock import monotonic
    from warning_service.database import StorageUnavailable

    removal = refuse(rooms)
    clock.move_to(at(MONDAY, 20))
    troubles: list[Exception] = [StorageUnavailable("busy"), RuntimeError("anything")]
    real = Remover.look

    def look(self: Remover) -> list[str]:
        if troubles:
            raise troubles.pop()
        return real(self)

    monkeypatch.setattr(Remover, "look", look)
    monkeypatch.setattr(night, "LOOK_SECONDS", 0.01)
    remover = Remover(rooms.log, rooms.playbooks)
    remover.start()
    began = monotonic()
    while removal.due() and monotonic() - began < 20:
        pass
    remover.stop()
    assert not removal.due() and not troubles
