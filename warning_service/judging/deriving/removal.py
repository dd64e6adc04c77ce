"""Takes out of the models what must not be in them, exactly: by deriving them again without it.

A refusal takes effect at once in the judge; what stays until here are the weights that the child's
days once moved, and its part in the places and ranks of others. So the log is played again, leaving
out what families refused, into a second store beside the live one (`<board>/next`), by an ordinary
consumer of the dispatcher: each batch is one transaction, a kill loses one batch, and the live
models go on judging. When it has come as far as the live one, it takes its place in one
transaction. What then stands is byte for byte what would stand if the log had never held what was
left out; only columns that name log positions differ, because the positions do.

Lists that were published stay what people were shown. Later lists compare with earlier ones ("new",
"times running", the trend) as these would have been without the child.
"""

from __future__ import annotations

import threading
from typing import Literal

import structlog
from sqlalchemy import Connection, delete, insert, select, update

from warning_service.database import insert_new
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.log import Log, read
from warning_service.events.tables import consumers
from warning_service.events.types import Event
from warning_service.judging.changes import Changes
from warning_service.judging.consumer import (
    NAME,
    STATE,
    JudgingConsumer,
    PlaybookSource,
    clear,
    position_of,
)
from warning_service.judging.deriving import gone
from warning_service.judging.judge import Gone
from warning_service.judging.setup import Setup
from warning_service.judging.tables import derivations

log = structlog.get_logger()

AGAIN = "judging_again"
BATCH = 2000
WAIT_SECONDS = 0.1
Step = Literal["worked", "waits", "in use"]
"""A batch was derived; another process is at work or the live one went on; it is in use."""


def next_store(board: str) -> str:
    """The name under which a second state is kept while it is made. No board's id has a slash."""
    return f"{board}/next"


class _Again(JudgingConsumer):
    """Judges the log once more for the second store. What it finds is known already: no lists."""

    name = AGAIN

    def store_of(self, board: str) -> str:
        return next_store(board)

    def gone_of(self, conn: Connection, board: str) -> Gone:
        return gone.gone_by(conn, board, gone.running(conn, board) or 0)

    def consequences(self, changes: Changes) -> Changes:
        changes.lists, changes.events = [], []
        return changes


def asked(conn: Connection, board: str) -> list[Event]:
    """The events that judging has met and that no derivation has honoured yet."""
    until = position_of(conn, board)
    return gone.asks(conn, board, gone.latest(conn, board).began, until)


class _NotYet(Exception):
    """Something happened meanwhile; the transaction is undone and we go on."""


class Removal:
    """Derives one board's models again. Several processes may try; one of them works at a time."""

    def __init__(
        self, log_: Log, playbooks: PlaybookSource, board: str, setup: Setup | None = None
    ) -> None:
        self._log = log_
        self._board = board
        self._consumer = _Again(log_, playbooks, setup)
        self._dispatcher = self._fresh()

    def _fresh(self) -> Dispatcher:
        """A dispatcher that remembers nothing of what was dropped or exchanged."""
        return Dispatcher(self._log, self._consumer, self._board, batch=BATCH)

    def due(self) -> bool:
        """Do the models hold something they must not, or is a derivation under way?"""
        with self._log.database.reading() as conn:
            if gone.running(conn, self._board) is not None:
                return True
            return bool(asked(conn, self._board))

    def begin(self) -> None:
        """Begin, or go on with what was begun; what was overtaken by a deletion begins anew."""
        board = self._board
        with self._log.database.writing() as conn:
            self._have_live(conn)
            live, began = position_of(conn, board), gone.running(conn, board)
            if began is not None and gone.shortened_at(conn, board, live) <= began:
                return
            _forget_begun(conn, board)
            conn.execute(insert_new(conn, derivations).values(board=board, since=0, began=live))
        self._dispatcher = self._fresh()
        log.info("derivation_begun", board=board, until=live)

    def _have_live(self, conn: Connection) -> None:
        """A board whose judging never ran has a place to exchange all the same: the beginning."""
        conn.execute(
            insert_new(conn, consumers).values(
                name=NAME, board=self._board, position=0, owner="", fence=0,
                lease_until=self._log.clock.now(),
            )
        )  # fmt: skip

    def step(self) -> Step:
        """One batch, or the exchange.

        Raises LostOwnership and StorageUnavailable: then nothing of this step happened.
        """
        with self._log.database.reading() as conn:
            live = position_of(conn, self._board)
        if self._dispatcher.run_once(until=live):
            return "worked"
        try:
            since = self._exchange()
        except _NotYet:
            return "waits"
        self._dispatcher = self._fresh()
        log.info("derivation_in_use", board=self._board, since=since)
        return "in use"

    def run(self) -> None:
        """Derive again and put in use, whether it is due or not."""
        self.begin()
        pause = threading.Event()
        while (came := self.step()) != "in use":
            if came == "waits":
                pause.wait(WAIT_SECONDS)

    def release(self) -> None:
        """Let another process go on with it."""
        self._dispatcher.release()

    def _exchange(self) -> int:
        """Put the second store in the place of the first; return from which position it is used.

        Raises _NotYet when the live one went further, or another process has it in hand.
        """
        board = self._board
        c, d = consumers.c, derivations.c
        with self._log.unit_of_work() as unit:
            conn = unit.conn
            # By the new fence the live consumer loses its ownership, and loads what stands here.
            live = conn.execute(
                update(consumers)
                .where(c.name == NAME, c.board == board)
                .values(owner="", fence=c.fence + 1)
                .returning(c.position)
            ).scalar_one_or_none()
            mine = conn.execute(
                delete(consumers).where(c.name == AGAIN, c.board == board).returning(c.position)
            ).scalar_one_or_none()
            began = gone.running(conn, board)
            if live is None or mine is None or began is None or mine > live:
                raise _NotYet
            if read(conn, board, mine, 1, live) or gone.shortened_at(conn, board, live) > began:
                raise _NotYet
            conn.execute(delete(derivations).where(d.board == board, d.since.in_((0, live))))
            if live:  # before the first event there is nothing that could be left out
                conn.execute(insert(derivations).values(board=board, since=live, began=began))
            clear(conn, board)
            for table in STATE:
                conn.execute(
                    update(table).where(table.c.board == next_store(board)).values(board=board)
                )
        return int(live)


def _forget_begun(conn: Connection, board: str) -> None:
    """Drop a derivation that is under way. Whoever works on it loses its ownership."""
    clear(conn, next_store(board))
    conn.execute(delete(consumers).where(consumers.c.name == AGAIN, consumers.c.board == board))
    conn.execute(delete(derivations).where(derivations.c.board == board, derivations.c.since == 0))


def drop_begun(conn: Connection, board: str) -> None:
    """Inside the caller's transaction: nothing of a half-made derivation stays.

    For whoever deletes from the log: what was read of the deleted rows must not come into use.
    """
    if conn.execute(
        select(derivations.c.began).where(derivations.c.board == board, derivations.c.since == 0)
    ).first():
        _forget_begun(conn, board)
