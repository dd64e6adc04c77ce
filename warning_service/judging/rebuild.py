"""Derives features, models and lists again from the log, and compares byte for byte.

The log is played through the same judge, into memory. Every difference is named. With `replace`,
states, training blocks and models are stored anew, and students whose refusal is in force are left
out of them from the beginning of the log: that is how a child leaves a model exactly. Published
lists are compared but never replaced: they are what people were shown and decided on.

After such a replacement the stored state is that of a log without those students, while older
lists were made with them. Each replacement therefore leaves a note (an epoch), and the comparison
plays the log once per epoch, each time with the students forgotten at that time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, select, update

from warning_service.events.log import Log
from warning_service.events.tables import consumers
from warning_service.events.types import OptOutRecorded, OptOutWithdrawn
from warning_service.judging import consumer as stored
from warning_service.judging.consumer import FORGOTTEN, NAME, Epoch, PlaybookSource, Writes
from warning_service.judging.setup import Setup, from_playbook
from warning_service.judging.tables import (
    feature_states,
    list_entries,
    list_scores,
    model_snapshots,
    training_blocks,
    warning_lists,
)

MOST_NAMED = 200


class StillRunning(RuntimeError):
    """The judging consumer moved on while the rebuild was comparing; stop the worker first."""


@dataclass
class RebuildReport:
    """What a rebuild found. `differences` names each (at most MOST_NAMED; `found` counts all)."""

    board: str
    position: int
    students: int = 0
    lists: int = 0
    rows_compared: int = 0
    found: int = 0
    differences: list[str] = field(default_factory=list)
    replaced: bool = False
    forgotten: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Is everything stored exactly what the log gives?"""
        return not self.found

    def differ(self, what: str) -> None:
        """Note one difference."""
        self.found += 1
        if len(self.differences) < MOST_NAMED:
            self.differences.append(what)


Rows = dict[tuple[Any, ...], dict[str, Any]]
Say = Callable[[str], None]


def rebuild(
    log: Log,
    playbooks: PlaybookSource,
    board: str,
    *,
    replace: bool = False,
    setup: Setup | None = None,
    progress: Say | None = None,
) -> RebuildReport:
    """Compare what is stored for `board` with what the log gives; with `replace`, store it anew.

    Raises StillRunning when the judging consumer works at the same time, KeyError for an unknown
    board.
    """
    say = progress or (lambda _text: None)
    setup = setup or from_playbook(playbooks.of(board))
    with log.database.reading() as conn:
        position = stored.position_of(conn, board)
        epochs = stored.forgotten(conn, board)
        held = {table.name: _stored_rows(conn, table, board) for table in _DERIVED}
        held.update(_stored_lists(conn, board))
    with log.database.reading() as conn:
        if stored.position_of(conn, board) != position:
            raise StillRunning(NAME)
    report = RebuildReport(board, position)
    spans = _spans(epochs, position)
    for number, (since, until, gone) in enumerate(spans, start=1):
        say(f"playing the log up to position {until} ({number} of {len(spans)})")
        writes = stored.encode(*stored.play(log, board, setup, until, gone))
        _compare_lists(report, writes, held, since, until)
        if until == position:
            _compare_state(report, writes, held)
    if replace:
        say("storing what the log gives")
        _replace(log, board, setup, report, epochs)
    return report


# -- playing ----


def _spans(epochs: list[Epoch], position: int) -> list[tuple[int, int, dict[str, int]]]:
    """(after, up to, forgotten) for each stretch of the log between replacements."""
    starts = [(0, dict[str, int]()), *((e.since, e.students) for e in epochs)]
    ends = [*(e.since for e in epochs), position]
    return [
        (since, until, gone)
        for (since, gone), until in zip(starts, ends, strict=True)
        if until > since or until == position
    ]


# -- comparing ----

_DERIVED: tuple[Table, ...] = (feature_states, training_blocks, model_snapshots)
_LISTS: tuple[Table, ...] = (warning_lists, list_entries, list_scores)


def _keyed(table: Table, rows: Sequence[Mapping[str, Any]]) -> Rows:
    keys = [column.name for column in table.primary_key.columns]
    return {tuple(row[key] for key in keys): dict(row) for row in rows}


def _stored_rows(conn: Connection, table: Table, board: str) -> Rows:
    found = conn.execute(select(table).where(table.c.board == board)).mappings()
    return _keyed(table, [dict(row) for row in found if row.get("name") != FORGOTTEN])


def _stored_lists(conn: Connection, board: str) -> dict[str, Rows]:
    mine = select(warning_lists.c.id).where(warning_lists.c.board == board)
    found = {warning_lists.name: _stored_rows(conn, warning_lists, board)}
    for table in (list_entries, list_scores):
        rows = conn.execute(select(table).where(table.c.list_id.in_(mine))).mappings()
        found[table.name] = _keyed(table, [dict(row) for row in rows])
    return found


def _compare(report: RebuildReport, table: Table, held: Rows, made: Rows) -> None:
    for key in sorted(held.keys() | made.keys(), key=str):
        report.rows_compared += 1
        name = f"{table.name} {'/'.join(str(part) for part in key)}"
        if key not in made:
            report.differ(f"{name}: stored, but the log does not give it")
        elif key not in held:
            report.differ(f"{name}: missing")
        else:
            for column, value in made[key].items():
                if _plain(held[key][column]) != _plain(value):
                    report.differ(f"{name}: {column} differs")


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, (bytes, memoryview)) else value


def _compare_state(report: RebuildReport, writes: Writes, held: dict[str, Rows]) -> None:
    report.students = len(writes.states)
    made = {
        feature_states.name: writes.states,
        training_blocks.name: writes.blocks,
        model_snapshots.name: writes.snapshots,
    }
    for table in _DERIVED:
        _compare(report, table, held[table.name], _keyed(table, list(made[table.name])))


def _compare_lists(
    report: RebuildReport, writes: Writes, held: dict[str, Rows], since: int, until: int
) -> None:
    """Lists made after position `since` and up to `until`."""
    made = {
        warning_lists.name: writes.lists,
        list_entries.name: writes.entries,
        list_scores.name: writes.scores,
    }
    every = [*held[warning_lists.name].values(), *writes.lists]
    mine = {row["id"] for row in every if since < row["as_of"] <= until}
    report.lists += len(mine)
    for table in _LISTS:
        key = "id" if table is warning_lists else "list_id"
        then = {k: row for k, row in held[table.name].items() if row[key] in mine}
        now = [row for row in made[table.name] if row[key] in mine]
        _compare(report, table, then, _keyed(table, list(now)))


# -- replacing ----


def _replace(
    log: Log, board: str, setup: Setup, report: RebuildReport, epochs: list[Epoch]
) -> None:
    gone = _refusing(log, board, report.position)
    earlier = epochs[-1].students if epochs else {}
    gone = {**earlier, **gone}
    writes = stored.encode(*stored.play(log, board, setup, report.position, gone))
    if gone != earlier:
        epochs = [*epochs, Epoch(report.position, gone)]
    note = msgspec.msgpack.encode(epochs, order="deterministic")
    writes.snapshots.append(
        stored.snapshot_row(board, FORGOTTEN, report.position, stored.versions_of(setup), note)
    )
    writes.lists, writes.entries, writes.scores, writes.events = [], [], [], []
    with log.unit_of_work() as unit:
        # A running consumer loses its ownership by the new fence, and loads what we store here.
        moved = unit.conn.execute(
            update(consumers)
            .where(
                consumers.c.name == NAME,
                consumers.c.board == board,
                consumers.c.position == report.position,
            )
            .values(owner="", fence=consumers.c.fence + 1)
        )
        if moved.rowcount != 1:
            raise StillRunning(NAME)
        stored.clear(unit.conn, board)
        stored.write(unit.conn, board, writes)
    report.replaced, report.forgotten = True, sorted(gone)


def _refusing(log: Log, board: str, until: int) -> dict[str, int]:
    """Students whose refusal is in force at `until`, with the position of that refusal."""
    found: dict[str, int] = {}
    for event in stored.events_until(log, board, until):
        if event.student is None:
            continue
        if isinstance(event.body, OptOutRecorded):
            found[event.student] = event.position
        elif isinstance(event.body, OptOutWithdrawn):
            found.pop(event.student, None)
    return found
