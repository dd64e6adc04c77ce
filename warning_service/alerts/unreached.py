"""Alerts that no channel could deliver: told to the next step before their deadline.

A deadline is the time people have to answer; where nobody was reached it is only lost. When every
message about an open alert has failed or has been tried in vain for long enough, second channels
too, and nobody has seen the alert in the portal, the next step is told at once, on whatever
channels that one has. At the end of the chain nothing more can be told: the alert stays open and
the watchman says that its messages do not arrive.

It looks at urgent alerts only; what is due "today" goes on once its messages were given up.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from prometheus_client import Counter
from sqlalchemy import and_, exists, func, or_, select

from warning_service.alerts import states
from warning_service.alerts.deadlines import URGENT
from warning_service.alerts.due import AT_ONCE, each
from warning_service.alerts.escalation import escalate_rows
from warning_service.alerts.outbox import FAILED, SENT, WAITING
from warning_service.alerts.tables import alerts, deliveries
from warning_service.alerts.telling import UPDATE
from warning_service.clock import Clock
from warning_service.events.log import Log
from warning_service.playbooks.service import Playbooks

log = structlog.get_logger()

AFTER = timedelta(seconds=90)
"""So long an urgent message may be under way: time for a second and a third channel."""

UNREACHED = Counter("kizashi_alerts_unreached_total", "Alerts moved on as no channel worked")


def escalate_unreached(log_: Log, playbooks: Playbooks, wall: Clock) -> int:
    """Move open alerts nobody could be told about a step on; return how many.

    Safe to call from any number of processes at once. Raises StorageUnavailable.
    """
    by_board: dict[str, list[Any]] = {}
    for row in _unreached(log_, wall):
        by_board.setdefault(row.board, []).append(row)
    moved = 0
    for board, rows in by_board.items():
        count, _ = each(rows, partial(_ahead, log_, playbooks, wall, board), "unreached_failed")
        if count:
            log.error("alerts_reached_nobody_and_moved_on", board=board, count=count)
        moved += count
    UNREACHED.inc(moved)
    return moved


def _ahead(log_: Log, playbooks: Playbooks, wall: Clock, board: str, rows: Sequence[Any]) -> int:
    """Those of these (rows) whose chain goes on move a step; how many."""
    playbook = playbooks.for_help(board)
    ahead = [row for row in rows if row.step + 1 < len(playbook.chain(row.kind, row.urgency))]
    return escalate_rows(log_, playbooks, wall, board, ahead) if ahead else 0


def _unreached(log_: Log, wall: Clock) -> list[Any]:
    a, d = alerts, deliveries
    long_ago = wall.now() - AFTER
    about = and_(d.c.alert_id == a.c.id, d.c.purpose != UPDATE)
    newest = select(func.max(d.c.created_at)).where(about).scalar_subquery()
    query = (
        select(a)
        .where(a.c.state == states.OPEN, a.c.due_at.is_not(None), a.c.delivered_at.is_(None))
        .where(exists().where(about, d.c.state.in_([WAITING, FAILED])))
        .where(~exists().where(about, d.c.state == SENT))
        .where(
            or_(
                and_(a.c.urgency == URGENT, newest < long_ago),
                ~exists().where(about, d.c.state == WAITING),
            )
        )
        .order_by(a.c.raised_at, a.c.id)
        .limit(AT_ONCE)
    )
    with log_.database.reading() as conn:
        return list(conn.execute(query))
