"""Taking alerts on: scope, two hands at once, and what is written when."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from tests import make
from tests.alerts.town import BOARD, Town, principal
from warning_service.access.gateway import NotYours
from warning_service.access.tables import audit
from warning_service.access.trail.audit import Trail
from warning_service.alerts import rebuild
from warning_service.alerts.tables import alerts, deliveries
from warning_service.clock import MovableClock
from warning_service.database import StorageUnavailable
from warning_service.events.log import of_student
from warning_service.events.types import tag_of


def types_of(town: Town, student: str = "kid1") -> list[str]:
    with town.log.database.reading() as conn:
        return [tag_of(event.body) for event in of_student(conn, student)]


def updates(town: Town) -> list[str]:
    with town.log.database.reading() as conn:
        rows = conn.execute(
            select(deliveries.c.address)
            .where(deliveries.c.purpose == "update")
            .order_by(deliveries.c.address)
        )
        return list(rows.scalars())


@pytest.fixture
def alert(town: Town) -> str:
    town.asks("kid1")
    town.work()
    [view] = town.alerts.of_student("kid1")
    return view.id


def test_each_sees_what_their_duty_covers(town: Town, alert: str) -> None:
    town.asks("kid4")
    town.work()
    for staff in ("hr11", "nurse1"):
        assert [view.id for view in town.alerts.inbox(principal(staff))] == [alert]
        assert town.alerts.one(principal(staff), alert).student == "kid1"
    for staff in ("head1", "hr12", "nurse2", "board1"):  # head1 covers the child; it was not told
        assert alert not in [view.id for view in town.alerts.inbox(principal(staff))]
        with pytest.raises(NotYours):
            town.alerts.one(principal(staff), alert)
    with pytest.raises(NotYours):
        town.alerts.one(principal("nurse1"), "no-such-alert")


def test_the_same_class_id_of_another_board_is_not_ours(town: Town, alert: str) -> None:
    with town.log.database.writing() as conn:
        conn.execute(update(alerts).values(board="b2"))
    assert town.alerts.inbox(principal("hr11")) == []
    with pytest.raises(NotYours):
        town.alerts.one(principal("hr11"), alert)


def test_newest_first_and_labels_from_the_playbook(
    town: Town, alert: str, clock: MovableClock
) -> None:
    from datetime import timedelta

    clock.move_by(timedelta(minutes=1))
    town.answers("kid2", vanish=1)
    town.work()
    first, second = town.alerts.inbox(principal("nurse1"))
    assert (first.rule, first.rule_label_en) == (
        "wants_to_vanish",
        "An answer that may concern life and death",
    )
    assert (second.id, second.rule_label_en) == (alert, "A child asks to talk")


def test_acknowledged_once_with_its_event_and_every_message_owed_a_change(
    town: Town, alert: str
) -> None:
    assert town.alerts.acknowledge(alert, principal("hr11"), "portal") is True
    assert town.alerts.acknowledge(alert, principal("nurse1"), "slack") is False
    view = town.alerts.one(principal("nurse1"), alert)
    assert (view.state, view.acknowledged_by, view.acknowledged_via) == (
        "acknowledged",
        "hr11",
        "portal",
    )
    assert types_of(town)[-1] == "alert_acknowledged"
    assert types_of(town).count("alert_acknowledged") == 1
    assert updates(town) == ["C-c11", "C-nurse1"]
    assert town.alerts.acknowledge("no-such-alert", principal("hr11"), "portal") is False


def test_two_hands_at_once_one_wins(town: Town) -> None:
    for _ in range(10):
        town.asks("kid1")
    town.work()
    for view in town.alerts.of_student("kid1"):
        won: list[bool] = []
        gate = threading.Barrier(2)

        def reach(
            staff: str,
            alert_id: str = view.id,
            gate: threading.Barrier = gate,
            won: list[bool] = won,
        ) -> None:
            gate.wait()
            won.append(town.alerts.acknowledge(alert_id, principal(staff), "portal"))

        hands = [threading.Thread(target=reach, args=(name,)) for name in ("hr11", "nurse1")]
        for hand in hands:
            hand.start()
        for hand in hands:
            hand.join()
        assert sorted(won) == [False, True]
    assert types_of(town).count("alert_acknowledged") == 10
    assert rebuild.differences(town.log, BOARD) == []


@pytest.mark.parametrize("taken_on_first", [True, False])
def test_a_follow_up_closes_the_alert(town: Town, alert: str, taken_on_first: bool) -> None:
    if taken_on_first:
        town.alerts.acknowledge(alert, principal("nurse1"), "slack")
    with town.log.unit_of_work() as unit:
        assert town.alerts.handle(unit, alert, "f1", "hr11") is True
    with town.log.unit_of_work() as unit:
        assert town.alerts.handle(unit, alert, "f2", "hr11") is False
    assert types_of(town)[-2:] == ["alert_acknowledged", "alert_handled"]
    view = town.alerts.one(principal("hr11"), alert)
    assert (view.state, view.handled_by) == ("handled", "hr11")
    assert view.acknowledged_by == ("nurse1" if taken_on_first else "hr11")
    assert town.alerts.inbox(principal("hr11")) == []
    assert len(town.alerts.inbox(principal("hr11"), include_done=True)) == 1


def test_a_caller_that_fails_takes_everything_back(town: Town, alert: str) -> None:
    with pytest.raises(RuntimeError), town.log.unit_of_work() as unit:
        town.alerts.handle(unit, alert, "f1", "hr11")
        raise RuntimeError
    assert town.alerts.one(principal("hr11"), alert).state == "open"
    assert updates(town) == []
    assert types_of(town)[-1] == "alert_raised"


@pytest.fixture
def spoiled(town: Town, alert: str) -> Callable[..., None]:
    def spoil(**values: object) -> None:
        with town.log.database.writing() as conn:
            conn.execute(update(alerts).where(alerts.c.id == alert).values(**values))

    return spoil


def test_rebuild_finds_and_mends_what_differs(
    town: Town, alert: str, spoiled: Callable[..., None]
) -> None:
    town.alerts.acknowledge(alert, principal("hr11"), "portal")
    assert rebuild.differences(town.log, BOARD) == []
    spoiled(state="open", acknowledged_by="")
    assert rebuild.differences(town.log, BOARD) == [f"alert {alert}: state, acknowledged_by"]
    assert rebuild.replace(town.log, BOARD) == 1
    assert rebuild.differences(town.log, BOARD) == []
    spoiled(id="stray")
    assert rebuild.differences(town.log, BOARD) == [
        f"alert {alert}: in the log, not stored",
        "alert stray: stored, not in the log",
    ]


def test_one_that_cannot_be_recorded_is_not_taken_on(
    town: Town, alert: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alert stays open and goes on to the next; whoever tapped is told that it failed."""

    def broken(*_: object) -> None:
        raise StorageUnavailable("the trail")

    with monkeypatch.context() as patch:
        patch.setattr(Trail, "write", broken)
        with pytest.raises(StorageUnavailable):
            town.alerts.acknowledge(alert, principal("hr11"), "portal")
    assert town.alerts.one(principal("hr11"), alert).state == "open"
    assert "alert_acknowledged" not in types_of(town)
    assert town.alerts.acknowledge(alert, principal("hr11"), "portal")
    [line] = make.rows(town.log.database, audit)
    assert (line.actor, line.action, line.subject, line.detail) == (
        "hr11",
        "take_on",
        "kid1",
        alert,
    )
