"""Derives the alerts' rows from the log again and compares them with what is stored.

Used by `kizashi rebuild`. Deliveries are not derived: they are claims on senders, not facts.
"""

from __future__ import annotations

from typing import Any, get_args

import structlog
from sqlalchemy import Connection, delete, insert, select

from warning_service.alerts import states
from warning_service.alerts.tables import alerts
from warning_service.events.compared import different
from warning_service.events.log import Log, from_row
from warning_service.events.tables import events
from warning_service.events.types import OfAlert, tag_of

log = structlog.get_logger()

_TYPES = [tag_of(t) for t in get_args(OfAlert)]


def derive(conn: Connection, board: str) -> dict[str, dict[str, Any]]:
    """Alert id -> row, from the board's alert events alone."""
    rows: dict[str, dict[str, Any]] = {}
    query = (
        select(events)
        .where(events.c.board == board, events.c.type.in_(_TYPES))
        .order_by(events.c.position)
    )
    for event in map(from_row, conn.execute(query)):
        body = event.body
        assert isinstance(body, OfAlert)
        try:
            # A notice is about a place: its events name no student, its row has ''.
            states.apply(
                rows, board=board, student=event.student or "", actor=event.actor, body=body
            )
        except (states.NotAllowed, KeyError):
            # No transaction of ours wrote this. The row goes on without it, which shows as a
            # difference if anything acted on it.
            log.error("alert_event_not_allowed", alert=body.alert_id, position=event.position)
    return rows


def differences(log: Log, board: str) -> list[str]:
    """What the stored rows have different, by alert id and column; empty when all are equal."""
    with log.database.reading() as conn:
        stored = {
            row.id: dict(row._mapping)
            for row in conn.execute(select(alerts).where(alerts.c.board == board))
        }
        derived = derive(conn, board)
    return different(stored, derived, "alert {}".format)


def replace(log: Log, board: str) -> int:
    """Put the derived rows in the place of the stored ones; return how many there are."""
    with log.database.writing() as conn:
        rows = list(derive(conn, board).values())
        conn.execute(delete(alerts).where(alerts.c.board == board))
        if rows:
            conn.execute(insert(alerts), rows)
    return len(rows)
