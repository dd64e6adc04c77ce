"""Trouble that a database really makes: no room, no server, a standby, a damaged file.

Whatever it is called there, callers meet StorageUnavailable, which is answered with 503.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from tests import make
from warning_service.clock import MovableClock
from warning_service.database import Database, StorageUnavailable
from warning_service.events.intake import Intake
from warning_service.events.log import Log
from warning_service.events.tables import events


# PostgreSQL cannot be given a small disk here; its DiskFull is one family with those below.
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_full_disk_is_told_and_nothing_half_stored(log: Log, clock: MovableClock) -> None:
    make.append(log, make.check_in("s", clock, mood=1))
    with log.database.engine.connect() as conn:  # this one connection is the pool's next
        conn.exec_driver_sql("PRAGMA max_page_count = 1")  # no more pages than it has
    intake = Intake(log, queue=1000, batch=500)
    intake.start()

    async def many() -> list[object]:
        wanted = [intake.submit(make.check_in("s", clock, mood=1)) for _ in range(400)]
        return await asyncio.gather(*wanted, return_exceptions=True)

    told = asyncio.run(many())
    intake.stop()
    assert all(isinstance(one, StorageUnavailable) for one in told)
    assert len(make.rows(log.database, events)) == 1


def test_a_standby_that_takes_no_writes_is_storage_trouble(log: Log, clock: MovableClock) -> None:
    switch = "PRAGMA query_only = ON" if log.database.is_sqlite else "SET TRANSACTION READ ONLY"
    with pytest.raises(StorageUnavailable), log.database.writing() as conn:
        conn.exec_driver_sql(switch)
        conn.execute(events.delete())


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # there has to be a server
def test_a_server_that_ends_the_connection_is_storage_trouble(database: Database) -> None:
    with pytest.raises(StorageUnavailable), database.writing() as conn:
        conn.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    with database.writing() as conn:  # and the next one gets a new connection
        conn.execute(text("SELECT 1"))


# SQLite has one writer; its waiting is in test_log.
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_waiting_too_long_for_a_lock_is_storage_trouble(database: Database) -> None:
    with database.writing() as holder:
        holder.execute(text("LOCK TABLE events IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(StorageUnavailable), database.writing() as conn:
            conn.execute(text("SET LOCAL lock_timeout = '20ms'"))
            conn.execute(text("LOCK TABLE events IN ACCESS EXCLUSIVE MODE"))


def test_a_damaged_file_is_storage_trouble(tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_bytes(b"no database at all" * 500)
    database = Database(f"sqlite:///{tmp_path / 'broken.db'}")
    with pytest.raises(StorageUnavailable), database.reading() as conn:
        conn.execute(text("SELECT 1 FROM sqlite_master"))


# sqlite3 calls a wrong statement an OperationalError too.
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_bug_stays_a_bug(database: Database) -> None:
    with pytest.raises(ProgrammingError), database.reading() as conn:
        conn.execute(text("SELECT nothing FROM nowhere"))
