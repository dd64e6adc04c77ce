"""Back up, restore, and prove that what is stored hangs together.

A backup is one archive: both SQLite files copied with SQLite's own online backup (consistent while
the service runs), or a `pg_dump` of both schemas, with a manifest of what is inside and its hashes.
The secret keys are not in it: without them, what children wrote stays sealed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
from sqlalchemy import func, select

from warning_service.access import retention
from warning_service.access.trail import audit
from warning_service.access.trail.audit import TrailKeys
from warning_service.clock import Clock
from warning_service.database import Database
from warning_service.events.log import head
from warning_service.events.tables import consumers, events
from warning_service.events.types import decode
from warning_service.migrate import newest

MANIFEST = "manifest.json"


class BackupError(RuntimeError):
    """The backup could not be made, or the archive is not one we may restore."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive holds. `files`: name -> sha256; `trail`: the audit trail's head then."""

    made_at: str
    schema: str
    backend: str
    head: int
    files: dict[str, str]
    trail: str = ""


def back_up(database: Database, target: Path, clock: Clock) -> Manifest:
    """Write an archive to `target`. Raises BackupError; then there is no file at `target`."""
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        parts = list(_dump(database, Path(folder)))
        with database.reading() as conn:
            position, trail = head(conn), audit.head(conn)
        manifest = Manifest(
            made_at=clock.now().isoformat(),
            schema=newest(),
            backend="sqlite" if database.is_sqlite else "postgresql",
            head=position,
            files={part.name: _sha256(part) for part in parts},
            trail="" if trail is None else str(trail),
        )
        (Path(folder) / MANIFEST).write_bytes(msgspec.json.encode(manifest))
        archive = Path(folder) / "archive"
        with tarfile.open(archive, "w:gz", compresslevel=3) as tar:
            for part in (Path(folder) / MANIFEST, *parts):
                tar.add(part, arcname=part.name)
        archive.replace(target)
    target.chmod(0o600)
    return manifest


def restore(database: Database, source: Path) -> Manifest:
    """Put an archive's content in the place of an *empty* database.

    Raises BackupError when the target has events, the archive is damaged, of another kind of
    database or of a newer schema.
    """
    if _has_events(database):
        raise BackupError("the target database is not empty; restore into a fresh one")
    database.close()
    with tempfile.TemporaryDirectory() as folder:
        try:
            with tarfile.open(source, "r:gz") as tar:
                tar.extractall(folder, filter="data")
            manifest = msgspec.json.decode((Path(folder) / MANIFEST).read_bytes(), type=Manifest)
        except (OSError, tarfile.TarError, msgspec.DecodeError) as error:
            raise BackupError(f"not a backup: {type(error).__name__}") from error
        backend = "sqlite" if database.is_sqlite else "postgresql"
        if manifest.backend != backend:
            raise BackupError(f"the archive is of {manifest.backend}, the database is {backend}")
        parts = {"roster.db", "kizashi.db"} if database.is_sqlite else {"kizashi.dump"}
        if set(manifest.files) != parts:  # before anything of the target is touched
            raise BackupError("the archive does not hold what its kind of database needs")
        for name, sha in manifest.files.items():
            part = Path(folder) / name
            if not part.is_file() or _sha256(part) != sha:
                raise BackupError(f"{name} is damaged")
        _load(database, Path(folder))
    return manifest


def _dump(database: Database, folder: Path) -> Iterator[Path]:
    if database.is_sqlite:
        # Names first: an identity without events is harmless, an event without its name is not.
        for path, name in ((database.identity_path, "roster.db"), (database.path, "kizashi.db")):
            copy = folder / name
            source, target = sqlite3.connect(path), sqlite3.connect(copy)
            with source, target:
                source.backup(target)
            source.close()
            target.close()
            yield copy
        return
    copy = folder / "kizashi.dump"
    # Without grants: they name roles of this installation, and the copy must not open to those.
    # `migrate` gives the restored database its own (access/row_security.py).
    _postgres("pg_dump", database, "--format=custom", "--no-privileges", f"--file={copy}")
    yield copy


def _load(database: Database, folder: Path) -> None:
    if database.is_sqlite:
        for path, name in ((database.identity_path, "roster.db"), (database.path, "kizashi.db")):
            path.parent.mkdir(parents=True, exist_ok=True)
            for old in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
                old.unlink(missing_ok=True)
            shutil.copyfile(folder / name, path)
            path.chmod(0o600)
        return
    _postgres("pg_restore", database, "--clean", "--if-exists", str(folder / "kizashi.dump"))


def _postgres(tool: str, database: Database, *arguments: str) -> None:
    program = shutil.which(tool)
    if program is None:
        raise BackupError(f"{tool} is not installed here")
    # Everybody on the machine can read a command line; the password goes by the environment.
    url = database.url.set(drivername="postgresql")
    environment = dict(os.environ)
    if url.password:
        environment["PGPASSWORD"] = str(url.password)
        url = url._replace(password=None)  # `set` takes None for "as it is"
    flag = [f"--dbname={url.render_as_string(hide_password=False)}"]
    done = subprocess.run(  # noqa: S603
        [program, *flag, *arguments], capture_output=True, check=False, env=environment
    )
    if done.returncode != 0:
        raise BackupError(f"{tool} failed with status {done.returncode}")


def _has_events(database: Database) -> bool:
    if database.is_sqlite and not database.path.exists():
        return False
    with database.reading() as conn:
        if not conn.dialect.has_table(conn, "events"):
            return False
        return head(conn) > 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(database: Database, keys: TrailKeys, known_head: str = "") -> list[str]:
    """What does not hang together, in words; empty when all is well.

    Every event can be read; positions and readers fit; the audit trail is as it was written and,
    if a head of it was kept elsewhere (`known_head`), still contains that.
    """
    found = []
    with database.reading() as conn:
        for row in conn.execute(
            select(events.c.position, events.c.body).execution_options(yield_per=5000)
        ):
            try:
                decode(row.body)
            except msgspec.DecodeError:
                found.append(f"event {row.position} cannot be read")
        last = conn.execute(select(func.max(events.c.position))).scalar_one_or_none() or 0
        for row in conn.execute(select(consumers)):
            if row.position > last:
                found.append(f"reader {row.name} of {row.board} is ahead of the log")
        found += [
            f"the door for deletions from {subject} stands open"
            for subject in retention.permits_lying_about(conn)
        ]
        found += [fault.words for fault in audit.verify(conn, keys, known_head)]
    return found
