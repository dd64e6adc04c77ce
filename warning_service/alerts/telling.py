"""Whom to tell: from duties of the playbook's chain to routes of the board's channels.

A duty is reachable when somebody holds it at that place (the portal shows them the alert) or when
a channel has a route for it. A step nobody of whom is reachable is passed over at once: waiting for
a deadline that nobody has heard of helps no child.

Loaded once for a batch of alerts, in four queries however many there are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from functools import partial
from typing import Any, NamedTuple

import structlog
from prometheus_client import Counter
from sqlalchemy import Connection, insert, select

from warning_service.access.staff_lookup import holders
from warning_service.alerts.deadlines import URGENT, due_after, retold_at
from warning_service.alerts.privacy import where
from warning_service.alerts.tables import deliveries, routes
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

DELIVERIES = "deliveries"
"""What hints to the deliverer are about."""


class Place(NamedTuple):
    """Where the child is: '' for a child that has never been on a roll."""

    school: str
    class_id: str


class Told(NamedTuple):
    """Who is told, and by when somebody has to have acknowledged it."""

    step: int
    duties: tuple[str, ...]
    due_at: datetime


class Telling:
    """Routes, holders of duties and the calendar for the alerts of some places of one board."""

    def __init__(
        self,
        conn: Connection,
        board: str,
        escalation: Escalation,
        *,
        places: Collection[Place],
        urgencies: Collection[str],
        on: date,
    ) -> None:
        self._board = board
        self._escalation = escalation
        wanted = {board, *(p.school for p in places), *(p.class_id for p in places)} - {""}
        self._holders = holders(conn, wanted, on)
        self._routes = _routes(conn, board, sorted(wanted))
        plain = set(urgencies) <= {URGENT}
        self._calendar = SchoolCalendar(None if plain else conn, board)

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
    ) -> Told:
        """Tell `duties` in place of those of `step`, or the first later step that is there."""
        duties = tuple(duties)
        while True:
            there = tuple(duty for duty in duties if self.reachable(duty, place))
            for duty in set(duties) - set(there):
                NOBODY.inc()
                log.warning("duty_has_nobody", alert=alert, duty=duty, step=step)
            if there or step + 1 >= len(chain):
                break
            step += 1
            duties = chain[step].duties
        if not there:
            log.error("alert_reaches_nobody", alert=alert)
        due = due_after(
            start,
            chain[step].minutes,
            urgency=urgency,
            escalation=self._escalation,
            calendar=self._calendar,
            school=place.school,
        )
        return Told(step, there or duties, due)

    def again(self, chain: Sequence[Step], place: Place, *, urgency: str, now: datetime) -> Told:
        """The chain is at its end: tell its last step again, and say when to do so next."""
        due = retold_at(
            now,
            urgency=urgency,
            escalation=self._escalation,
            calendar=self._calendar,
            school=place.school,
        )
        return Told(len(chain), chain[-1].duties, due)

    def deliveries(
        self, alert: str, told: Told, place: Place, *, purpose: str, wall: datetime
    ) -> list[dict[str, Any]]:
        """One delivery row for each address the duties told have; `wall`: the real time."""
        addresses = {
            address
            for duty in told.duties
            for address in self._routes.get((duty, self._where(duty, place)), ())
        }
        return [
            delivery(
                derived_id("delivery", alert, channel, address, purpose, told.due_at.isoformat()),
                alert=alert, channel=channel, address=address, purpose=purpose, wall=wall,
            )
            for channel, address in sorted(addresses)
        ]  # fmt: skip

    def reachable(self, duty: str, place: Place) -> bool:
        """Does somebody hold the duty there, or has a channel a route for it?"""
        where = (duty, self._where(duty, place))
        return bool(self._holders.get(where) or self._routes.get(where))

    def _where(self, duty: str, place: Place) -> str:
        return where(duty, board=self._board, school=place.school, class_id=place.class_id)


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


def _routes(
    conn: Connection, board: str, places: Sequence[str]
) -> dict[tuple[str, str], set[tuple[str, str]]]:
    found: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for start in range(0, len(places), 500):
        part = places[start : start + 500]
        rows = conn.execute(select(routes).where(routes.c.board == board, routes.c.place.in_(part)))
        for row in rows:
            found.setdefault((row.duty, row.place), set()).add((row.channel, row.address))
    return found
