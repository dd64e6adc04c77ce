"""A child's end in this service: its key first, then what happened, all that is held, its name.

Used for children who left long ago, for a decision on a family's request, and after a restored
backup brought somebody back. The order makes every interruption harmless: with the key gone, what
people wrote is unreadable; while the name is there, the child is found and begun with again; the
models drop the child's samples at once and are derived again without it. What stays are rows of the
audit trail, which know a random key and no name, until their own clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection, Table, delete, func, select

from warning_service.access import leaving
from warning_service.access.tables import looking_alarms
from warning_service.access.trail import audit
from warning_service.access.trail.audit import Look
from warning_service.alerts.tables import alerts, deliveries
from warning_service.events.log import Log, UnitOfWork
from warning_service.events.tables import events
from warning_service.events.types import LogShortened, NewEvent, new_id
from warning_service.follow_up.tables import cases, follow_ups, opinions, reviews, sheets
from warning_service.judging.deriving.forget import forget_at_once
from warning_service.judging.tables import feature_states, left_out, list_entries, list_scores
from warning_service.keeping.kinds import Took, delete_events
from warning_service.rights import tables as rights
from warning_service.roster.tables import enrolments, households, opt_outs

BATCH = 2000
ERASED = "erased"
"""The trail's action; its subjects are what a restored backup has to be held against."""

HELD: tuple[Table, ...] = (
    list_entries, list_scores, reviews, follow_ups, sheets, opinions, cases, alerts,
    rights.family_requests, rights.stopped_items, enrolments, households, opt_outs,
)  # fmt: skip
"""Tables with a column `student`, beside the log, the roster's names and judging's state."""

JUDGED: tuple[Table, ...] = (feature_states, left_out)
_HANGING: tuple[tuple[Table, str, Table], ...] = (
    (deliveries, "alert_id", alerts),
    (rights.request_steps, "request", rights.family_requests),
    (rights.request_choices, "request", rights.family_requests),
    (rights.request_corrections, "request", rights.family_requests),
    (rights.request_links, "request", rights.family_requests),
)


def erase_rows(conn: Connection, board: str, students: Sequence[str], limit: int) -> Took:
    """One batch within the caller's transaction. `rows`: children of whom nothing is left now.

    Deletes up to `limit` of their events; once none is left, everything else and the name.
    """
    if not students:
        return Took()
    leaving.shred_keys(conn, students)
    leaving.shut_out_children(conn, students)
    e = events.c
    due = conn.execute(
        select(e.position, e.day).where(e.student.in_(students)).order_by(e.position).limit(limit)
    ).all()
    took = delete_events(conn, [(row.position, row.day) for row in due])
    if len(due) == limit:
        return took._replace(rows=0)
    n = enrolments.c
    last = func.max(func.coalesce(n.until_day, date.max))
    last_day = conn.execute(select(last).where(n.student.in_(students))).scalar_one()
    forget_at_once(conn, board, students, last_day or date.max)
    for table, column, parent in _HANGING:
        mine = select(parent.c.id).where(parent.c.student.in_(students))
        conn.execute(delete(table).where(table.c[column].in_(mine)))
    for table in HELD:
        conn.execute(delete(table).where(table.c.student.in_(students)))
    conn.execute(delete(looking_alarms).where(looking_alarms.c.subject.in_(students)))
    leaving.forget_names(conn, students)
    return took._replace(rows=len(students))


def erase(
    log: Log, trail: audit.Trail, board: str, students: Sequence[str], *, kind: str, actor: str
) -> None:
    """Erase children now. Raises StorageUnavailable; calling again goes on where it stopped.

    `kind` says why, in the log and on the trail: a clock's kind, `request` or `restore`.
    """
    done = False
    while not done:
        with log.unit_of_work() as unit:
            took = erase_rows(unit.conn, board, students, BATCH)
            done = took.rows == len(students)
            say_shortened(unit, log, board, kind, took, judged=True)
            looks = [
                Look(board=board, actor=actor, action=ERASED, subject=student, detail=kind)
                for student in students
            ]
            if done:
                trail.write(unit.conn, looks)


def say_shortened(
    unit: UnitOfWork, log: Log, board: str, kind: str, took: Took, *, judged: bool
) -> None:
    """Have the log itself tell that rows of it are gone, in the transaction that deletes them."""
    if not took.log_rows or took.oldest is None or took.newest is None:
        return
    body: Any = LogShortened(
        kind=kind, rows=took.log_rows, oldest=took.oldest, newest=took.newest, judged=judged
    )
    unit.append(
        NewEvent(
            id=new_id(), board=board, student=None, on=log.clock.today(),
            actor="system:retention", body=body,
        )
    )  # fmt: skip
