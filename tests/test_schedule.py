"""The schedule: each slot once, missed ones caught up in order, one leader."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests import make
from warning_service.app import Rooms
from warning_service.clock import MovableClock, at
from warning_service.events.log import read
from warning_service.events.types import DayClosed, Event, ListDue
from warning_service.roster.tables import closed_days
from warning_service.schedule import Leader, Schedule


def happened(rooms: Rooms) -> list[Event]:
    with rooms.database.reading() as conn:
        events = read(conn, make.BOARD, 0, 10_000)
    return [e for e in events if isinstance(e.body, DayClosed | ListDue)]


@pytest.fixture
def town(rooms: Rooms) -> Rooms:
    room = make.places(rooms.database)[0]
    make.children(rooms.log, room, 3, since=date(2026, 4, 8))
    return rooms


def test_days_are_closed_from_the_first_enrolment_to_yesterday(town: Rooms) -> None:
    Schedule(town).run_due()
    closed = [e.on for e in happened(town) if isinstance(e.body, DayClosed)]
    assert closed[0] == date(2026, 4, 8)
    assert closed[-1] == town.clock.today() - timedelta(days=1)
    assert closed == sorted(set(closed))


def test_a_list_is_due_on_the_first_school_day_at_the_hour(
    town: Rooms, clock: MovableClock
) -> None:
    schedule = Schedule(town)
    schedule.run_due()
    clock.move_to(at(date(2026, 6, 1), 6, 59))  # 1 June 2026 is a Monday
    schedule.run_due()
    assert [e.on for e in happened(town) if isinstance(e.body, ListDue)] == [date(2026, 5, 1)]
    clock.move_to(at(date(2026, 6, 1), 7, 0))
    schedule.run_due()
    due = [e for e in happened(town) if isinstance(e.body, ListDue)]
    assert [(e.on, e.body.school) for e in due] == [
        (date(2026, 5, 1), make.SCHOOL), (date(2026, 6, 1), make.SCHOOL),
    ]  # fmt: skip


def test_holidays_and_closed_days_move_the_list(town: Rooms, clock: MovableClock) -> None:
    with town.database.writing() as conn:
        conn.execute(
            closed_days.insert().values(
                board=make.BOARD, school=make.SCHOOL, day=date(2026, 6, 1), why="開校記念日"
            )
        )
    clock.move_to(at(date(2026, 6, 2), 8))
    Schedule(town).run_due()
    assert [e.on for e in happened(town) if isinstance(e.body, ListDue)][-1] == date(2026, 6, 2)


def test_missed_slots_are_caught_up_in_their_order(town: Rooms, clock: MovableClock) -> None:
    Schedule(town).run_due()
    clock.move_to(at(date(2026, 7, 3), 12))
    Schedule(town).run_due()
    order = [(e.on, type(e.body).__name__) for e in happened(town)]
    june = order.index((date(2026, 6, 1), "ListDue"))
    assert order[june - 1] == (date(2026, 5, 31), "DayClosed")
    assert order[june + 1] == (date(2026, 6, 1), "DayClosed")
    assert order[-2:] == [(date(2026, 7, 1), "DayClosed"), (date(2026, 7, 2), "DayClosed")]


def test_two_that_run_at_once_do_nothing_twice(town: Rooms) -> None:
    threads = [threading.Thread(target=Schedule(town).run_due) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = Schedule(town).run_due()
    days = [e.on for e in happened(town) if isinstance(e.body, DayClosed)]
    assert again == 0
    assert len(days) == len(set(days))


def test_one_leads_and_the_next_follows(town: Rooms, tmp_path: Path) -> None:
    first, second = Leader(town.database), Leader(town.database)
    assert first.leads()
    assert first.leads()
    assert not second.leads()
    first.resign()
    assert second.leads()
    second.resign()


def test_jobs_that_begin_side_by_side_do_not_shut_each_other_out(town: Rooms) -> None:
    for _ in range(10):
        leader, together = Leader(town.database), threading.Barrier(4)

        def ask(leader: Leader = leader, together: threading.Barrier = together) -> bool:
            together.wait()
            return leader.leads()

        with ThreadPoolExecutor(4) as pool:
            answers = [one.result() for one in [pool.submit(ask) for _ in range(4)]]
        leader.resign()
        assert answers == [True] * 4
