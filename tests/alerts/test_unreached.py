"""An alert no channel could deliver goes to the next step before its deadline."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select, update

from tests.alerts.town import BOARD, Town, principal
from warning_service.alerts import rebuild
from warning_service.alerts.tables import alerts, deliveries
from warning_service.alerts.unreached import AFTER, escalate_unreached
from warning_service.clock import Clock, MovableClock


def later() -> MovableClock:
    return MovableClock(Clock().now() + AFTER + timedelta(seconds=1))


def move(town: Town, wall: Clock | None = None) -> int:
    return escalate_unreached(town.log, town.playbooks, wall or later())


def one(town: Town) -> Any:
    with town.log.database.reading() as conn:
        return conn.execute(select(alerts)).one()


def became(town: Town, *where: Any, **values: Any) -> None:
    with town.log.database.writing() as conn:
        conn.execute(update(deliveries).where(*where).values(**values))


def test_what_stays_unsent_goes_up_long_before_its_deadline(town: Town) -> None:
    town.asks("kid1", ["nurse"])
    town.work()
    assert move(town, Clock()) == 0  # it may still get through
    before = one(town)
    assert move(town) == 1
    after = one(town)
    assert (before.step, after.step) == (0, 1)
    assert set(after.duties.split(",")) > set(before.duties.split(","))
    with town.log.database.reading() as conn:
        purposes = set(conn.execute(select(deliveries.c.purpose)).scalars())
    assert purposes == {"raised", "escalated"}
    assert rebuild.differences(town.log, BOARD) == []


def test_one_message_that_arrived_is_enough_to_wait_for_the_deadline(town: Town) -> None:
    town.asks("kid1")
    town.work()
    became(town, deliveries.c.address == "C-nurse1", state="sent")
    became(town, deliveries.c.address == "C-c11", state="failed")
    assert move(town) == 0


def test_what_somebody_has_or_has_seen_in_the_portal_stays_with_them(town: Town) -> None:
    town.asks("kid1", ["nurse"])
    town.work()
    with town.log.database.writing() as conn:
        conn.execute(update(alerts).values(delivered_at=Clock().now(), delivered_via="portal"))
    assert move(town) == 0
    with town.log.database.writing() as conn:
        conn.execute(update(alerts).values(delivered_at=None))
    assert town.alerts.acknowledge(one(town).id, principal("nurse1"), "portal")
    assert move(town) == 0


def test_it_ends_at_the_end_of_the_chain_where_the_deadline_goes_on(town: Town) -> None:
    town.asks("kid1", ["nurse"])
    town.work()
    chain = town.playbooks.for_help(BOARD).chain("consultation", "urgent")
    moved, wall = 0, Clock().now()
    for _ in range(10):
        wall += AFTER + timedelta(minutes=1)
        became(town, created_at=wall - AFTER - timedelta(seconds=5))
        moved += move(town, MovableClock(wall))
    assert moved == len(chain) - 1
    assert one(town).state == "open"
    assert one(town).due_at is not None


def test_what_is_due_today_waits_until_its_messages_were_given_up(town: Town) -> None:
    for days_ago in (2, 1, 0):
        town.answers("kid1", days_ago=days_ago, mood=3)
    town.work()
    assert one(town).urgency == "today"
    assert move(town) == 0
    became(town, state="failed")
    assert move(town) == 1
