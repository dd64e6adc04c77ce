"""Nothing about one alert keeps another from being told; nobody there is no reason for silence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from tests.alerts.town import BOARD, STAFF, Town, principal
from warning_service.alerts import escalation, rebuild, waking
from warning_service.alerts.tables import alerts, deliveries, routes
from warning_service.alerts.telling import Place
from warning_service.alerts.unreached import escalate_unreached
from warning_service.alerts.who_is_told import WhoIsTold
from warning_service.clock import Clock, MovableClock
from warning_service.events.types import AlertDelivered, FollowUpRecorded, NewEvent, new_id
from warning_service.roster import tables as t

TUESDAY_LATE = datetime(2026, 5, 12, 7, 55, tzinfo=UTC)


def rows(town: Town) -> dict[str, Any]:
    with town.log.database.reading() as conn:
        return {row.id: row for row in conn.execute(select(alerts))}


def addresses(town: Town) -> set[str]:
    with town.log.database.reading() as conn:
        return set(conn.execute(select(deliveries.c.address)).scalars())


def own_chain(folder: Path) -> None:
    """A board's own playbook in which two steps, told on one day, have one deadline."""
    shipped = files("warning_service.playbooks") / "shipped" / "nishinomiya.toml"
    text = shipped.read_text(encoding="utf-8")
    for minutes in ("minutes = 120", "minutes = 240"):
        assert text.count(minutes) == 1
        text = text.replace(minutes, "school_days = 1")
    (folder / "nishinomiya.toml").write_text(text, encoding="utf-8")


def test_two_steps_with_one_deadline_are_two_steps(
    town: Town, tmp_path: Path, clock: MovableClock
) -> None:
    own_chain(tmp_path)
    with town.log.database.writing() as conn:  # one room is told of both steps
        conn.execute(update(routes).where(routes.c.place == "s1").values(address="C-s1"))
    for days_ago in (2, 1, 0):
        town.answers("kid1", days_ago=days_ago, mood=3)
    town.work()
    with town.log.database.writing() as conn:
        conn.execute(update(deliveries).values(state="failed"))
    before = next(iter(rows(town).values())).due_at
    assert escalate_unreached(town.log, town.playbooks, Clock()) == 1
    assert next(iter(rows(town).values())).due_at == before

    clock.move_to(TUESDAY_LATE)
    town.asks("kid3", ["nurse"])
    town.work()
    clock.move_to(TUESDAY_LATE + timedelta(hours=1))
    assert town.alerts.escalate_due() == 2
    assert {row.kind: row.step for row in rows(town).values()} == {"consultation": 1, "same_day": 2}
    assert rebuild.differences(town.log, BOARD) == []


@pytest.mark.parametrize("taken", [False, True])
def test_an_alert_that_cannot_be_moved_holds_up_no_other(
    town: Town, clock: MovableClock, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    sources = [town.asks(kid, ["nurse"]) for kid in ("kid1", "kid2", "kid3")]
    town.work()
    if taken:
        for alert in rows(town):
            assert town.alerts.acknowledge(alert, principal("nurse1"), "portal")
    found = {row.source: row.id for row in rows(town).values()}
    bad, move = found[sources[1]], escalation.states.move

    def breaks(conn: Any, row: Any, actor: str, body: Any) -> bool:
        if row.id == bad:
            raise ValueError("this one")
        return move(conn, row, actor, body)

    monkeypatch.setattr(escalation.states, "move", breaks)
    clock.move_to(clock.now() + timedelta(days=2))
    assert town.alerts.escalate_due() == 2
    assert {one for one, row in rows(town).items() if row.step == 0} == {bad}


def test_when_nobody_at_all_is_there_everybody_is_told(town: Town, clock: MovableClock) -> None:
    """As on a Saturday at a school that has entered everybody's working days."""
    mine = ("nurse1", "hr11", "head1", "board1")
    with town.log.database.writing() as conn:
        conn.execute(delete(routes))
        for key in STAFF:
            conn.execute(
                insert(routes).values(
                    board=BOARD, place=key, duty="person", channel="web_push", address=key
                )
            )
            for weekday in (0, 2, 3, 4):
                conn.execute(
                    insert(t.working_days).values(
                        staff=key, weekday=weekday, part="day", board=BOARD
                    )
                )
    clock.move_to(clock.now() + timedelta(days=1))
    town.asks("kid1", ["nurse"])
    town.work()
    assert addresses(town) == {"nurse1", "head1", "board1"}
    alert = next(iter(rows(town)))
    assert town.alerts.one(principal("nurse1"), alert).id == alert
    told = WhoIsTold(town.log, town.playbooks).of_class(
        BOARD, Place("s1", "c11"), kind="consultation", at=clock.now(), duties=("nurse",)
    )
    [step] = [step for step in told if step.at is not None and not step.again]
    assert {duty.duty for duty in step.duties} >= {"board", "nurse", "management"}
    assert not any(duty.beside for duty in step.duties)  # none of them is the one on duty
    assert rebuild.differences(town.log, BOARD) == []
    clock.move_to(clock.now() + timedelta(hours=2))
    assert town.alerts.escalate_due() == 1  # and again at the chain's end
    assert addresses(town) < set(mine)
    # One who is there is enough for the others to be left alone.
    clock.move_to(clock.now() + timedelta(days=1))
    town.asks("kid4", ["nurse"])
    town.work()
    assert addresses(town) - set(mine) == {"nurse2"}


def test_an_old_call_does_not_drop_off_the_list_behind_newer_alerts(town: Town) -> None:
    town.asks("kid1", ["nurse"])
    town.work()
    [old] = rows(town).values()
    newer = [
        {
            **old._mapping, "id": f"newer{number}", "kind": "same_day", "urgency": "today",
            "state": "acknowledged", "acknowledged_by": "hr11",
            "raised_at": old.raised_at + timedelta(minutes=number + 1),
        }
        for number in range(8)
    ]  # fmt: skip
    with town.log.database.writing() as conn:
        conn.execute(insert(alerts), newer)
    found = town.alerts.inbox(principal("nurse1"), limit=5)
    assert [alert.id for alert in found] == ["newer7", "newer6", "newer5", "newer4", old.id]


def records(town: Town, alert: str) -> None:
    """The nurse writes down, from this alert, what was done."""
    record = new_id()
    body = FollowUpRecorded(
        follow_up_id=record, action="talked", change="same", list_id=None, alert_id=alert,
        sealed=None,
    )  # fmt: skip
    with town.log.unit_of_work() as unit:
        unit.append(
            NewEvent(
                id=record, board=BOARD, student="kid1", on=town.log.clock.today(),
                actor="nurse1", body=body,
            )
        )  # fmt: skip
        assert town.alerts.handle(unit, alert, record, "nurse1")


@pytest.mark.parametrize("about_help", [False, True])
def test_what_was_done_about_something_else_answers_no_call_for_help(
    town: Town, clock: MovableClock, about_help: bool
) -> None:
    call = town.asks("kid1", ["nurse"])
    if about_help:
        town.asks("kid1", ["nurse"])  # the same child calls twice: one talk is an answer to both
    else:
        for days_ago in (2, 1, 0):
            town.answers("kid1", days_ago=days_ago, mood=3)
    town.work()
    found = {row.source: row.id for row in rows(town).values()}
    mine = found.pop(call)
    [other] = found.values()
    for alert in (mine, other):
        assert town.alerts.acknowledge(alert, principal("nurse1"), "portal")
    clock.move_to(clock.now() + timedelta(hours=1))
    records(town, other)
    clock.move_to(clock.now() + timedelta(days=1))
    town.alerts.escalate_due()
    assert rows(town)[mine].state == ("handled" if about_help else "open")
    assert rows(town)[other].state == "handled"
    assert rebuild.differences(town.log, BOARD) == []


def test_a_note_of_what_arrived_holds_up_nobody(
    town: Town, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.asks("kid1", ["nurse"])
    town.work()
    with town.log.database.writing() as conn:
        conn.execute(update(deliveries).values(state="sent", sent_at=Clock().now()))
    move = waking.states.move

    def breaks(conn: Any, row: Any, actor: str, body: Any) -> bool:
        if isinstance(body, AlertDelivered):
            raise ValueError("this note")
        return move(conn, row, actor, body)

    monkeypatch.setattr(waking.states, "move", breaks)
    clock.move_to(clock.now() + timedelta(hours=1))
    assert town.alerts.escalate_due() == 1
