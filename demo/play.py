"""Plays the town's days into an installation: files arrive, children answer, adults act.

The clock is moved from moment to moment and everything goes through the doors that production uses:
the importer, the log, the scheduler, the consumers, the services. What the past looks like is
therefore what the service made of it. `Play` knows one day; `build` plays the first school year and
`next_month` goes on from wherever the clock stands, in a service that is running.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Protocol

import structlog
from sqlalchemy import insert, select

from connectors.records.importer import import_file
from demo import files
from demo.adults import ROUNDS, Adults
from demo.files import Delivery
from demo.life import Answered, Asked, World, make_world
from demo.looks import MOMENTS, Looks
from demo.office import Office
from demo.people import People, seeded_keys
from demo.progress import Progress
from demo.town import BOARD, BOARD_NAME, DAILY_SCHOOL, FIRST_DAY, LAST_DAY, PLAYBOOK, SCHOOLS, days
from warning_service.access.trail.alarm_rules import load_rules
from warning_service.access.trail.alarms import Watch
from warning_service.alerts.consumer import AlertsConsumer
from warning_service.catalogue.questionnaires import questionnaire
from warning_service.clock import MovableClock, at, day_of, monotonic
from warning_service.database import upsert
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.log import head
from warning_service.events.tables import consumers, events, facts
from warning_service.events.types import (
    CheckInSubmitted,
    ConsultationRequested,
    NewEvent,
    derived_id,
)
from warning_service.judging.consumer import JudgingConsumer
from warning_service.rooms import Rooms
from warning_service.roster import tables as t
from warning_service.roster.service import put_rows
from warning_service.schedule import Schedule

log = structlog.get_logger()

NOW = at(date(2026, 3, 2), 8, 20)
"""Where the clock stands after `build`: a Monday morning, March's lists an hour old."""

STAGE, SEED_FACT, CLOCK_FACT = "demo_stage", "demo_seed", "demo_now"
READY = "ready"


class TownEnds(RuntimeError):
    """The made-up town has no data after July 2026."""


class AlreadyBuilt(RuntimeError):
    """There are events in the database; a town is built into an empty one only."""


class Settle(Protocol):
    """Has the consumers catch up with the log."""

    def alerts(self) -> None:
        """Every alert that follows from the log so far is raised."""

    def everything(self) -> None:
        """Lists too are made."""


class Own:
    """Runs the consumers here: for `build`, when no service is running."""

    def __init__(self, rooms: Rooms) -> None:
        self._dispatchers = [
            # Nobody is told of the past: chat begins when the town is served.
            Dispatcher(
                rooms.log,
                AlertsConsumer(rooms.log, rooms.playbooks, tell=False),
                BOARD,
                batch=5000,
            ),
            Dispatcher(rooms.log, JudgingConsumer(rooms.log, rooms.playbooks), BOARD, batch=5000),
        ]

    def alerts(self) -> None:
        """Drain alerts."""
        self._dispatchers[0].drain()

    def everything(self) -> None:
        """Drain both; judging first, so that alerts read what it appended too."""
        for dispatcher in reversed(self._dispatchers):
            dispatcher.drain()

    def release(self) -> None:
        """Let the service's own dispatchers take over at once."""
        for dispatcher in self._dispatchers:
            dispatcher.release()


class Waiting:
    """Waits for the consumers of the running service. Raises TimeoutError when they stand still."""

    def __init__(self, rooms: Rooms, patience: float = 120) -> None:
        self._rooms = rooms
        self._patience = patience

    def alerts(self) -> None:
        """Until the alerts consumer has read what is in the log now."""
        self._wait("alerts")

    def everything(self) -> None:
        """Until both have."""
        self._wait("judging")
        self._wait("alerts")

    def _wait(self, name: str) -> None:
        until = monotonic() + self._patience
        pause = threading.Event()
        with self._rooms.database.reading() as conn:
            goal = head(conn, BOARD)
        query = select(consumers.c.position).where(
            consumers.c.name == name, consumers.c.board == BOARD
        )
        while monotonic() < until:
            with self._rooms.database.reading() as conn:
                if (conn.execute(query).scalar_one_or_none() or 0) >= goal:
                    return
            pause.wait(0.005)
        raise TimeoutError(name)


class Play:
    """Plays days of one town into one installation."""

    def __init__(self, rooms: Rooms, world: World, settle: Settle, folder: Path) -> None:
        clock = rooms.clock
        if not isinstance(clock, MovableClock):
            raise TypeError("the demo needs a clock that can be moved")
        self._rooms = rooms
        self._clock = clock
        self._world = world
        self._settle = settle
        self._folder = folder
        self._schedule = Schedule(rooms)
        self.people = People(rooms, world.town)
        self._looks = Looks(rooms, world.town, self.people)
        self._adults = Adults(rooms, world.town, self.people, self._looks)
        self._office = Office(rooms, world.town, self.people, self._looks)
        self._watch = Watch(rooms.database, rooms.clock, load_rules(rooms.settings.data_dir))
        self._open = True  # something may wait for an adult
        self._deliveries: dict[date, list[Delivery]] = {}
        for delivery in files.deliveries(world.town.seed):
            self._deliveries.setdefault(day_of(delivery.arrives), []).append(delivery)

    def span(self, start: datetime, end: datetime) -> Iterator[date]:
        """Play all that happens after `start` and before `end`, then move the clock to `end`.

        Gives each day after it was played.
        """
        self._adults.published(day_of(start))
        for day in days(day_of(start), day_of(end)):
            happenings = [h for h in self._day(day) if start < h[0] < end]
            for moment, do in happenings:
                if moment > self._clock.now():
                    self._clock.move_to(moment)
                do()
            yield day
        if end > self._clock.now():
            self._clock.move_to(end)

    # -- one day -------------------------------------------------------------------------------

    def _day(self, day: date) -> list[tuple[datetime, Callable[[], None]]]:
        """What happens on a day, in order."""
        found: list[tuple[datetime, Callable[[], None]]] = [
            (delivery.arrives, lambda d=delivery: self._arrive(d))  # type: ignore[misc]
            for delivery in self._deliveries.get(day, ())
        ]
        life = self._world.days.get(day)
        if life is not None:
            found.append((at(day, 7), lambda: self._morning(day)))
            found.append((at(day, 8, 45), lambda: self._check_ins(life.answered)))
            for asked in life.asked:
                found.append((asked.at, lambda a=asked: self._consultation(a)))  # type: ignore[misc]
                # Somebody looks at the phone a few minutes later; sometimes too late.
                soon = asked.at + timedelta(minutes=3 + asked.child % 9)
                found.append((soon, lambda: self._round(0, day)))
            for number, (hour, minute) in enumerate(ROUNDS):
                found.append(
                    (at(day, hour, minute), lambda n=number: self._round(n, day))  # type: ignore[misc]
                )
            for number, (hour, minute) in enumerate(MOMENTS):
                found.append(
                    (at(day, hour, minute), lambda n=number: self._looks.moment(n, day))  # type: ignore[misc]
                )
            found.append((at(day, 16), lambda: self._afternoon(day)))
        found += self._office.happenings(day)
        return sorted(found, key=lambda one: one[0])

    def _arrive(self, delivery: Delivery) -> None:
        (path,) = files.write(self._folder, [delivery])
        make_key = seeded_keys(self._world.town.seed, delivery.name)
        import_file(
            self._rooms, BOARD, path, actor="system:import", kind=delivery.kind, make_key=make_key
        )
        if delivery.kind in ("roster", "staff"):
            self.people.load()
            self.people.settle_in()

    def _morning(self, day: date) -> None:
        """Days that are over are closed, odd looking is found; on a month's first day, lists."""
        self._schedule.run_due()
        self._watch.run()
        if day == self._world.town.first_school_day(day.year, day.month):
            self._settle.everything()
            self._adults.published(day)

    def _check_ins(self, answered: list[Answered]) -> None:
        version = {a.questionnaire: questionnaire(a.questionnaire).version for a in answered}
        new = [
            NewEvent(
                id=derived_id("demo", str(self._world.town.seed), "check_in", key, a.questionnaire,
                              a.at.isoformat()),
                board=BOARD, student=key, on=day_of(a.at), actor="child",
                body=CheckInSubmitted(
                    questionnaire=a.questionnaire, version=version[a.questionnaire],
                    answers=a.answers, answered_at=a.at,
                ),
            )
            for a in self._not_yet_answered(answered)
            if (key := self.people.student[self._world.town.children[a.child].number])
        ]  # fmt: skip
        if new:
            with self._rooms.log.unit_of_work() as unit:
                unit.append(*new)
            self._look()

    def _not_yet_answered(self, answered: list[Answered]) -> list[Answered]:
        """Without those whom somebody at the demo has answered for already (this month, today)."""
        if not answered:
            return []
        day = day_of(answered[0].at)
        with self._rooms.database.reading() as conn:
            rows = conn.execute(
                select(events.c.student, events.c.day, events.c.id, events.c.body).where(
                    events.c.board == BOARD,
                    events.c.type == "check_in_submitted",
                    events.c.recorded_at >= max(NOW, at(day.replace(day=1))),
                    # Ours have derived ids (version 5), a tablet's are version 7.
                    events.c.id.like("________-____-7%"),
                )
            ).all()
        done = {(row.student, json.loads(row.body)["questionnaire"], row.day) for row in rows}
        monthly = {(student, form) for student, form, _ in done if form != "kokoro_daily"}
        children = self._world.town.children
        return [
            a
            for a in answered
            if (key := self.people.student.get(children[a.child].number)) is not None
            and (key, a.questionnaire) not in monthly
            and (key, a.questionnaire, day) not in done
        ]

    def _consultation(self, asked: Asked) -> None:
        key = self.people.student[self._world.town.children[asked.child].number]
        with self._rooms.log.unit_of_work() as unit:
            unit.append(
                NewEvent(
                    id=derived_id("demo", str(self._world.town.seed), "consultation", key,
                                  asked.at.isoformat()),
                    board=BOARD, student=key, on=day_of(asked.at), actor="child",
                    body=ConsultationRequested(
                        whom=(asked.whom,), about=(asked.about,), sealed=None, asked_at=asked.at
                    ),
                )
            )  # fmt: skip
        self._look()

    def _look(self) -> None:
        self._settle.alerts()
        self._open = True

    def _round(self, number: int, day: date) -> None:
        """Adults go round while something is open; what is late goes to the next step."""
        if not self._open:
            return
        self._rooms.alerts.escalate_due()
        self._open = self._adults.round(number, day) > 0

    def _afternoon(self, day: date) -> None:
        self._adults.meet(day)
        self._adults.write_down(day)


# --- a whole year ---------------------------------------------------------------------------------


def build(rooms: Rooms, progress: Progress, seed: int, *, until: datetime = NOW) -> None:
    """Make the board and play it from April 2025 to `until`; the database must be empty.

    Raises StorageUnavailable and AlreadyBuilt. Killed in the middle, it has to be begun again on an
    empty database; until it is done the fact `demo_stage` is not `ready`.
    """
    with rooms.database.reading() as conn:
        if head(conn):
            raise AlreadyBuilt
    progress.station("町をつくる / town", 1)
    world = make_world(seed)
    progress.step()
    progress.station("ファイルを書く / files", 1)
    files.deliveries(seed)
    progress.step()
    set_fact(rooms, SEED_FACT, str(seed))
    set_fact(rooms, STAGE, "building")
    _found(rooms)
    own = Own(rooms)
    play = Play(rooms, world, own, folder_of(rooms))
    progress.station("1年をたどる / the year", (day_of(until) - FIRST_DAY).days + 1)
    for day in play.span(at(FIRST_DAY), until):
        progress.step(f"{day:%Y-%m}")
    progress.station("判定をそろえる / lists", 1)
    own.everything()
    progress.step()
    own.release()
    set_fact(rooms, CLOCK_FACT, until.isoformat())
    set_fact(rooms, STAGE, READY)


def next_month(rooms: Rooms, progress: Progress, settle: Settle | None = None) -> None:
    """Play on to 08:20 of the next month's first school day, in a running service.

    Raises TownEnds when the town's data end before that, TimeoutError when consumers stand still.
    """
    world = make_world(seed_of(rooms))
    start = rooms.clock.now()
    goal = next_goal(world, start)
    play = Play(rooms, world, settle or Waiting(rooms), folder_of(rooms))
    progress.station(f"{day_of(goal):%Y-%m}", (day_of(goal) - day_of(start)).days + 1)
    for day in play.span(start, goal):
        progress.step(f"{day:%m/%d}")
    (settle or Waiting(rooms)).everything()


def next_goal(world: World, start: datetime) -> datetime:
    """Where `next_month` moves the clock. Raises TownEnds."""
    month = _month_after(day_of(start))
    while month <= LAST_DAY:
        first = world.town.first_school_day(month.year, month.month)
        if first is not None:
            return at(first, 8, 20)
        month = _month_after(month)
    raise TownEnds


def _found(rooms: Rooms) -> None:
    """The board and which questionnaires its schools ask: what no file says."""
    with rooms.database.writing() as conn:
        put_rows(
            conn, t.boards, ["id"],
            [{"id": BOARD, "name": BOARD_NAME, "playbook": PLAYBOOK, "generated": True}],
        )  # fmt: skip
        conn.execute(
            insert(t.school_questionnaires),
            [{"school": s.id, "questionnaire": "kokoro_monthly"} for s in SCHOOLS]
            + [{"school": DAILY_SCHOOL, "questionnaire": "kokoro_daily"}],
        )


def _month_after(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def folder_of(rooms: Rooms) -> Path:
    """Where the town's files lie."""
    return rooms.settings.data_dir / "demo-files"


# --- facts about the demo -------------------------------------------------------------------------


def set_fact(rooms: Rooms, name: str, value: str) -> None:
    """Remember something about the installation."""
    with rooms.database.writing() as conn:
        conn.execute(upsert(conn, facts, ["name"]).values(name=name, value=value))


def fact(rooms: Rooms, name: str) -> str | None:
    """What `set_fact` remembered, or None."""
    with rooms.database.reading() as conn:
        return conn.execute(select(facts.c.value).where(facts.c.name == name)).scalar_one_or_none()


def seed_of(rooms: Rooms) -> int:
    """The seed of the town in this installation. Raises LookupError when there is none."""
    found = fact(rooms, SEED_FACT)
    if found is None:
        raise LookupError("no demo town here")
    return int(found)
