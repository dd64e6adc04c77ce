"""What a kind of personal data is to retention: how much is due, and how a batch of it goes.

A batch is small and within the caller's transaction; whoever calls writes the trail and, for rows
of the log, the event that says so. Each kind's rows are found by the same condition for the dry run
and for the deletion. A test holds these kinds against the clocks and against every table there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple, Protocol

from sqlalchemy import ColumnElement, Connection, Date, Table, delete, func, select

from warning_service.access.retention import leave_to_delete
from warning_service.clock import at, day_of
from warning_service.database import UtcDateTime
from warning_service.events.tables import events

_PART = 500


class Took(NamedTuple):
    """What a batch deleted, or what is due. Days are those the rows are of."""

    rows: int = 0
    oldest: date | None = None
    newest: date | None = None
    log_rows: int = 0
    """How many of the rows were events of the board's log."""

    def __add__(self, other: Any) -> Took:
        days = [day for day in (self.oldest, self.newest, other.oldest, other.newest) if day]
        return Took(
            self.rows + other.rows,
            min(days, default=None),
            max(days, default=None),
            self.log_rows + other.log_rows,
        )


class Kind(Protocol):
    """One kind of data with a clock of the same name."""

    @property
    def id(self) -> str:
        """The clock's kind."""

    @property
    def judged(self) -> bool:
        """Has judging read its rows in the log, so that models must be derived again?"""

    @property
    def by_board(self) -> bool:
        """Is it swept board by board?"""

    def due(self, conn: Connection, board: str, before: date) -> Took:
        """How much is of a day before this one. `board` is '' for kinds of the installation."""

    def take(self, conn: Connection, board: str, before: date, limit: int) -> Took:
        """Delete up to about `limit` such rows; nothing taken means nothing is due."""


@dataclass(frozen=True)
class Rows:
    """Rows of one table by a day or instant of theirs. `with_them`: (table, column, our column)."""

    table: Table
    when: ColumnElement[Any]
    where: tuple[ColumnElement[bool], ...] = ()
    board: ColumnElement[str] | None = None
    with_them: tuple[tuple[Table, ColumnElement[Any], ColumnElement[Any]], ...] = ()

    def condition(self, board: str, before: date) -> list[ColumnElement[bool]]:
        """Of that board and due."""
        old = self.when < (before if isinstance(self.when.type, Date) else at(before))
        mine = [] if self.board is None else [self.board == board]
        return [*mine, *self.where, old]

    def due(self, conn: Connection, board: str, before: date) -> Took:
        """How many rows, of which days."""
        query = select(func.count(), func.min(self.when), func.max(self.when)).select_from(
            self.table
        )
        count, oldest, newest = conn.execute(query.where(*self.condition(board, before))).one()
        return Took(count, _day(self.when, oldest), _day(self.when, newest))

    def take(self, conn: Connection, board: str, before: date, limit: int) -> Took:
        """Delete the oldest of them, and what hangs on them."""
        keys = list(self.table.primary_key.columns)
        rows = conn.execute(
            select(*keys, *(ours for _, _, ours in self.with_them), self.when.label("when_"))
            .where(*self.condition(board, before))
            .order_by(self.when)
            .limit(limit)
        ).all()
        for table, column, ours in self.with_them:
            for part in _parts([row._mapping[ours] for row in rows]):
                conn.execute(delete(table).where(column.in_(part)))
        if len(keys) == 1:
            for part in _parts([row[0] for row in rows]):
                conn.execute(delete(self.table).where(keys[0].in_(part)))
        else:
            for row in rows:
                fits = [key == row[n] for n, key in enumerate(keys)]
                conn.execute(delete(self.table).where(*fits))
        days = [day for row in rows if (day := _day(self.when, row.when_)) is not None]
        return Took(len(rows), min(days, default=None), max(days, default=None))


def _day(column: ColumnElement[Any], value: Any) -> date | None:
    if value is None or isinstance(column.type, Date):
        return None if value is None else value
    assert isinstance(column.type, UtcDateTime)
    return day_of(value)


@dataclass(frozen=True)
class InTables:
    """A kind that lies in tables of its own."""

    id: str
    parts: tuple[Rows, ...]
    by_board: bool = False
    judged: bool = False

    def due(self, conn: Connection, board: str, before: date) -> Took:
        return _sum(part.due(conn, board, before) for part in self.parts)

    def take(self, conn: Connection, board: str, before: date, limit: int) -> Took:
        return _sum(part.take(conn, board, before, limit) for part in self.parts)


@dataclass(frozen=True)
class InLog:
    """Events of some types, by their day, and the tables that were derived from them."""

    id: str
    types: tuple[str, ...]
    judged: bool
    parts: tuple[Rows, ...] = ()
    where: tuple[ColumnElement[bool], ...] = field(default=())
    by_board: bool = True

    def _condition(self, board: str, before: date) -> list[ColumnElement[bool]]:
        e = events.c
        return [e.board == board, e.type.in_(self.types), e.day < before, *self.where]

    def due(self, conn: Connection, board: str, before: date) -> Took:
        e = events.c
        count, oldest, newest = conn.execute(
            select(func.count(), func.min(e.day), func.max(e.day)).where(
                *self._condition(board, before)
            )
        ).one()
        return _sum(
            [Took(count, oldest, newest, count)]
            + [part.due(conn, board, before) for part in self.parts]
        )

    def take(self, conn: Connection, board: str, before: date, limit: int) -> Took:
        e = events.c
        rows = conn.execute(
            select(e.position, e.day)
            .where(*self._condition(board, before))
            .order_by(e.position)
            .limit(limit)
        ).all()
        took = delete_events(conn, [(row.position, row.day) for row in rows])
        return _sum([took, *(part.take(conn, board, before, limit) for part in self.parts)])


def delete_events(conn: Connection, rows: Sequence[tuple[int, date]]) -> Took:
    """Delete events by position, through the door. `rows`: (position, day)."""
    if not rows:
        return Took()
    with leave_to_delete(conn, "events"):
        for part in _parts([position for position, _ in rows]):
            conn.execute(delete(events).where(events.c.position.in_(part)))
    days = [day for _, day in rows]
    return Took(len(rows), min(days), max(days), len(rows))


def _sum(parts: Iterable[Took]) -> Took:
    whole = Took()
    for part in parts:
        whole = whole + part
    return whole


def _parts(keys: Sequence[Any]) -> Iterable[list[Any]]:
    for start in range(0, len(keys), _PART):
        yield list(keys[start : start + _PART])
