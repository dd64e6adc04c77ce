"""Runs a board's judge inside the dispatcher: loads what was committed, writes what changed.

`work` thinks and encodes with no transaction open; the effects are a few multi-row statements.
When the stored model was made with other columns or library versions, nothing stored is trusted:
feature states, blocks and model are derived again from the log, outside a transaction, before the
next batch. Published lists are never touched by that: they are what people were shown; the log
line says on how many of them the new version would have other children.

State is kept under a store name, in the tables' `board` column. The live one is the board's own id;
deriving/removal.py derives a second one beside it and then puts it in its place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, Protocol

import msgspec
import structlog
from sqlalchemy import Connection, Table, delete, select

from models import challenger, student_state
from models.drift import Watch
from models.learner import Learner
from models.online import library_versions
from models.student_state import StudentState, from_bytes, to_bytes
from warning_service.database import insert_new, upsert
from warning_service.events.log import Log, UnitOfWork, read
from warning_service.events.tables import consumers
from warning_service.events.types import Event, NewEvent
from warning_service.judging.changes import Book, Changes, Spent
from warning_service.judging.deriving.compared import compared
from warning_service.judging.deriving.gone import gone_by, latest
from warning_service.judging.drift import WATCH
from warning_service.judging.judge import Gone, Judge
from warning_service.judging.setup import Setup, from_playbook
from warning_service.judging.tables import (
    feature_states,
    left_out,
    list_entries,
    list_scores,
    list_trees,
    model_snapshots,
    training_blocks,
    warning_lists,
)
from warning_service.judging.terms import terms_of
from warning_service.playbooks.model import Playbook

log = structlog.get_logger()

NAME = "judging"
BATCH = 5000
POOL = "pool"
MODEL, MEMORY, CHALLENGER, BOOK = "model", "memory", "challenger", "book"
STATE = (feature_states, left_out, training_blocks, model_snapshots)
"""What is derived and can be put in another's place; the lists are not."""


class PlaybookSource(Protocol):
    """Who knows a board's playbook (`Playbooks` does)."""

    def of(self, board: str) -> Playbook:
        """The board's playbook."""


class JudgingConsumer:
    """The dispatcher's view of judging, for one board at a time."""

    name = NAME

    def __init__(self, log_: Log, playbooks: PlaybookSource, setup: Setup | None = None) -> None:
        self._log = log_
        self._playbooks = playbooks
        self._fixed = setup
        self._board = self._store = ""
        self._judge: Judge | None = None
        self._rebuild_until: int | None = None
        self._replace = False

    @property
    def judge(self) -> Judge:
        """The judge in memory. Raises AssertionError before `load`."""
        assert self._judge is not None
        return self._judge

    @property
    def spent(self) -> Spent:
        """What thinking has cost since `load`."""
        return self.judge.spent

    # -- loading ----

    def load(self, conn: Connection, board: str) -> None:
        """Forget in-memory state and load it as last committed."""
        self._board, self._store = board, self.store_of(board)
        setup = self._fixed or from_playbook(self._playbooks.of(board))
        self._judge = Judge(board, setup, self._read_block, self.gone_of(conn, board))
        self._replace, self._rebuild_until = False, None
        if not restore(conn, self._judge, self._store):
            self._rebuild_until = position_of(conn, board, self.name)

    def store_of(self, board: str) -> str:
        """Under which name the state is kept."""
        return board

    def gone_of(self, conn: Connection, board: str) -> Gone:
        """What was left out when the present state was derived."""
        return gone_by(conn, board, latest(conn, board).began)

    def _read_block(self, day: int) -> bytes:
        with self._log.database.reading() as conn:
            return bytes(
                conn.execute(
                    select(training_blocks.c.block).where(
                        training_blocks.c.board == self._store,
                        training_blocks.c.day == date.fromordinal(day),
                    )
                ).scalar_one()
            )

    def _derive_again(self, until: int) -> None:
        """Play the log up to `until` into a fresh judge; its state replaces what is stored."""
        log.warning("judging_rebuilds_from_log", until=until)
        old = self.judge
        fresh, changes = play(self._log, self._board, old.setup, until, old.gone)
        fresh.read_block = self._read_block
        with self._log.database.reading() as conn:
            told = compared(conn, self._board, changes.lists, until)
        log.warning("judging_rebuilt_and_compared", board=self._board, **told._asdict())
        changes.lists, changes.events = [], []  # published lists stay what they were
        fresh.changes = changes
        self._judge, self._replace = fresh, True

    # -- the dispatcher's two steps ----

    def work(self, events: list[Event]) -> Callable[[UnitOfWork], None]:
        """Take in `events` in order, in memory; return what writes the consequences."""
        if self._rebuild_until is not None:
            self._derive_again(self._rebuild_until)
            self._rebuild_until = None
        judge = self.judge
        for event in events:
            judge.take(event)
        writes = encode(judge, self.consequences(judge.collect()), self._store)
        replace, self._replace = self._replace, False

        def effects(unit: UnitOfWork) -> None:
            if replace:
                clear(unit.conn, self._store)
            write(unit.conn, self._store, writes)
            unit.append(*writes.events)

        return effects

    def consequences(self, changes: Changes) -> Changes:
        """Which of the changes become known to others: here all of them."""
        return changes


# -- stored form ----


class Writes(msgspec.Struct):
    """Rows ready to be written."""

    states: list[dict[str, Any]]
    away: list[dict[str, Any]]
    moved: list[str]
    blocks: list[dict[str, Any]]
    settled: list[date]
    snapshots: list[dict[str, Any]]
    lists: list[dict[str, Any]]
    trees: list[dict[str, Any]]
    entries: list[dict[str, Any]]
    scores: list[dict[str, Any]]
    events: list[NewEvent]


def versions_of(setup: Setup) -> str:
    """What stored bytes depend on, as JSON: library versions, feature schema, form of a state."""
    told = {
        **library_versions(), **challenger.library_versions(), "schema": setup.schema.hash,
        "state": str(student_state.VERSION),
    }  # fmt: skip
    return msgspec.json.encode(told, order="deterministic").decode()


def encode(judge: Judge, changes: Changes, board: str) -> Writes:
    """The changes as rows, in a fixed order, to be kept under the store name `board`."""
    wanted: list[tuple[str, int, Callable[[], bytes]]] = [
        (MODEL, changes.model_at, judge.learner.model_bytes),
        (MEMORY, changes.memory_at, judge.learner.memory_bytes),
        (CHALLENGER, changes.challenger_at, judge.learner.challenger.to_bytes),
        (POOL, changes.pool_at, judge.learner.pool_bytes),
        (WATCH, changes.watch_at, lambda: encode_watch(judge.learner.watch)),
        (BOOK, changes.book_at, lambda: encode_book(judge.book)),
    ]
    settled = set(changes.settled)
    trees = {made.trees["version"]: made.trees for made in changes.lists if made.trees}
    return Writes(
        states=[
            {"board": board, "student": student, "state": to_bytes(judge.students[student])}
            for student in sorted(changes.students & judge.students.keys())
        ],
        away=[
            {"board": board, "student": student, "state": to_bytes(judge.away[student])}
            for student in sorted(changes.students & judge.away.keys())
        ],
        moved=sorted(changes.moved),
        blocks=[
            {"board": board, "day": date.fromordinal(day), "block": block}
            for day, block in sorted(changes.blocks.items())
            if day not in settled
        ],
        settled=[date.fromordinal(day) for day in changes.settled],
        snapshots=[
            snapshot_row(board, name, position, versions_of(judge.setup), data())
            for name, position, data in wanted
            if position
        ],
        lists=[made.row for made in changes.lists],
        trees=[by for _, by in sorted(trees.items())],
        entries=[row for made in changes.lists for row in made.entries],
        scores=[row for made in changes.lists for row in made.scores],
        events=changes.events,
    )


def encode_watch(watch: Watch) -> bytes:
    """What is watched, as canonical bytes."""
    return msgspec.msgpack.encode(watch, order="deterministic")


def encode_book(book: Book) -> bytes:
    """The bookkeeping's canonical bytes."""
    return msgspec.msgpack.encode(book, order="deterministic")


def snapshot_row(
    board: str, name: str, position: int, versions: str, state: bytes
) -> dict[str, Any]:
    """A row of `model_snapshots`."""
    return {
        "board": board,
        "name": name,
        "position": position,
        "versions": versions,
        "sha256": hashlib.sha256(state).hexdigest(),
        "state": state,
    }


def write(conn: Connection, board: str, writes: Writes) -> None:
    """Put the rows down: a handful of multi-row statements."""
    for table in (feature_states, left_out):
        for start in range(0, len(writes.moved), 500):
            part = writes.moved[start : start + 500]
            conn.execute(delete(table).where(table.c.board == board, table.c.student.in_(part)))
    _put(conn, left_out, ["board", "student"], writes.away)
    _put(conn, feature_states, ["board", "student"], writes.states)
    _put(conn, training_blocks, ["board", "day"], writes.blocks)
    if writes.settled:
        conn.execute(
            delete(training_blocks).where(
                training_blocks.c.board == board, training_blocks.c.day.in_(writes.settled)
            )
        )
    _put(conn, model_snapshots, ["board", "name"], writes.snapshots)
    for table, rows in (
        (warning_lists, writes.lists),
        (list_trees, writes.trees),
        (list_entries, writes.entries),
        (list_scores, writes.scores),
    ):
        if rows:
            conn.execute(insert_new(conn, table), rows)


def _put(conn: Connection, table: Table, keys: list[str], rows: list[dict[str, Any]]) -> None:
    if rows:
        conn.execute(upsert(conn, table, keys), rows)


def clear(conn: Connection, store: str) -> None:
    """Drop the state kept under that name; lists stay."""
    for table in STATE:
        conn.execute(delete(table).where(table.c.board == store))


def restore(conn: Connection, judge: Judge, board: str) -> bool:
    """Load what the store `board` has into a fresh judge; False when other versions made it.

    Raises ValueError when stored bytes do not fit their own hash.
    """
    rows = {
        row.name: row
        for row in conn.execute(select(model_snapshots).where(model_snapshots.c.board == board))
    }
    for row in rows.values():
        if hashlib.sha256(row.state).hexdigest() != row.sha256:
            raise ValueError(f"the stored snapshot '{row.name}' is damaged: rebuild it")
    wanted = versions_of(judge.setup)
    if any(row.versions != wanted for row in rows.values()):
        return False
    judge.students, judge.away = (
        _states(conn, feature_states, board),
        _states(conn, left_out, board),
    )
    _restore_model(judge.learner, rows)
    pool = judge.learner.pool
    if pool is not None and pool.terms != terms_of(judge.setup):
        judge.learner.use_pool(None)  # the playbook's points have changed: others' mean the old
    if BOOK in rows:
        judge.book = msgspec.msgpack.decode(rows[BOOK].state, type=Book)
    days = conn.execute(
        select(training_blocks.c.day)
        .where(training_blocks.c.board == board)
        .order_by(training_blocks.c.day)
    )
    judge.waiting = [day.toordinal() for day in days.scalars()]
    return True


def _restore_model(learner: Learner, rows: dict[str, Any]) -> None:
    learner.restore(
        rows[MODEL].state if MODEL in rows else None,
        rows[MEMORY].state if MEMORY in rows else None,
        bytes(rows[POOL].state) if POOL in rows else b"",
    )
    if WATCH in rows:
        learner.watch = msgspec.msgpack.decode(rows[WATCH].state, type=Watch)
    if CHALLENGER in rows:
        learner.challenger.restore(rows[CHALLENGER].state)


def _states(conn: Connection, table: Table, board: str) -> dict[str, StudentState]:
    rows = conn.execute(
        select(table.c.student, table.c.state)
        .where(table.c.board == board)
        .order_by(table.c.student)
    )
    return {row.student: from_bytes(row.state) for row in rows}


def position_of(conn: Connection, board: str, name: str = NAME) -> int:
    """How far judging (or the consumer of that name) has come in the board's log."""
    return (
        conn.execute(
            select(consumers.c.position).where(consumers.c.name == name, consumers.c.board == board)
        ).scalar_one_or_none()
        or 0
    )


def play(
    log_: Log, board: str, setup: Setup, until: int, gone: Gone | None = None
) -> tuple[Judge, Changes]:
    """A fresh judge after the log up to position `until`, and all it would have written by then."""
    kept: dict[int, bytes] = {}
    judge = Judge(board, setup, kept.__getitem__, gone)
    whole = Changes(blocks=kept)
    for event in events_until(log_, board, until):
        judge.take(event)
        changes = judge.collect()
        kept.update(changes.blocks)
        for day in changes.settled:
            del kept[day]
        whole.students |= changes.students
        whole.moved |= changes.moved
        whole.lists += changes.lists
        whole.events += changes.events
        whole.model_at = changes.model_at or whole.model_at
        whole.memory_at = changes.memory_at or whole.memory_at
        whole.watch_at = changes.watch_at or whole.watch_at
        whole.challenger_at = changes.challenger_at or whole.challenger_at
        whole.book_at = changes.book_at or whole.book_at
        whole.pool_at = changes.pool_at or whole.pool_at
    return judge, whole


def events_until(log_: Log, board: str, until: int) -> Iterator[Event]:
    """All events of a board up to position `until`, in short reads."""
    at = 0
    while at < until:
        with log_.database.reading() as conn:
            batch = read(conn, board, at, BATCH, until)
        if not batch:
            return
        yield from batch
        at = batch[-1].position
