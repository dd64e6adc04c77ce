"""Alerts and cases: a matter whose events go together, by the day it began or ended.

An alert raised in March and handled in April is one matter. Deleting the events of March alone
would leave an alert that was handled but never raised; so the row of the matter says whether it is
due, and all its events go with it, whatever their days.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, select

from warning_service.events.tables import events
from warning_service.events.types import AnyBody, decode
from warning_service.keeping.kinds import Rows, Took, delete_events


@dataclass(frozen=True)
class Matters:
    """A kind of matters. `of`: which matter an event belongs to; `types`: its events."""

    id: str
    rows: Rows
    types: tuple[str, ...]
    of: Callable[[AnyBody], str]
    by_board: bool = True
    judged: bool = False

    def due(self, conn: Connection, board: str, before: date) -> Took:
        """Counts matters, not the events they consist of."""
        return self.rows.due(conn, board, before)

    def take(self, conn: Connection, board: str, before: date, limit: int) -> Took:
        """Delete the oldest matters with their events. Rows are counted with their events."""
        t = self.rows.table
        due = conn.execute(
            select(t.c.id, t.c.student)
            .where(*self.rows.condition(board, before))
            .order_by(self.rows.when)
            .limit(limit)
        ).all()
        took = delete_events(conn, self._events(conn, due))
        return took + self.rows.take(conn, board, before, limit)

    def _events(self, conn: Connection, due: Sequence[Any]) -> list[tuple[int, date]]:
        matters = {row.id for row in due}
        students = sorted({row.student for row in due})
        e = events.c
        found = []
        for start in range(0, len(students), 500):
            rows = conn.execute(
                select(e.position, e.day, e.body).where(
                    e.student.in_(students[start : start + 500]), e.type.in_(self.types)
                )
            )
            found += [
                (row.position, row.day) for row in rows if self.of(decode(row.body)) in matters
            ]
        return found
