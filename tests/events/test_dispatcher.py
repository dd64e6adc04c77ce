"""The dispatcher: exactly once in effect, one owner at a time, fenced."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import Connection, select, update

from tests.make import BOARD, append
from warning_service.clock import Clock, MovableClock
from warning_service.database import insert_new
from warning_service.events.dispatcher import LEASE, Dispatcher, Effects, LostOwnership
from warning_service.events.log import Log, UnitOfWork
from warning_service.events.tables import consumers, facts
from warning_service.events.types import DayClosed, Event, NewEvent, new_id


class Counting:
    """Counts events in memory and in one row; can be made to die before or after its effects."""

    name = "counting"

    def __init__(self) -> None:
        self.count = 0
        self.die = ""
        self.batches: list[int] = []

    def load(self, conn: Connection, board: str) -> None:
        row = conn.execute(select(facts).where(facts.c.name == f"count:{board}")).one_or_none()
        self.count = 0 if row is None else int(row.value)

    def work(self, events: list[Event]) -> Effects:
        self.count += len(events)
        self.batches.append(len(events))
        if self.die == "work":
            raise RuntimeError("killed while working")
        count = self.count

        def effects(unit: UnitOfWork) -> None:
            unit.conn.execute(insert_new(unit.conn, facts).values(name=f"count:{BOARD}", value="0"))
            unit.conn.execute(
                update(facts).where(facts.c.name == f"count:{BOARD}").values(value=str(count))
            )
            if self.die == "effects":
                raise RuntimeError("killed before the commit")

        return effects


def days(log: Log, count: int) -> None:
    append(
        log,
        *(
            NewEvent(id=new_id(), board=BOARD, student=None, on=date(2026, 5, 1), actor="t",
                     body=DayClosed())
            for _ in range(count)
        ),
    )  # fmt: skip


def stored(log: Log) -> int:
    with log.database.reading() as conn:
        row = conn.execute(select(facts).where(facts.c.name == f"count:{BOARD}")).one_or_none()
    return 0 if row is None else int(row.value)


@pytest.mark.parametrize("where", ["work", "effects"])
def test_a_death_at_any_point_counts_every_event_once(log: Log, where: str) -> None:
    days(log, 25)
    consumer = Counting()
    dispatcher = Dispatcher(log, consumer, BOARD, batch=10)
    assert dispatcher.run_once() == 10
    consumer.die = where
    with pytest.raises(RuntimeError):
        dispatcher.run_once()
    assert stored(log) == 10
    consumer.die = ""
    assert dispatcher.drain() == 15
    assert stored(log) == consumer.count == 25


def test_a_new_process_goes_on_where_the_old_one_committed(log: Log) -> None:
    days(log, 12)
    first = Dispatcher(log, Counting(), BOARD, batch=5)
    first.run_once()
    first.release()
    second = Dispatcher(log, Counting(), BOARD)
    assert second.drain() == 7
    assert stored(log) == 12


def test_only_the_owner_handles_events(log: Log) -> None:
    days(log, 3)
    owner, other = Dispatcher(log, Counting(), BOARD), Dispatcher(log, Counting(), BOARD)
    assert owner.drain() == 3
    days(log, 2)
    assert other.drain() == 0
    assert owner.drain() == 2


def test_who_slept_through_the_lease_cannot_write_over_the_successor(log: Log) -> None:
    days(log, 4)
    wall = MovableClock(Clock().now())
    sleeper = Dispatcher(log, Counting(), BOARD, batch=2, wall=wall)
    assert sleeper.run_once() == 2
    wall.move_by(LEASE + timedelta(seconds=1))
    successor = Dispatcher(log, Counting(), BOARD, wall=wall)
    assert successor.drain() == 2
    days(log, 1)
    with pytest.raises(LostOwnership):
        sleeper.run_once()
    assert successor.drain() == 1
    assert stored(log) == 5


def test_boards_do_not_see_each_other(log: Log) -> None:
    days(log, 2)
    append(
        log,
        NewEvent(id=new_id(), board="elsewhere", student=None, on=date(2026, 5, 1), actor="t",
                 body=DayClosed()),
    )  # fmt: skip
    assert Dispatcher(log, Counting(), "elsewhere").drain() == 1
    with log.database.reading() as conn:
        assert {row.board for row in conn.execute(select(consumers))} == {"elsewhere"}
