"""What follows by itself after an alert was taken on, put off or recorded.

An acknowledgement that no record followed in time expires: the alert is open again and the next
step of the chain is told, as if nobody had answered. Who took it on and recorded something about
the child since then, only not from the alert, has answered it: that record handles it, and nobody
is called for what was done. A snooze that is over opens the alert at the step it was on. What was
handled is closed after the playbook's days; nothing else closes by itself, and what is handled or
closed never rings again unless a person opens it again.

Like the escalation it thinks without a transaction and then changes each alert only if nobody has
changed it since; any number of processes may do it at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import structlog
from prometheus_client import Counter
from sqlalchemy import Connection, select

from warning_service.alerts import states
from warning_service.alerts.deadlines import URGENT
from warning_service.alerts.due import AT_ONCE, move_due
from warning_service.alerts.privacy import duties_of
from warning_service.alerts.tables import alerts, deliveries
from warning_service.alerts.telling import (
    ESCALATED,
    UPDATE,
    Place,
    Telling,
    owe_updates,
    put_deliveries,
)
from warning_service.clock import Clock
from warning_service.events.log import Log, UnitOfWork
from warning_service.events.tables import events
from warning_service.events.types import (
    AlertClosed,
    AlertDelivered,
    AlertHandled,
    AlertOpenedAgain,
    FollowUpRecorded,
    NewEvent,
    OfAlert,
    decode,
    derived_id,
    tag_of,
)
from warning_service.playbooks.model import Playbook
from warning_service.playbooks.service import Playbooks

log = structlog.get_logger()

ACTOR = "system:alerts"
NOTED_AT_ONCE = 10
WOKEN_TOTAL = Counter("kizashi_alerts_opened_again_total", "Open again by themselves", ["why"])


class _Plan(NamedTuple):
    row: Any
    actor: str
    body: OfAlert
    owed: list[dict[str, Any]]


def wake_due(log_: Log, playbooks: Playbooks, wall: Clock) -> int:
    """Let everything follow whose time has come; return how many. Raises StorageUnavailable."""
    return move_due(
        log_,
        alerts.c.state.in_([states.ACKNOWLEDGED, states.SNOOZED, states.HANDLED]),
        lambda board, rows: _wake_board(log_, playbooks, wall, board, rows),
        "waking_failed",
    )


def note_delivered(log_: Log) -> int:
    """Note of alerts that nothing had so far that a channel has them; return how many.

    Looked up afterwards, so that no sender waits for it.
    """
    a, d = alerts.c, deliveries.c
    with log_.database.reading() as conn:
        rows = conn.execute(
            select(alerts, d.channel)
            .join(deliveries, d.alert_id == a.id)
            .where(a.delivered_at.is_(None), a.state.in_(states.WAITING))
            .where(d.state == "sent", d.purpose != UPDATE)
            .order_by(a.id, d.sent_at)
            .limit(AT_ONCE)
        ).all()
    first = {row.id: row for row in reversed(rows)}
    if not first:
        return 0
    now, noted, rows = log_.clock.now(), 0, list(first.values())
    # A few at a time: children's answers wait for their turn to be written, too.
    for start in range(0, len(rows), NOTED_AT_ONCE):
        with log_.unit_of_work() as unit:
            for row in rows[start : start + NOTED_AT_ONCE]:
                body = AlertDelivered(alert_id=row.id, via=row.channel, at=now)
                noted += _make(unit, log_, row, ACTOR, body)
    return noted


def _wake_board(
    log_: Log, playbooks: Playbooks, wall: Clock, board: str, due: Sequence[Any]
) -> int:
    now, plans = log_.clock.now(), []
    playbook = playbooks.for_help(board)
    with log_.database.reading() as conn:
        telling = Telling(
            conn, board, playbook.escalation,
            places={Place(row.school, row.class_id) for row in due},
            urgencies={row.urgency for row in due}, now=now,
        )  # fmt: skip
        for row in due:
            if row.state == states.HANDLED:
                plans.append(_Plan(row, ACTOR, AlertClosed(alert_id=row.id, at=now), []))
            elif row.state == states.ACKNOWLEDGED and (record := _recorded(conn, row)):
                plans.append(_Plan(row, row.acknowledged_by, record, []))
            else:
                plans.append(_opened(telling, playbook, row, now, wall))
    moved = 0
    with log_.unit_of_work() as unit:
        for plan in plans:
            if not _make(unit, log_, plan.row, plan.actor, plan.body):
                continue
            moved += 1
            put_deliveries(unit, plan.owed, log_.wakeups)
            owe_updates(
                unit, plan.row.id, f"{tag_of(plan.body)}:{plan.row.version}",
                wakeups=log_.wakeups, wall=wall.now(),
            )  # fmt: skip
            if isinstance(plan.body, AlertOpenedAgain):
                WOKEN_TOTAL.labels(plan.body.why).inc()
                log.warning("alert_opened_again", alert=plan.row.id, reason=plan.body.why)
    return moved


def _make(unit: UnitOfWork, log_: Log, row: Any, actor: str, body: OfAlert) -> bool:
    """One change, if nobody was first."""
    if not states.move(unit.conn, row, actor, body):
        return False
    unit.append(
        NewEvent(
            id=derived_id(tag_of(body), row.id, str(row.version)),
            board=row.board, student=row.student or None, on=log_.clock.today(),
            actor=actor, body=body,
        )
    )  # fmt: skip
    return True


def _recorded(conn: Connection, row: Any) -> AlertHandled | None:
    """What who has the alert recorded about the child since then, as its answer."""
    if not row.student or row.acknowledged_at is None:
        return None
    e = events.c
    found = conn.execute(
        select(e.body, e.recorded_at)
        .where(e.student == row.student, e.type == tag_of(FollowUpRecorded))
        .where(e.actor == row.acknowledged_by, e.recorded_at >= row.acknowledged_at)
        .order_by(e.position)
    )
    for record in found:
        body = decode(record.body)
        assert isinstance(body, FollowUpRecorded)
        if _answers(conn, row, body.alert_id):
            return AlertHandled(
                alert_id=row.id, follow_up_id=body.follow_up_id, at=record.recorded_at
            )
    return None


def _answers(conn: Connection, row: Any, of_alert: str | None) -> bool:
    """Can a record made from `of_alert` (None: from none) be about this alert as well?

    Several calls of one child are answered by one talk; a call for help never by what was done
    about something else, as a falling mood.
    """
    if of_alert in {None, row.id} or row.urgency != URGENT:
        return True
    kind = conn.execute(select(alerts.c.kind).where(alerts.c.id == of_alert)).scalar_one_or_none()
    return bool(kind == row.kind)


def _opened(telling: Telling, playbook: Playbook, row: Any, now: datetime, wall: Clock) -> _Plan:
    place = Place(row.school, row.class_id)
    chain = playbook.chain(row.kind, row.urgency)
    expired = row.state == states.ACKNOWLEDGED
    step = row.step + 1 if expired else row.step
    if step < len(chain):
        duties = duties_of(row.readers) if step == 0 else chain[step].duties
        told = telling.first(
            row.id,
            chain,
            duties,
            place,
            step=step,
            urgency=row.urgency,
            start=now,
            rings=playbook.rings_at_night(row.kind, row.urgency),
        )
    else:
        told = telling.again(chain, place, urgency=row.urgency, now=now)
    why = states.EXPIRED if expired else states.WOKEN
    body = AlertOpenedAgain(
        alert_id=row.id,
        why=why,
        step=told.step,
        duties=(*told.duties, *told.beside),
        due_at=told.due_at,
        at=now,
    )
    owed = telling.deliveries(
        row.id, told, place, purpose=ESCALATED,
        wall=wall.now(), mark=f"{why}:{row.version}",
    )  # fmt: skip
    return _Plan(row, ACTOR, body, owed)
