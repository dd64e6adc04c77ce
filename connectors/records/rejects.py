"""Rejected rows, kept as they came, until somebody has mended them.

A reject's id is made from board, kind and the row's cells: the same bad row in the same file again
is the same reject, and when a row with those cells is taken after all (an unknown child has come on
the roll since) its reject is resolved. A mended row differs from what it was, so it carries the id
of its reject in the column 取込行ID.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, select, update

from connectors.records.cells import Cells
from connectors.records.columns import REJECT_ID, REJECT_NOTES, Columns
from connectors.records.job import Job
from connectors.records.report import ImportReport
from warning_service.database import upsert
from warning_service.events.types import derived_id
from warning_service.roster import tables as t

_ADDED = (REJECT_ID, *REJECT_NOTES)


def _cells_of(columns: Columns, cells: Cells) -> dict[str, str]:
    named = cells.as_dict()
    if columns.reject_id is not None:
        for heading in _ADDED:
            named.pop(heading, None)
    return named


def _id(job: Job, columns: Columns, named: Mapping[str, str]) -> str:
    return derived_id("reject", job.board, columns.kind.id, *named.keys(), "\x1e", *named.values())


def keep(
    job: Job, columns: Columns, report: ImportReport, bad: Sequence[Cells], good: Sequence[Cells]
) -> int:
    """Keep `bad` rows and resolve the rejects that `good` rows mend; return how many."""
    now = job.rooms.clock.now()
    r = t.rejects
    with job.rooms.database.reading() as conn:
        waiting_ids = _waiting(conn, job.board)
    rows = {}
    for cells in bad:
        named = _cells_of(columns, cells)
        given = _given_id(columns, cells)
        reject = given if given in waiting_ids else _id(job, columns, named)
        rows[reject] = {
            "id": reject,
            "import_id": report.import_id,
            "row_number": cells.row.number,
            "column": "、".join(dict.fromkeys(p.column for p in cells.problems if p.column)),
            "reason": "/".join(dict.fromkeys(p.reason_ja for p in cells.problems)),
            "raw": msgspec.json.encode(named).decode(),
            "resolved_at": None,
        }
    mended = set()
    if waiting_ids:
        for cells in good:
            own = _id(job, columns, _cells_of(columns, cells))
            mended |= {own, _given_id(columns, cells)} & waiting_ids
    if rows or mended:
        with job.rooms.database.writing() as conn:
            if rows:
                conn.execute(upsert(conn, r, ["id"]), list(rows.values()))
            if mended:
                conn.execute(
                    update(r).where(r.c.id == bindparam("i")).values(resolved_at=bindparam("n")),
                    [{"i": reject, "n": now} for reject in sorted(mended)],
                )
    return len(mended)


def _given_id(columns: Columns, cells: Cells) -> str:
    place = columns.reject_id
    return "" if place is None or place >= len(cells.row.cells) else cells.row.cells[place].strip()


def _waiting(conn: Connection, board: str) -> set[str]:
    r, i = t.rejects, t.imports
    return set(
        conn.execute(
            select(r.c.id)
            .join(i, i.c.id == r.c.import_id)
            .where(i.c.board == board, r.c.resolved_at.is_(None))
        ).scalars()
    )


def waiting(conn: Connection, board: str, kind: str = "") -> list[Any]:
    """Rejected rows of a board not mended yet, oldest first. They hold personal data."""
    r, i = t.rejects, t.imports
    query = (
        select(r, i.c.kind, i.c.file_name, i.c.at)
        .join(i, i.c.id == r.c.import_id)
        .where(i.c.board == board, r.c.resolved_at.is_(None))
        .order_by(i.c.at, r.c.row_number)
    )
    return list(conn.execute(query.where(i.c.kind == kind) if kind else query))


def as_csv(rows: Sequence[Any]) -> bytes:
    """Rejected rows of one kind as a CP932 CSV to mend in a spreadsheet and take in again.

    The column 取込行ID is added, and three that say what to mend; only the first is read again.
    """
    parsed = [(row, msgspec.json.decode(row.raw, type=dict[str, str])) for row in rows]
    headings = list(dict.fromkeys(heading for _, cells in parsed for heading in cells))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([*_ADDED, *headings])
    for row, cells in parsed:
        writer.writerow(
            [row.id, row.row_number, row.column, row.reason, *(cells.get(h, "") for h in headings)]
        )
    return out.getvalue().encode("cp932", "replace")
