"""A whole school year at fast forward: every alert is acknowledged or told on in time, none twice.

Holidays, Golden Week, the summer and New Year, people away at random, days nobody covers, and the
service's processes ended and made anew on the same database at random moments. The clock jumps from
one thing that happens to the next. What must hold is written down in `Ledger.settle`, not how.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import jpholiday
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select

from tests.alerts.test_routing import away, close, hire, on_duty
from tests.alerts.town import BOARD, CHILDREN, Town
from warning_service.alerts import rebuild, states
from warning_service.alerts.consumer import AlertsConsumer
from warning_service.alerts.service import Alerts
from warning_service.alerts.tables import alerts, deliveries
from warning_service.clock import JAPAN, MovableClock, at, day_of
from warning_service.database import Database
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.log import Log
from warning_service.events.tables import events
from warning_service.events.types import AlertEscalated, decode
from warning_service.events.wakeups import Wakeups
from warning_service.playbooks.model import shipped
from warning_service.roster import tables as t

FIRST, LAST = date(2026, 4, 6), date(2027, 3, 24)
SUMMER = (date(2026, 7, 21), date(2026, 8, 31))
NEW_YEAR = (date(2026, 12, 25), date(2027, 1, 6))
SHUT = (date(2026, 8, 11), date(2026, 8, 16))
"""Days of the summer for which nobody is on the duty roster (学校閉庁日)."""
PLAYBOOK = shipped("nishinomiya")
ESCALATION = PLAYBOOK.escalation
LOOK_EVERY = timedelta(seconds=1)


class Year:
    """The town, its people through a year, and what became of each alert."""

    def __init__(self, log: Log, folder: Path, clock: MovableClock, chance: random.Random) -> None:
        self.log, self.folder, self.clock, self.chance = log, folder, clock, chance
        self.town = Town(log, folder)
        self.restarts = 0
        hire(self.town, "lead3", ("grade_lead", "s1:3"), ("grade_lead", "s2:3"))
        close(self.town, *SUMMER)
        close(self.town, *NEW_YEAR)
        for n in range((SUMMER[1] - SUMMER[0]).days + 1):
            day = SUMMER[0] + timedelta(days=n)
            if day.weekday() < 5 and not SHUT[0] <= day <= SHUT[1]:
                on_duty(self.town, "hr12", "s1", day)
        for staff in ("hr11", "hr12", "nurse1", "head1", "nurse2", "lead3", "board1"):
            for _ in range(12):
                self._somebody_is_away(staff)

    def _somebody_is_away(self, staff: str) -> None:
        day = FIRST + timedelta(days=self.chance.randrange(350))
        part = self.chance.choice(["am", "pm", "day", "week"])
        begin = at(day, 12 if part == "pm" else 0)
        length = {"am": 12, "pm": 12, "day": 24, "week": 7 * 24}[part]
        with self.log.database.reading() as conn:
            key = f"{staff}{begin}"
            known = conn.execute(select(t.absences).where(t.absences.c.id == key)).first()
        if known is None:
            away(self.town, staff, begin, begin + timedelta(hours=length))

    def restart(self) -> None:
        """End every process and make them anew on the same database."""
        self.restarts += 1
        self.town.dispatcher.release()
        database = Database(self.log.database.engine.url.render_as_string(hide_password=False))
        old, self.log = self.log, Log(database, self.clock, Wakeups(database))
        old.database.close()
        self.town.log = self.log
        self.town.playbooks = type(self.town.playbooks)(database, self.folder)
        self.town.alerts = Alerts(self.log, self.town.playbooks, self.town.trail)
        self.town.dispatcher = Dispatcher(
            self.log, AlertsConsumer(self.log, self.town.playbooks), BOARD
        )

    # -- the year ------------------------------------------------------------------------------

    def live(self, count: int) -> None:
        """`count` alerts over the year; between them, all that falls due."""
        moments = sorted(self._moment() for _ in range(count))
        for moment in moments:
            self.until(moment)
            if self.chance.random() < 0.15:
                self.restart()
            child = self.chance.choice(sorted(CHILDREN))
            if self.chance.random() < 0.5:
                self.town.asks(child)
            else:
                for days_ago in (2, 1, 0):
                    self.town.answers(child, days_ago=days_ago, mood=3)
                self.town.answers(child, mood=0)  # the run is over; the next one is a new alert
            self.town.work()
            if self.chance.random() < 0.4:
                self._somebody_answers()
        self.until(at(LAST, 23))

    def _moment(self) -> datetime:
        day = FIRST + timedelta(days=self.chance.randrange((LAST - FIRST).days))
        return at(day, self.chance.randrange(24), self.chance.randrange(60))

    def until(self, moment: datetime) -> None:
        """Let the escalator look whenever something is due, as its thread does every second."""
        while (due := self._next_due()) is not None and due <= moment:
            self.clock.move_to(max(due, self.clock.now()) + LOOK_EVERY)
            before = self.told()
            self.town.alerts.escalate_due()
            if self.chance.random() < 0.05:
                self.restart()
            assert self.told() > before, "a deadline passed and nobody was told"
            if self.chance.random() < 0.3:
                self._somebody_answers()
        self.clock.move_to(max(moment, self.clock.now()))

    def _next_due(self) -> datetime | None:
        with self.log.database.reading() as conn:
            return conn.execute(
                select(alerts.c.due_at)
                .where(alerts.c.state == states.OPEN)
                .order_by(alerts.c.due_at)
                .limit(1)
            ).scalar_one_or_none()

    def told(self) -> int:
        return len(self.escalations())

    def escalations(self) -> list[tuple[datetime, AlertEscalated]]:
        with self.log.database.reading() as conn:
            rows = conn.execute(
                select(events.c.recorded_at, events.c.body)
                .where(events.c.type == "alert_escalated")
                .order_by(events.c.position)
            ).all()
        found = []
        for row in rows:
            body = decode(row.body)
            assert isinstance(body, AlertEscalated)
            found.append((row.recorded_at, body))
        return found

    def _somebody_answers(self) -> None:
        rows = [row for row in self.rows() if row.state == states.OPEN]
        if rows:
            row = self.chance.choice(rows)
            with self.log.unit_of_work() as unit:
                assert self.town.alerts.handle(unit, row.id, f"f-{row.id}", "head1")

    def rows(self) -> list[Any]:
        with self.log.database.reading() as conn:
            return list(conn.execute(select(alerts).order_by(alerts.c.raised_at, alerts.c.id)))


def is_open(day: date, school: str) -> bool:
    """Lessons, or somebody on duty; written out again here, not asked of the code under test."""
    if SUMMER[0] <= day <= SUMMER[1]:
        rostered = school == "s1" and not SHUT[0] <= day <= SHUT[1]
        return rostered and day.weekday() < 5
    lessons = day.weekday() < 5 and not jpholiday.is_holiday(day)
    return lessons and not NEW_YEAR[0] <= day <= NEW_YEAR[1]


def settle(year: Year) -> None:
    """What must be true of a year that was lived."""
    rows = year.rows()
    told: dict[str, list[tuple[datetime, AlertEscalated]]] = {}
    for when, body in year.escalations():
        told.setdefault(body.alert_id, []).append((when, body))
    with year.log.database.reading() as conn:
        owed = list(conn.execute(select(deliveries).where(deliveries.c.purpose != "update")))
    for row in rows:
        steps = told.get(row.id, [])
        # In time: each telling came within a look of the deadline before it.
        for (_, before), (when, _) in itertools.pairwise(steps):
            assert timedelta(0) <= when - before.due_at <= 2 * LOOK_EVERY
        # Never backwards, and no step of the chain twice (the last one is told again, as such).
        chain = len(PLAYBOOK.chain(row.kind, row.urgency))
        numbers = [body.step for _, body in steps]
        assert numbers == sorted(numbers)
        assert all(count == 1 for step, count in Counter(numbers).items() if step < chain)
        # Nobody forgotten: still open means still due, and due in the future.
        if row.state == states.OPEN:
            assert row.due_at is not None and row.due_at > year.clock.now() - LOOK_EVERY
        else:
            assert row.state not in states.WAITING
        # What can wait falls due while the school is open, never at night or on a free day.
        if row.urgency == "today":
            dues = [body.due_at for _, body in steps]
            for due in dues:
                local = due.astimezone(JAPAN)
                assert is_open(day_of(due - timedelta(microseconds=1)), row.school), due
                assert ESCALATION.school_opens <= local.hour <= ESCALATION.school_closes
        else:
            minutes = [timedelta(minutes=step.minutes) for step in ESCALATION.urgent]
            for when, body in steps:
                if body.step < chain:
                    assert body.due_at - when == minutes[body.step]
                else:
                    assert body.due_at - when <= timedelta(days=1)
    # One message for each telling and address: nobody hears of one step twice.
    assert len({row.id for row in owed}) == len(owed)
    per_telling = Counter(
        (row.alert_id, row.channel, row.address, row.purpose, row.created_at) for row in owed
    )
    assert max(per_telling.values(), default=1) == 1
    assert rebuild.differences(year.log, BOARD) == []


@pytest.mark.parametrize("seed", [1])
def test_a_school_year_on_both_databases(
    log: Log, clock: MovableClock, tmp_path: Path, seed: int
) -> None:
    year = Year(log, tmp_path, _from_april(clock, log), random.Random(seed))
    year.live(30)
    settle(year)
    assert len(year.rows()) >= 20 and year.restarts >= 3
    assert {row.urgency for row in year.rows()} == {"urgent", "today"}
    year.log.database.close()


def _from_april(clock: MovableClock, log: Log) -> MovableClock:
    """The clock fixtures start in May: a year's worth of a clock of our own."""
    own = MovableClock(at(FIRST, 8))
    log.clock = own
    assert clock.now() > own.now()
    return own


@settings(
    max_examples=4, deadline=None, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(seed=st.integers(0, 2**32))
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_any_school_year(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, database_url: str, seed: int
) -> None:
    assert database_url  # a database of its own for each example, from the same template
    folder = tmp_path_factory.mktemp("year")
    for file in sqlite_template.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    database = Database(f"sqlite:///{folder / 'kizashi.db'}")
    clock = MovableClock(at(FIRST, 8))
    year = Year(Log(database, clock, Wakeups(database)), folder, clock, random.Random(seed))
    year.live(15)
    settle(year)
    year.log.database.close()


def test_a_day_nobody_covers_goes_up_at_once(town: Town, clock: MovableClock) -> None:
    begin = clock.now()
    for staff in ("hr11", "nurse1", "head1"):
        away(town, staff, begin, begin + timedelta(days=1))
    town.asks("kid1")
    town.work()
    [found] = town.alerts.of_student("kid1")
    assert (found.step, found.duties) == (2, ("board",))
    with town.log.database.writing() as conn:
        conn.execute(
            insert(t.absences).values(
                id="board", board=BOARD, staff="board1", from_at=begin,
                until_at=begin + timedelta(days=1), entered_by="x", entered_at=begin,
            )
        )  # fmt: skip
    town.asks("kid2")
    town.work()
    [last] = town.alerts.of_student("kid2")
    # Nobody at all: it still stands, with the last step named, and all passed over are told too.
    assert last.readers == ("board",)
    assert last.duties == ("board", "homeroom", "nurse", "grade_lead", "guidance", "management")
