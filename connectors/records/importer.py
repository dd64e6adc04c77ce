"""Takes one file in: reads, understands, checks row by row, writes the good rows, keeps the bad.

Nothing is dropped silently: each row is new, known, opted out, not counted (a row that says nothing
we keep, such as 忌引) or rejected; a rejected row waits in `roster.rejects`, as it came, until a
corrected one comes: the same file again, any file with the row mended under its 取込行ID
(`rejects.as_csv` writes such files). Taking the same file in twice is
harmless: what is there already counts as known.

A crash in the middle leaves whole batches in; the same file again does the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import insert

from connectors.records import (
    kind_accounts,
    kind_facts,
    kind_places,
    kind_roster,
    kind_staff,
    rejects,
)
from connectors.records.cells import Cells
from connectors.records.columns import BY_ID, Columns, understand
from connectors.records.job import ImportRooms, Job
from connectors.records.reading import Table, Unreadable, read_bytes, read_file
from connectors.records.report import ImportReport, Problem
from warning_service.events.types import new_id
from warning_service.roster import tables as t
from warning_service.roster.service import KeyMaker, random_key

log = structlog.get_logger()

_TAKE: dict[str, Callable[[Job, str, list[Cells]], None]] = {
    **dict.fromkeys(kind_facts.READERS, kind_facts.take),
    "roster": kind_roster.take,
    "schools": kind_places.take_schools,
    "closed_days": kind_places.take_closed_days,
    "opt_outs": kind_places.take_opt_outs,
    "staff": kind_staff.take,
    "staff_accounts": kind_accounts.take,
    "child_accounts": kind_accounts.take,
}


def import_file(
    rooms: ImportRooms,
    board: str,
    path: Path,
    *,
    actor: str,
    kind: str | None = None,
    make_key: KeyMaker = random_key,
) -> ImportReport:
    """Take the file at `path` into `board`; `kind` is told from its header unless named.

    `actor`: a staff key or `system:…`. `make_key` makes keys for new people (the demo passes a
    seeded one). What is wrong with the file is in the report, never an exception. Raises OSError
    (no such file), KeyError (unknown `kind`), StorageUnavailable (import again later).
    """
    job = Job(rooms, board, actor, rooms.clock.today(), make_key)
    return _import(job, path.name, kind, lambda: read_file(path))


def import_bytes(
    rooms: ImportRooms,
    board: str,
    data: bytes,
    name: str,
    *,
    actor: str,
    kind: str | None = None,
    make_key: KeyMaker = random_key,
) -> ImportReport:
    """Like `import_file`, for an upload."""
    job = Job(rooms, board, actor, rooms.clock.today(), make_key)
    return _import(job, name, kind, lambda: read_bytes(data, name))


def _import(job: Job, name: str, kind: str | None, read: Callable[[], Table]) -> ImportReport:
    report = ImportReport(
        import_id=new_id(),
        board=job.board,
        kind=kind or "",
        kind_label=BY_ID[kind].label if kind else "",
        file_name=name,
    )
    try:
        table = read()
        report.encoding, report.rows_total = table.encoding, len(table.rows)
        columns = understand(table.header, kind)
    except Unreadable as error:
        report.refused, report.rows_rejected = True, report.rows_total
        report.problems.append(Problem(1, error.column, error.reason_ja, error.reason_en))
        log.warning(
            "import_refused", board=job.board, import_id=report.import_id, why=error.reason_en
        )
        return report
    _take_rows(job, table, columns, report)
    with job.rooms.database.writing() as conn:
        conn.execute(insert(t.imports), _import_row(job, report, table.sha256))
    log.info(
        "imported", board=job.board, import_id=report.import_id, kind=report.kind,
        new=report.rows_new, known=report.rows_known, rejected=report.rows_rejected,
        opted_out=report.rows_opted_out, not_counted=report.rows_not_counted,
    )  # fmt: skip
    return report


def _take_rows(job: Job, table: Table, columns: Columns, report: ImportReport) -> None:
    kind = columns.kind
    report.kind, report.kind_label = kind.id, kind.label
    report.ignored_columns = columns.ignored
    rows = [Cells(columns, table.header, row, job.today) for row in table.rows]
    _TAKE[kind.id](job, kind.id, [cells for cells in rows if not cells.bad])
    bad = [cells for cells in rows if cells.bad]
    good = [cells for cells in rows if not cells.bad]
    fates = [job.fates[cells.row.number] for cells in good]
    report.rows_new = fates.count("new")
    report.rows_known = fates.count("known")
    report.rows_opted_out = fates.count("opted_out")
    report.rows_not_counted = fates.count("not_counted")
    report.rows_rejected = len(bad)
    report.problems = [problem for cells in bad for problem in cells.problems]
    report.rows_mended = rejects.keep(job, columns, report, bad, good)


def _import_row(job: Job, report: ImportReport, sha256: str) -> dict[str, Any]:
    return {
        "id": report.import_id,
        "board": job.board,
        "kind": report.kind,
        "file_name": report.file_name,
        "file_sha256": sha256,
        "at": job.rooms.clock.now(),
        "actor": job.actor,
        "rows_new": report.rows_new,
        "rows_known": report.rows_known,
        "rows_left_out": report.rows_opted_out + report.rows_not_counted,
        "rows_rejected": report.rows_rejected,
    }
