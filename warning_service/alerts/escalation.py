"""Tells the next person when nobody has acknowledged in time.

Thinks without a transaction (who is next, by when), then changes each alert only if it is still
open and still due at the moment that was read: of two processes that look at once, the second finds
nothing left to change. After the last step an alert stays open, is shown as unanswered, and its
last step is told again every day until somebody takes it on.

New deadlines count from now, so a service that was down for a night moves each alert one step when
it comes back, and does not run through the whole chain in a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from prometheus_client import Counter

from warning_service.alerts import states
from warning_service.alerts.due import move_due
from warning_service.alerts.tables import alerts
from warning_service.alerts.telling import ESCALATED, Place, Telling, Told, put_deliveries
from warning_service.clock import Clock
from warning_service.events.log import Log
from warning_service.events.types import AlertEscalated, NewEvent, derived_id
from warning_service.playbooks.service import Playbooks

log = structlog.get_logger()

ACTOR = "system:alerts"
ESCALATED_TOTAL = Counter("kizashi_alerts_escalated_total", "Steps told for want of an answer")


def escalate_due(log_: Log, playbooks: Playbooks, wall: Clock) -> int:
    """Move every open alert that is due one step on; return how many. Raises StorageUnavailable."""
    return move_due(
        log_,
        alerts.c.state == states.OPEN,
        lambda board, rows: escalate_rows(log_, playbooks, wall, board, rows),
        "escalation_failed",
    )


def escalate_rows(
    log_: Log, playbooks: Playbooks, wall: Clock, board: str, due: Sequence[Any]
) -> int:
    """Move these open alerts of one board (rows) a step on, unless they have changed meanwhile."""
    now = log_.clock.now()
    playbook = playbooks.for_help(board)
    with log_.database.reading() as conn:
        telling = Telling(
            conn, board, playbook.escalation,
            places={Place(row.school, row.class_id) for row in due},
            urgencies={row.urgency for row in due}, now=now,
        )  # fmt: skip
    planned: list[tuple[Any, Told, AlertEscalated, list[dict[str, Any]]]] = []
    for row in due:
        place = Place(row.school, row.class_id)
        chain = playbook.chain(row.kind, row.urgency)
        if row.step + 1 < len(chain):
            told = telling.first(
                row.id, chain, chain[row.step + 1].duties, place,
                step=row.step + 1, urgency=row.urgency, start=now,
                rings=playbook.rings_at_night(row.kind, row.urgency),
            )  # fmt: skip
        else:
            told = telling.again(chain, place, urgency=row.urgency, now=now)
        body = AlertEscalated(
            alert_id=row.id,
            step=told.step,
            duties=(*told.duties, *told.beside),
            due_at=told.due_at,
        )
        # By the row's version: two steps told one soon after the other can have one deadline.
        owed = telling.deliveries(
            row.id, told, place, purpose=ESCALATED, wall=wall.now(), mark=f":{row.version}"
        )
        planned.append((row, told, body, owed))
    moved = 0
    with log_.unit_of_work() as unit:
        for row, told, body, owed in planned:
            if not states.move(unit.conn, row, ACTOR, body):
                continue  # acknowledged meanwhile, or another process was first
            unit.append(
                NewEvent(
                    id=derived_id("alert_escalated", row.id, str(row.version)),
                    board=board, student=row.student or None, on=log_.clock.today(),
                    actor=ACTOR, body=body,
                )
            )  # fmt: skip
            put_deliveries(unit, owed, log_.wakeups)
            moved += 1
            log.warning("alert_escalated", alert=row.id, step=told.step, kind=row.urgency)
    ESCALATED_TOTAL.inc(moved)
    return moved
