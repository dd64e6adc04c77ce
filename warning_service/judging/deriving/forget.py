"""Takes children out of what judging has stored, at once; the weights follow by removal.py.

For erasures: the rows of the log go in the same transaction, so nothing could be derived for them
any more. A running consumer loses its ownership and loads what stands here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import date

import msgspec
from sqlalchemy import Connection, delete, select, update

from models import challenger
from models.learner import TrainingBlock
from models.memory import Memory
from warning_service.events.tables import consumers
from warning_service.judging.consumer import CHALLENGER, MEMORY, NAME
from warning_service.judging.deriving.removal import drop_begun
from warning_service.judging.tables import (
    feature_states,
    left_out,
    model_snapshots,
    training_blocks,
)


def forget_at_once(conn: Connection, board: str, students: Collection[str], last_day: date) -> None:
    """Drop their states, their rows in the replay memory, and those that wait for a label.

    `last_day`: the last day on which any of them was on a roll; no later block holds them.
    """
    conn.execute(
        update(consumers)
        .where(consumers.c.name == NAME, consumers.c.board == board)
        .values(owner="", fence=consumers.c.fence + 1)
    )
    drop_begun(conn, board)
    for table in (feature_states, left_out):
        conn.execute(delete(table).where(table.c.board == board, table.c.student.in_(students)))
    _from_memory(conn, board, students)
    _from_sample(conn, board, students)
    _from_blocks(conn, board, students, last_day)


def _from_memory(conn: Connection, board: str, students: Collection[str]) -> None:
    data = _snapshot(conn, board, MEMORY)
    if data is None:
        return
    memory = msgspec.msgpack.decode(data, type=Memory)
    if sum(memory.forget(student) for student in students):
        _put(conn, board, MEMORY, msgspec.msgpack.encode(memory))


def _from_sample(conn: Connection, board: str, students: Collection[str]) -> None:
    data = _snapshot(conn, board, CHALLENGER)
    left = None if data is None else challenger.without(data, students)
    if left is not None:
        _put(conn, board, CHALLENGER, left)


def _snapshot(conn: Connection, board: str, name: str) -> bytes | None:
    t = model_snapshots
    data = conn.execute(
        select(t.c.state).where(t.c.board == board, t.c.name == name)
    ).scalar_one_or_none()
    return None if data is None else bytes(data)


def _put(conn: Connection, board: str, name: str, state: bytes) -> None:
    t, sha = model_snapshots, hashlib.sha256(state).hexdigest()
    conn.execute(
        update(t).where(t.c.board == board, t.c.name == name).values(state=state, sha256=sha)
    )


def _from_blocks(conn: Connection, board: str, students: Collection[str], last_day: date) -> None:
    t = training_blocks
    days = conn.execute(
        select(t.c.day).where(t.c.board == board, t.c.day <= last_day).order_by(t.c.day)
    ).scalars()
    for day in list(days):  # one at a time: a city's block is tens of megabytes
        mine = (t.c.board == board, t.c.day == day)
        data = conn.execute(select(t.c.block).where(*mine)).scalar_one()
        block = msgspec.msgpack.decode(bytes(data), type=TrainingBlock)
        left = block.without(students)
        if left is not block:
            conn.execute(update(t).where(*mine).values(block=msgspec.msgpack.encode(left)))
