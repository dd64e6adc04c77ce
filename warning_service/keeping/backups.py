"""How old backups may grow, and what a restored one must be told before anybody uses it.

A backup keeps what retention deletes and families refuse, so it must not outlive its use: `old`
finds archives past their age, `destroy` removes them. What was refused or erased, and who was shut
out, after an archive was made is done again by `mend`, from the list of removals that is kept
outside it; what the clocks say goes too, and the models are derived without it before the first
page is shown.
"""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import asdict

from warning_service.access.retention import Clock
from warning_service.access.trail.audit import Look, Trail
from warning_service.access.ways_in import Shut, close_all_but
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.log import Log
from warning_service.judging.consumer import JudgingConsumer, PlaybookSource
from warning_service.judging.deriving.removal import Removal
from warning_service.keeping.sweep import Line, Retention
from warning_service.keeping.tombstones import ACTOR, Applied, Removals, apply
from warning_service.roster import queries
from warning_service.upkeep import MANIFEST, BackupError, Manifest

LONGEST_DAYS = 35
"""A backup older than this must be destroyed, if the operator names no other number of days."""


class Archive(NamedTuple):
    """A backup in a folder."""

    path: Path
    made_at: datetime


def manifest_of(path: Path) -> Manifest:
    """What an archive says of itself. Raises BackupError when it is none."""
    try:
        with tarfile.open(path, "r:gz") as tar:
            held = tar.extractfile(MANIFEST)
            return msgspec.json.decode(b"" if held is None else held.read(), type=Manifest)
    except (OSError, EOFError, KeyError, tarfile.TarError, msgspec.DecodeError) as error:
        raise BackupError(f"not a backup: {type(error).__name__}") from error


def archives(folder: Path) -> list[Archive]:
    """The backups in a folder, oldest first. Other files are passed over."""
    found = []
    for path in folder.iterdir():
        if path.is_file():
            try:
                found.append(Archive(path, datetime.fromisoformat(manifest_of(path).made_at)))
            except (BackupError, ValueError):
                continue
    return sorted(found, key=lambda one: (one.made_at, one.path))


def old(folder: Path, now: datetime, days: int = LONGEST_DAYS) -> list[Archive]:
    """Those that are older than they may be."""
    return [one for one in archives(folder) if now - one.made_at > timedelta(days=days)]


def destroy(found: list[Archive]) -> None:
    """Delete archives. (What a disk keeps of a deleted file is the disk's encryption's matter.)"""
    for one in found:
        one.path.unlink()


class Mended(NamedTuple):
    """What was done in a restored database before its use."""

    applied: Applied | None
    shut: Shut
    deleted: list[Line]
    derived: list[str]


def mend(
    log: Log,
    trail: Trail,
    playbooks: PlaybookSource,
    clocks: Mapping[str, Clock],
    removals: Removals | None,
) -> Mended:
    """Do again what happened after the archive was made, doors first.

    Once people use the database it must not be repeated: it ends what they were given since.
    Raises StorageUnavailable.
    """
    shut = _shut(log, trail, removals)
    applied = None if removals is None else apply(log, trail, removals)
    deleted = Retention(log, trail, clocks).run()
    with log.database.reading() as conn:
        boards = [row.id for row in queries.boards(conn)]
    derived = []
    for board in boards:
        # Refusals are events: judging has to have met them before models can be derived without.
        dispatcher = Dispatcher(log, JudgingConsumer(log, playbooks), board)
        dispatcher.drain()
        dispatcher.release()
        removal = Removal(log, playbooks, board)
        if removal.due():
            removal.run()
            derived.append(board)
    return Mended(applied, shut, deleted, derived)


def _shut(log: Log, trail: Trail, removals: Removals | None) -> Shut:
    known = None if removals is None else removals.ways_in
    with log.database.writing() as conn:
        shut = close_all_but(conn, known, log.clock.now(), ACTOR)
        said = " ".join(f"{kind}={count}" for kind, count in asdict(shut).items() if count)
        trail.write(
            conn, [Look(board="", actor=ACTOR, action="restored", subject="all", detail=said)]
        )
    return shut
