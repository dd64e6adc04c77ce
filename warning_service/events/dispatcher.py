"""Feeds the log to its readers, exactly once in effect.

A `Consumer` handles batches of one board's events, in two steps: `work` thinks (no transaction is
open, so that a long list keeps no child waiting), and what it returns writes. One transaction holds
those effects, the events appended and the new offset, so that a kill at any point leaves either all
or nothing of a batch, and the next start goes on from there. A consumer's in-memory state is a
cache of what it stored in the same transactions: after any failure, and after a change of owner, it
is dropped and loaded again.

Ownership. One process at a time owns a (consumer, board). It holds a lease and a fence number;
every commit moves the offset only where the fence still fits, so a process that slept through its
lease cannot write over its successor (`LostOwnership`, all undone).
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy import ColumnElement, Connection, select, update

from warning_service.clock import Clock, monotonic
from warning_service.database import StorageUnavailable, insert_new
from warning_service.events.log import Log, UnitOfWork, head, read
from warning_service.events.tables import consumers
from warning_service.events.types import Event

log = structlog.get_logger()

LEASE = timedelta(seconds=15)
HANDLED = Counter("kizashi_events_handled_total", "Events handled", ["consumer"])
BEHIND = Gauge("kizashi_consumer_behind", "Positions between the log's head and us", ["consumer"])


class LostOwnership(RuntimeError):
    """Another process owns this (consumer, board) now; this transaction is undone."""


Effects = Callable[[UnitOfWork], None]
"""Writes consequences through `unit.conn` and `unit.append`, quickly."""

UNSTORED_SECONDS = 1.0


def nothing(unit: UnitOfWork) -> None:
    """Effects of a batch that has none and left the consumer's memory as it was.

    The new offset then need not be on disk at once: reading such a batch again does no harm, and
    most batches cost no transaction, which check-ins would have to wait for.
    """


class Consumer(Protocol):
    """A reader of the log for one board."""

    name: str

    def load(self, conn: Connection, board: str) -> None:
        """Forget in-memory state and load it as last committed."""

    def work(self, events: list[Event]) -> Effects:
        """Take in `events` in order, in memory; return what writes the consequences."""


class Dispatcher:
    """Runs consumers for one board. `run_once` for tests and commands, `start` for a thread."""

    def __init__(
        self,
        log_: Log,
        consumer: Consumer,
        board: str,
        *,
        batch: int = 500,
        patience: float = 0.25,
        wall: Clock | None = None,
    ) -> None:
        self._log = log_
        self._consumer = consumer
        self._board = board
        self._batch = batch
        self._patience = patience
        # Leases are about processes, not about schools: they run on the real clock even when the
        # demo or a test has moved the other one.
        self._wall = wall or Clock()
        self._owner = uuid.uuid4().hex
        self._fence: int | None = None
        self._lease_checked = 0.0
        self._position = 0
        self._stored = 0
        self._stored_at = -UNSTORED_SECONDS
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    # -- ownership ---------------------------------------------------------------------------

    def _claim(self) -> bool:
        """Become or stay the owner; on becoming it, load the consumer's state."""
        due = LEASE.total_seconds() / 3
        if self._fence is not None and monotonic() - self._lease_checked < due:
            return True
        now = self._wall.now()
        with self._log.database.writing() as conn:
            conn.execute(
                insert_new(conn, consumers).values(
                    name=self._consumer.name,
                    board=self._board,
                    position=0,
                    owner="",
                    fence=0,
                    lease_until=now - LEASE,
                )
            )
            row = conn.execute(select(consumers).where(*self._mine())).one()
            if row.owner == self._owner:
                fence = row.fence
            elif row.lease_until <= now or row.owner == "":
                fence = row.fence + 1
            else:
                self._fence = None
                return False
            taken = conn.execute(
                update(consumers)
                .where(*self._mine(), consumers.c.fence == row.fence)
                .values(owner=self._owner, fence=fence, lease_until=now + LEASE)
            )
            if taken.rowcount != 1:
                self._fence = None
                return False
            if self._fence != fence:
                self._consumer.load(conn, self._board)
                self._position = self._stored = row.position
                log.info("consumer_owned", consumer=self._consumer.name, fence=fence)
        self._fence = fence
        self._lease_checked = monotonic()
        return True

    def _mine(self) -> tuple[ColumnElement[bool], ...]:
        return (consumers.c.name == self._consumer.name, consumers.c.board == self._board)

    def release(self) -> None:
        """Give the ownership up, so that the next owner need not wait for the lease."""
        if self._fence is None:
            return
        with self._log.database.writing() as conn:
            conn.execute(
                update(consumers)
                .where(*self._mine(), consumers.c.fence == self._fence)
                .values(owner="")
            )
        self._fence = None

    # -- work --------------------------------------------------------------------------------

    def run_once(self, until: int | None = None) -> int:
        """Handle one batch; return how many events it had (0: nothing new, or not the owner)."""
        if not self._claim():
            return 0
        with self._log.database.reading() as conn:
            batch = read(conn, self._board, self._position, self._batch, until)
        if not batch:
            return 0
        try:
            effects = self._consumer.work(batch)
            if effects is nothing and monotonic() - self._stored_at < UNSTORED_SECONDS:
                self._position = batch[-1].position
                HANDLED.labels(self._consumer.name).inc(len(batch))
                return len(batch)
            self._store(effects, batch[-1].position)
        except BaseException:
            self._fence = None  # memory may be ahead of the database: load it again
            raise
        HANDLED.labels(self._consumer.name).inc(len(batch))
        return len(batch)

    def _store(self, effects: Effects, position: int) -> None:
        """One transaction: the offset, if it is still ours to move, and the effects."""
        with self._log.unit_of_work() as unit:
            moved = unit.conn.execute(
                update(consumers)
                .where(
                    *self._mine(),
                    consumers.c.fence == self._fence,
                    consumers.c.position == self._stored,
                )
                .values(position=position)
            )
            if moved.rowcount != 1:
                raise LostOwnership(self._consumer.name)
            effects(unit)
        self._position = self._stored = position
        self._stored_at = monotonic()

    def settle(self) -> None:
        """Store the offset of batches that had no effects. Raises LostOwnership."""
        if self._fence is None or self._position == self._stored:
            return
        try:
            self._store(nothing, self._position)
        except BaseException:
            self._fence = None
            raise

    def drain(self, until: int | None = None) -> int:
        """Handle all there is (up to position `until`); return how many events."""
        total = 0
        while count := self.run_once(until):
            total += count
        self.settle()
        return total

    def start(self) -> None:
        """Run in a thread until `stop`."""
        name = f"{self._consumer.name}:{self._board}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread after its batch and give the ownership up."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def _run(self) -> None:
        seen = 0
        while not self._stopping.is_set():
            try:
                if self.run_once():
                    continue
                if monotonic() - self._stored_at >= UNSTORED_SECONDS:
                    self.settle()
                with self._log.database.reading() as conn:
                    behind = max(0, head(conn, self._board) - self._position)
                BEHIND.labels(self._consumer.name).set(behind)
            except LostOwnership:
                log.warning("consumer_lost_ownership", consumer=self._consumer.name)
            except StorageUnavailable as error:
                log.error("consumer_storage_unavailable", error=str(error))
                self._stopping.wait(1.0)
            except Exception as error:
                # One bad batch must not end the thread: it is tried again, and seen in the log.
                log.exception(
                    "consumer_failed", consumer=self._consumer.name, error=type(error).__name__
                )
                self._stopping.wait(1.0)
            seen = self._log.wakeups.wait(seen, self._patience)
        try:
            self.settle()
            self.release()
        except (StorageUnavailable, LostOwnership):
            log.warning("consumer_not_released", consumer=self._consumer.name)
