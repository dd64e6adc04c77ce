"""Whom to tell: from duties of the playbook's chain to routes of the board's channels.

A duty is reachable when somebody who holds it is there (the portal shows them the alert) or when,
with no holder known, a channel has a route for it. A duty all of whose holders are away is not. A
step nobody of whom is reachable is passed over at once: waiting for a deadline that nobody has
heard of helps no child. When nobody is there at all, everybody is told, away or not. On a day
without lessons, whoever the school has on duty is told besides.

Loaded once for a batch of alerts, in some eight queries however many there are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Literal, NamedTuple

import structlog
from prometheus_client import Counter
from sqlalchemy import Connection, bindparam, insert, select

from warning_service.access.presence import Presence
from warning_service.alerts.deadlines import (
    URGENT,
    StaffedDays,
    due_of,
    may_ring_at,
    retold_at,
)
from warning_service.alerts.privacy import grades_of, where
from warning_service.alerts.tables import deliveries, routes
from warning_service.alerts.turns import SECOND_AFTER, Route, noted, turns
from warning_service.clock import day_of
from warning_service.events.log import UnitOfWork
from warning_service.events.types import derived_id
from warning_service.events.wakeups import Wakeups
from warning_service.playbooks.kinds import Escalation, Step
from warning_service.roster.calendar import SchoolCalendar

log = structlog.get_logger()

NOBODY = Counter("kizashi_alerts_nobody_to_tell_total", "Duties without a person or a route")
NOT_BEFORE = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

RAISED = "raised"
ESCALATED = "escalated"
UPDATE = "update"

PERSON = "person"
"""The duty of a route that is a person's own (mail, push); its place is the staff key."""

DELIVERIES = "deliveries"
"""What hints to the deliverer are about."""


class Place(NamedTuple):
    """Where the child is: '' for a child that has never been on a roll."""

    school: str
    class_id: str


class Told(NamedTuple):
    """Who is told, and by when somebody has to have acknowledged it.

    `tell_at`: when messages may go out, None for at once; the deadline runs from then. `beside`:
    duties told besides, for whom a child's words are not (the one on duty in a vacation; when
    nobody of the whole chain is there, those passed over).
    """

    step: int
    duties: tuple[str, ...]
    due_at: datetime
    tell_at: datetime | None = None
    beside: tuple[str, ...] = ()


Reached = Literal["there", "route", "away", "nobody"]
"""How a duty is reached: by a holder who is there, or by a channel's route alone; or why not."""


class Telling:
    """Routes, holders of duties and the calendar for the alerts of some places of one board.

    `now` is the moment of telling: who holds a duty and is there is asked for then, or for when
    quiet hours end. What was entered for days before it is not known here.
    """

    def __init__(
        self,
        conn: Connection,
        board: str,
        escalation: Escalation,
        *,
        places: Collection[Place],
        urgencies: Collection[str],
        now: datetime,
    ) -> None:
        self._board = board
        self._escalation = escalation
        self._now = now
        self._grades = grades_of(conn, {p.class_id for p in places})
        grades = {f"{p.school}:{self._grades[p.class_id]}" for p in places if self._grade(p)}
        wanted = {board, *(p.school for p in places), *(p.class_id for p in places)} | grades
        self.presence = Presence(conn, wanted - {""}, now)
        self._routes = _routes(conn, board, sorted((wanted - {""}) | self.presence.people()))
        # An urgent alert asks the calendar only whether somebody is on duty besides.
        plain = set(urgencies) <= {URGENT} and not self.presence.anybody_rostered
        lessons = SchoolCalendar(None if plain else conn, board)
        self.calendar = StaffedDays(lessons, self.presence.rostered)

    def first(
        self,
        alert: str,
        chain: Sequence[Step],
        duties: Sequence[str],
        place: Place,
        *,
        step: int,
        urgency: str,
        start: datetime,
        rings: bool = True,
    ) -> Told:
        """Tell `duties` in place of those of `step`, or the first later step that is there.

        `rings`: also in quiet hours (Playbook.rings_at_night).
        """
        told, missed = self.would(
            chain, duties, place, step=step, urgency=urgency, start=start, rings=rings
        )
        for duty, of_step in missed:
            NOBODY.inc()
            log.warning("duty_has_nobody", alert=alert, duty=duty, step=of_step)
        if {duty for duty, of_step in missed if of_step == told.step} >= set(told.duties):
            log.error("alert_reaches_nobody", alert=alert)
        return told

    def would(
        self,
        chain: Sequence[Step],
        duties: Sequence[str],
        place: Place,
        *,
        step: int,
        urgency: str,
        start: datetime,
        rings: bool = True,
    ) -> tuple[Told, list[tuple[str, int]]]:
        """Who would be told, as `first`; and the duties passed over, each with its step."""
        missed: list[tuple[str, int]] = []
        duties = tuple(duties)
        begin = max(start, self._now)
        tell_at = begin if rings else self._may_ring_at(begin, place)
        while True:
            there = tuple(duty for duty in duties if self.reachable(duty, place, tell_at))
            missed += [(duty, step) for duty in duties if duty not in there]
            if there or step + 1 >= len(chain):
                break
            step += 1
            duties = chain[step].duties
        due = due_of(
            max(start, tell_at) if tell_at > self._now else start,
            chain[step],
            urgency=urgency,
            escalation=self._escalation,
            calendar=self.calendar,
            school=place.school,
        )
        told = there or duties
        beside = self._beside(told, place, tell_at)
        if not there:  # nobody at all: whoever was passed over hears of it too
            passed = dict.fromkeys((*beside, *(duty for duty, _ in missed)))
            beside = tuple(duty for duty in passed if duty not in told)
        return Told(
            step, told, due, tell_at=tell_at if tell_at > self._now else None, beside=beside
        ), missed

    def again(self, chain: Sequence[Step], place: Place, *, urgency: str, now: datetime) -> Told:
        """The chain is at its end: tell its last step again, and say when to do so next."""
        due = retold_at(
            now,
            urgency=urgency,
            escalation=self._escalation,
            calendar=self.calendar,
            school=place.school,
        )
        return Told(
            len(chain), chain[-1].duties, due, beside=self._beside(chain[-1].duties, place, now)
        )

    def _may_ring_at(self, moment: datetime, place: Place) -> datetime:
        return may_ring_at(
            moment, escalation=self._escalation, calendar=self.calendar, school=place.school
        )

    def _beside(self, told: Sequence[str], place: Place, moment: datetime) -> tuple[str, ...]:
        """Whoever is on duty at the school on a day without lessons, unless told already."""
        duty, day = self._escalation.day_duty, day_of(moment)
        if duty in told or not self.presence.rostered(place.school, day):
            return ()
        if self.calendar.lessons.is_school_day(day, place.school):
            return ()
        return (duty,) if self.reachable(duty, place, moment) else ()

    def deliveries(
        self,
        alert: str,
        told: Told,
        place: Place,
        *,
        purpose: str,
        wall: datetime,
        mark: str = "",
    ) -> list[dict[str, Any]]:
        """One delivery row for each address the duties told have; `wall`: the real time.

        `mark` tells the messages of two tellings apart that have the same purpose and deadline.

        Those of a duty's further channels are due a moment later (turns.py).
        """
        moment = told.tell_at or self._now
        held = timedelta(0) if told.tell_at is None else max(told.tell_at - self._now, timedelta(0))
        everybody = dict.fromkeys((*told.duties, *told.beside))
        if any(self.reachable(duty, place, moment) for duty in everybody):
            found = turns(self.routes(duty, place, moment) for duty in everybody)
        else:  # a message to somebody on leave is better than none to anybody
            day = day_of(moment)
            found = turns(self.all_routes(duty, place, day) for duty in everybody)
        due = told.due_at.isoformat() + mark
        ids = {
            (one.channel, one.address): derived_id(
                "delivery", alert, one.channel, one.address, purpose, due
            )
            for one in found
        }
        rows = []
        for one in found:
            row = delivery(
                ids[one.channel, one.address],
                alert=alert, channel=one.channel, address=one.address, purpose=purpose, wall=wall,
            )  # fmt: skip
            if held:
                # By the real clock, as all times of deliveries: so long from now.
                row["next_at"] = wall + held
            if one.turn > 1:
                row["turn"], row["in_place_of"] = one.turn, noted(one, ids)
                row["next_at"] = wall + held + (one.turn - 1) * SECOND_AFTER
            rows.append(row)
        return rows

    def routes(self, duty: str, place: Place, moment: datetime) -> set[Route]:
        """The duty's own routes there, and those of each person who holds it and is there."""
        where = self.where(duty, place)
        found = set(self._routes.get((duty, where), ()))
        for staff in self.presence.there(duty, where, moment):
            found |= self._routes.get((PERSON, staff), set())
        return found

    def all_routes(self, duty: str, place: Place, on: date) -> set[Route]:
        """The same of all who hold the duty on that day, wherever they are."""
        where = self.where(duty, place)
        found = set(self._routes.get((duty, where), ()))
        for staff in self.presence.holders(duty, where, on):
            found |= self._routes.get((PERSON, staff), set())
        return found

    @property
    def addresses(self) -> set[tuple[str, str]]:
        """Every (channel, address) there is a route to."""
        return {(one.channel, one.address) for found in self._routes.values() for one in found}

    def reached(self, duty: str, place: Place, moment: datetime | None = None) -> Reached:
        """How the duty is reached there at that moment (None: now), or why it is not."""
        moment, where = moment or self._now, self.where(duty, place)
        if self.presence.there(duty, where, moment):
            return "there"
        if self.presence.holders(duty, where, day_of(moment)):
            return "away"
        return "route" if self._routes.get((duty, where)) else "nobody"

    def reachable(self, duty: str, place: Place, moment: datetime | None = None) -> bool:
        """Is somebody who holds the duty there, or has a channel a route for it?"""
        return self.reached(duty, place, moment) in {"there", "route"}

    def where(self, duty: str, place: Place) -> str:
        """At which place the duty is asked for, of a child there."""
        return where(
            duty,
            board=self._board,
            school=place.school,
            class_id=place.class_id,
            grade=self._grade(place),
        )

    def _grade(self, place: Place) -> int:
        return self._grades.get(place.class_id, 0)


def delivery(
    delivery_id: str,
    *,
    alert: str,
    channel: str,
    address: str,
    purpose: str,
    wall: datetime,
    updates: str = "",
) -> dict[str, Any]:
    """A delivery row that is to be sent at once."""
    return {
        "id": delivery_id,
        "alert_id": alert,
        "channel": channel,
        "address": address,
        "purpose": purpose,
        "updates": updates,
        "state": "waiting",
        "attempts": 0,
        "created_at": wall,
        # Not `wall`: two processes' clocks may differ, and "at once" must not mean "in a moment".
        "next_at": NOT_BEFORE,
        "claimed_until": None,
        "claimed_by": "",
        "sent_at": None,
        "remote_id": "",
        "last_error": "",
        "turn": 1,
        "in_place_of": "",
    }


def put_deliveries(unit: UnitOfWork, rows: Sequence[dict[str, Any]], wakeups: Wakeups) -> None:
    """Owe these messages; once that is durable the deliverer is hinted at."""
    if rows:
        unit.conn.execute(insert(deliveries), list(rows))
    if any(row["claimed_by"] == "" for row in rows):
        unit.afterwards(partial(wakeups.hint, DELIVERIES))


def owe_updates(
    unit: UnitOfWork, alert: str, reason: str, *, wakeups: Wakeups, wall: datetime
) -> None:
    """Owe a change to every message about `alert`, sent or still on its way."""
    d = deliveries
    messages = unit.conn.execute(
        select(d.c.id, d.c.channel, d.c.address)
        .where(d.c.alert_id == alert, d.c.purpose != UPDATE, d.c.state.in_(["waiting", "sent"]))
        .order_by(d.c.id)
    ).all()
    put_deliveries(
        unit,
        [
            delivery(
                derived_id("update", message.id, reason),
                alert=alert, channel=message.channel, address=message.address,
                purpose=UPDATE, wall=wall, updates=message.id,
            )
            for message in messages
        ],
        wakeups,
    )  # fmt: skip


_ROUTES = select(routes).where(
    routes.c.board == bindparam("of"), routes.c.place.in_(bindparam("places", expanding=True))
)


def _routes(
    conn: Connection, board: str, places: Sequence[str]
) -> dict[tuple[str, str], set[Route]]:
    found: dict[tuple[str, str], set[Route]] = {}
    for start in range(0, len(places), 500):
        for row in conn.execute(_ROUTES, {"of": board, "places": places[start : start + 500]}):
            route = Route(row.channel, row.address, row.priority)
            found.setdefault((row.duty, row.place), set()).add(route)
    return found
