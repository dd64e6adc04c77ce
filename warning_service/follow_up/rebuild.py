"""Derives cases, decisions and sheets from the log again and compares them with what is stored.

Used by `kizashi rebuild`, as alerts/rebuild.py is for alerts. A decision is compared as long as its
list or case is kept: what retention deleted with the list is in the log a while longer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, insert, select

from warning_service.events.compared import different
from warning_service.events.log import Log, from_row
from warning_service.events.tables import events
from warning_service.events.types import (
    CaseHandedOver,
    CaseReturned,
    Event,
    ReviewDecided,
    SheetFilled,
    tag_of,
)
from warning_service.follow_up import cases as states
from warning_service.follow_up import sheet_rows
from warning_service.follow_up.tables import cases, reviews, sheets
from warning_service.judging.tables import warning_lists

Key = tuple[Any, ...]
Rows = dict[Key, dict[str, Any]]


@dataclass(frozen=True)
class Derived:
    """A table that follows from the log. `word`: what one row is called in a report."""

    word: str
    table: Table
    types: tuple[str, ...]
    play: Callable[[Rows, Event], None]
    of_board: Callable[[str], ColumnElement[bool]]

    @property
    def key(self) -> list[str]:
        """Names of the primary key's columns."""
        return [column.name for column in self.table.primary_key.columns]

    def named(self, key: Key) -> str:
        """A row in a report."""
        return f"{self.word} {' '.join(str(part) for part in key)}"


def _case(rows: Rows, event: Event) -> None:
    body = event.body
    if isinstance(body, CaseHandedOver) and event.student is not None:
        rows[body.case_id,] = states.opened(event.board, event.student, event.actor, body)
    elif isinstance(body, CaseReturned):
        rows[body.case_id,].update(states.ended(event.actor, body))


def _review(rows: Rows, event: Event) -> None:
    body, student = event.body, event.student
    if not isinstance(body, ReviewDecided) or student is None:
        return
    key = (body.list_id, student, body.scheme)
    if not body.chosen:
        rows.pop(key, None)
        return
    rows[key] = {
        "list_id": body.list_id,
        "student": student,
        "scheme": body.scheme,
        "chosen": body.chosen,
        "directions": ",".join(body.directions),
        "sealed": body.sealed,
        "author": event.actor,
        # Events of before several meetings have no moment of their own (migration 0016).
        "at": body.at or event.recorded_at,
    }


def _sheet(rows: Rows, event: Event) -> None:
    body = event.body
    if isinstance(body, SheetFilled) and event.student is not None:
        row = sheet_rows.filled(event.board, event.student, event.actor, body)
        rows[tuple(row[name] for name in SHEETS.key)] = row


def _of_board(board: str) -> ColumnElement[bool]:
    w, c = warning_lists.c, cases.c
    mine = select(w.id).where(w.board == board).union(select(c.id).where(c.board == board))
    return reviews.c.list_id.in_(mine)


CASES = Derived(
    "case", cases, (tag_of(CaseHandedOver), tag_of(CaseReturned)), _case,
    lambda board: cases.c.board == board,
)  # fmt: skip
REVIEWS = Derived("review", reviews, (tag_of(ReviewDecided),), _review, _of_board)
SHEETS = Derived(
    "sheet", sheets, (tag_of(SheetFilled),), _sheet, lambda board: sheets.c.board == board
)
EVERY = (CASES, REVIEWS, SHEETS)


def derive(conn: Connection, board: str, what: Derived) -> Rows:
    """Primary key -> row, from the board's events alone."""
    rows: Rows = {}
    query = (
        select(events)
        .where(events.c.board == board, events.c.type.in_(what.types))
        .order_by(events.c.position)
    )
    for event in map(from_row, conn.execute(query)):
        what.play(rows, event)
    return rows


def _stored(conn: Connection, board: str, what: Derived) -> Rows:
    query = select(what.table).where(what.of_board(board))
    return {
        tuple(row._mapping[name] for name in what.key): dict(row._mapping)
        for row in conn.execute(query)
    }


def _compared(conn: Connection, board: str, what: Derived) -> tuple[Rows, Rows]:
    """What is stored, and what the log says of the same lists and cases."""
    stored, derived = _stored(conn, board, what), derive(conn, board, what)
    if what is REVIEWS:
        w, c = warning_lists.c, cases.c
        there = set(conn.execute(select(w.id).where(w.board == board)).scalars())
        there |= set(conn.execute(select(c.id).where(c.board == board)).scalars())
        derived = {key: row for key, row in derived.items() if key[0] in there}
    return stored, derived


def differences(log: Log, board: str) -> list[str]:
    """What the stored rows have different, by row and column; empty when all are equal."""
    found: list[str] = []
    with log.database.reading() as conn:
        for what in EVERY:
            found += different(*_compared(conn, board, what), what.named)
    return found


def replace(log: Log, board: str) -> int:
    """Put the derived rows in the place of the stored ones; return how many there are."""
    count = 0
    with log.database.writing() as conn:
        for what in EVERY:
            _, derived = _compared(conn, board, what)
            conn.execute(delete(what.table).where(what.of_board(board)))
            if derived:
                conn.execute(insert(what.table), list(derived.values()))
            count += len(derived)
    return count
