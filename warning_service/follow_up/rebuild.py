"""Derives the cases' rows from the log again and compares them with what is stored.

Used by `kizashi rebuild`, as alerts/rebuild.py is for alerts.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, insert, select

from warning_service.events.log import Log, from_row
from warning_service.events.tables import events
from warning_service.events.types import CaseHandedOver, CaseReturned, tag_of
from warning_service.follow_up import cases as states
from warning_service.follow_up.tables import cases

_TYPES = [tag_of(CaseHandedOver), tag_of(CaseReturned)]


def derive(conn: Connection, board: str) -> dict[str, dict[str, Any]]:
    """Case id -> row, from the board's events alone."""
    rows: dict[str, dict[str, Any]] = {}
    query = (
        select(events)
        .where(events.c.board == board, events.c.type.in_(_TYPES))
        .order_by(events.c.position)
    )
    for event in map(from_row, conn.execute(query)):
        body = event.body
        if isinstance(body, CaseHandedOver) and event.student is not None:
            rows[body.case_id] = states.opened(board, event.student, event.actor, body)
        elif isinstance(body, CaseReturned):
            rows[body.case_id].update(states.ended(event.actor, body))
    return rows


def differences(log: Log, board: str) -> list[str]:
    """What the stored rows have different, by case id and column; empty when all are equal."""
    with log.database.reading() as conn:
        stored = {
            row.id: dict(row._mapping)
            for row in conn.execute(select(cases).where(cases.c.board == board))
        }
        derived = derive(conn, board)
    found = []
    for case_id in sorted(stored.keys() | derived.keys()):
        if case_id not in stored:
            found.append(f"case {case_id}: in the log, not stored")
        elif case_id not in derived:
            found.append(f"case {case_id}: stored, not in the log")
        else:
            columns = [n for n, value in derived[case_id].items() if stored[case_id][n] != value]
            if columns:
                found.append(f"case {case_id}: {', '.join(columns)}")
    return found


def replace(log: Log, board: str) -> int:
    """Put the derived rows in the place of the stored ones; return how many there are."""
    with log.database.writing() as conn:
        rows = list(derive(conn, board).values())
        conn.execute(delete(cases).where(cases.c.board == board))
        if rows:
            conn.execute(insert(cases), rows)
    return len(rows)
