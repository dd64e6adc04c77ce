"""A night's retention: what the clocks say has to go, counted (dry run) or deleted in batches.

Each batch is one short transaction with its line on the audit trail and, where rows of the log
went, the event that says so. A kill loses one batch; the next run goes on. Between batches others
get the database.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date

import msgspec
import structlog

from warning_service.access import retention
from warning_service.access.trail import audit
from warning_service.access.trail.audit import Look
from warning_service.events.log import Log
from warning_service.keeping.erase import ERASED, say_shortened
from warning_service.keeping.kinds import Kind, Took
from warning_service.keeping.people import Leavers
from warning_service.keeping.register import kinds
from warning_service.roster import queries

log = structlog.get_logger()

BATCH = 1000
ACTION = "retention"
ACTOR = "system:retention"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One kind at one board ('' for the installation): what is due, or was deleted."""

    kind: str
    board: str
    before: date
    rows: int
    oldest: date | None
    newest: date | None


class Retention:
    """Counts and deletes by the clocks in force."""

    def __init__(
        self, log_: Log, trail: audit.Trail, clocks: Mapping[str, retention.Clock]
    ) -> None:
        self._log = log_
        self._trail = trail
        self._clocks = clocks
        self._kinds = kinds(trail.keys)

    def due(self, on: date | None = None, boards: Collection[str] | None = None) -> list[Line]:
        """What would go today, or on that day. Reads only.

        `boards`: only theirs ('' for what is the installation's).
        """
        found = []
        for kind, board, before in self._all(on):
            if boards is not None and board not in boards:
                continue
            with self._log.database.reading() as conn:
                due = kind.due(conn, board, before)
            if due.rows:
                found.append(_line(kind, board, before, due))
        return found

    def run(self) -> list[Line]:
        """Delete what is due; return what went. Raises StorageUnavailable, and may be repeated."""
        found = []
        for kind, board, before in self._all():
            whole = Took()
            while (took := self._batch(kind, board, before)).rows or took.log_rows:
                whole = whole + took
            if whole.rows or whole.log_rows:
                found.append(_line(kind, board, before, whole))
                log.info("retention_deleted", kind=kind.id, board=board, count=whole.rows)
        return found

    def _all(self, on: date | None = None) -> Iterator[tuple[Kind, str, date]]:
        today = on or self._log.clock.today()
        with self._log.database.reading() as conn:
            boards = [row.id for row in queries.boards(conn)]
        for kind in self._kinds:
            before = self._clocks[kind.id].before(today)
            for board in boards if kind.by_board else [""]:
                yield kind, board, before

    def _batch(self, kind: Kind, board: str, before: date) -> Took:
        with self._log.unit_of_work() as unit:
            children: list[str] = []
            if isinstance(kind, Leavers):
                children = kind.next_ones(unit.conn, board, before)
            took = kind.take(unit.conn, board, before, BATCH)
            say_shortened(unit, self._log, board, kind.id, took, judged=kind.judged)
            looks = []
            if took.rows or took.log_rows:
                days = f"{took.rows or took.log_rows}: {took.oldest}/{took.newest}"
                looks.append(
                    Look(board=board, actor=ACTOR, action=ACTION, subject=kind.id, detail=days)
                )
            if took.rows:
                looks += [
                    Look(board=board, actor=ACTOR, action=ERASED, subject=one, detail=kind.id)
                    for one in children
                ]
            self._trail.write(unit.conn, looks)
        return took


def _line(kind: Kind, board: str, before: date, took: Took) -> Line:
    return Line(
        kind=kind.id, board=board, before=before,
        rows=took.rows, oldest=took.oldest, newest=took.newest,
    )  # fmt: skip
