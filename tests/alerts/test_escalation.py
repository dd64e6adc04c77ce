"""Deadlines through nights and holidays, and the chain walked with a clock that is moved."""

from __future__ import annotations

import threading
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import delete, insert, select

from tests import make
from tests.alerts.town import BOARD, Town, principal
from warning_service.alerts import rebuild
from warning_service.alerts.deadlines import due_after, retold_at
from warning_service.alerts.due import AT_ONCE
from warning_service.alerts.service import AlertView
from warning_service.alerts.tables import alerts, deliveries, routes
from warning_service.clock import MovableClock, at
from warning_service.events.tables import events
from warning_service.playbooks.kinds import Escalation, Step
from warning_service.roster import tables as t
from warning_service.roster.calendar import SchoolCalendar

HOURS = Escalation(
    urgent=(Step(duties=("nurse",), minutes=10),),
    today=(Step(duties=("nurse",), minutes=120),),
    school_opens=8,
    school_closes=17,
)
EVERY_DAY = SchoolCalendar(None, BOARD)


def may(day: int, hour: int, minute: int = 0) -> datetime:
    return at(date(2026, 5, day), hour, minute)


@pytest.mark.parametrize(
    ("start", "minutes", "expected"),
    [
        (may(11, 9), 120, may(11, 11)),
        (may(11, 5), 120, may(11, 10)),  # before school
        (may(11, 16), 120, may(12, 9)),  # over night
        (may(11, 15), 120, may(11, 17)),  # to the last minute
        (may(15, 16), 120, may(18, 9)),  # over the weekend
        (may(16, 12), 60, may(18, 9)),  # raised on a Saturday
        (at(date(2026, 5, 1), 16, 30), 60, may(7, 8, 30)),  # Golden Week: 7 May is a Thursday
        (may(11, 9), 9 * 60 * 2 + 30, may(13, 9, 30)),  # more than two school days
    ],
)
def test_minutes_of_open_school(start: datetime, minutes: int, expected: datetime) -> None:
    due = due_after(
        start, minutes, urgency="today", escalation=HOURS, calendar=EVERY_DAY, school="s1"
    )
    assert due == expected


def test_urgent_minutes_are_minutes() -> None:
    start = may(16, 3)  # a Saturday night
    due = due_after(start, 10, urgency="urgent", escalation=HOURS, calendar=EVERY_DAY, school="s1")
    assert due == start + timedelta(minutes=10)


def test_a_school_that_never_opens_does_not_hold_the_alert_for_ever() -> None:
    shut = HOURS.model_copy(update={"school_opens": 12, "school_closes": 12})
    due = due_after(
        may(11, 9), 120, urgency="today", escalation=shut, calendar=EVERY_DAY, school="s1"
    )
    assert due == may(11, 11)


def test_told_again_when_school_next_opens() -> None:
    again = retold_at(
        may(15, 12), urgency="today", escalation=HOURS, calendar=EVERY_DAY, school="s1"
    )
    assert again == may(18, 8)


def only(town: Town) -> AlertView:
    [view] = town.alerts.of_student("kid1")
    return view


def told(town: Town) -> list[str]:
    with town.log.database.reading() as conn:
        rows = conn.execute(
            select(deliveries.c.address, deliveries.c.purpose)
            .where(deliveries.c.purpose == "escalated")
            .order_by(deliveries.c.address)
        )
        return [row.address for row in rows]


def test_an_unanswered_consultation_walks_up_the_chain_and_is_told_every_day(
    town: Town, clock: MovableClock
) -> None:
    clock.move_to(may(15, 18))  # Friday evening: urgent ones know no quiet hours
    town.asks("kid1")
    town.work()
    assert town.alerts.escalate_due() == 0
    clock.move_by(timedelta(minutes=10))
    assert town.alerts.escalate_due() == 1
    assert town.alerts.escalate_due() == 0
    view = only(town)
    assert (view.step, view.duties, view.unanswered) == (
        1,
        ("homeroom", "nurse", "management"),
        False,
    )
    assert told(town) == ["C-head1"]
    clock.move_by(timedelta(minutes=15))
    assert town.alerts.escalate_due() == 1
    assert told(town) == ["C-board", "C-head1"]
    clock.move_by(timedelta(minutes=30))
    for day in range(1, 4):
        assert town.alerts.escalate_due() == 1
        view = only(town)
        assert (view.step, view.unanswered) == (3, True)
        assert view.due_at == clock.now() + timedelta(days=1)
        assert told(town) == ["C-board"] * (day + 1) + ["C-head1"]
        clock.move_by(timedelta(days=1))
    assert town.alerts.acknowledge(view.id, principal("head1"), "portal")
    assert town.alerts.escalate_due() == 0
    assert rebuild.differences(town.log, BOARD) == []
    town.work()  # its own events are read and change nothing
    assert only(town).state == "acknowledged"


def test_what_is_due_today_waits_for_school_and_its_own_closed_days(
    town: Town, clock: MovableClock
) -> None:
    with town.log.database.writing() as conn:
        conn.execute(
            insert(t.closed_days).values(board=BOARD, school="s1", day=date(2026, 5, 18), why="x")
        )
    clock.move_to(may(15, 16))
    for days_ago in (2, 1, 0):
        town.answers("kid1", days_ago=days_ago, mood=3)
    town.work()
    assert only(town).due_at == may(19, 9)
    for moment in (may(16, 12), may(18, 23), may(19, 8, 59)):
        clock.move_to(moment)
        assert town.alerts.escalate_due() == 0
    clock.move_to(may(19, 9))
    assert town.alerts.escalate_due() == 1
    assert only(town).due_at == may(19, 13)


def test_a_long_sleep_moves_one_step_and_not_through_the_whole_chain(
    town: Town, clock: MovableClock
) -> None:
    town.asks("kid1")
    town.work()
    clock.move_by(timedelta(days=30))
    assert town.alerts.escalate_due() == 1
    assert town.alerts.escalate_due() == 0
    assert only(town).step == 1


def test_many_that_look_at_once_tell_once(town: Town, clock: MovableClock) -> None:
    for _ in range(20):
        town.asks("kid1")
    town.work()
    clock.move_by(timedelta(minutes=10))
    moved: list[int] = []
    gate = threading.Barrier(4)

    def look() -> None:
        gate.wait()
        moved.append(town.alerts.escalate_due())

    lookers = [threading.Thread(target=look) for _ in range(4)]
    for looker in lookers:
        looker.start()
    for looker in lookers:
        looker.join()
    assert sum(moved) == 20
    with town.log.database.reading() as conn:
        found = conn.execute(select(events.c.id).where(events.c.type == "alert_escalated")).all()
    assert len(found) == 20
    assert told(town) == ["C-head1"] * 20
    assert rebuild.differences(town.log, BOARD) == []


def test_acknowledged_while_escalating_stays_acknowledged(
    town: Town, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.asks("kid1")
    town.work()
    clock.move_by(timedelta(minutes=10))
    alert = only(town).id
    from warning_service.alerts import escalation

    original = escalation.Telling

    def meanwhile(*args: object, **values: object) -> object:
        assert town.alerts.acknowledge(alert, principal("hr11"), "portal")
        return original(*args, **values)  # type: ignore[arg-type]

    monkeypatch.setattr(escalation, "Telling", meanwhile)
    assert town.alerts.escalate_due() == 0
    assert only(town).state == "acknowledged"
    assert told(town) == []


def test_with_nobody_anywhere_it_is_raised_shown_and_never_lost(
    town: Town, clock: MovableClock
) -> None:
    with town.log.database.writing() as conn:
        conn.execute(delete(routes))
        conn.execute(delete(t.duties))
    town.asks("kid1")
    town.work()
    assert only(town).step == 2
    clock.move_by(timedelta(minutes=30))
    assert town.alerts.escalate_due() == 1
    assert only(town).unanswered
    assert [view.id for view in town.alerts.inbox(principal("nurse1"))] == [only(town).id]


def test_a_board_whose_playbook_is_broken_does_not_hold_up_another(
    town: Town, clock: MovableClock
) -> None:
    town.asks("kid1")
    town.work()
    row = dict(make.rows(town.log.database, alerts)[0]._mapping)
    with town.log.database.writing() as conn:  # the broken board's alerts are the older ones
        lost = [
            row | {"id": f"lost-{n}", "board": "lost", "due_at": row["raised_at"]}
            for n in range(AT_ONCE + 1)
        ]
        conn.execute(insert(alerts), lost)
    clock.move_by(timedelta(minutes=10))
    assert town.alerts.escalate_due() == 1
    assert told(town) == ["C-head1"]
