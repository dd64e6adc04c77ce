"""What a backup does not know: who refused, was erased or shut out after it was made.

A file outside the database and its backups (`removals.json` in the data folder) lists student keys:
refusals in force, and erasures for as long as a backup may be old; and a marker for each way in
that is in force (access/ways_in.py). The process that leads the schedule writes it anew within
seconds of a change, and `kizashi backup` as it ends. `kizashi restore` wants it and does again what
it says; without the file it refuses, unless it is told to, because a restored archive would
silently bring back what families were promised is gone, and let in who was shut out.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from sqlalchemy import Connection, select

from warning_service.access import leaving, ways_in
from warning_service.access.tables import audit
from warning_service.access.trail.audit import Trail
from warning_service.clock import day_of
from warning_service.database import Database
from warning_service.events.log import Log
from warning_service.keeping.erase import ERASED, erase
from warning_service.roster.service import set_opt_out
from warning_service.roster.tables import opt_outs

FILE = "removals.json"
REMEMBERED = timedelta(days=400)
"""Erasures are listed so long; an older backup must be destroyed (docs/operations.md)."""
ACTOR = "system:restore"


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """In force when the file was written."""

    board: str
    student: str
    since: datetime


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """A child that was erased."""

    board: str
    student: str
    at: datetime


class Removals(msgspec.Struct, frozen=True, kw_only=True):
    """The file's content."""

    written_at: datetime
    refusals: list[Refusal]
    erased: list[Erasure]
    ways_in: list[str]


class NoRemovals(RuntimeError):
    """The file is missing, damaged, or older than the archive: nothing may be restored on it."""


def collect(conn: Connection, now: datetime) -> Removals:
    """What the file has to say now."""
    o, a = opt_outs.c, audit.c
    refusals = [
        Refusal(board=row.board, student=row.student, since=row.from_at)
        for row in conn.execute(
            select(o.board, o.student, o.from_at).where(o.until_at.is_(None)).order_by(o.student)
        )
    ]
    erased = [
        Erasure(board=row.board, student=row.subject, at=row.at)
        for row in conn.execute(
            select(a.board, a.subject, a.at)
            .where(a.action == ERASED, a.at > now - REMEMBERED)
            .order_by(a.seq)
        )
    ]
    markers = ways_in.in_force(conn, day_of(now))
    return Removals(written_at=now, refusals=refusals, erased=erased, ways_in=markers)


def write(database: Database, path: Path, now: datetime, *, dated: bool = False) -> bool:
    """Bring the file up to date; False when it said all this already.

    Its time is then kept for a day, unless it is to be `dated` now: by a backup, because a list
    from before an archive cannot say what happened after it.
    """
    with database.reading() as conn:
        removals = collect(conn, now)
    try:
        held = read(path)
    except NoRemovals:
        held = None
    same = held is not None and msgspec.structs.replace(held, written_at=now) == removals
    if same and held is not None and not dated and now - held.written_at < timedelta(days=1):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(removals), indent=1) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return not same


def read(path: Path) -> Removals:
    """The file. Raises NoRemovals when it is missing or damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Removals)
    except (OSError, msgspec.DecodeError) as error:
        raise NoRemovals(f"{path}: {type(error).__name__}") from error


def fitting(path: Path, made_at: datetime) -> Removals:
    """The file, if it can say what happened after an archive was made.

    Raises NoRemovals when it is missing, damaged, or was last written before the archive.
    """
    found = read(path)
    if found.written_at < made_at:
        raise NoRemovals(f"{path} was written before the archive was made")
    return found


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What had to be done again. `taken_back`: refusals of the archive that are not in force."""

    refused: int
    erased: int
    taken_back: int


def apply(log: Log, trail: Trail, removals: Removals) -> Applied:
    """Do again in a restored database what happened after the archive was made.

    Refusals that are in the archive but were taken back later stay in force: the family has to say
    so once more, which is the safe side. Repeating this changes nothing. Raises StorageUnavailable.
    """
    with log.database.reading() as conn:
        known = set(leaving.known_children(conn, [r.student for r in removals.refusals]))
        in_force = set(
            conn.execute(select(opt_outs.c.student).where(opt_outs.c.until_at.is_(None))).scalars()
        )
        back = leaving.known_children(conn, [e.student for e in removals.erased])
    refused = 0
    for one in removals.refusals:
        if one.student in known and one.student not in in_force:
            set_opt_out(log, board=one.board, student=one.student, refused=True, actor=ACTOR)
            refused += 1
    boards = {e.student: e.board for e in removals.erased}
    for student in back:
        erase(log, trail, boards[student], [student], kind="restore", actor=ACTOR)
    taken_back = in_force - {r.student for r in removals.refusals} - set(back)
    return Applied(refused=refused, erased=len(back), taken_back=len(taken_back))
