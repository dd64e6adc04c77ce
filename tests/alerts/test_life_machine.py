"""The life of alerts as a state machine: several people, two services on one database, time passes.

Whatever they do in whatever order, each alert is in one state, its row is what its events say, only
a record leads to done, and what is done does not ring. Hypothesis looks for the order that breaks
this. Few examples: each runs on a real database.
"""

from __future__ import annotations

import itertools
import shutil
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from tests.alerts.town import BOARD, Town, principal
from tests.conftest import START
from tests.postgres import Databases
from warning_service.access.gateway import NotYours
from warning_service.alerts import rebuild, states
from warning_service.alerts.service import Alerts, SnoozeRefused
from warning_service.alerts.tables import alerts
from warning_service.clock import MovableClock
from warning_service.database import Database
from warning_service.events.log import Log
from warning_service.events.tables import events
from warning_service.events.types import new_id
from warning_service.events.wakeups import Wakeups

PEOPLE = ("hr11", "nurse1", "head1")
"""All of kid1's school; head1 is told only later."""

MINUTES = (1, 1, 6, 11, 60 * 3, 60 * 25, 60 * 24 * 15)
MOVES = ("alert_acknowledged", "alert_taken_over", "alert_offered", "alert_offer_ended",
         "alert_snoozed", "alert_escalated", "alert_opened_again", "alert_handled",
         "alert_closed")  # fmt: skip

Act = Callable[[Alerts, str, str], object]


def record(service: Alerts, alert: str, who: str) -> bool:
    with service._log.unit_of_work() as unit:
        return service.handle(unit, alert, new_id(), who)


def allowed_or_refused(act: Callable[[], object]) -> object:
    """What people are refused is no fault."""
    try:
        return act()
    except (NotYours, SnoozeRefused, ValueError):
        return None


ACTS: dict[str, Act] = {
    "acknowledge": lambda s, a, w: s.acknowledge(a, principal(w), "portal"),
    "take over": lambda s, a, w: s.take_over(a, principal(w), "slack"),
    "undo": lambda s, a, w: s.undo(a, principal(w)),
    "offer to the nurse": lambda s, a, w: s.offer(a, principal(w), "duty:nurse"),
    "offer to the head": lambda s, a, w: s.offer(a, principal(w), "staff:head1"),
    "accept": lambda s, a, w: s.accept(a, principal(w), "portal"),
    "decline": lambda s, a, w: s.decline(a, principal(w)),
    "withdraw": lambda s, a, w: s.withdraw(a, principal(w)),
    "snooze": lambda s, a, w: s.snooze(
        a, principal(w), s._log.clock.now() + timedelta(hours=2), "absent"
    ),
    "record": record,
    "close": lambda s, a, w: s.close(a, principal(w)),
    "reopen": lambda s, a, w: s.reopen(a, principal(w)),
    "open the page": lambda s, a, w: s.seen(a, principal(w)),
    "see the list": lambda s, a, w: s.shown([a], principal(w)),
}


FITTING = {
    states.OPEN: ("acknowledge", "snooze", "record"),
    states.ACKNOWLEDGED: (
        "take over", "undo", "offer to the nurse", "offer to the head", "accept", "decline",
        "withdraw", "snooze", "record",
    ),
    states.SNOOZED: ("acknowledge", "take over", "record"),
    states.HANDLED: ("close", "reopen"),
    states.CLOSED: ("reopen",),
}  # fmt: skip
"""What people mostly do; three times in four one of these, else anything."""


class LifeOfAlerts(RuleBasedStateMachine):
    """Two services share a database, as two processes do; `fresh` gives an empty town."""

    fresh: Callable[[], tuple[Town, Alerts]]

    def __init__(self) -> None:
        super().__init__()
        self.town, other = type(self).fresh()
        self.services = (self.town.alerts, other)
        self.clock = self.town.log.clock
        self.records: dict[str, int] = {}

    @property
    def known(self) -> list[str]:
        with self.town.log.database.reading() as conn:
            return list(conn.execute(select(alerts.c.id).order_by(alerts.c.id)).scalars())

    # -- what happens ------------------------------------------------------------------------------

    @precondition(lambda self: len(self.known) < 2)
    @rule(urgent=st.booleans())
    def a_child(self, urgent: bool) -> None:
        """Calls for help, or has answered badly three days running."""
        if urgent:
            self.town.asks("kid1")
        else:
            for days_ago in (2, 1, 0):
                self.town.answers("kid1", days_ago=days_ago, mood=3)
        self.town.work()

    @precondition(lambda self: bool(self.known))
    @rule(data=st.data(), process=st.integers(0, 1))
    def somebody(self, data: Any, process: int) -> None:
        """Does something with one of the alerts, here or there."""
        alert, [(who, act)] = self._chosen(data, 1)
        done = allowed_or_refused(lambda: ACTS[act](self.services[process], alert, who))
        if act == "record" and done:
            self.records[alert] = self.records.get(alert, 0) + 1

    @precondition(lambda self: bool(self.known))
    @rule(data=st.data())
    def two_at_once(self, data: Any) -> None:
        """Reach for the same alert at the same moment, one in each process; time's hand, too."""
        alert, (first, second) = self._chosen(data, 2)
        gate = threading.Barrier(3)
        faults: list[Exception] = []
        recorded: list[object] = []

        def reach(service: Alerts, who: str, act: str) -> None:
            gate.wait()
            try:
                done = allowed_or_refused(lambda: ACTS[act](service, alert, who))
                recorded.append(act == "record" and done)
            except Exception as fault:
                faults.append(fault)

        def time() -> None:
            gate.wait()
            try:
                self.services[1].escalate_due()
            except Exception as fault:
                faults.append(fault)

        hands = [
            threading.Thread(target=reach, args=(service, *hand))
            for service, hand in zip(self.services, (first, second), strict=True)
        ]
        hands.append(threading.Thread(target=time))
        for hand in hands:
            hand.start()
        for hand in hands:
            hand.join()
        assert faults == []
        if won := sum(bool(one) for one in recorded):
            assert won == 1
            self.records[alert] = self.records.get(alert, 0) + won

    @rule(minutes=st.sampled_from(MINUTES), process=st.integers(0, 1))
    def time_passes(self, minutes: int, process: int) -> None:
        """And what is due follows by itself; looking again finds nothing left to do."""
        assert isinstance(self.clock, MovableClock)
        self.clock.move_by(timedelta(minutes=minutes))
        before = {row.id: row for row in self._rows()}
        self.services[process].escalate_due()
        self.services[1 - process].escalate_due()
        now = self.clock.now()
        for row in self._rows():
            old = before[row.id]
            if old.state in states.DONE:  # never rings again by itself
                assert row.state in states.DONE
            if old.state in states.WAITING:  # and never ends by itself
                assert row.state in states.WAITING
            assert row.due_at is None or row.due_at > now

    # -- what always holds ------------------------------------------------------------------------

    @invariant()
    def rows_are_what_the_events_say(self) -> None:
        """Rebuilt identically, and no event that the table would not allow."""
        assert rebuild.differences(self.town.log, BOARD) == []
        with self.town.log.database.reading() as conn:
            moves = dict.fromkeys(self.known, 0)
            for body in conn.execute(select(events.c.body).where(events.c.type.in_(MOVES))):
                alert = next(one for one in moves if one in body[0])
                moves[alert] += 1
        assert {row.id: row.version for row in self._rows()} == moves

    @invariant()
    def each_state_is_whole(self) -> None:
        """Who has it, since when, and when something follows, as the state says."""
        for row in self._rows():
            has = row.state in {states.ACKNOWLEDGED, *states.DONE}
            assert bool(row.acknowledged_by) == has == (row.acknowledged_at is not None)
            assert bool(row.snoozed_by) == (row.state == states.SNOOZED)
            assert bool(row.handled_by) == (row.state in states.DONE)
            assert bool(row.closed_by) == (row.state == states.CLOSED)
            assert not row.offered_to or row.state == states.ACKNOWLEDGED
            assert (row.due_at is None) == (row.state == states.CLOSED)
            assert row.state not in states.DONE or self.records.get(row.id)
            if row.urgency == "urgent":  # the playbook allows no snooze of those
                assert row.state != states.SNOOZED

    @invariant()
    def nobody_who_should_see_it_is_blind(self) -> None:
        """What waits is in the nurse's inbox, whatever was done to it."""
        waiting = {row.id for row in self._rows() if row.state in states.WAITING}
        assert {view.id for view in self.services[0].inbox(principal("nurse1"))} == waiting

    def teardown(self) -> None:
        """Let go of the connections."""
        for service in self.services:
            service._log.database.close()

    def _chosen(self, data: Any, hands: int) -> tuple[str, list[tuple[str, str]]]:
        """An alert, and who does what to it."""
        rows = self._rows()  # by number: their ids are others each time
        row = rows[data.draw(st.integers(0, len(rows) - 1), label="alert")]
        fitting, whatever = FITTING[row.state], sorted(ACTS)
        hand = st.tuples(
            st.sampled_from((row.acknowledged_by or PEOPLE[0], *PEOPLE)),
            st.one_of(*(st.sampled_from(fitting),) * 3, st.sampled_from(whatever)),
        )
        return row.id, data.draw(st.lists(hand, min_size=hands, max_size=hands), label="hands")

    def _rows(self) -> list[Any]:
        with self.town.log.database.reading() as conn:
            return list(
                conn.execute(select(alerts).order_by(alerts.c.raised_at, alerts.c.id)).all()
            )


def _on(url: str, folder: Path) -> tuple[Town, Alerts]:
    """The town on an empty, migrated database, and a second service with connections of its own."""
    clock = MovableClock(START)
    first, second = Database(url), Database(url)
    town = Town(Log(first, clock, Wakeups(first)), folder)
    return town, Alerts(Log(second, clock, Wakeups(second)), town.playbooks, town.trail)


def _run(fresh: Callable[[], tuple[Town, Alerts]], *, examples: int, steps: int) -> None:
    machine = type("Machine", (LifeOfAlerts,), {"fresh": staticmethod(fresh)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_life_of_alerts_on_sqlite(sqlite_template: Path, tmp_path: Path) -> None:
    numbers = itertools.count()

    def fresh() -> tuple[Town, Alerts]:
        folder = tmp_path / str(next(numbers))
        shutil.copytree(sqlite_template, folder)
        return _on(f"sqlite:///{folder / 'kizashi.db'}", folder)

    _run(fresh, examples=8, steps=18)


def test_the_life_of_alerts_on_postgresql(postgres_databases: Databases, tmp_path: Path) -> None:
    names: list[str] = []

    def fresh() -> tuple[Town, Alerts]:
        names.append(postgres_databases.take())
        return _on(postgres_databases.url(names[-1]), tmp_path)

    _run(fresh, examples=2, steps=15)
    for name in names:
        postgres_databases.give(name)
