"""The log: append, and read by offset.

Order. `position` must grow with commit order, or a reader that remembers "I have read up to n"
would skip a row whose transaction took n-1 and committed later. SQLite has one writer, so it holds
by itself. On PostgreSQL each appending transaction takes one advisory lock before its first insert
and keeps it until commit; group commit makes that one lock per some hundred events. Appends come
last in a transaction (see `UnitOfWork`), so the lock is held for the insert and the commit only.

Duplicates. The same event id is stored once; a second append of the same content is silently the
first. The same id with *other* content is a `ConflictingEvent`: saying "received" would be a lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import structlog
from sqlalchemy import Connection, func, select, text

from warning_service.clock import Clock
from warning_service.database import Database
from warning_service.events.tables import events
from warning_service.events.types import Event, NewEvent, decode, encode, tag_of
from warning_service.events.wakeups import Wakeups

log = structlog.get_logger()

APPEND_LOCK = 0x6B697A61
"""Advisory lock key on PostgreSQL: one append commits at a time."""

_INSERT = (
    "INSERT INTO events (id, board, student, type, day, recorded_at, actor, body) "
    "VALUES %s ON CONFLICT (id) DO NOTHING"
)
_INSERT_POSTGRES = _INSERT % "(%s, %s, %s, %s, %s, %s, %s, %s)"
_ROWS_AT_ONCE = 100
_SLACK = timedelta(hours=1)


@lru_cache(maxsize=_ROWS_AT_ONCE)
def _insert_sqlite(rows: int) -> str:
    """One statement for many rows: SQLite's driver hands the interpreter to other threads at each
    execution, and gets it back when they let go.
    """
    return _INSERT % ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?)"] * rows)


class ConflictingEvent(ValueError):
    """An event id is in the log already, with other content. `ids` lists them."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__("event id used for other content")
        self.ids = list(ids)


def append(conn: Connection, new: Sequence[NewEvent], clock: Clock) -> int:
    """Insert `new` in order inside the caller's transaction; return how many were not there yet.

    Raises ConflictingEvent when an id is there with other content; the caller's transaction is
    then as it was before only if the caller rolls back.
    """
    if not new:
        return 0
    now = clock.now()
    sqlite = conn.dialect.name == "sqlite"
    stamp: Any = now.replace(tzinfo=None)
    if sqlite:
        stamp = stamp.isoformat(sep=" ", timespec="microseconds")
    rows = [
        (
            e.id,
            e.board,
            e.student,
            tag_of(e.body),
            e.on.isoformat() if sqlite else e.on,
            stamp,
            e.actor,
            encode(e.body),
        )
        for e in new
    ]
    if not sqlite:
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": APPEND_LOCK})
    stored = 0
    if sqlite:
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = rows[start : start + _ROWS_AT_ONCE]
            values = tuple(value for row in part for value in row)
            stored += conn.exec_driver_sql(_insert_sqlite(len(part)), values).rowcount
    else:
        stored = conn.exec_driver_sql(_INSERT_POSTGRES, rows).rowcount
    if stored < len(rows):
        _refuse_conflicts(conn, rows)
    return stored


def _highest(conn: Connection) -> int:
    return conn.execute(select(func.max(events.c.position))).scalar_one_or_none() or 0


def _refuse_conflicts(conn: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    conflicts = []
    for start in range(0, len(rows), 500):
        part = rows[start : start + 500]
        held = {
            row.id: (row.board, row.student, row.type, row.body)
            for row in conn.execute(
                select(
                    events.c.id, events.c.board, events.c.student, events.c.type, events.c.body
                ).where(events.c.id.in_([r[0] for r in part]))
            )
        }
        conflicts += [r[0] for r in part if held[r[0]] != (r[1], r[2], r[3], r[7])]
    if conflicts:
        raise ConflictingEvent(conflicts)


def read(
    conn: Connection, board: str, after: int, limit: int, until: int | None = None
) -> list[Event]:
    """Up to `limit` events of `board` with position > `after` (and <= `until`), in order."""
    query = (
        select(events)
        .where(events.c.board == board, events.c.position > after)
        .order_by(events.c.position)
        .limit(limit)
    )
    if until is not None:
        query = query.where(events.c.position <= until)
    return [from_row(row) for row in conn.execute(query)]


def of_student(conn: Connection, student: str, types: Sequence[str] = ()) -> list[Event]:
    """All events about one student, oldest first, of those types if any are named."""
    query = select(events).where(events.c.student == student).order_by(events.c.position)
    if types:
        query = query.where(events.c.type.in_(types))
    return [from_row(row) for row in conn.execute(query)]


def head(conn: Connection, board: str | None = None) -> int:
    """The last position (of one board, if named); 0 for an empty log."""
    if board is None:
        return _highest(conn)
    return (
        conn.execute(
            select(func.max(events.c.position)).where(events.c.board == board)
        ).scalar_one_or_none()
        or 0
    )


def from_row(row: Any) -> Event:
    """An `Event` from a row of the `events` table."""
    return Event(
        position=row.position,
        id=row.id,
        board=row.board,
        student=row.student,
        on=row.day,
        recorded_at=row.recorded_at,
        actor=row.actor,
        body=decode(row.body),
    )


class UnitOfWork:
    """One write transaction with the events it appends.

    `conn` is for the effects; `append` only remembers, and the events are inserted last, just
    before the commit, so that the order lock is held as briefly as can be.
    """

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.pending: list[NewEvent] = []
        self.after: list[Callable[[], None]] = []

    def append(self, *new: NewEvent) -> None:
        """Have `new` appended when the unit commits."""
        self.pending.extend(new)

    def afterwards(self, call: Callable[[], None]) -> None:
        """Have `call` run once all of this is durable; not at all if it is undone.

        It may hint and hand over, quickly; what must happen belongs into the transaction.
        """
        self.after.append(call)


class Log:
    """The log together with its database, clock and wake-ups: what other rooms are handed."""

    def __init__(self, database: Database, clock: Clock, wakeups: Wakeups) -> None:
        self.database = database
        self._whole = database.as_service()
        self.clock = clock
        self.wakeups = wakeups

    # What follows is about the log and nobody in it; whoever asks, it is the whole log's.

    def head(self, board: str) -> int:
        """The last position of a board; 0 for an empty log."""
        with self._whole.reading() as conn:
            return head(conn, board)

    def types_after(self, board: str, after: int, limit: int = 5000) -> list[tuple[int, str]]:
        """(position, type) of a board's events behind `after`, in order."""
        e = events.c
        with self._whole.reading() as conn:
            rows = conn.execute(
                select(e.position, e.type)
                .where(e.board == board, e.position > after)
                .order_by(e.position)
                .limit(limit)
            )
            return [(row.position, row.type) for row in rows]

    def position_before(self, instant: datetime) -> int:
        """A position such that everything recorded at or after `instant` lies behind it.

        Found by halving: recorded times grow with position but for seconds, and an hour is left as
        slack. Saves an index that every check-in would have to pay for.
        """
        e = events.c
        with self._whole.reading() as conn:
            low, high = 0, _highest(conn)
            wanted = instant - _SLACK
            while low < high:
                middle = (low + high + 1) // 2
                row = conn.execute(
                    select(e.position, e.recorded_at)
                    .where(e.position <= middle)
                    .order_by(e.position.desc())
                    .limit(1)
                ).one_or_none()
                if row is not None and row.recorded_at >= wanted:
                    high = row.position - 1
                else:
                    low = middle
        return low

    @contextmanager
    def unit_of_work(self) -> Iterator[UnitOfWork]:
        """A transaction; at its end the remembered events are appended and all is committed.

        Raises StorageUnavailable (nothing stored) and ConflictingEvent (nothing stored).
        """
        with self.database.writing() as conn:
            unit = UnitOfWork(conn)
            yield unit
            append(conn, unit.pending, self.clock)
        for call in unit.after:
            try:
                call()
            except Exception as error:  # what is committed is committed
                log.exception("after_commit_failed", error=type(error).__name__)
        if unit.pending:
            self.wakeups.notify()
