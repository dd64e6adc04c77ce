"""Messages that did not arrive: what the operator sees of them, and sending them again.

A letter says by which channel, since when, how often tried and what the channel answered (a code of
ours); the alert is there only as its mark, the same that stands in the message. No address (a mail
address is a person's), no school, no child. Whether an alert is still waiting is said, because a
message about one that somebody has needs no second try.

Sending again makes a given-up message a waiting one with all its tries; it goes through the same
queue, and if somebody has taken the alert on meanwhile, it is not needed and says so.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.trail.audit import Trail
from warning_service.alerts import states
from warning_service.alerts.outbox import FAILED, WAITING
from warning_service.alerts.tables import alerts, deliveries
from warning_service.alerts.telling import DELIVERIES, NOT_BEFORE, UPDATE
from warning_service.clock import Clock
from warning_service.events.log import Log

LATE = timedelta(minutes=2)
"""A message that was tried and is not out after that long is shown, though it is tried on."""

MOST_SHOWN = 200


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One message. `mark`: the alert's, '' for a trial; `open`: nobody has taken the alert on."""

    id: str
    mark: str
    channel: str
    purpose: str
    urgent: bool
    given_up: bool
    open: bool
    attempts: int
    since: datetime
    next_at: datetime
    error: str


class Letters(msgspec.Struct, frozen=True):
    """At most `MOST_SHOWN` of each, urgent ones first; how many there are in all."""

    given_up: list[Letter]
    late: list[Letter]
    given_up_count: int
    late_count: int


def letters(conn: Connection, now: datetime) -> Letters:
    """What did not arrive, as of `now` by the real clock."""
    found = {}
    for given_up in (True, False):
        where = deliveries.c.state == FAILED if given_up else late(now)
        count = conn.execute(select(func.count()).select_from(deliveries).where(where))
        found[given_up] = (_letters(conn, where), int(count.scalar_one()))
    return Letters(found[True][0], found[False][0], found[True][1], found[False][1])


def late(now: datetime) -> ColumnElement[bool]:
    """The condition of a message that should be out by now: tried, or due, long ago."""
    d = deliveries.c
    return and_(
        d.state == WAITING,
        d.purpose != UPDATE,
        d.created_at < now - LATE,
        or_(d.attempts > 0, d.last_error != "", d.next_at < now - LATE),
    )


def send_again(
    log: Log, trail: Trail, who: Principal, wall: Clock, ids: Collection[str] | None = None
) -> int:
    """Send given-up messages again, all of them or those of `ids`; return how many.

    On the trail in the same transaction. Raises StorageUnavailable (nothing changed).
    """
    d = deliveries
    where = [d.c.state == FAILED]
    if ids is not None:
        where.append(d.c.id.in_(sorted(ids)))
    with log.unit_of_work() as unit:
        again = unit.conn.execute(
            update(d)
            .where(*where)
            .values(
                state=WAITING, attempts=0, last_error="", next_at=NOT_BEFORE,
                created_at=wall.now(), claimed_by="", claimed_until=None,
            )
            .returning(d.c.id)
        ).all()  # fmt: skip
        if again:
            line = trail.look(
                who, "resend_messages", who.board, str(len(again)), using=Ability.OPERATE
            )
            trail.write(unit.conn, [line])
            unit.afterwards(lambda: log.wakeups.hint(DELIVERIES))
    return len(again)


def _letters(conn: Connection, where: ColumnElement[bool]) -> list[Letter]:
    d, a = deliveries.c, alerts.c
    rows = conn.execute(
        select(
            d.id, d.alert_id, d.channel, d.purpose, d.state, d.attempts, d.created_at, d.next_at,
            d.last_error, func.coalesce(a.urgency, "").label("urgency"),
            func.coalesce(a.state, "").label("alert_state"),
        )
        .select_from(deliveries.outerjoin(alerts, a.id == d.alert_id))
        .where(where)
        .order_by(a.urgency.desc(), d.created_at, d.id)
        .limit(MOST_SHOWN)
    )  # fmt: skip
    return [
        Letter(
            id=row.id,
            mark=row.alert_id[:8],
            channel=row.channel,
            purpose=row.purpose,
            urgent=row.urgency == "urgent",
            given_up=row.state == FAILED,
            open=row.alert_state == states.OPEN,
            attempts=row.attempts,
            since=row.created_at,
            next_at=row.next_at,
            error=row.last_error,
        )
        for row in rows
    ]
