"""Derives features, models and lists again from the log, and compares byte for byte.

The log is played through the same judge, into memory. Every difference is named. With `replace`,
states, training blocks and models are derived and stored anew by removal.py, without what families
refused: that is how a child leaves a model exactly. Published lists are compared but never
replaced: they are what people were shown and decided on.

After such a replacement the stored state is that of a log without those students, while older
lists were made with them. So the log is played once for each derivation that came into use, each
time leaving out what that one left out. Lists made before something was deleted from the log cannot
be derived any more; they are counted and not compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Table, select

from warning_service.events.log import Log
from warning_service.judging import consumer as stored
from warning_service.judging.consumer import NAME, PlaybookSource, Writes
from warning_service.judging.deriving import gone
from warning_service.judging.deriving.removal import Removal
from warning_service.judging.judge import Gone
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

MOST_NAMED = 200


class StillRunning(RuntimeError):
    """The judging consumer moved on while the rebuild was comparing; stop the worker first."""


@dataclass
class RebuildReport:
    """What a rebuild found. `differences` names each (at most MOST_NAMED; `found` counts all).

    `beyond_proof`: lists made before something was deleted from the log. `pending`: refusals and
    deletions that the models do not honour yet; the worker does so in the night.
    """

    board: str
    position: int
    students: int = 0
    lists: int = 0
    beyond_proof: int = 0
    pending: int = 0
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
        spans = _spans(conn, board, position)
        shortened = gone.shortened_at(conn, board, position)
        began = gone.latest(conn, board).began
        asked = gone.asks(conn, board, began, position)
        held = {table.name: _stored_rows(conn, table, board) for table in _DERIVED}
        held.update(_stored_lists(conn, board))
    with log.database.reading() as conn:
        if stored.position_of(conn, board) != position:
            raise StillRunning(NAME)
    report = RebuildReport(board, position, pending=len(asked))
    whole = shortened <= began
    report.beyond_proof = sum(
        row["as_of"] <= shortened for row in held[warning_lists.name].values()
    )
    spans = [span for span in spans if span[1] > shortened or span[1] == position]
    for number, (since, until, left) in enumerate(spans, start=1):
        say(f"playing the log up to position {until} ({number} of {len(spans)})")
        writes = stored.encode(*stored.play(log, board, setup, until, left), board)
        _compare_lists(report, writes, held, max(since, shortened), until)
        if number == len(spans) and whole:  # earlier stretches led to lists, not to what stands
            _compare_state(report, writes, held)
    if not whole and not replace:
        report.differ("models: rows were deleted from the log after they were derived")
    if replace:
        say("storing what the log gives")
        Removal(log, playbooks, board, setup).run()
        with log.database.reading() as conn:
            report.forgotten = sorted(gone.gone_by(conn, board, position).students)
        report.replaced = True
    return report


# -- playing ----


def _spans(conn: Connection, board: str, position: int) -> list[tuple[int, int, Gone]]:
    """(after, up to, left out) for each stretch of the log between derivations."""
    made = gone.all_of(conn, board)
    starts = [(0, Gone()), *((m.since, gone.gone_by(conn, board, m.began)) for m in made)]
    ends = [*(m.since for m in made), position]
    return [
        (since, until, left)
        for (since, left), until in zip(starts, ends, strict=True)
        if until > since or until == position
    ]


# -- comparing ----

_DERIVED: tuple[Table, ...] = (feature_states, left_out, training_blocks, model_snapshots)
_LISTS: tuple[Table, ...] = (warning_lists, list_entries, list_scores)


def _keyed(table: Table, rows: Sequence[Mapping[str, Any]]) -> Rows:
    keys = [column.name for column in table.primary_key.columns]
    return {tuple(row[key] for key in keys): dict(row) for row in rows}


def _stored_rows(conn: Connection, table: Table, board: str) -> Rows:
    found = conn.execute(select(table).where(table.c.board == board)).mappings()
    return _keyed(table, [dict(row) for row in found])


def _stored_lists(conn: Connection, board: str) -> dict[str, Rows]:
    mine = select(warning_lists.c.id).where(warning_lists.c.board == board)
    found = {table.name: _stored_rows(conn, table, board) for table in (warning_lists, list_trees)}
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
        left_out.name: writes.away,
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
    by = {row["model_version"] for row in every if row["id"] in mine}
    trees = {k: row for k, row in held[list_trees.name].items() if row["version"] in by}
    again = [row for row in writes.trees if row["version"] in by]
    _compare(report, list_trees, trees, _keyed(list_trees, again))
