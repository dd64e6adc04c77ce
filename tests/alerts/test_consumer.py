"""From events in the log to alerts, exactly once, whatever else is down."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from tests.alerts.town import BOARD, Town
from warning_service.alerts import rebuild, rules
from warning_service.alerts.tables import alerts, deliveries, routes
from warning_service.clock import MovableClock, at
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.log import UnitOfWork
from warning_service.events.tables import consumers, events
from warning_service.roster import tables as t
from warning_service.roster.service import set_opt_out


def rows(town: Town, table: Any, *where: Any) -> list[Any]:
    with town.log.database.reading() as conn:
        return list(conn.execute(select(table).where(*where).order_by(table.c.id)))


def addresses(town: Town) -> set[str]:
    return {row.address for row in rows(town, deliveries)}


def test_a_consultation_raises_one_alert_with_its_event_and_messages(town: Town) -> None:
    source = town.asks("kid1")
    town.work()
    [alert] = rows(town, alerts)
    assert (alert.kind, alert.urgency, alert.state) == ("consultation", "urgent", "open")
    assert (alert.school, alert.class_id, alert.student) == ("s1", "c11", "kid1")
    assert alert.source == source
    assert alert.due_at - alert.raised_at == timedelta(minutes=10)
    assert addresses(town) == {"C-c11", "C-nurse1"}
    [event] = rows(town, events, events.c.type == "alert_raised")
    assert event.student == "kid1"
    assert event.actor == "system:alerts"


@pytest.mark.parametrize(
    ("whom", "told", "duties"),
    [
        (("homeroom",), {"C-c11"}, "homeroom"),
        (("nurse",), {"C-nurse1"}, "nurse"),
        (("homeroom", "nurse"), {"C-c11", "C-nurse1"}, "homeroom,nurse"),
        (("anyone",), {"C-c11", "C-nurse1"}, "homeroom,nurse"),
        ((), {"C-c11", "C-nurse1"}, "homeroom,nurse"),
        # Nobody is counsellor or guidance here: management is told at once.
        (("counsellor",), {"C-head1"}, "management"),
    ],
)
def test_whom_the_child_chose_is_told_first(
    town: Town, whom: tuple[str, ...], told: set[str], duties: str
) -> None:
    town.asks("kid1", whom)
    town.work()
    assert addresses(town) == told
    assert rows(town, alerts)[0].duties == duties


def test_the_second_school_without_a_homeroom_route_or_person_still_reaches_its_nurse(
    town: Town,
) -> None:
    town.asks("kid4", ["homeroom"])  # nobody holds it, no management either: the board is told
    town.asks("kid4", ["anyone"])
    town.work()
    assert addresses(town) == {"C-board", "C-nurse2"}


def test_a_child_on_no_roll_is_heard(town: Town) -> None:
    with town.log.database.writing() as conn:
        conn.execute(delete(t.enrolments).where(t.enrolments.c.student == "kid2"))
        conn.execute(
            update(t.enrolments)
            .where(t.enrolments.c.student == "kid3")
            .values(until_day=date(2026, 5, 1))
        )
    town.asks("kid2")
    town.asks("kid3")
    town.work()
    places = {row.student: (row.school, row.class_id) for row in rows(town, alerts)}
    assert places == {"kid2": ("", ""), "kid3": ("s1", "c12")}
    assert "C-board" in addresses(town)


def test_replay_from_the_start_doubles_nothing(town: Town) -> None:
    for _ in range(5):
        town.asks("kid1")
    town.answers("kid2", vanish=1)
    town.work()
    before = rows(town, alerts), rows(town, deliveries)
    with town.log.database.writing() as conn:
        conn.execute(update(consumers).values(position=0, owner=""))
    Dispatcher(town.log, town.dispatcher._consumer, BOARD).drain()
    assert (rows(town, alerts), rows(town, deliveries)) == before


def test_killed_between_work_and_commit_nothing_is_half_done(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.asks("kid1")
    town.answers("kid1", vanish=1)

    class Killed(BaseException):
        pass

    original = UnitOfWork.append
    for deadly in (1, 2):
        calls = 0

        def dies(self: UnitOfWork, *new: Any, deadly: int = deadly) -> None:
            nonlocal calls
            calls += 1
            if calls == deadly:
                raise Killed
            original(self, *new)

        monkeypatch.setattr(UnitOfWork, "append", dies)
        with pytest.raises(Killed):
            town.work()
        assert rows(town, alerts) == []
        assert rows(town, deliveries) == []
    monkeypatch.setattr(UnitOfWork, "append", original)
    town.work()
    assert len(rows(town, alerts)) == 2
    assert len(rows(town, events, events.c.type == "alert_raised")) == 2
    assert len(rows(town, deliveries)) == 4
    assert rebuild.differences(town.log, BOARD) == []


def test_three_bad_days_raise_one_same_day_alert(town: Town, clock: MovableClock) -> None:
    for _ in range(5):
        town.answers("kid1", mood=2)
        town.answers("kid2", mood=1)
        town.work()
        clock.move_by(timedelta(days=1))
    [alert] = rows(town, alerts)
    assert (alert.kind, alert.rule, alert.student) == ("same_day", "bad_days", "kid1")
    assert alert.urgency == "today"
    assert alert.raised_at == at(date(2026, 5, 13), 9)


def test_bad_days_in_one_batch_are_judged_in_their_order(town: Town) -> None:
    for days_ago in (4, 3, 2, 1, 0):
        town.answers("kid1", days_ago=days_ago, mood=3)
    town.work()
    assert [row.rule for row in rows(town, alerts)] == ["bad_days"]


def test_late_answers_raise_nothing_but_what_is_critical(town: Town) -> None:
    for days_ago in (10, 9, 8):
        town.answers("kid1", days_ago=days_ago, mood=3, vanish=1 if days_ago == 8 else 0)
    town.work()
    assert [row.kind for row in rows(town, alerts)] == ["critical"]
    town.answers("kid1", days_ago=7, mood=3)  # fresh enough; its run was full before
    town.work()
    assert len(rows(town, alerts)) == 1


def test_each_critical_answer_is_a_new_cry(town: Town) -> None:
    town.answers("kid1", vanish=1)
    town.answers("kid1", vanish=2)
    town.work()
    assert [row.kind for row in rows(town, alerts)] == ["critical", "critical"]


def test_opted_out_help_outranks_but_nothing_is_looked_for(town: Town) -> None:
    set_opt_out(town.log, board=BOARD, student="kid1", refused=True, actor="x")
    for days_ago in (2, 1, 0):
        town.answers("kid1", days_ago=days_ago, mood=3)
    town.work()
    assert rows(town, alerts) == []
    town.asks("kid1")
    town.answers("kid1", vanish=1)
    town.work()
    assert sorted(row.kind for row in rows(town, alerts)) == ["consultation", "critical"]


def test_a_broken_rule_does_not_hold_back_a_consultation(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(rules, "fires", broken)
    town.answers("kid1", mood=3)
    town.asks("kid2")
    town.work()
    assert [row.student for row in rows(town, alerts)] == ["kid2"]


def test_one_address_for_two_duties_gets_one_message(town: Town) -> None:
    with town.log.database.writing() as conn:
        conn.execute(update(routes).values(address="C-one"))
    town.asks("kid1")
    town.work()
    assert [row.address for row in rows(town, deliveries)] == ["C-one"]


def test_a_batch_needs_few_queries_however_many_children_ask(town: Town) -> None:
    from sqlalchemy import event as sa_event

    statements: list[str] = []
    sa_event.listen(
        town.log.database.engine,
        "before_cursor_execute",
        lambda _c, _cu, statement, *_: statements.append(statement),
    )
    counts = []
    for size in (1, 100):
        for number in range(size):
            # Of life and death: those ring each time, however often one child calls.
            town.asks(f"kid{number % 3 + 1}", about=["life"])
        statements.clear()
        town.dispatcher.run_once()
        counts.append(len(statements))
        town.work()
    with town.log.database.reading() as conn:
        total = conn.execute(select(func.count()).select_from(alerts)).scalar_one()
    assert total == 101
    assert counts[1] <= counts[0] + 3
